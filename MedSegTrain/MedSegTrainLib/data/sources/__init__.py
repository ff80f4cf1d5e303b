"""What people have: files in folders, DICOM with contours and segmentations, what is loaded in Slicer's scene."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from MedSegDLLib.errors import InputError

from ..dataset import is_imported
from ..found import Findings
from ..layouts import find_layout

Progress = Callable[[int, int, str], None]
Cancelled = Callable[[], bool]


def find(path: Path | str, progress: Progress | None = None, cancelled: Cancelled | None = None) -> Findings:
    """What can be imported from a folder, by names and headers; label files without names are read as well.

    Raises:
        InputError: there is no such folder, or nothing in it that can be imported.
        CancelledError
    """
    from .folders import find_in_folder  # only here: these import what reads their files
    from .microscopy import find_microscopy, is_microscopy

    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", "Check the path.")
    if is_imported(folder):
        raise InputError(f"'{folder}' is a data set already.", "Use it as it is, or import what it was made from.")
    if is_microscopy(folder):
        return find_microscopy(folder)
    layout = find_layout(folder)
    if layout is not None:
        return find_in_folder(folder, layout, progress, cancelled)
    from .dicom import find_dicom

    return find_dicom(folder)


def find_files(files: Iterable[Path | str]) -> Findings:
    """As `find`, of DICOM files that were chosen one by one, as Slicer's database gives them."""
    from .dicom import find_dicom_files

    return find_dicom_files(map(Path, files))
