"""Random forest and support vector machine on features of voxels, by scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import joblib
import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.kernel_approximation import Nystroem
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupKFold, ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from MedSegDLLib.errors import InputError
from MedSegDLLib.labels import Label
from MedSegDLLib.volume import Volume

from ..data.dataset import IGNORE, Case
from .features import voxel_features
from .seen import Seen

_MODEL = "learner.joblib"
_VOXELS_AT_ONCE = 500_000


@dataclass(frozen=True)
class Learner:
    """An untrained estimator, the values of its parameters to try, and what its `fit` calls weights of samples."""

    estimator: BaseEstimator
    grid: dict
    weight_argument: str

    def fitted(self, drawn: Drawn, parameters: dict) -> BaseEstimator:
        estimator = clone(self.estimator).set_params(**parameters)
        return estimator.fit(drawn.features, drawn.values, **{self.weight_argument: drawn.weights})


@dataclass(frozen=True)
class Drawn:
    """Voxels: features (n, f), label values (n,), how many voxels each stands for (n,), the case of each (n,)."""

    features: np.ndarray
    values: np.ndarray
    weights: np.ndarray
    cases: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> Drawn:
        return Drawn(self.features[chosen], self.values[chosen], self.weights[chosen], self.cases[chosen])

    @staticmethod
    def joined(parts: Sequence[Drawn]) -> Drawn:
        names = [field.name for field in fields(Drawn)]
        return Drawn(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def random_forest(seed: int) -> Learner:
    """Breiman 2001, doi:10.1023/A:1010933404324; the size of its leaves is searched."""
    forest = RandomForestClassifier(n_estimators=60, random_state=seed)
    return Learner(forest, {"min_samples_leaf": [2, 8, 32]}, "sample_weight")


def support_vector_machine(seed: int) -> Learner:
    """Cortes and Vapnik 1995, doi:10.1007/BF00994018, with a Gaussian kernel by Nystroem's method.

    The exact kernel machine takes a time that grows with the square of the voxels.
    """
    machine = make_pipeline(
        StandardScaler(),
        Nystroem(n_components=200, random_state=seed),
        LinearSVC(dual=False, random_state=seed),
    )
    return Learner(
        machine, {"nystroem__gamma": [0.01, 0.03, 0.1], "linearsvc__C": [1.0, 10.0]}, "linearsvc__sample_weight"
    )


class LearnedBaseline:
    """A classical learner that says of each voxel by itself which structure it is.

    Args:
        labels: the structures.
        make: gives the untrained learner by a seed.
        voxels_a_case: drawn from each training case, half of them background, weighted so that both keep their share.
        search_voxels: so many decide the parameters, by cross-validation over groups of cases.
    """

    def __init__(
        self,
        labels: tuple[Label, ...],
        make: Callable[[int], Learner],
        voxels_a_case: int = 1200,
        search_voxels: int = 15_000,
        seed: int = 0,
    ):
        self.labels = labels
        self._make = make
        self._voxels_a_case = voxels_a_case
        self._search_voxels = search_voxels
        self._seed = seed
        self._learner: BaseEstimator | None = None
        self.parameters: dict = {}

    def fit(self, cases: Iterable[Case]) -> None:
        """Learn from training cases. Raises InputError if there are none."""
        rng = np.random.default_rng(self._seed)
        parts = [self._draw(case, number, rng) for number, case in enumerate(cases)]
        if not parts:
            raise InputError("There are no cases to learn from.", "Add cases to the training part.")
        drawn, learner = Drawn.joined(parts), self._make(self._seed)
        self.parameters = self._searched(learner, drawn[_some(np.arange(len(drawn.values)), self._search_voxels, rng)])
        self._learner = learner.fitted(drawn, self.parameters)

    def segment(self, volumes: Volume | Sequence[Volume]) -> Volume:
        """Labels on the first volume's grid, uint8."""
        if self._learner is None:
            raise InputError("The learner was not trained.", "Call fit with training cases, or load it.")
        volumes = (volumes,) if isinstance(volumes, Volume) else tuple(volumes)
        seen = Seen.of(volumes)
        features = voxel_features(seen)
        parts = np.array_split(features, max(1, len(features) // _VOXELS_AT_ONCE))
        values = np.concatenate([self._learner.predict(part) for part in parts]).astype(np.uint8)
        return volumes[0].with_array(seen.turned_back(values.reshape(seen.shape)))

    def save(self, folder: str | Path) -> None:
        """By joblib, hence for one's own use: it must not be handed on, since reading it runs code."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        joblib.dump({"learner": self._learner, "parameters": self.parameters}, folder / _MODEL, compress=3)

    def load(self, folder: str | Path) -> None:
        """Take what `save` wrote on this machine."""
        path = Path(folder) / _MODEL
        if not path.is_file():
            raise InputError(f"'{folder}' holds no trained learner.", "Fit it again.")
        stored = joblib.load(path)
        self._learner, self.parameters = stored["learner"], stored["parameters"]

    def _draw(self, case: Case, number: int, rng: np.random.Generator) -> Drawn:
        """Random voxels of a case.

        The background of a case that lacks a structure's contours may hold that structure, and is left out.
        """
        volumes, label = case.load()
        seen = Seen.of(volumes)
        truth = seen.turned(label.array).ravel()
        truth = np.where(np.isin(truth, [IGNORE, *(structure.value for structure in self.labels)]), truth, 0)
        shares = {} if case.not_contoured else {0: self._voxels_a_case // 2}
        for structure in self.labels:
            if structure.name not in case.not_contoured:
                shares[structure.value] = self._voxels_a_case // (2 * len(self.labels))
        where = {value: np.flatnonzero(truth == value) for value in shares}
        some = {value: _some(where[value], shares[value], rng) for value in shares}
        chosen = np.concatenate(list(some.values()))
        weights = np.concatenate([np.full(len(some[v]), len(where[v]) / max(len(some[v]), 1)) for v in shares])
        return Drawn(voxel_features(seen)[chosen], truth[chosen], weights, np.full(len(chosen), number))

    def _searched(self, learner: Learner, drawn: Drawn) -> dict:
        """The parameters with the best Dice over voxels (F1), by cross-validation with no case on both sides."""
        choices = list(ParameterGrid(learner.grid))
        folds = min(3, len(np.unique(drawn.cases)))
        if folds < 2:
            return choices[len(choices) // 2]
        parts = list(GroupKFold(folds).split(drawn.features, groups=drawn.cases))

        def dice(parameters: dict) -> float:
            return float(np.mean([self._dice(learner, parameters, drawn[a], drawn[b]) for a, b in parts]))

        return max(choices, key=dice)

    def _dice(self, learner: Learner, parameters: dict, training: Drawn, judged: Drawn) -> float:
        values = learner.fitted(training, parameters).predict(judged.features)
        structures = [label.value for label in self.labels]
        return f1_score(
            judged.values, values, labels=structures, average="macro", sample_weight=judged.weights, zero_division=0.0
        )


def _some(indices: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return indices if len(indices) <= count else rng.choice(indices, count, replace=False)
