"""A prepared case on disk: arrays that are mapped into memory, and a note of what they were made from.

image.npy  classes.npy  instances.npy  places.npz  entry.json (last: a folder without it is not finished)
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4
from zipfile import BadZipFile

import numpy as np

from MedSegDLLib.atomic import output_errors

from .samples import Sample

_ENTRY = "entry.json"
_BROKEN = (OSError, ValueError, KeyError, EOFError, TypeError, BadZipFile)
"""What numpy and json raise for files that are missing, cut off, or something else."""


@dataclass(frozen=True)
class StoredSample:
    """Calling it gives the sample of a case; its image and classes are read from the disk where they are used."""

    name: str
    folder: Path

    def __call__(self) -> Sample:
        arrays = {path.stem: np.load(path, mmap_mode="r") for path in self.folder.glob("*.npy")}
        with np.load(self.folder / "places.npz") as stored:
            places = {int(key): stored[key] for key in stored.files if key.isdigit()}
            annotated = stored["annotated"]
        return Sample(arrays["image"], arrays["classes"], annotated, places, arrays.get("instances"))

    def is_made_from(self, source: str) -> bool:
        """Whether it lies there complete, and was made from what `source` says."""
        try:
            entry = json.loads((self.folder / _ENTRY).read_text(encoding="utf-8"))
            sizes = {path.name: path.stat().st_size for path in self.folder.iterdir() if path.name != _ENTRY}
            self()  # reads the headers: a mapped array that is too short for its header is refused
        except _BROKEN:
            return False
        return entry.get("source") == source and entry.get("sizes") == sizes


def store(sample: Sample, entry: StoredSample, source: str) -> None:
    """Write a sample in place of what is there, whole or not at all. Raises OutputError."""
    partial = entry.folder.with_name(f".{uuid4().hex[:8]}-{entry.folder.name}")
    try:
        with output_errors(entry.folder):
            partial.mkdir(parents=True)
            _write(sample, partial)
            sizes = {path.name: path.stat().st_size for path in partial.iterdir()}
            (partial / _ENTRY).write_text(json.dumps({"source": source, "sizes": sizes}), encoding="utf-8")
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


def _write(sample: Sample, folder: Path) -> None:
    arrays = {"image": sample.image, "classes": sample.classes, "instances": sample.instances}
    for name, array in arrays.items():
        if array is not None:
            _save(folder / f"{name}.npy", np.ascontiguousarray(array))
    places = {str(key): found for key, found in sample.places.items()}
    np.savez(folder / "places.npz", annotated=sample.annotated, **places)


def _save(path: Path, array: np.ndarray) -> None:
    """As numpy's own, which does not say that a disk is full."""
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)
