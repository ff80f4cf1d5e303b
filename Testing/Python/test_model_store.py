"""Models from folders, zips and addresses: what is refused, what is kept of a broken download, what nobody sees."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import zipfile
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from bundle_makers import specification, unet_bundle
from file_server import FileServer
from MedSegDLLib import archive, download, model_store, models
from MedSegDLLib.bundle import METADATA, Bundle, write_metadata
from MedSegDLLib.errors import CancelledError, ModelError, OutputError
from MedSegDLLib.model_store import ModelStore

WEIGHTS = "models/model.safetensors"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A model called 'test', with a licence."""
    folder = tmp_path_factory.mktemp("source") / "any name"
    unet_bundle(folder, specification(), graph=False)
    (folder / "LICENSE").write_text("Do as you like, Ärztin.", encoding="utf-8")
    (folder / ".DS_Store").write_text("hidden")
    return folder


@pytest.fixture
def source(original, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(original, tmp_path / "source" / "any name")


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "user"))
    monkeypatch.setattr(models, "SHIPPED", tmp_path / "shipped")
    return ModelStore()


def zipped(folder: Path, root: str = "inside/", extra: dict[str, str] | None = None) -> Path:
    path = folder.parent / "model.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for member in sorted(folder.rglob("*")):
            if member.is_file():
                file.write(member, root + member.relative_to(folder).as_posix())
        for name, text in (extra or {}).items():
            file.writestr(name, text)
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def renamed(folder: Path, **changes) -> Path:
    bundle = Bundle.load(folder)
    write_metadata(folder, bundle.metadata | changes, bundle.spec)
    return folder


def install(store: ModelStore, source, **arguments) -> Path:
    with store.stage(source, **arguments) as staged:
        return staged.install()


def nothing_left(store: ModelStore) -> bool:
    """No model, no half of one, no download."""
    return not [path for path in store.folder.rglob("*") if path.is_file()] and not store.models()


# From a folder or a file


@pytest.mark.parametrize("form", ["folder", "zip", "zip without a folder", "file address"])
def test_a_model_is_checked_offered_and_installed(form, store, source):
    path = {
        "folder": lambda: source,
        "zip": lambda: zipped(source, extra={"__MACOSX/inside/._LICENSE": "x"}),
        "zip without a folder": lambda: zipped(source, root=""),
        "file address": lambda: zipped(source).as_uri(),
    }[form]()
    calls = []
    with store.stage(path, progress=lambda *call: calls.append(call)) as staged:
        assert (staged.name, staged.licence) == ("test", "Apache-2.0")
        assert staged.licence_text == "Do as you like, Ärztin." and staged.clash is None
        assert store.models() == [] and models.installed_models() == {}
        folder = staged.install()
    assert folder == store.folder / "test" and not (folder / ".DS_Store").exists()
    (model,) = store.models()
    assert (model.name, model.folder, model.is_shipped, model.problem) == ("test", folder, False, "")
    assert model.size_bytes == staged_size(folder) and models.find_model("test").folder == folder
    assert {path.name for path in store.folder.iterdir() if not path.name.startswith(".")} == {"test"}
    assert calls[-1] == (0, 0, "Checking") and calls[-2][0] == calls[-2][1] > 0
    assert not list((store.folder / ".incoming").iterdir())


def staged_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_licence_that_is_declined_leaves_nothing(store, source):
    with store.stage(source):
        pass
    assert nothing_left(store)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda folder: (folder / METADATA).unlink(), "is no model: it has no configs/metadata.json"),
        (lambda folder: (folder / METADATA).write_text("{"), "metadata.json of 'any-name' is damaged"),
        (lambda folder: (folder / WEIGHTS).unlink(), "is incomplete"),
        (lambda folder: _change_last_byte(folder / WEIGHTS), "wrong checksum"),
        (lambda folder: _list_a_file_outside(folder), "names a file outside its folder"),
        (lambda folder: shutil.copytree(folder, folder / "again"), "holds several models"),
    ],
)
def test_what_is_no_whole_model_is_never_seen(spoil, complaint, store, source):
    spoil(source)
    with pytest.raises(ModelError, match=complaint):
        store.stage(source)
    assert nothing_left(store)


