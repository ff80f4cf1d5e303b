"""Files out of a folder or a zip that somebody else made: never outside the target, never more than announced."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from .atomic import output_errors
from .errors import CancelledError, ModelError, OutputError

MOST_FILES = 1000
MOST_BYTES = 20 * 10**9
MOST_COMPRESSION = 100  # weights hardly shrink, text to a tenth; a bomb of zeros to a thousandth
HARMLESS_BYTES = 10**8

_BLOCK_BYTES = 1 << 20
_REMEDY = "Get the file again from its source."

Progress = Callable[[int, int, str], None]
Cancelled = Callable[[], bool]


class Archive(Protocol):
    """A folder or a zip: its files and their sizes in bytes, by path."""

    name: str
    sizes: dict[PurePosixPath, int]

    def open(self, path: PurePosixPath) -> BinaryIO: ...


@dataclass(frozen=True)
class FolderArchive:
    """The files of a folder, without hidden ones and links."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def sizes(self) -> dict[PurePosixPath, int]:
        found = {}
        for path in self.folder.rglob("*"):
            relative = PurePosixPath(path.relative_to(self.folder).as_posix())
            if path.is_file() and not path.is_symlink() and not _is_hidden(relative):
                found[relative] = path.stat().st_size
                if len(found) > MOST_FILES:  # a home directory, perhaps: do not walk all of it
                    break
        return found

    def open(self, path: PurePosixPath) -> BinaryIO:
        return open(self.folder / path, "rb")


class ZipArchive:
    """The files of a zip, without hidden ones.

    Raises ModelError where it is no zip, or one that would write outside a folder or grow out of proportion.
    """

    def __init__(self, path: Path):
        self.name = path.name
        with archive_errors(self.name):
            self._zip = zipfile.ZipFile(path)
        try:
            self._members = self._checked_members()
        except ModelError:
            self.close()
            raise

    def __enter__(self) -> ZipArchive:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self._zip.close()

    @property
    def sizes(self) -> dict[PurePosixPath, int]:
        return {path: member.file_size for path, member in self._members.items()}

    def open(self, path: PurePosixPath) -> BinaryIO:
        return self._zip.open(self._members[path])

    def _checked_members(self) -> dict[PurePosixPath, zipfile.ZipInfo]:
        members = {}
        for member in self._zip.infolist():
            path = _checked_path(member.filename, self.name)
            if member.is_dir() or _is_hidden(path):
                continue
            if stat.S_ISLNK(member.external_attr >> 16) or path in members:
                raise ModelError(f"'{self.name}' holds a link, or a file twice: {path}.", _REMEDY)
            members[path] = member
        self._check_proportion(members.values())
        return members

    def _check_proportion(self, members: Iterable[zipfile.ZipInfo]) -> None:
        packed = sum(member.compress_size for member in members)
        unpacked = sum(member.file_size for member in members)
        if unpacked > max(packed * MOST_COMPRESSION, HARMLESS_BYTES):
            raise ModelError(f"'{self.name}' would grow from {packed:,} to {unpacked:,} bytes: no model does.", _REMEDY)


def _checked_path(text: str, archive: str) -> PurePosixPath:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or any(letter in text for letter in "\\:\0"):
        raise ModelError(f"'{archive}' would write outside the folder of models: {text!r}.", _REMEDY)
    return path


def _is_hidden(path: PurePosixPath) -> bool:
    return any(part.startswith(".") for part in path.parts)


def unpack(
    archive: Archive,
    target: Path,
    below: PurePosixPath,
    progress: Progress = lambda *_: None,
    cancelled: Cancelled = lambda: False,
) -> None:
    """Copy the files below a folder of the archive into `target`, which must be new.

    Raises:
        ModelError: too large, or damaged.
        OutputError: the disk does not take it.
        CancelledError: when `cancelled` says so.
    """
    sizes = {path: size for path, size in archive.sizes.items() if path.is_relative_to(below)}
    total, done = sum(sizes.values()), 0
    _check_limits(archive.name, len(sizes), total)

    def count(size: int) -> None:
        nonlocal done
        done += size
        progress(done, total, "Copying")
        if cancelled():
            raise CancelledError("The installation was stopped.")

    with output_errors(target):
        target.mkdir(parents=True)
        _check_room(target, total)
        for path, size in sizes.items():
            file = target / path.relative_to(below)
            file.parent.mkdir(parents=True, exist_ok=True)
            _copy(_blocks(archive, path, size), file, count)


def _copy(blocks: Iterator[bytes], path: Path, count: Callable[[int], None]) -> None:
    with open(path, "wb") as file:
        for block in blocks:
            file.write(block)
            count(len(block))


def _blocks(archive: Archive, path: PurePosixPath, size: int) -> Iterator[bytes]:
    """The bytes of a file; not one more than was announced, which may be a lie."""
    with archive_errors(archive.name), archive.open(path) as file:
        while size > 0 and (block := file.read(_BLOCK_BYTES)):
            size -= len(block)
            yield block
        if size:
            raise ModelError(f"'{archive.name}' is damaged: {path} has another size than it says.", _REMEDY)


def _check_limits(name: str, files: int, size_bytes: int) -> None:
    if files > MOST_FILES or size_bytes > MOST_BYTES:
        raise ModelError(
            f"'{name}' is no single model: it has {files} files or more, {size_bytes / 1e9:.1f} GB.",
            "Choose the model's own folder or zip.",
        )


def _check_room(folder: Path, size_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if size_bytes > free:
        raise OutputError(
            f"The model needs {size_bytes / 1e9:.2f} GB, and the disk of '{folder}' has {free / 1e9:.2f} free.",
            "Free some space, or choose another folder for models.",
        )


@contextmanager
def archive_errors(name: str) -> Iterator[None]:
    """Turn what reading an archive meets into a ModelError."""
    try:
        yield
    except zipfile.BadZipFile as error:
        raise ModelError(f"'{name}' is no zip file, or a damaged one.", _REMEDY, str(error)) from error
    except (OSError, EOFError, zlib.error) as error:
        raise ModelError(f"'{name}' cannot be read.", _REMEDY, str(error)) from error
    except (RuntimeError, NotImplementedError) as error:  # a password, an unusual compression
        message, remedy = f"'{name}' is a zip of a kind that cannot be read.", "Pack it again, without a password."
        raise ModelError(message, remedy, str(error)) from error
