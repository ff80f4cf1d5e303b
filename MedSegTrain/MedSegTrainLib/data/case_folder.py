"""The folder of one imported case: complete or not there."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np

from MedSegDLLib.atomic import output_errors
from MedSegDLLib.errors import InputError, OutputError
from MedSegDLLib.files import write_volume
from MedSegDLLib.labels import volumes_ml
from MedSegDLLib.studies import safe_name
from MedSegDLLib.volume import Grid, Volume

from .case import Case, Facts, case_from_dict, case_to_dict
from .channels import Assembled
from .examination import digest_of
from .images import resampled
from .json_files import read_json
from .painting import Painted, paint
from .structures import StructureTable

RECORD, LABEL, INSTANCES = "case.json", "label.nii.gz", "instances.nii.gz"

_FORMAT = 1
_LATTICE = 16  # points along each axis at which it is asked whether a channel covers the reference
_TOLERATED = 0.999
_PARTIAL = ".partial-"
_LEFT_AFTER_SECONDS = 6 * 3600.0


class CaseWriter:
    """Writes cases into folders, and leaves those alone that are there already.

    Args:
        folder: in which each case gets a folder of its name.
        table: what becomes of the structures.
        channels: file names of the images.
    """

    def __init__(self, folder: Path, table: StructureTable, channels: Sequence[str]):
        self._folder = folder
        self._table = table
        self._channels = tuple(channels)

    def case(self, assembled: Assembled) -> tuple[Case, str]:
        """The case, and what is the same for cases with the same image. Raises InputError, OutputError."""
        folder = self._folder / safe_name(assembled.name)
        identity = self._identity(assembled)
        record = _record(folder)
        if record.get("identity") != identity:
            with _new_folder(folder, identity) as partial:
                case, digest = self._write(assembled, partial)
                record = {
                    "format": _FORMAT, "identity": identity, "digest": digest, "case": case_to_dict(case, partial)
                }  # fmt: skip
                (partial / RECORD).write_text(json.dumps(record, ensure_ascii=False, indent=1), encoding="utf-8")
        return case_from_dict(record["case"], folder), record["digest"]

    def _identity(self, assembled: Assembled) -> str:
        rows = [replace(row, cases=0) for row in self._table.rows]  # their number is but for information
        parts = (assembled.found.stamp(), rows, self._channels, assembled.reference.key)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _write(self, assembled: Assembled, folder: Path) -> tuple[Case, str]:
        reference = assembled.reference.load()
        images, warnings = _on_one_grid(assembled, reference)
        painted = paint(assembled.drawings, self._table, reference.grid)
        contoured = painted.contoured | self._table.may_be_absent
        if not painted.labels.any() and not self._table.may_be_absent:
            why = " ".join(("No structure of the table lies in the image.", *painted.warnings[:1]))
            raise InputError(why, "Check the table of structures; a case may be without one that is 'absent' there.")
        paths = [folder / f"{safe_name(channel)}.nii.gz" for channel in self._channels]
        for image, path in zip(images, paths):
            write_volume(image, path)
        labels = Volume(painted.labels, reference.ijk_to_ras)
        write_volume(labels, folder / LABEL)
        case = Case(
            name=assembled.name,
            images=tuple(paths),
            label=folder / LABEL,
            patient=assembled.patient,
            not_contoured=frozenset(label.name for label in self._table.labels) - contoured,
            instances=_write_instances(assembled, reference.grid, folder / INSTANCES),
            facts=self._facts(labels, painted, warnings),
        )
        return case, digest_of(reference)

    def _facts(self, labels: Volume, painted: Painted, warnings: list[str]) -> Facts:
        grid = labels.grid
        volumes = volumes_ml(labels.array, self._table.labels, grid.voxel_volume_ml)
        spacing = tuple(round(float(mm), 6) for mm in grid.spacing_mm)
        return Facts(grid.shape, spacing, volumes, (*warnings, *painted.warnings))


def _on_one_grid(assembled: Assembled, reference: Volume) -> tuple[list[Volume], list[str]]:
    """Every channel at the voxels of the reference, and what is to be said of it."""
    images, warnings = [], []
    for found in assembled.images:
        image = reference if found is assembled.reference else found.load()
        image.check_usable()
        if not image.grid.is_orthogonal():
            raise InputError(f"The axes of '{found.name}' are not at right angles.", "Resample it to a straight grid.")
        share = _coverage(reference.grid, image.grid)
        if share == 0:
            raise InputError(f"'{found.name}' lies elsewhere than '{assembled.reference.name}'.", "Register them.")
        if share < _TOLERATED:
            warnings.append(f"'{found.name}' covers {share:.0%} of '{assembled.reference.name}'.")
        images.append(resampled(image, reference.grid))
    return images, warnings


def _coverage(grid: Grid, other: Grid) -> float:
    """Share of a grid that lies within another one, by a lattice of points."""
    ends = (np.linspace(0, n - 1, min(n, _LATTICE)) for n in grid.shape[::-1])
    ijk = other.ijk(grid.ras(np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1)))
    inside = (ijk >= -0.5 - 1e-3) & (ijk <= np.array(other.shape[::-1]) - 0.5 + 1e-3)
    return float(inside.all(axis=-1).mean())


def _write_instances(assembled: Assembled, grid: Grid, path: Path) -> Path | None:
    for drawing in assembled.drawings:
        instances = drawing.instances(grid)
        if instances is not None:
            write_volume(Volume(instances, grid.ijk_to_ras), path)
            return path
    return None


def _record(folder: Path) -> dict:
    """What was written about a complete case; empty where there is none."""
    try:
        record = read_json(folder / RECORD)
        case = case_from_dict(record["case"], folder)
    except (InputError, KeyError, TypeError, ValueError, AttributeError):
        return {}
    files = [*case.images, case.label, *filter(None, [case.instances])]
    return record if record.get("format") == _FORMAT and all(path.is_file() for path in files) else {}


@contextmanager
def _new_folder(folder: Path, identity: str) -> Iterator[Path]:
    """A folder that takes the place of another one when the block ends well, and is gone when it does not."""
    partial = folder.with_name(f"{_PARTIAL}{uuid4().hex[:8]}-{folder.name}")
    try:
        with output_errors(folder):
            if folder.exists() and not (folder / RECORD).is_file():
                raise OutputError(f"'{folder}' is in the way: it is no imported case.", "Choose another output folder.")
            partial.mkdir(parents=True)
            yield partial
            shutil.rmtree(folder, ignore_errors=True)
            try:
                partial.rename(folder)
            except OSError:
                if _record(folder).get("identity") != identity:  # else another import has made the same meanwhile
                    raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """What imports that were killed have left, of which none that runs can be the owner."""
    for partial in folder.glob(f"{_PARTIAL}*"):
        if time.time() - partial.stat().st_mtime > _LEFT_AFTER_SECONDS:
            shutil.rmtree(partial, ignore_errors=True)