def _change_last_byte(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")


def _list_a_file_outside(folder: Path) -> None:
    """One that would be found from the place where models are unpacked."""
    metadata = json.loads((folder / METADATA).read_text())
    metadata["medseg"]["files"]["/etc/passwd"] = "0" * 64
    (folder / METADATA).write_text(json.dumps(metadata))


@pytest.mark.parametrize("name", ["../evil.txt", "inside/../../evil.txt", "/evil.txt", "..\\evil.txt", "C:evil.txt"])
def test_a_zip_cannot_write_elsewhere(name, store, source):
    with pytest.raises(ModelError, match="would write outside"):
        store.stage(zipped(source, extra={name: "evil"}))
    assert nothing_left(store) and not list(store.folder.parent.rglob("evil*"))


def test_a_link_in_a_zip_is_refused(store, source):
    path = zipped(source)
    with zipfile.ZipFile(path, "a") as file:
        link = zipfile.ZipInfo("inside/link")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc/passwd")
    with pytest.raises(ModelError, match="holds a link"):
        store.stage(path)


def test_a_bomb_is_not_unpacked(store, source, monkeypatch):
    monkeypatch.setattr(archive, "HARMLESS_BYTES", 10**6)
    with pytest.raises(ModelError, match="would grow from"):
        store.stage(zipped(source, extra={"inside/zeros": "0" * 10**7}))
    assert nothing_left(store)


def test_a_whole_disk_is_no_model(store, source, monkeypatch):
    monkeypatch.setattr(archive, "MOST_FILES", 2)
    with pytest.raises(ModelError, match="is no single model"):
        store.stage(source)
    assert nothing_left(store)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda data: data[: len(data) // 2], "no zip file, or a damaged one"),
        (lambda data: b"no zip at all", "no zip file, or a damaged one"),
        (lambda data: data[:200] + bytes(byte ^ 255 for byte in data[200:260]) + data[260:], "cannot be read|damaged"),
    ],
)
def test_a_damaged_zip(spoil, complaint, store, source):
    path = zipped(source)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ModelError, match=complaint):
        store.stage(path)
    assert nothing_left(store)


def test_a_zip_with_a_password(store, source):
    path = zipped(source)
    with zipfile.ZipFile(path) as file:
        offsets = [member.header_offset for member in file.infolist()]
    data = bytearray(path.read_bytes())
    for offset in offsets:
        data[offset + 6] |= 1
    central = data.find(b"PK\x01\x02")
    while central >= 0:
        data[central + 8] |= 1
        central = data.find(b"PK\x01\x02", central + 1)
    path.write_bytes(data)
    with pytest.raises(ModelError, match="of a kind that cannot be read. Pack it again, without a password"):
        store.stage(path)


def test_the_checksum_of_a_file(store, source):
    path = zipped(source)
    assert install(store, path, checksum="SHA256: " + digest(path).upper())
    with pytest.raises(ModelError, match="not the file that was meant"):
        store.stage(path, checksum="0" * 64)
    with pytest.raises(ModelError, match="is not a SHA-256 checksum"):
        store.stage(path, checksum="12ab")


def test_what_does_not_exist(store):
    with pytest.raises(ModelError, match="There is no file or folder"):
        store.stage("nowhere.zip")


def test_a_full_disk(store, source, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 90, 10))
    with pytest.raises(OutputError, match="has 0.00 free"):
        store.stage(source)
    assert nothing_left(store)


def test_a_disk_that_fills_up_meanwhile(store, source, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "_copy", refuse)
    with pytest.raises(OutputError, match="the disk is full"):
        store.stage(source)
    assert nothing_left(store)


def test_copying_can_be_cancelled(store, source):
    with pytest.raises(CancelledError):
        store.stage(source, cancelled=lambda: True)
    assert nothing_left(store)


# Names


def test_a_name_that_is_taken(store, source):
    install(store, source)
    renamed(source, version="9")
    with store.stage(source) as staged:
        assert staged.clash.bundle.version == "1.2.3"
        with pytest.raises(ModelError, match="already a model 'test'"):
            staged.install()
        assert models.find_model("test").version == "1.2.3"
        staged.install(replace=True)
    assert models.find_model("test").version == "9" and len(store.models()) == 1


