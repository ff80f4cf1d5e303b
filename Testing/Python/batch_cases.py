"""What the tests of batch, command line and demo share: images with known answers, and what must lie on the disk."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from MedSegDLLib.files import read_volume, write_volume
from MedSegDLLib.volume import Volume

OBLIQUE = np.array([[0.8, -0.6, 0, 10], [0.6, 0.8, 0, -20], [0, 0, 1, 5], [0, 0, 0, 1.0]])
"""1 mm, turned about the patient's axis."""
FILES = {"segmentation.seg.nrrd", "labels.nii.gz", "volumes.csv", "case.json"}
PACKAGES = str(Path(sys.modules["MedSegDLLib"].__file__).parents[1])
"""For the PYTHONPATH of a program of its own."""
SLOW = 72
"""Edge of an image, in voxels, on which a threshold bundle of small windows works for seconds."""


def grey_values(shape=(10, 12, 14), seed: int = 0) -> np.ndarray:
    """Whole numbers from 0 to 399: for the thresholds 100 and 300 of a test's bundle, three classes."""
    return np.random.default_rng(seed).integers(0, 400, shape).astype(np.int16)


def write_image(path: Path, array: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(Volume(grey_values() if array is None else array), path)
    return path


def read_results(output: Path) -> dict[str, dict[str, str]]:
    """Rows of results.csv by case."""
    with open(output / "results.csv", newline="", encoding="utf-8") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


def read_labels(folder: Path) -> np.ndarray:
    return read_volume(folder / "labels.nii.gz").array


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def times_of(folder: Path) -> dict[str, int]:
    """When each file of a case was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@contextmanager
def started(*arguments, **pipes) -> Iterator[subprocess.Popen]:
    """medseg as a program of its own, which does not outlive the block."""
    command = [sys.executable, "-m", "MedSegDLLib", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **pipes)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
