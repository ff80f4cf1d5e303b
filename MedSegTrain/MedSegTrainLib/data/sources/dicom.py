"""DICOM series and what was drawn on them: RTSTRUCT and SEG, matched by the series they name and by place."""

from __future__ import annotations

import filecmp
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from MedSegDLLib.dicom.image import read_series
from MedSegDLLib.dicom.series import Scan, Series, scan_files, scan_series
from MedSegDLLib.errors import InputError
from MedSegDLLib.studies import safe_name

from ..dataset import Skipped
from ..found import Drawing, Findings, FoundCase, FoundImage
from .dicom_drawings import DRAWING_CLASSES, DicomDrawing, read_drawing


def find_dicom(folder: Path) -> Findings:
    """The patients of a folder and the folders below it. Raises InputError where none has an image with structures."""
    return _findings(scan_series(folder), str(folder))


def find_dicom_files(files: Iterable[Path]) -> Findings:
    """As `find_dicom`, for files chosen one by one."""
    return _findings(scan_files(path for path in files if path.is_file()), "your selection")


def _findings(scan: Scan, place: str) -> Findings:
    skipped = [Skipped(str(path), str(reason)) for path, reason in scan.damaged.items()]
    copies, images, drawings, unusable = [], [], [], {}
    for series in (_without_copies(series, copies) for series in scan.series):
        if series.headers[0].get("SOPClassUID") in DRAWING_CLASSES:
            drawings += _drawings(series, skipped)
        elif _is_usable(series, skipped):
            images.append(series)
        else:
            unusable[series.uid] = _called(series)
    cases = _cases(images, drawings, unusable, skipped)
    if not cases:
        reason = f" The first, '{skipped[0].what}': {skipped[0].why}" if skipped else ""
        raise InputError(
            f"{place} holds no image with labels, neither files in pairs nor DICOM with RTSTRUCT or SEG.{reason}",
            "Choose the folder that holds both the images and their structures.",
        )
    return Findings("DICOM", cases, (*skipped, *copies))


def _without_copies(series: Series, skipped: list[Skipped]) -> Series:
    """Studies are often copied into several folders; of files that are the same to the byte one is enough."""
    first_of: dict[str, Path] = {}
    kept = []
    for path, header in zip(series.files, series.headers):
        first = first_of.setdefault(str(header.get("SOPInstanceUID") or path), path)
        if first is path or not filecmp.cmp(first, path, shallow=False):
            kept.append((path, header))
    copies = len(series.files) - len(kept)
    if not copies:
        return series
    skipped.append(
        Skipped(_called(series), f"Files of it are there more than once ({copies} copies); each counts once.")
    )
    files, headers = zip(*kept)
    return replace(series, files=files, headers=headers)


def _is_usable(series: Series, skipped: list[Skipped]) -> bool:
    try:
        series.stack()
    except InputError as reason:
        skipped.append(Skipped(_called(series), str(reason)))
        return False
    return True


def _drawings(series: Series, skipped: list[Skipped]) -> list[DicomDrawing]:
    found = []
    for path in series.files:
        try:
            found.append(read_drawing(path, series))
        except InputError as reason:
            skipped.append(Skipped(f"{_called(series)}: {path.name}", str(reason)))
    return found


def _cases(
    images: list[Series], drawings: list[DicomDrawing], unusable: dict[str, str], skipped: list[Skipped]
) -> tuple[FoundCase, ...]:
    """One for each patient and frame of reference, with what was drawn in it."""
    groups = defaultdict(list)
    for series in images:
        groups[series.patient_id, _frame_of(series)].append(series)
    drawn = defaultdict(list)
    for drawing in drawings:
        group = _group_of(drawing, groups)
        if group is not None:
            drawn[group].append(drawing)
        elif drawing.image in unusable:
            why = f"The series that it was drawn on, '{unusable[drawing.image]}', cannot be used."
            skipped.append(Skipped(drawing.name, why))
        else:
            skipped.append(Skipped(drawing.name, "The series that it was drawn on is not among the images."))
    for group, members in groups.items():
        if group not in drawn:
            reason = "It is an image without structures: no RTSTRUCT or SEG refers to it."
            skipped.extend(Skipped(_called(series), reason) for series in members)
    names = _names(drawn)
    return tuple(_case(names[group], groups[group], drawn[group]) for group in sorted(drawn))


def _frame_of(series: Series) -> str:
    """Series without a frame of reference lie in one of their own."""
    return str(series.headers[0].get("FrameOfReferenceUID") or series.uid)


def _group_of(drawing: DicomDrawing, groups: dict) -> tuple | None:
    """By the series that it names, else by its frame of reference, where that holds a single image."""
    for group, members in groups.items():
        if drawing.image in {series.uid for series in members}:
            return group
    for group, members in groups.items():
        if group == (drawing.patient, drawing.frame_of_reference) and len(members) == 1:
            drawing.image = members[0].uid
            return group
    return None


def _names(groups: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The patient's id; with a tail that follows from the frame of reference where a patient has several."""
    groups = list(groups)
    counts = Counter(_name_of(patient).casefold() for patient, _ in groups)
    names = {}
    for patient, frame in groups:
        name = _name_of(patient)
        tail = hashlib.sha256(f"{patient}/{frame}".encode()).hexdigest()[:6]
        names[patient, frame] = name if counts[name.casefold()] == 1 else f"{name}-{tail}"
    return names


def _name_of(patient: str) -> str:
    return safe_name(patient or "patient without ID")


def _case(name: str, members: list[Series], drawings: list[DicomDrawing]) -> FoundCase:
    images = [FoundImage(one.uid, one.name, one.modality, partial(read_series, one)) for one in members]
    files = [path for one in members for path in one.files] + [drawing.path for drawing in drawings]
    ordered: list[Drawing] = sorted(drawings, key=lambda drawing: (drawing.written, drawing.name))
    return FoundCase(name, members[0].patient_id, tuple(images), tuple(ordered), tuple(files))


def _called(series: Series) -> str:
    return "/".join(filter(None, (series.patient_id, series.name)))