def test_a_name_that_differs_in_case_only(store, source):
    install(store, source)
    with store.stage(renamed(source, name="TEST")) as staged:
        assert staged.clash.name == "test"


def test_a_folder_in_the_way_is_left_alone(store, source):
    (store.folder / "test").mkdir(parents=True)
    (store.folder / "test" / "thesis.txt").write_text("years of work")
    with store.stage(source) as staged:
        assert staged.clash is None
        with pytest.raises(ModelError, match="already a model 'test'"):
            staged.install()
    assert (store.folder / "test" / "thesis.txt").exists()


def test_a_model_that_cannot_be_replaced_comes_back(store, source, monkeypatch):
    install(store, source)

    def refuse(path, target, rename=Path.rename):
        if path.name == "any-name":
            raise OSError(28, "No space left on device")
        return rename(path, target)

    with store.stage(renamed(source, version="9")) as staged, monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        with pytest.raises(OutputError, match="the disk is full"):
            staged.install(replace=True)
    assert models.find_model("test").version == "1.2.3"


def test_a_shipped_model_is_hidden_only_on_purpose_and_comes_back(store, source):
    shutil.copytree(source, models.SHIPPED / "test")
    with store.stage(renamed(source, version="9")) as staged:
        assert staged.clash.is_shipped
        staged.install(replace=True)
    assert models.find_model("test").version == "9"
    store.remove("test")
    assert models.find_model("test").version == "1.2.3"
    with pytest.raises(ModelError, match="came with the extension"):
        store.remove("test")
    assert models.find_model("test")


def test_a_name_that_no_folder_can_have(store, source):
    assert install(store, renamed(source, name="../Leber: CT/1")).name == "Leber-CT-1"


# Listing and removing


def test_a_damaged_model_is_listed_and_can_be_removed(store, source):
    folder = install(store, source)
    (folder / METADATA).write_text("{")
    (model,) = store.models()
    assert model.bundle is None and "is damaged" in model.problem
    store.remove("test")
    assert nothing_left(store)
    with pytest.raises(ModelError, match="There is no model 'test'"):
        store.remove("test")


def test_a_model_in_use_can_be_removed_or_says_so(store, source, monkeypatch):
    folder = install(store, source)
    with open(folder / WEIGHTS, "rb") as file:
        store.remove("test")
        assert len(file.read()) > 0
    install(store, source)

    def refuse(*_):
        raise PermissionError(13, "used by another process")

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(OutputError, match="is in use"):
        store.remove("test")
    assert models.find_model("test")


def test_what_a_killed_program_left_is_tidied_up_later(store, source):
    old, new = store.folder / ".incoming" / "old", store.folder / ".incoming" / "new"
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (time.time() - 2 * 24 * 3600,) * 2)
    install(store, source)
    assert not old.exists() and new.exists()


# From an address


@pytest.fixture
def server(source):
    with FileServer(zipped(source).read_bytes()) as server:
        yield server


def parts(store: ModelStore) -> list[Path]:
    return list((store.folder / ".downloads").rglob("*.part"))


def test_a_download(server, store):
    calls = []
    assert install(store, server.url, checksum=server.sha256, progress=lambda *call: calls.append(call))
    assert models.find_model("test") and not parts(store)
    downloading = [call for call in calls if call[2] == "Downloading"]
    assert downloading[0] == (0, len(server.content), "Downloading")
    assert downloading[-1] == (len(server.content), len(server.content), "Downloading")
    assert server.ranges == [""]


def test_a_download_that_broke_off_goes_on(server, store):
    server.breaks_after = 3000
    with pytest.raises(ModelError, match="broke off.* goes on where it stopped"):
        store.stage(server.url, server.sha256)
    (part,) = parts(store)
    assert part.stat().st_size == 3000 and store.models() == []
    server.breaks_after = None
    assert install(store, server.url, checksum=server.sha256)
    assert server.ranges == ["", "bytes=3000-"] and not parts(store)


def test_a_download_that_was_cancelled_goes_on(server, store, monkeypatch):
    monkeypatch.setattr(download, "_BLOCK_BYTES", 1000)
    seen = []
    with pytest.raises(CancelledError):
        store.stage(server.url, server.sha256, lambda *call: seen.append(call), lambda: len(seen) > 3)
    (part,) = parts(store)
    size = part.stat().st_size
    assert 0 < size < len(server.content)
    install(store, server.url, checksum=server.sha256)
    assert server.ranges[1] == f"bytes={size}-"


