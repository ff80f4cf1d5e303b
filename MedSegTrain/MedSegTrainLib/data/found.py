"""What a source offers before anything is imported: cases with their images and what was drawn on them."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from MedSegDLLib.errors import InputError
from MedSegDLLib.labels import Terminology
from MedSegDLLib.volume import Grid, Volume

from .dataset import Skipped


@dataclass(frozen=True)
class FoundStructure:
    """A structure under the name that it has in the data.

    Args:
        value: in a labelmap; None where the structure has a mask of its own.
        terminology: its codes, where the data say them.
        color: 0 to 255, where the data say it.
    """

    name: str
    value: int | None = None
    terminology: Terminology | None = None
    color: tuple[int, int, int] | None = None


class Drawing(ABC):
    """Structures that somebody drew on an image: contours, segments, a labelmap.

    Args:
        image: key of the image it was drawn on; '' where it fits every image of its case.
        structures: what it holds, known without filling a voxel.
        name: what a person would call it.
    """

    def __init__(self, structures: Sequence[FoundStructure], image: str = "", name: str = ""):
        self.structures = tuple(structures)
        self.image = image
        self.name = name

    @abstractmethod
    def masks(self, grid: Grid) -> Iterator[tuple[FoundStructure, np.ndarray]]:
        """A bool mask (k, j, i) of each structure on a grid. Raises InputError where it cannot be had."""

    def instances(self, grid: Grid) -> np.ndarray | None:
        """Every object with a number of its own, uint16 (k, j, i); None where objects are not told apart."""
        return None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What showed when the masks were made."""
        return ()


@dataclass(frozen=True)
class FoundImage:
    """An image that may become a channel.

    Args:
        key: what identifies it for good, and what drawings refer to.
        name: what a person would call it.
        modality: DICOM's word, '' where it is not known.
        load: reads the volume; raises InputError.
    """

    key: str
    name: str
    modality: str
    load: Callable[[], Volume] = field(repr=False, compare=False)


@dataclass(frozen=True)
class FoundCase:
    """Images of a patient that lie in one frame of reference, and what was drawn on them.

    Args:
        name: unique among its findings, usable as a file name.
        files: what it is made of; a case is imported again when one of them changes.
        version: the same, for what is no file.
    """

    name: str
    patient: str
    images: tuple[FoundImage, ...]
    drawings: tuple[Drawing, ...]
    files: tuple[Path, ...] = ()
    version: str = ""

    def drawn_on(self, image: FoundImage) -> tuple[Drawing, ...]:
        return tuple(drawing for drawing in self.drawings if drawing.image in ("", image.key))

    def stamp(self) -> str:
        """The same as long as no file changes its size or time. Raises InputError for one that is gone."""
        missing = [path for path in self.files if not path.is_file()]
        if missing:
            raise InputError(f"The file {missing[0]} is gone.", "Look for the data again.")
        stamps = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in self.files]
        return hashlib.sha256(repr((stamps, self.version)).encode()).hexdigest()


@dataclass(frozen=True)
class Findings:
    """What a source offers, and what in it cannot be used and why.

    Args:
        kind: what sort of data it is, in words.
        channels: the images of every case in the order of the channels, where the source says which they are.
        about: title, source and licence, as far as they are known.
    """

    kind: str
    cases: tuple[FoundCase, ...]
    skipped: tuple[Skipped, ...] = ()
    channels: tuple[str, ...] = ()
    about: dict = field(default_factory=dict)
