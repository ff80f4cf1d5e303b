"""What a batch leaves on disk: a folder for each case, complete or not there, and a table of all of them."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .atomic import output_errors, replacing
from .bundle import Bundle
from .dicom.segmentation import write_dicom_seg
from .errors import OutputError
from .files import write_volume
from .scene.headless import new_scene
from .scene.segments import write_segmentation
from .scene.storage import save_segmentation
from .scene.tables import write_volume_table
from .scene.volumes import node_from_volume
from .studies import Candidate
from .volume import Volume

SEGMENTATION, LABELS, DICOM_SEG = "segmentation.seg.nrrd", "labels.nii.gz", "segmentation.dcm"
VOLUMES, RECORD, RESULTS = "volumes.csv", "case.json", "results.csv"
DONE, FAILED, LEFT_OUT = "done", "failed", "left out"

_RECORD_FORMAT = 1
_PARTIAL = ".partial"


@dataclass(frozen=True)
class CaseResult:
    """A row of results.csv. `reused` marks a result of an earlier run."""

    name: str
    source: str
    status: str
    message: str = ""
    seconds: float = 0.0
    device: str = ""
    volumes_ml: dict[str, float] = field(default_factory=dict)
    reused: bool = False


def write_files(folder: Path, candidate: Candidate, volume: Volume, labels: Volume, bundle: Bundle) -> None:
    """Write the segments, the labelmap, the table of volumes and, for a DICOM series, the DICOM SEG.

    Args:
        candidate: where the volume came from.
        volume: the image.
        labels: values of the bundle's labels, on the image's grid.

    Raises OutputError.
    """
    structures = bundle.spec.labels
    _write_segments(folder / SEGMENTATION, volume, labels, bundle)
    write_volume(labels, folder / LABELS)
    write_volume_table(folder / VOLUMES, labels, structures)
    if candidate.series:
        path, version = folder / DICOM_SEG, bundle.version
        write_dicom_seg(path, labels.array, structures, candidate.series, volume, bundle.name, version)


def write_record(folder: Path, result: CaseResult, identity: dict, report: dict) -> None:
    """Write case.json, for whoever resumes or asks how the result came about; the last file of a case.

    Args:
        identity: what the result depends on.
        report: the predictor's, with seconds a step.
    """
    checksums = {path.name: _checksum(path) for path in sorted(folder.iterdir())}
    record = {
        "format": _RECORD_FORMAT,
        "result": asdict(result),
        "identity": identity,
        "report": report,
        "files": checksums,
    }
    text = json.dumps(record, indent=2, ensure_ascii=False)
    (folder / RECORD).write_text(text, encoding="utf-8", errors="backslashreplace")  # which JSON reads as it was


def read_record(folder: Path) -> dict:
    """The record of a case that was written there; empty if there is none, or not all of its files."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    ours = isinstance(record, dict) and record.get("format") == _RECORD_FORMAT
    return record if ours and all((folder / name).is_file() for name in record["files"]) else {}


def is_result(path: Path) -> bool:
    """True for the folder of a case, finished or interrupted, and for what lies in it."""
    folder = path if path.is_dir() else path.parent
    return folder.name.endswith(_PARTIAL) or bool(read_record(folder))


@contextmanager
def new_case(folder: Path) -> Iterator[Path]:
    """A folder to write a case into, which becomes `folder` when the block ends well and is gone when it does not.

    An earlier result there is replaced; files that someone else put beside it stay.

    Raises:
        OutputError: it cannot be written, or would replace what is no result or was changed since.
    """
    partial = folder.with_name(f".{folder.name}{_PARTIAL}")
    try:
        with output_errors(folder):
            shutil.rmtree(partial, ignore_errors=True)  # of a run that was interrupted
            partial.mkdir(parents=True)
            yield partial
            _move(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _move(partial: Path, folder: Path) -> None:
    if not folder.exists():
        partial.rename(folder)
        return
    _check_replaceable(folder)
    outdated = {*read_record(folder)["files"]} - {path.name for path in partial.iterdir()}
    for path in sorted(partial.iterdir(), key=lambda path: path.name == RECORD):  # the record last: it vouches for all
        os.replace(path, folder / path.name)
    for name in outdated:
        (folder / name).unlink()


def _check_replaceable(folder: Path) -> None:
    record = read_record(folder)
    if not record:
        raise OutputError(
            f"'{folder}' is in the way: it is no result that medseg wrote.",
            "Choose another output folder, or move that one.",
        )
    for name, checksum in record["files"].items():
        if _checksum(folder / name) != checksum:
            raise OutputError(
                f"'{folder / name}' was changed since medseg wrote it, and is not replaced.",
                "Move that folder elsewhere, or choose another output folder.",
            )


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write_segments(path: Path, volume: Volume, labels: Volume, bundle: Bundle) -> None:
    scene = new_scene()
    node = node_from_volume(scene.mrml, volume, volume.name or "image")
    segmentation = write_segmentation(scene.mrml, labels, bundle.spec.labels, node, algorithm_name=bundle.name)
    save_segmentation(segmentation, path)


def results_in(output: Path) -> list[CaseResult]:
    """The results of the cases in an output folder."""
    records = [read_record(folder) for folder in sorted(output.glob("*/")) if not folder.name.endswith(_PARTIAL)]
    return [CaseResult(**record["result"]) for record in records if record]


def write_results(path: Path, results: list[CaseResult], structures: Iterable[str] = ()) -> None:
    """Write results.csv: a row for each case, with a column for the volume of each structure.

    Args:
        structures: get a column in any case; those of other models follow.

    Raises OutputError.
    """
    structures = list(dict.fromkeys([*structures, *(name for result in results for name in result.volumes_ml)]))
    columns = ["case", "status", "seconds", *(f"{name} (ml)" for name in structures), "device", "message", "source"]
    with output_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(_row(result, structures) for result in results)


def _row(result: CaseResult, structures: list[str]) -> list[str]:
    volumes = [f"{result.volumes_ml[name]:.2f}" if name in result.volumes_ml else "" for name in structures]
    seconds = "" if result.status == LEFT_OUT else f"{result.seconds:.1f}"
    return [result.name, result.status, seconds, *volumes, result.device, result.message, result.source]
