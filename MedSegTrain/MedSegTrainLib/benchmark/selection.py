"""The part of a data set that a plan names: its cases with the chosen channels and structures, in one split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from MedSegDLLib.errors import InputError

from ..data.dataset import Case, Dataset, open_dataset
from ..data.splits import check, k_fold
from ..data.structures import plain_label
from .order import Order
from .plan import DataSet

_TOLD = ("title", "source", "licence", "attribution")


@dataclass(frozen=True)
class Selection:
    """The cases of one fold.

    Attributes:
        training: to learn from; `validation` is not among them.
        validation: to choose the best weights by.
        test: to judge on, and for nothing else.
    """

    dataset: Dataset
    training: list[Case]
    validation: list[Case]
    test: list[Case]

    @property
    def digest(self) -> str:
        """Another one for other cases; the same wherever they lie."""
        return _digest(self.dataset.cases)

    @property
    def facts(self) -> dict:
        """For the report; no path of this machine is in it."""
        cases = self.dataset.cases
        return {
            "data": {
                "name": self.dataset.name,
                "cases": len(cases),
                "patients": len({case.patient for case in cases}),
                "skipped": len(self.dataset.skipped),
                "digest": self.digest,
                "about": {key: str(self.dataset.about[key]) for key in _TOLD if self.dataset.about.get(key)},
            },
            "split": {part: len(getattr(self, part)) for part in ("training", "validation", "test")},
            "structures": [label.name for label in self.dataset.labels],
        }


def select(order: Order, data: Path) -> Selection:
    """Open the data set of an order, below the folder `data`, and split it.

    Raises InputError for data that cannot be used, or that lack what the order names.
    """
    dataset = _opened(order.data_set, data)
    split = k_fold(dataset, order.folds, order.split_seed)[order.fold]
    check(split, dataset)
    return Selection(dataset, *(dataset.select(part) for part in (split.train, split.validation, split.test)))


def _opened(wanted: DataSet, data: Path) -> Dataset:
    names = [plain_label(value, name) for value, name in sorted(wanted.names.items())]
    dataset = open_dataset(data / wanted.path, names or None)
    if wanted.channels:
        dataset = _with_channels(dataset, wanted.channels)
    if wanted.structures:
        dataset = _with_structures(dataset, wanted.structures)
    return dataset


def _with_channels(dataset: Dataset, names: Sequence[str]) -> Dataset:
    places = _places("channel", names, [channel.name for channel in dataset.channels], dataset)
    cases = tuple(replace(case, images=tuple(case.images[n] for n in places)) for case in dataset.cases)
    return replace(dataset, channels=tuple(dataset.channels[n] for n in places), cases=cases)


def _with_structures(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """The others count as background; a case without any of these stays, and shows what is found wrongly."""
    places = _places("structure", names, [label.name for label in dataset.labels], dataset)
    return replace(dataset, labels=tuple(dataset.labels[n] for n in places))


def _places(kind: str, names: Sequence[str], known: list[str], dataset: Dataset) -> list[int]:
    for name in names:
        if name not in known:
            raise InputError(
                f"The data set '{dataset.name}' has no {kind} '{name}'; it has {', '.join(known)}.", "Correct the plan."
            )
    return [known.index(name) for name in names]


def _digest(cases: Iterable[Case]) -> str:
    """The same for the same cases, wherever they lie: names, patients, and sizes of the files."""
    digest = hashlib.sha256()
    for case in sorted(cases, key=lambda case: case.name):
        sizes = [path.stat().st_size for path in (*case.images, case.label) if path.exists()]
        digest.update(f"{case.name}\0{case.patient}\0{sizes}\n".encode())
    return digest.hexdigest()[:16]
