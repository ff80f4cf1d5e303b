"""Files that are either complete or not there."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from .errors import OutputError

_REASONS = {
    errno.EACCES: ("you may not write there", "Choose a folder that you may write to."),
    errno.EPERM: ("you may not write there", "Choose a folder that you may write to."),
    errno.EROFS: ("the folder is read-only", "Choose a folder that you may write to."),
    errno.ENOENT: ("the folder does not exist", "Create the folder, or choose another one."),
    errno.ENOTDIR: ("its folder is a file", "Choose another folder."),
    errno.EEXIST: ("a file of that name is in the way", "Choose another folder."),
    errno.ENOSPC: ("the disk is full", "Free some space, or choose another disk."),
    errno.EDQUOT: ("your disk quota is used up", "Free some space, or choose another disk."),
}


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A new file beside `path` that takes its place when the block ends well, and is deleted when it does not.

    Its name keeps the suffix, by which writers choose a format. Raises OutputError where the folder or the disk does
    not take it.
    """
    path = Path(path)
    partial = path.with_name(f".{uuid4().hex[:8]}-{path.name}")
    try:
        with output_errors(path):
            partial.touch()  # here, because libraries do not say why they could not create a file
            yield partial
            os.replace(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def output_errors(path: Path | str) -> Iterator[None]:
    """Turn the system's refusal to write `path` into an OutputError that says why and what to do."""
    try:
        yield
    except OSError as error:
        reason, remedy = _REASONS.get(error.errno, (error.strerror or str(error), "Choose another folder."))
        raise OutputError(f"'{path}' could not be written: {reason}.", remedy, details=repr(error)) from error
