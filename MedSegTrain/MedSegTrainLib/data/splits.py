"""Parts of a data set to train on, to choose by, and to judge on: by patient, alike in structures and volumes.

The method is iterative stratification (Sechidis, Tsoumakas, Vlahavas: On the Stratification of Multi-Label Data, ECML
PKDD 2011) with volumes added. Structures are taken from the rarest to the most frequent. The patients who show it and
have no part yet are sorted by the size of their structures, shuffled within blocks of neighbours (as many as it takes
for each part to get one), and dealt out so that each part has its share of the structure after every patient. So the
parts agree in how often each structure occurs and in the whole range of sizes, and the seed decides the rest.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from MedSegDLLib.atomic import output_errors, replacing
from MedSegDLLib.errors import InputError

from .case import Case
from .dataset import Dataset
from .examination import volumes_of
from .json_files import read_json

SHARES = (0.7, 0.15, 0.15)
VALIDATION_SHARE = 0.15
"""Of what a fold of k-fold leaves for training."""

_FORMAT = "medseg-splits-1"


@dataclass(frozen=True)
class Split:
    """Names of the cases to train on, to choose the best weights by, and to judge the result on."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self):
        for part in ("train", "validation", "test"):
            object.__setattr__(self, part, tuple(getattr(self, part)))


def k_fold(dataset: Dataset, folds: int, seed: int) -> tuple[Split, ...]:
    """One split a fold: every case is in `test` of exactly one of them.

    Validation is 15 % of what a fold leaves, and empty where it leaves a single patient.

    Raises:
        InputError: fewer patients than folds, or fewer than two folds.
    """
    patients = _patients(dataset)
    if folds < 2 or folds > len(patients):
        raise InputError(
            f"The patients of the data set ({len(patients)}) cannot be split into {folds} folds.",
            f"Take from 2 to {len(patients)} folds." if len(patients) > 1 else "Add cases of other patients.",
        )
    parts = _dealt(patients, [1 / folds] * folds, seed)
    return tuple(_fold(parts, fold, seed) for fold in range(folds))


def single(dataset: Dataset, shares: Sequence[float] = SHARES, seed: int = 0) -> Split:
    """One split with these shares for training, validation and test.

    Raises:
        InputError: fewer than three patients, or shares that are not three positive numbers with the sum 1.
    """
    if len(shares) != 3 or min(shares) <= 0 or not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise InputError(f"The shares {list(shares)} are not three positive numbers with the sum 1.", "Correct them.")
    patients = _patients(dataset)
    if len(patients) < 3:
        raise InputError(
            f"The patients of the data set ({len(patients)}) are too few for training, validation and test.",
            "Add cases of other patients.",
        )
    return Split(*map(_names, _dealt(patients, shares, seed)))


def check(split: Split, dataset: Dataset) -> None:
    """Raise InputError where a split leaks (a patient in two parts), is of other data, or has nothing to train on."""
    part_of: dict[str, str] = {}
    for part, names in asdict(split).items():
        if len(set(names)) < len(names):
            raise InputError(f"The split names a case twice in its part '{part}'.", "Make the split again.")
        for case in dataset.select(names):
            if part_of.setdefault(case.patient, part) != part:
                raise InputError(
                    f"The split leaks: patient '{case.patient}' is in '{part_of[case.patient]}' and in '{part}'.",
                    "Make the split again; it keeps the cases of a patient together.",
                )
    if not split.train:
        raise InputError("The split has no case to train on.", "Make the split again.")


def write(path: Path | str, splits: Iterable[Split], dataset: Dataset, seed: int) -> None:
    """Write splits, with the data set's name and the seed, as JSON. Raises OutputError."""
    path = Path(path)
    splits = [asdict(split) for split in splits]
    text = json.dumps({"format": _FORMAT, "dataset": dataset.name, "seed": seed, "splits": splits}, indent=1)
    with output_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read(path: Path | str, dataset: Dataset) -> tuple[Split, ...]:
    """The splits that `write` wrote, checked. Raises InputError for a damaged file, and as `check` does."""
    path = Path(path)
    data = read_json(path)
    try:
        splits = tuple(Split(**split) for split in data["splits"]) if data["format"] == _FORMAT else ()
    except (KeyError, TypeError) as error:
        raise InputError(f"'{path}' holds no splits.", "Make the split again.", repr(error)) from error
    if not splits:
        raise InputError(f"'{path}' holds no splits.", "Make the split again.")
    for split in splits:
        check(split, dataset)
    return splits


