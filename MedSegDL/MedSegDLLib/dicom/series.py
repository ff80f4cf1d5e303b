"""A folder of DICOM files, sorted into series by their headers alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset

from ..errors import InputError
from ..files import folders_below
from .headers import frames_of, is_dicom, read_header, reported_as_damage
from .kinds import check_is_image, is_localizer
from .stack import Stack, stack_of

_SUFFIXES = {".dcm", ".ima"}  # a file so named that is not DICOM is a broken copy of one


@dataclass(frozen=True)
class Series:
    """Files of one series and of one kind (a localiser under the same UID is a series of its own).

    Args:
        files: sorted by path.
        headers: the tags of each file that geometry needs, in the order of `files`.
        damaged: unreadable files in the same folders, which may belong to this series.
    """

    uid: str
    study_uid: str
    patient_id: str
    description: str
    modality: str
    files: tuple[Path, ...]
    headers: tuple[Dataset, ...] = field(repr=False)
    damaged: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """What a person would call it: its description, else its modality and number."""
        return self.description or f"{self.modality} {self.headers[0].get('SeriesNumber') or ''}".strip()

    @property
    def number_of_instances(self) -> int:
        return len(self.files)

    def stack(self) -> Stack:
        """The order and geometry of its slices. Raises InputError where they are not one volume."""
        frames = []
        for index, (path, header) in enumerate(zip(self.files, self.headers)):
            with reported_as_damage(path):
                check_is_image(header)
                frames += frames_of(header, index)
        self._check_complete()
        return stack_of(frames)

    def _check_complete(self) -> None:
        if self.damaged:
            raise InputError(
                f"The series may lack a slice: the file {self.damaged[0].name} beside it is damaged or cut off.",
                "Copy or export the series again, or remove that file if it belongs to something else.",
                "\n".join(map(str, self.damaged)),
            )
        paths = {}
        for path, header in zip(self.files, self.headers):
            first = paths.setdefault(str(header.get("SOPInstanceUID") or path), path)
            if first is not path:
                raise InputError(
                    f"The series holds a slice twice: {first.name} and {path.name} are the same image.",
                    "Remove one of the copies.",
                    f"{first}\n{path}",
                )


@dataclass(frozen=True)
class Scan:
    """Every series below a folder, and the damaged files, which may belong to any of them."""

    series: tuple[Series, ...]
    damaged: dict[Path, InputError]


def find_series(folder: Path | str) -> list[Series]:
    """Every series in a folder and the folders below it, or in a single file, whether it can be segmented or not.

    Files that are not DICOM are passed over; the list is empty where there is none that is. Raises InputError for a
    path that does not exist, and where every DICOM file is damaged.
    """
    scan = scan_series(folder)
    if scan.damaged and not scan.series:
        raise next(iter(scan.damaged.values()))
    return list(scan.series)


def scan_series(folder: Path | str) -> Scan:
    """As `find_series`, with the damaged files in the result. Raises InputError for a path that does not exist."""
    return scan_files(files_below(Path(folder)))


def scan_files(files: Iterable[Path]) -> Scan:
    """As `scan_series`, of files that were chosen already; they must exist."""
    groups, damaged = defaultdict(list), {}
    for path in sorted(files):
        try:
            header = _header_of(path)
        except InputError as error:
            damaged[path] = error
            continue
        if header is not None:
            key = str(header.SeriesInstanceUID), str(header.get("SOPClassUID")), is_localizer(header)
            groups[key].append((path, header))
    return Scan(tuple(_series(members, damaged) for members in groups.values()), damaged)


def files_below(path: Path) -> list[Path]:
    """The file itself, or every file of a folder and below, sorted. Raises InputError for what does not exist."""
    if path.is_dir():
        return sorted(file for folder in folders_below(path) for file in folder.iterdir() if file.is_file())
    if path.is_file():
        return [path]
    raise InputError(f"There is no file or folder {path}.", "Check the path.")


def _header_of(path: Path) -> Dataset | None:
    """None for what belongs to no series. Raises InputError for a damaged file."""
    with reported_as_damage(path):
        found = is_dicom(path)
    if not found:
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith("."):
            raise InputError(f"The file {path.name} is damaged: it is no DICOM file.", "Copy or export it again.")
        return None
    header = read_header(path)
    return header if "SeriesInstanceUID" in header else None


def _series(members: Iterable[tuple[Path, Dataset]], damaged: Iterable[Path]) -> Series:
    files, headers = zip(*members)
    folders = {path.parent for path in files}
    first = headers[0]
    return Series(
        uid=str(first.SeriesInstanceUID),
        study_uid=str(first.get("StudyInstanceUID") or ""),
        patient_id=str(first.get("PatientID") or ""),
        description=str(first.get("SeriesDescription") or "").strip(),
        modality=str(first.get("Modality") or ""),
        files=files,
        headers=headers,
        damaged=tuple(path for path in damaged if path.parent in folders),
    )
