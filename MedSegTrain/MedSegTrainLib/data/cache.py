"""Prepared cases on disk, so that a training starts at once the second time, whatever interrupted the first."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from MedSegDLLib.atomic import output_errors
from MedSegDLLib.bundle import Specification
from MedSegDLLib.errors import InputError, OutputError
from MedSegDLLib.interaction.measures import bytes_text

from .case import Case
from .dataset import Progress, Skipped
from .parallel import each
from .samples import prepare_sample
from .source_state import digest, state_of
from .stored_samples import StoredSample, store

_FORMAT = 1
_SPARE_BYTES = 64 << 20  # for the file system's own needs, and for whoever else writes there
_PLACES_BYTES = 256 << 10  # a case's remembered voxels, roughly


class SampleCache:
    """Samples of cases as a specification wants them, each made once.

    What decides a sample is part of its place: the specification's preprocessing and labels name a folder below
    `folder`, and each entry says which files, of which size and time, it was made from. Entries that do not agree, or
    are damaged, are made again. Several trainings may use one cache at once.

    Args:
        folder: of all caches.
        specification: how cases are prepared.
        half: images in half precision, which is more precise than the grey values of any scanner.

    Attributes:
        skipped: the cases that the last call of `samples` could not use, and why.
    """

    def __init__(self, folder: Path | str, specification: Specification, half: bool = True):
        self._spec, self._half = specification, half
        self.folder = Path(folder) / preparation_key(specification, half)
        self.skipped: tuple[Skipped, ...] = ()

    def samples(
        self,
        cases: Sequence[Case],
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
        workers: int = 0,
    ) -> list[StoredSample]:
        """One function a case that can be used, in their order, each of which gives its sample.

        Args:
            progress: told how many cases are done, of how many, and which is the latest.
            cancelled: asked between cases.
            workers: processes that prepare; 0 does it here.

        Raises:
            OutputError: the disk is too small, or cannot be written. Finished cases are kept.
            InputError: not one case can be used.
            CancelledError: `cancelled` said so. Finished cases are kept.
        """
        entries = {case: StoredSample(case.name, self.folder / case.name) for case in cases}
        missing = [case for case, entry in entries.items() if not entry.is_made_from(source_key(case))]
        self._check_room(missing)
        refused = self._make(missing, entries, progress, cancelled, workers)
        self.skipped = tuple(Skipped(case.name, str(error)) for case, error in refused.items())
        if refused and len(refused) == len(entries):
            first = self.skipped[0]
            raise InputError(f"None of the cases can be used. The first, '{first.what}': {first.why}", "Correct them.")
        return [entry for case, entry in entries.items() if case not in refused]

    def _make(self, missing, entries, progress, cancelled, workers) -> dict[Case, InputError]:
        refused = {}
        done, total = len(entries) - len(missing), len(entries)
        work = partial(_prepare_and_store, folder=self.folder, spec=self._spec, half=self._half)
        for case, result in each(work, missing, workers, cancelled):
            if isinstance(result, InputError):
                refused[case] = result
            done += 1
            if progress:
                progress(done, total, case.name)
        return refused

    def _check_room(self, missing: Sequence[Case]) -> None:
        """Raise OutputError where the disk is too small for what is to be made."""
        if not missing:
            return
        needed = sum(sample_bytes(case, self._spec, self._half) for case in missing) + _SPARE_BYTES
        with output_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise OutputError(
                f"The prepared cases need {bytes_text(needed)} on the disk of '{self.folder}', which has "
                f"{bytes_text(free)} free.",
                "Free some space, or choose another folder for the cache, or a coarser spacing.",
            )


def preparation_key(spec: Specification, half: bool = True) -> str:
    """The same for specifications that prepare cases in the same way."""
    decisive = {
        "format": _FORMAT,
        "half": half,
        "orientation": spec.orientation,
        "spacing_mm": list(spec.spacing_mm),
        "intensities": [asdict(rule) for rule in spec.intensities],
        "labels": [(label.value, label.name) for label in spec.labels],
    }
    return digest(decisive)


def source_key(case: Case) -> str:
    """The same as long as the files of a case, and what is said of them, stay as they are."""
    return digest({"files": state_of(case), "not_contoured": sorted(case.not_contoured)})


def sample_bytes(case: Case, spec: Specification, half: bool) -> int:
    """What a case takes when it is prepared, judged by the headers of its files; 0 where they cannot be read."""
    volume_mm3 = float(np.prod(_size_mm(case)))
    voxels = volume_mm3 / float(np.prod(spec.spacing_mm))
    image = (2 if half else 4) * len(spec.channels)
    return round(voxels * (image + 1 + 2 * (case.instances is not None))) + _PLACES_BYTES


def _size_mm(case: Case) -> tuple[float, ...]:
    if case.facts is not None:
        return tuple(n * mm for n, mm in zip(case.facts.shape[::-1], case.facts.spacing_mm))
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(case.images[0]))
    try:
        reader.ReadImageInformation()
    except RuntimeError:  # preparing it will say what is wrong
        return (0.0,)
    return tuple(n * mm for n, mm in zip(reader.GetSize(), reader.GetSpacing()))


def _prepare_and_store(case: Case, folder: Path, spec: Specification, half: bool) -> None:
    images, label = case.load()
    sample = prepare_sample(images, label, spec, case.not_contoured, case.load_instances())
    store(sample.halved() if half else sample, StoredSample(case.name, folder / case.name), source_key(case))