def seed_of(path: Path | str) -> int:
    """Of splits that `write` wrote and `read` accepts."""
    return read_json(Path(path)).get("seed", 0)


@dataclass(frozen=True)
class _Patient:
    """Cases that stay together, the structures in them, and how large these are beside those of others."""

    cases: tuple[str, ...]
    structures: frozenset[str]
    size: float


def _patients(dataset: Dataset) -> list[_Patient]:
    cases_of = defaultdict(list)
    for case in dataset.cases:
        cases_of[case.patient].append(case)
    volumes = [_mean_volumes(cases, dataset) for cases in cases_of.values()]
    typical = {
        label.name: float(np.mean([found[label.name] for found in volumes if found.get(label.name)] or [1.0]))
        for label in dataset.labels
    }
    return [
        _Patient(
            cases=tuple(case.name for case in cases),
            structures=frozenset(name for name in typical if found.get(name)),
            size=float(np.mean([found[name] / typical[name] for name in typical if found.get(name)] or [0.0])),
        )
        for cases, found in zip(cases_of.values(), volumes)
    ]


def _mean_volumes(cases: list[Case], dataset: Dataset) -> dict[str, float]:
    volumes = [volumes_of(case, dataset.labels) for case in cases]
    return {label.name: float(np.mean([found.get(label.name, 0.0) for found in volumes])) for label in dataset.labels}


def _dealt(patients: list[_Patient], shares: Sequence[float], seed) -> list[list[_Patient]]:
    """The patients in as many parts as there are shares; none is empty if there are enough patients."""
    rng = np.random.default_rng(seed)
    shares = np.asarray(shares)
    block = math.ceil(1 / shares.min() - 1e-9)
    parts: list[list[_Patient]] = [[] for _ in shares]
    counts: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(len(shares)))  # patients with a structure, by part
    for structure, members in _from_rare_to_frequent(patients):
        for patient in _shuffled_in_blocks(members, block, rng):
            part = _most_owed(shares, counts[structure], counts[""], rng)
            parts[part].append(patient)
            for name in ("", *patient.structures):
                counts[name][part] += 1
    _fill_empty(parts)
    return parts


def _most_owed(shares: np.ndarray, with_it: np.ndarray, sizes: np.ndarray, rng: np.random.Generator) -> int:
    """The part that lacks most of its share of a structure; of equal ones the smallest for its share, else by lot."""
    owed = [(shares * (counts.sum() + 1) - counts).round(9) for counts in (sizes, with_it)]
    return int(np.lexsort((rng.permutation(len(shares)), *owed))[-1])


def _from_rare_to_frequent(patients: list[_Patient]) -> Iterator[tuple[str, list[_Patient]]]:
    """Each structure with the patients who show it and no rarer one; at last '' with those who show none."""
    waiting = {patient.cases: patient for patient in patients}
    while waiting:
        members = defaultdict(list)
        for patient in waiting.values():
            for structure in patient.structures or ("",):
                members[structure].append(patient)
        named = {structure: found for structure, found in members.items() if structure}
        structure, found = min((named or members).items(), key=lambda item: (len(item[1]), item[0]))
        yield structure, found
        for patient in found:
            del waiting[patient.cases]


def _shuffled_in_blocks(members: list[_Patient], length: int, rng: np.random.Generator) -> list[_Patient]:
    ordered = sorted(members, key=lambda patient: (patient.size, patient.cases))
    blocks = [ordered[start : start + length] for start in range(0, len(ordered), length)]
    return [block[n] for block in blocks for n in rng.permutation(len(block))]


def _fill_empty(parts: list[list[_Patient]]) -> None:
    while not all(parts) and max(map(len, parts)) > 1:
        next(part for part in parts if not part).append(max(parts, key=len).pop())


def _fold(parts: list[list[_Patient]], fold: int, seed: int) -> Split:
    rest = [patient for n, part in enumerate(parts) if n != fold for patient in part]
    train, validation = _dealt(rest, (1 - VALIDATION_SHARE, VALIDATION_SHARE), [seed, fold])
    return Split(_names(train), _names(validation), _names(parts[fold]))


def _names(part: list[_Patient]) -> tuple[str, ...]:
    return tuple(sorted(name for patient in part for name in patient.cases))
