"""A classical method as a segmenter: its parameters are searched on training cases, one structure at a time."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from MedSegDLLib.errors import InputError
from MedSegDLLib.labels import Label
from MedSegDLLib.volume import Volume

from ..data.dataset import IGNORE, Case
from .evidence import Evidence, Experience
from .seen import Seen

Method = Callable[..., np.ndarray]

_EXPERIENCE, _PARAMETERS = "experience.npz", "parameters.json"


@dataclass(frozen=True)
class _Trial:
    """A training case that parameters are tried on."""

    seen: Seen
    evidence: list[Evidence]
    truth: np.ndarray
    not_contoured: frozenset[str]


class ClassicalBaseline:
    """A method without learning but for where structures lie, how bright they are, and its own parameters.

    Args:
        labels: the structures.
        method: see methods.py.
        grid: the values to try of each parameter.
        tuning_cases: so many training cases decide the parameters; all of them give the evidence.
        seed: chooses these cases.
    """

    def __init__(
        self,
        labels: tuple[Label, ...],
        method: Method,
        grid: Mapping[str, Sequence],
        tuning_cases: int = 12,
        seed: int = 0,
    ):
        self.labels = labels
        self._method = method
        self._grid = dict(grid)
        self._tuning_cases = tuning_cases
        self._seed = seed
        self._experience: Experience | None = None
        self.parameters: dict[str, dict] = {}

    def fit(self, cases: Iterable[Case]) -> None:
        """Learn from training cases. Raises InputError if there are none."""
        cases = list(cases)
        if not cases:
            raise InputError("There are no cases to tune the method on.", "Add cases to the training part.")
        self._experience = Experience.of(cases, self.labels)
        chosen = np.random.default_rng(self._seed).permutation(len(cases))[: self._tuning_cases]
        trials = [self._trial(cases[n]) for n in sorted(chosen)]
        self.parameters = {label.name: self._best(number, label, trials) for number, label in enumerate(self.labels)}

    def segment(self, volumes: Volume | Sequence[Volume]) -> Volume:
        """Labels on the first volume's grid, uint8. Where structures overlap, the more probable one stays."""
        if self._experience is None:
            raise InputError("The method was not tuned.", "Call fit with training cases, or load it from its folder.")
        volumes = (volumes,) if isinstance(volumes, Volume) else tuple(volumes)
        seen = Seen.of(volumes)
        result = np.zeros(seen.shape, dtype=np.uint8)
        strongest = np.zeros(seen.shape, dtype=np.float32)
        for label, evidence in zip(self.labels, self._experience.evidence(seen)):
            mask = self._method(seen, evidence, **self.parameters[label.name])
            wins = mask & (evidence.probability >= strongest)
            result[wins] = label.value
            strongest[wins] = evidence.probability[wins]
        return volumes[0].with_array(seen.turned_back(result))

    def save(self, folder: str | Path) -> None:
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._experience.save(folder / _EXPERIENCE)
        (folder / _PARAMETERS).write_text(json.dumps(self.parameters, indent=1), encoding="utf-8")

    def load(self, folder: str | Path) -> None:
        """Take what `save` wrote. Raises InputError where it does not fit these structures."""
        folder = Path(folder)
        try:
            self._experience = Experience.load(folder / _EXPERIENCE)
            self.parameters = json.loads((folder / _PARAMETERS).read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"'{folder}' holds no tuned method.", "Fit it again.", str(error)) from error
        missing = [label.name for label in self.labels if label.name not in self.parameters]
        if missing:
            raise InputError(f"The method in '{folder}' was not tuned for {', '.join(missing)}.", "Fit it again.")

    def _trial(self, case: Case) -> _Trial:
        volumes, label = case.load()
        seen = Seen.of(volumes)
        return _Trial(seen, self._experience.evidence(seen), seen.turned(label.array), case.not_contoured)

    def _best(self, number: int, label: Label, trials: list[_Trial]) -> dict:
        """The parameters with the greatest mean Dice over the trials that have the structure contoured."""
        trials = [trial for trial in trials if label.name not in trial.not_contoured]
        choices = [dict(zip(self._grid, values)) for values in itertools.product(*self._grid.values())]
        return max(choices, key=lambda choice: self._mean_dice(number, label, choice, trials))

    def _mean_dice(self, number: int, label: Label, parameters: dict, trials: list[_Trial]) -> float:
        values = [
            _dice(
                self._method(trial.seen, trial.evidence[number], **parameters),
                trial.truth == label.value,
                trial.truth != IGNORE,
            )
            for trial in trials
        ]
        return float(np.mean(values)) if values else 0.0


def _dice(mask: np.ndarray, truth: np.ndarray, known: np.ndarray) -> float:
    mask = mask & known
    size = np.count_nonzero(mask) + np.count_nonzero(truth)
    return 2 * np.count_nonzero(mask & truth) / size if size else 1.0