def test_a_file_that_changed_meanwhile_starts_over(server, store, source):
    server.breaks_after = 3000
    with pytest.raises(ModelError):
        store.stage(server.url, server.sha256)
    server.breaks_after, server.content = None, zipped(renamed(source, version="9")).read_bytes()
    install(store, server.url, checksum=server.sha256)
    assert models.find_model("test").version == "9"


def test_a_server_that_knows_no_ranges_starts_over(server, store):
    server.breaks_after = 3000
    with pytest.raises(ModelError):
        store.stage(server.url, server.sha256)
    server.breaks_after, server.knows_ranges = None, False
    assert install(store, server.url, checksum=server.sha256)


def test_a_rest_that_the_server_does_not_have_starts_over(server, store):
    server.breaks_after = 3000
    with pytest.raises(ModelError):
        store.stage(server.url, server.sha256)
    (part,) = parts(store)
    part.write_bytes(b"x" * (len(server.content) + 1))
    server.breaks_after = None
    assert install(store, server.url, checksum=server.sha256)


def test_a_wrong_checksum_keeps_nothing(server, store):
    with pytest.raises(ModelError, match="'model.zip' is not the file that was meant"):
        store.stage(server.url, "0" * 64)
    assert nothing_left(store)


def test_no_checksum_without_protection(server, store):
    with pytest.raises(ModelError, match="is not protected"):
        store.stage(server.url)
    assert server.ranges == []


@pytest.mark.parametrize("address", ["ftp://example.org/a.zip", "javascript://a"])
def test_other_addresses(address, store):
    with pytest.raises(ModelError, match="is not an address to download from"):
        store.stage(address)


def test_a_server_that_says_no_or_nothing(server, store):
    with pytest.raises(ModelError, match="did not give 'none.zip': 404"):
        store.stage(server.url.replace("model.zip", "none.zip"), server.sha256)
    server.close()
    with pytest.raises(ModelError, match="could not be reached.*install the model from a file"):
        store.stage(server.url, server.sha256)


def test_a_disk_that_is_full_or_fills_up_keeps_what_came(server, store, monkeypatch):
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage(100, 90, 10))
        with pytest.raises(OutputError, match="The download needs"):
            store.stage(server.url, server.sha256)
    with monkeypatch.context() as patch:
        patch.setattr(download, "_BLOCK_BYTES", 2000)
        patch.setattr(download, "open", _opening_a_disk_of(4000), raising=False)
        with pytest.raises(OutputError, match="the disk is full"):
            store.stage(server.url, server.sha256)
    (part,) = parts(store)
    assert part.stat().st_size == 4000
    assert install(store, server.url, checksum=server.sha256) and server.ranges[-1] == "bytes=4000-"


def _opening_a_disk_of(size: int):
    """An `open` whose files take so many bytes and no more."""

    class File:
        def __init__(self, path, mode):
            self._file = open(path, mode, buffering=0)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self._file.close()

        def write(self, block):
            if self._file.tell() + len(block) > size:
                raise OSError(28, "No space left on device")
            return self._file.write(block)

    return File


def test_an_endless_download_is_stopped(server, store, monkeypatch):
    monkeypatch.setattr(download, "MOST_BYTES", 1000)
    with pytest.raises(ModelError, match="The download has more than"):
        store.stage(server.url, server.sha256)


def test_two_addresses_with_the_same_file_name_are_kept_apart(server, store, source):
    server.breaks_after = 3000
    with pytest.raises(ModelError):
        store.stage(server.url, server.sha256)
    server.breaks_after = None
    assert install(store, server.url + "?version=2", checksum=server.sha256) and server.ranges[-1] == ""


def test_the_licence_is_the_models(store, source):
    bundle = Bundle.load(source)
    write_metadata(source, bundle.metadata, replace(bundle.spec, licence="CC-BY-NC-4.0"))
    (source / "LICENSE").unlink()
    with store.stage(source) as staged:
        assert (staged.licence, staged.licence_text) == ("CC-BY-NC-4.0", "")
    assert model_store.licence_text(source) == ""
