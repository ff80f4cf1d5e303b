"""The user's models: installing them from a folder, a zip or an address, listing and removing them.

    store = ModelStore()
    with store.stage("liver-ct.zip") as staged:         # checked, not yet to be seen
        if user_accepts(staged.licence, staged.licence_text):
            staged.install()
    store.remove("liver-ct")

Nothing is fetched from an address unless one is given, and a model is visible only when it is complete and checked.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from urllib.request import url2pathname
from uuid import uuid4

from . import models
from .archive import Archive, FolderArchive, ZipArchive, unpack
from .atomic import output_errors
from .bundle import METADATA, Bundle
from .download import check_file, download, parsed_checksum
from .errors import ModelError, OutputError

Progress = Callable[[int, int, str], None]
Cancelled = Callable[[], bool]

_WORKSHOP = ".incoming"  # in the folder of models, so that moving a model into place is one step of the file system
_DOWNLOADS = ".downloads"
_SECONDS_UNTIL_FORGOTTEN = {_WORKSHOP: 24 * 3600.0, _DOWNLOADS: 30 * 24 * 3600.0}
_LICENCE_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "LICENCE.txt", "COPYING")
_NO_MODEL = "Choose the folder or the zip of a MedSeg model."


@dataclass(frozen=True)
class InstalledModel:
    """A model as a list shows it.

    Args:
        name: by which it is chosen.
        folder: where it lies.
        size_bytes: of all its files.
        is_shipped: it came with the extension and cannot be removed.
        bundle: what was read; None for a damaged one.
        problem: what is wrong with a damaged one.
    """

    name: str
    folder: Path
    size_bytes: int
    is_shipped: bool
    bundle: Bundle | None
    problem: str = ""


class StagedModel:
    """A model that was checked, and is installed by `install`; leaving its context without that forgets it."""

    def __init__(self, bundle: Bundle, workshop: Path, store: ModelStore):
        self.bundle = bundle
        self.name = _safe_name(bundle.name)
        self._workshop = workshop
        self._store = store

    def __enter__(self) -> StagedModel:
        return self

    def __exit__(self, *_) -> None:
        self.discard()

    @property
    def licence(self) -> str:
        return self.bundle.spec.licence

    @property
    def licence_text(self) -> str:
        """All of it, '' where the model brings none."""
        return licence_text(self.bundle.folder)

    @property
    def size_bytes(self) -> int:
        return _size_bytes(self.bundle.folder)

    @property
    def clash(self) -> InstalledModel | None:
        """The model of the same name that it would replace, or hide if that one was shipped."""
        name = self.name.casefold()  # some systems do not tell 'Liver' from 'liver'
        return next((model for model in self._store.models() if model.name.casefold() == name), None)

    def install(self, replace: bool = False) -> Path:
        """Make the model visible; returns its folder.

        Raises:
            ModelError: there is one of this name, and it shall not be replaced.
            OutputError: the folder does not take it.
        """
        target = self._store.folder / self.name
        if (self.clash or target.exists()) and not replace:
            raise ModelError(
                f"There is already a model '{self.name}'.", "Remove it first, or say that it shall be replaced."
            )
        with output_errors(target):
            self._take_place(target)
        self.discard()
        return target

    def _take_place(self, target: Path) -> None:
        """Of the former model, which comes back if this one cannot."""
        former = self._workshop / "former"
        if target.exists():
            _move_away(target, former)
        try:
            self.bundle.folder.rename(target)
        except OSError:
            if former.exists():
                former.rename(target)
            raise

    def discard(self) -> None:
        shutil.rmtree(self._workshop, ignore_errors=True)


class ModelStore:
    """The folder of the user's models, and the shipped ones beside it."""

    @property
    def folder(self) -> Path:
        """Where the user's models lie."""
        return models.user_folder()

    def models(self) -> list[InstalledModel]:
        """Every model that can be chosen, by name; damaged ones too, with the reason."""
        return [self._described(name, folder) for name, folder in models.installed_models().items()]

    def stage(
        self,
        source: str | Path,
        checksum: str = "",
        progress: Progress = lambda *_: None,
        cancelled: Cancelled = lambda: False,
    ) -> StagedModel:
        """Copy a model to where nobody sees it yet, and check it.

        Args:
            source: a model's folder, its zip, or the https or file address of its zip.
            checksum: SHA-256 of the zip; '' to rely on those inside the model alone.
            progress: called with bytes done, bytes in all (0 if unknown), and what is being done.
            cancelled: when it returns True, this ends with CancelledError; what was downloaded is kept.

        Raises:
            ModelError: it is no model, a damaged one, or cannot be fetched.
            OutputError: the disk does not take it.
        """
        self._tidy()
        if is_address(source):
            return self._stage_address(str(source), checksum, progress, cancelled)
        return self._stage_path(_path_of(source), checksum, progress, cancelled)

    def remove(self, name: str) -> None:
        """Delete a model of the user's; one that runs at this moment runs on.

        Raises:
            ModelError: there is none of this name, or it came with the extension.
            OutputError: the system does not allow it.
        """
        found = next((model for model in self.models() if model.name == name), None)
        if found is None:
            raise ModelError(f"There is no model '{name}'.", "See the list of installed ones.")
        if found.is_shipped:
            raise ModelError(f"The model '{name}' came with the extension and stays.", "Remove only your own models.")
        workshop = self._new_workshop()
        with output_errors(found.folder):
            _move_away(found.folder, workshop / "removed")
        shutil.rmtree(workshop, ignore_errors=True)

    def _stage_address(self, url: str, checksum: str, progress: Progress, cancelled: Cancelled) -> StagedModel:
        digest = hashlib.sha256(url.encode()).hexdigest()[:16]  # two addresses may end in the same name
        name = PurePosixPath(urlsplit(url).path).name or "model.zip"
        path = self.folder / _DOWNLOADS / digest / name
        download(url, path, checksum, progress, cancelled)
        try:
            return self._stage_path(path, "", progress, cancelled)
        finally:
            shutil.rmtree(path.parent, ignore_errors=True)

    def _stage_path(self, path: Path, checksum: str, progress: Progress, cancelled: Cancelled) -> StagedModel:
        if path.is_dir():
            return self._stage_archive(FolderArchive(path), progress, cancelled)
        if not path.is_file():
            raise ModelError(f"There is no file or folder '{path}'.", _NO_MODEL)
        check_file(path, parsed_checksum(checksum), path.name)
        with ZipArchive(path) as archive:
            return self._stage_archive(archive, progress, cancelled)

    def _stage_archive(self, archive: Archive, progress: Progress, cancelled: Cancelled) -> StagedModel:
        root = _root_of_model(archive)
        with ExitStack() as undo:
            workshop = self._new_workshop()
            undo.callback(shutil.rmtree, workshop, ignore_errors=True)
            folder = workshop / _safe_name(root.name or PurePosixPath(archive.name).stem)  # errors name it
            unpack(archive, folder, root, progress, cancelled)
            progress(0, 0, "Checking")
            staged = StagedModel(_checked(folder), workshop, self)
            undo.pop_all()
        return staged

    def _new_workshop(self) -> Path:
        workshop = self.folder / _WORKSHOP / uuid4().hex[:12]
        with output_errors(workshop):
            workshop.mkdir(parents=True)
        return workshop

    def _tidy(self) -> None:
        """Delete what a killed program left, but not what another one does now; and downloads that nobody resumed."""
        for place, seconds in _SECONDS_UNTIL_FORGOTTEN.items():
            for folder in (self.folder / place).glob("*"):
                with suppress(OSError):
                    if time.time() - folder.stat().st_mtime > seconds:
                        shutil.rmtree(folder, ignore_errors=True)

    def _described(self, name: str, folder: Path) -> InstalledModel:
        try:
            bundle, problem = Bundle.load(folder), ""
        except ModelError as error:
            bundle, problem = None, str(error)
        return InstalledModel(name, folder, _size_bytes(folder), folder.parent == models.SHIPPED, bundle, problem)


