"""A file from an address: resumed where it broke off, checked, and only then there under its name."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from .atomic import output_errors
from .errors import CancelledError, ModelError, OutputError

Progress = Callable[[int, int, str], None]
Cancelled = Callable[[], bool]

MOST_BYTES = 20 * 10**9

_BLOCK_BYTES = 1 << 18  # small, so that a slow line still hears of a cancellation
_TIMEOUT_SECONDS = 20.0
_AGAIN = "Start it again: it goes on where it stopped."


def download(
    url: str,
    path: Path,
    checksum: str = "",
    progress: Progress = lambda *_: None,
    cancelled: Cancelled = lambda: False,
) -> None:
    """Fetch `url` into `path`.

    What has arrived is kept in `<path>.part` after a break or a cancellation, and the next call fetches the rest, if
    the server still has the same file.

    Args:
        url: https; plain http only with a checksum, since anybody on the way could change what it brings.
        checksum: SHA-256 in hexadecimal digits, with or without "SHA256:" before it; '' is not checked.
        progress: called with bytes that are there, bytes in all (0 where the server does not say), and a word on it.
        cancelled: asked before each block; when it returns True, the download ends with CancelledError.

    Raises:
        ModelError: the address, the server or the connection fails, or the checksum is wrong.
        OutputError: the folder or the disk does not take the file.
    """
    expected = parsed_checksum(checksum)
    partial = _Partial(path)
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    _fetch(url, bool(expected), partial, progress, cancelled)
    try:
        check_file(partial.path, expected, _name_of(url))
    except ModelError:
        partial.remove()  # to go on from there would only give the same
        raise
    with output_errors(path):
        os.replace(partial.path, path)
    partial.remove()


def check_file(path: Path, expected: str, name: str) -> None:
    """Compare the SHA-256 of a file, if one is expected. Raises ModelError."""
    if not expected:
        return
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise ModelError(
            f"'{name}' is not the file that was meant: its checksum is another one.",
            "Check address and checksum with whoever offers the model, then try again.",
            f"expected {expected}\nfound    {found}",
        )


def parsed_checksum(text: str) -> str:
    """The 64 hexadecimal digits of a SHA-256, in lower case; '' stays. Raises ModelError."""
    digits = text.strip().lower().removeprefix("sha256:").strip()
    if digits and not re.fullmatch("[0-9a-f]{64}", digits):
        raise ModelError(f"'{text}' is not a SHA-256 checksum.", "It has 64 digits from 0 to 9 and a to f.")
    return digits


class _Partial:
    """What has arrived so far, and which version of the server's file it is a part of."""

    def __init__(self, path: Path):
        self.path = path.with_name(path.name + ".part")
        self._version_path = path.with_name(path.name + ".version")

    @property
    def size_bytes(self) -> int:
        """0 also where the version is not known: then it could not be told whether the rest fits."""
        return self.path.stat().st_size if self.path.exists() and self.version else 0

    @property
    def version(self) -> str:
        return self._version_path.read_text(encoding="utf-8") if self._version_path.exists() else ""

    def start_over(self, version: str) -> None:
        self.remove()
        self._version_path.write_text(version, encoding="utf-8")

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self._version_path.unlink(missing_ok=True)


def _fetch(url: str, has_checksum: bool, partial: _Partial, progress: Progress, cancelled: Cancelled) -> None:
    with _network_errors(url), _open(url, has_checksum, partial) as response:
        present = partial.size_bytes if _continues(response, partial.size_bytes) else 0
        rest = int(response.headers.get("Content-Length") or 0)
        total = present + rest if rest else 0
        with output_errors(partial.path):
            _check_room(partial.path, rest)
            if not present:
                partial.start_over(_version(response))
            present = _append(response, partial.path, present, total, progress, cancelled)
    if total and present < total:
        raise ModelError(f"The download broke off at {present / 1e6:.1f} of {total / 1e6:.1f} MB.", _AGAIN)


def _open(url: str, has_checksum: bool, partial: _Partial):
    """The server's answer: the rest of what is partly there, else the whole file."""
    _check_scheme(url, has_checksum)
    headers = {"User-Agent": "MedSegDL"}
    if partial.size_bytes:
        headers |= {"Range": f"bytes={partial.size_bytes}-", "If-Range": partial.version}
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not partial.size_bytes:
            raise
        partial.remove()  # there is no rest to fetch, and what is there was never found to be right
        return _open(url, has_checksum, partial)
    _check_scheme(response.url, has_checksum)  # where it was redirected to
    return response


def _check_scheme(url: str, has_checksum: bool) -> None:
    scheme = urlsplit(url).scheme
    if scheme not in ("https", "http"):
        raise ModelError(f"'{url}' is not an address to download from.", "It starts with https://.")
    if scheme == "http" and not has_checksum:
        raise ModelError(
            f"'{url}' is not protected: what it brings could be changed on the way.",
            "Use an address that starts with https://, or give the checksum.",
        )


def _continues(response, offset: int) -> bool:
    is_rest = response.status == http.HTTPStatus.PARTIAL_CONTENT
    return is_rest and response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")


def _version(response) -> str:
    """What the server calls this state of the file; a weak tag does not promise the same bytes."""
    tag = response.headers.get("ETag") or ""
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified") or ""


def _check_room(path: Path, size_bytes: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if size_bytes > free:
        raise OutputError(
            f"The download needs {size_bytes / 1e9:.2f} GB, and the disk of '{path.parent}' has {free / 1e9:.2f} free.",
            "Free some space, or choose another folder for models.",
        )


def _append(response, path: Path, present: int, total: int, progress: Progress, cancelled: Cancelled) -> int:
    """Write what comes behind what is there; returns the size in bytes then."""
    with open(path, "ab") as file:
        while True:
            if cancelled():
                raise CancelledError("The download was stopped.", _AGAIN)
            progress(present, total, "Downloading")
            block = _read(response)
            if not block:
                return present
            file.write(block)
            present += len(block)
            if present > MOST_BYTES:  # a server that says no length could send for ever
                raise ModelError(f"The download has more than {MOST_BYTES / 1e9:.0f} GB.", "Check the address.")


def _read(response) -> bytes:
    """A block of what comes; here, since a refusal of the disk is another matter than one of the network."""
    try:
        return response.read(_BLOCK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise ModelError("The download broke off.", _AGAIN, repr(error)) from error


@contextmanager
def _network_errors(url: str):
    try:
        yield
    except urllib.error.HTTPError as error:
        message = f"The server did not give '{_name_of(url)}': {error.code} {error.reason}."
        raise ModelError(message, "Check the address.", url) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        host = urlsplit(url).hostname or url
        raise ModelError(
            f"'{host}' could not be reached.",
            "Check the connection and the address; without network, install the model from a file.",
            f"{url}: {error}",
        ) from error


def _name_of(url: str) -> str:
    return urlsplit(url).path.rsplit("/", 1)[-1] or url
