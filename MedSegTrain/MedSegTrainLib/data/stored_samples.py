"""A prepared case on disk: arrays that are mapped into memory, and a note of what they were made from.

image.npy  classes.npy  instances.npy  places.npy  entry.json (last: a folder without it is not finished)
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np

from MedSegDLLib.atomic import output_errors

from .samples import Sample

_ENTRY = "entry.json"
_BROKEN = (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError)
"""What numpy and json raise for files that are missing, cut off, or something else."""


@dataclass(frozen=True)
class StoredSample:
    """Calling it gives the sample of a case; its arrays are read from the disk where they are used."""

    name: str
    folder: Path

    def __call__(self) -> Sample:
        entry = self._entry()
        arrays = {name: np.load(self.folder / f"{name}.npy", mmap_mode="r") for name in entry["arrays"]}
        places, start = {}, 0
        for key, count in entry["places"]:
            places[key] = arrays["places"][start : start + count]
            start += count
        annotated = np.array(entry["annotated"], dtype=bool)
        return Sample(arrays["image"], arrays["classes"], annotated, places, arrays.get("instances"))

    def is_made_from(self, source: str) -> bool:
        """Whether it lies there complete, and was made from what `source` says."""
        try:
            entry = self._entry()
            sizes = {name: (self.folder / f"{name}.npy").stat().st_size for name in entry["arrays"]}
            self()  # reads the headers: what is no array is refused
        except _BROKEN:
            return False
        return entry["source"] == source and entry["arrays"] == sizes

    def _entry(self) -> dict:
        return json.loads((self.folder / _ENTRY).read_text(encoding="utf-8"))


def store(sample: Sample, entry: StoredSample, source: str) -> None:
    """Write a sample in place of what is there, whole or not at all. Raises OutputError."""
    partial = entry.folder.with_name(f".{uuid4().hex[:8]}-{entry.folder.name}")
    try:
        with output_errors(entry.folder):
            partial.mkdir(parents=True)
            _write(sample, partial, source)
            _put(partial, entry, source)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _put(partial: Path, entry: StoredSample, source: str) -> None:
    shutil.rmtree(entry.folder, ignore_errors=True)
    try:
        partial.rename(entry.folder)
    except OSError:
        if not entry.is_made_from(source):  # else another training made the same meanwhile
            raise


def _write(sample: Sample, folder: Path, source: str) -> None:
    arrays = {
        "image": sample.image,
        "classes": sample.classes,
        "instances": sample.instances,
        "places": np.concatenate([np.empty((0, 3), np.int32), *sample.places.values()]),
    }
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items() if array is not None}
    for name, array in arrays.items():
        _save(folder / f"{name}.npy", array)
    note = {
        "source": source,
        "arrays": {name: (folder / f"{name}.npy").stat().st_size for name in arrays},
        "places": [(key, len(found)) for key, found in sample.places.items()],
        "annotated": sample.annotated.tolist(),
    }
    (folder / _ENTRY).write_text(json.dumps(note), encoding="utf-8")


def _save(path: Path, array: np.ndarray) -> None:
    """As numpy's own, which does not say that a disk is full."""
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)
