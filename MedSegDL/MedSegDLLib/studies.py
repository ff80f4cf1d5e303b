"""What a file or a folder holds that can be segmented, and why not the rest: from headers, before any pixel is read."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .dicom.image import read_series
from .dicom.series import Scan, Series, files_below, scan_files, scan_series
from .errors import InputError, OtherObjectError
from .files import VOLUME_SUFFIXES, check_is_volume, read_volume, stem
from .volume import Volume

_LONGEST_NAME = 80  # leaves room below it for file names, also where Windows allows 260 characters for a path
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # names of devices on Windows


@dataclass(frozen=True)
class Candidate:
    """One volume that can be segmented.

    Args:
        name: unique among its findings, and usable as the name of a folder.
        modality: DICOM's word, '' for an image file.
        source: the file, or the folder of the series.
        load: reads the volume; raises InputError for a damaged one.
        key: what identifies it for good: the series' UID, or the path within the searched folder.
        series: for a DICOM SEG that refers to it; None for an image file.
        others: for a model of several channels, what its further ones see; see `channels`.
    """

    name: str
    modality: str
    source: Path
    load: Callable[[], Volume]
    key: str
    series: Series | None = None
    others: tuple[Candidate, ...] = ()

    @property
    def images(self) -> tuple[Candidate, ...]:
        """One for each channel of the model."""
        return (self, *self.others)

    @property
    def files(self) -> tuple[Path, ...]:
        """All that is read."""
        return tuple(path for one in self.images for path in (one.series.files if one.series else (one.source,)))

    def load_images(self) -> tuple[Volume, ...]:
        return tuple(image.load() for image in self.images)


@dataclass(frozen=True)
class LeftOut:
    """Something that cannot be segmented, what it is called, and why not."""

    name: str
    source: Path
    reason: InputError


@dataclass(frozen=True)
class Findings:
    candidates: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...]


def find_inputs(path: Path | str) -> Findings:
    """List the DICOM series and image files of a folder and the folders below it, or of a single file.

    Raises:
        InputError: the path does not exist, or nothing in it can be segmented; with one object in it, the reason is
            the message.
    """
    path = Path(path)
    root = path if path.is_dir() else path.parent
    scan = scan_series(path)
    return _judged(scan, [(file, root) for file in _image_files(path, scan)], str(path))


def find_listed(files: Iterable[Path]) -> Findings:
    """As `find_inputs`, for files that were chosen one by one: what they hold of a series is taken for all of it."""
    files = [Path(file).absolute() for file in files]
    present = [file for file in files if file.is_file()]
    images = [(file, file.parent) for file in present if _is_image_file(file)]
    missing = {file.parent: file for file in reversed(files) if not file.is_file()}  # one for each folder is enough
    return _judged(scan_files(present), images, "your selection", map(_missing, missing.values()))


def _judged(scan: Scan, images: list[tuple[Path, Path]], place: str, left_out: Iterable[LeftOut] = ()) -> Findings:
    """Every series of the scan, and every image file with the folder that it is called after."""
    judged = [_judged_series(series) for series in sorted(scan.series, key=lambda one: one.uid)]
    judged += [_judged_file(file, root) for file, root in images]
    candidates = [item for item in judged if isinstance(item, Candidate)]
    left_out = [item for item in judged if isinstance(item, LeftOut)] + _damaged_folders(scan) + list(left_out)
    if not candidates:
        raise _nothing_usable(place, left_out)
    return Findings(tuple(_with_unique_names(candidates)), tuple(left_out))


def _missing(file: Path) -> LeftOut:
    return LeftOut(safe_name(stem(file)), file, InputError(f"There is no file {file}.", "Check the path."))


def safe_name(text: str) -> str:
    """The text as the name of a folder on any system; letters of all languages stay."""
    name = re.sub(r"[^\w.+-]+", "_", text).strip("._")[:_LONGEST_NAME].rstrip("._")
    return f"_{name}" if not name or _RESERVED.fullmatch(name) else name


def _image_files(path: Path, scan: Scan) -> list[Path]:
    """Image files of a folder by their suffix; a single file whatever its suffix, unless it is DICOM."""
    if path.is_dir():
        return [file for file in files_below(path) if _is_image_file(file)]
    return [] if scan.series or scan.damaged else [path]


def _is_image_file(path: Path) -> bool:
    return path.name.lower().endswith(VOLUME_SUFFIXES) and not path.name.startswith(".")  # macOS leaves '._name'


def _judged_series(series: Series) -> Candidate | LeftOut:
    name = safe_name("_".join(filter(None, (series.patient_id, series.name))))
    folder = series.files[0].parent
    try:
        series.stack()
    except InputError as reason:
        return LeftOut(name, folder, reason)
    return Candidate(name, series.modality, folder, lambda: read_series(series), series.uid, series)


def _judged_file(path: Path, root: Path) -> Candidate | LeftOut:
    relative = path.relative_to(root)
    name = safe_name("_".join((*relative.parent.parts, stem(path))))
    try:
        _check_is_no_segmentation(path)
        check_is_volume(path)
    except InputError as reason:
        return LeftOut(name, path, reason)
    return Candidate(name, "", path, lambda: read_volume(path), relative.as_posix())


def _check_is_no_segmentation(path: Path) -> None:
    if path.name.lower().endswith(".seg.nrrd"):
        raise OtherObjectError(
            f"The file {path.name} is a segmentation, not an image.", "Choose the image it was made from."
        )


def _damaged_folders(scan: Scan) -> list[LeftOut]:
    """One entry for each folder with damaged files that no series there answers for."""
    answered = {path for series in scan.series for path in series.damaged}
    first_of_folder = {}
    for path, reason in scan.damaged.items():
        if path not in answered:
            first_of_folder.setdefault(path.parent, LeftOut(safe_name(path.parent.name), path.parent, reason))
    return list(first_of_folder.values())


def _nothing_usable(place: str, left_out: list[LeftOut]) -> InputError:
    if len(left_out) == 1:
        return left_out[0].reason
    if not left_out:
        suffixes = ", ".join(VOLUME_SUFFIXES)
        return InputError(
            f"{place} holds no DICOM files and no image files ({suffixes}).",
            "Choose the folder of a CT, MR or PET series.",
        )
    return InputError(
        f"Nothing in {place} can be segmented; for example: {left_out[0].reason.message}",
        left_out[0].reason.remedy,
        "\n".join(f"{item.source}: {item.reason}" for item in left_out),
    )


def _with_unique_names(candidates: Sequence[Candidate]) -> Iterator[Candidate]:
    """Candidates of the same name get a tail from what identifies them.

    A running number would move to another study when one is added, and results would be taken for another patient's.
    """
    counts = Counter(candidate.name.casefold() for candidate in candidates)
    for candidate in candidates:
        tail = f"-{hashlib.sha256(candidate.key.encode()).hexdigest()[:8]}"
        yield candidate if counts[candidate.name.casefold()] == 1 else replace(candidate, name=candidate.name + tail)
