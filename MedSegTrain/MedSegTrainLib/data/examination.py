"""Look at every case once, so that what cannot be used shows before hours of training, and remember what was seen."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from MedSegDLLib.atomic import replacing
from MedSegDLLib.errors import CancelledError, InputError, OutputError
from MedSegDLLib.folders import cache_folder
from MedSegDLLib.labels import Label, volumes_ml, voxel_counts
from MedSegDLLib.volume import Volume

from .case import Case
from .images import read_values

_FORMAT = 2


@dataclass(frozen=True)
class Examination:
    """What was seen of a case.

    Args:
        shape, spacing_mm: of the grid of its first image, (k, j, i) and i, j, k.
        counts: voxels of each label value that occurs, background included; None where the labels cannot be read.
        digest: the same for images of the same voxels.
        problem: why the case cannot be used; empty if it can.
    """

    shape: tuple[int, int, int] = (0, 0, 0)
    spacing_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    counts: dict[int, int] | None = None
    digest: str = ""
    problem: str = ""

    def volume_ml(self, value: int) -> float:
        return self.counts.get(value, 0) * float(np.prod(self.spacing_mm)) / 1000


def examine(case: Case) -> Examination:
    """Load a case and look at it; never raises for what is wrong with its files."""
    try:
        label = read_values(case.label)
    except InputError as error:
        return Examination(problem=str(error))
    counts = _counts(label.array)
    try:
        images = case.load_images(label.grid)
        for image in images:
            image.check_usable()
        case.check_values(label)
    except InputError as error:
        return Examination(counts=counts, problem=str(error))
    return Examination(
        shape=label.array.shape,
        spacing_mm=tuple(float(mm) for mm in images[0].grid.spacing_mm),
        counts=counts,
        digest=digest_of(images[0]),
        problem="" if counts.keys() - {0} else "No structure is labelled in it: every voxel is background.",
    )


def _counts(labels: np.ndarray) -> dict[int, int]:
    if labels.dtype == np.uint8:
        counts = voxel_counts(labels, 255)
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    values, counts = np.unique(labels, return_counts=True)
    return {int(value): int(count) for value, count in zip(values, counts)}


def volumes_of(case: Case, labels: tuple[Label, ...]) -> dict[str, float]:
    """Volume in ml of each structure of a case, by name: from its facts, else from its labels. Raises InputError."""
    if case.facts is not None:
        return case.facts.volumes_ml
    label = case.load_label()
    return volumes_ml(label.array, labels, label.grid.voxel_volume_ml)


def digest_of(image: Volume) -> str:
    """The same for images of the same voxels, whatever their names."""
    return hashlib.blake2b(np.ascontiguousarray(image.array), digest_size=16).hexdigest()


def examine_all(
    folder: Path,
    cases: Iterable[Case],
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> list[Examination]:
    """Examine cases, but those not again whose files are as they were at the last time.

    What was seen is kept in the user's cache, under the folder's name: the folder may be read-only. Raises
    CancelledError; what was seen until then is kept.
    """
    cases = list(cases)
    memory = _Memory(folder)
    found = []
    try:
        for n, case in enumerate(cases):
            if cancelled and cancelled():
                raise CancelledError("Looking at the data was cancelled.")
            if progress:
                progress(n, len(cases), case.name)
            found.append(memory.of(case))
    finally:
        memory.keep()
    return found


class _Memory:
    """Examinations on disk, each with the size and time of the files it was made of."""

    def __init__(self, folder: Path):
        key = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
        self._path = cache_folder() / "datasets" / f"{key}.json"
        self._entries = self._read()
        self._changed = False

    def of(self, case: Case) -> Examination:
        key, stamps = str(case.label), _stamps(case)
        entry = self._entries.get(key)
        if entry is None or entry["files"] != stamps:
            examination = examine(case)
            self._entries[key] = {"files": stamps, "seen": asdict(examination)}
            self._changed = True
            return examination
        return _from_dict(entry["seen"])

    def keep(self) -> None:
        if self._changed:
            with suppress(OSError, OutputError):  # the next one looks again
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with replacing(self._path) as partial:
                    partial.write_text(json.dumps({"format": _FORMAT, "cases": self._entries}), encoding="utf-8")

    def _read(self) -> dict:
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            return data["cases"] if data["format"] == _FORMAT else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def _stamps(case: Case) -> list:
    return [[str(path), *_stamp(path)] for path in (*case.images, case.label)]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return status.st_size, status.st_mtime_ns


def _from_dict(data: dict) -> Examination:
    counts = data["counts"] and {int(value): count for value, count in data["counts"].items()}
    return Examination(tuple(data["shape"]), tuple(data["spacing_mm"]), counts, data["digest"], data["problem"])