def is_address(source: str | Path) -> bool:
    """Whether it must be downloaded: not a path, not the file address of one."""
    return "://" in str(source) and urlsplit(str(source)).scheme != "file"


def licence_text(folder: Path) -> str:
    """A model's licence in full; '' where it brings none."""
    for name in _LICENCE_FILES:
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8", errors="replace")
    return ""


def _path_of(source: str | Path) -> Path:
    if isinstance(source, str) and source.startswith("file:"):
        return Path(url2pathname(urlsplit(source).path))
    return Path(source)


def _root_of_model(archive: Archive) -> PurePosixPath:
    """The folder in the archive that holds the model. Raises ModelError where there is none, or more than one."""
    metadata = PurePosixPath(METADATA.as_posix())
    found = [path.parents[1] for path in archive.sizes if path.parts[-2:] == metadata.parts]
    if not found:
        raise ModelError(f"'{archive.name}' is no model: it has no {metadata}.", _NO_MODEL)
    if len(found) > 1:
        names = ", ".join(str(root) for root in sorted(found))
        raise ModelError(f"'{archive.name}' holds several models: {names}.", "Install them one by one.")
    return found[0]


def _checked(folder: Path) -> Bundle:
    """Read the bundle and compare all its checksums. Raises ModelError."""
    bundle = Bundle.load(folder)
    for name in bundle.checksums:
        if not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise ModelError(f"The model '{bundle.name}' names a file outside its folder: {name}.", _NO_MODEL)
    bundle.verify()
    return bundle


def _safe_name(text: str) -> str:
    """The text, as far as a folder of any system can be called so."""
    return re.sub(r"[^\w.+-]+", "-", text).strip(".-") or "model"


def _size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _move_away(folder: Path, to: Path) -> None:
    """Out of sight in one step; Windows refuses while a program has one of its files open."""
    try:
        os.rename(folder, to)
    except PermissionError as error:
        raise OutputError(
            f"The model in '{folder}' is in use, or you may not change it.",
            "Let the runs with it end, or restart the program, and try again.",
            str(error),
        ) from error
