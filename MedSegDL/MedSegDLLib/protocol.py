"""What client and worker say to each other: JSON-RPC 2.0, one object a line, and arrays in .npy files.

Lines are plain ASCII: JSON escapes everything else, so that a path in any alphabet, even one that is not valid
UTF-8, arrives as it was sent. numpy is imported where it is needed: a worker whose Python lacks it can say so.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import MedSegError, OutputError, WorkerError

if TYPE_CHECKING:
    import numpy as np

VERSION = 2

PARSE_ERROR = -32700
UNKNOWN_METHOD = -32601
FAILED = -32000


def request(identifier: int, method: str, params: dict[str, Any]) -> dict:
    return {"jsonrpc": "2.0", "id": identifier, "method": method, "params": params}


def notification(method: str, params: dict[str, Any]) -> dict:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def reply(identifier: int, result: dict[str, Any]) -> dict:
    return {"jsonrpc": "2.0", "id": identifier, "result": result}


def failure(identifier: int | None, error: MedSegError, code: int = FAILED) -> dict:
    """The reply to a request that failed; `identifier` is None where not even that could be read."""
    return {"jsonrpc": "2.0", "id": identifier, "error": {"code": code, "message": str(error), "data": error.to_dict()}}


def error_of(message: dict) -> MedSegError | None:
    """The typed error that a reply carries, None where it succeeded."""
    error = message.get("error")
    return MedSegError.from_dict(error.get("data") or {"message": error.get("message", "")}) if error else None


def encode(message: dict) -> bytes:
    """One line."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


def decode(line: bytes) -> dict:
    """The message of one line.

    Raises:
        WorkerError: the line is not a JSON object.
    """
    try:
        message = json.loads(line)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        text = line[:80].decode("utf-8", errors="replace").strip()
        raise WorkerError(f"The worker's pipe carries what is not a message: '{text}'.", "Restart the worker.")
    return message


def decode_request(line: bytes) -> dict:
    """The request of one line.

    Raises:
        WorkerError: the line is not a request.
    """
    message = decode(line)
    missing = [key for key in ("id", "method", "params") if key not in message]
    if missing:
        raise WorkerError(f"A request to the worker has no {' and no '.join(missing)}.", "Restart the worker.")
    return message


def save_array(path: Path, array: np.ndarray) -> None:
    """Write a .npy file whole or not at all.

    Raises:
        OutputError: the disk is full, or the folder cannot be written to.
    """
    import numpy as np

    partial = partial_path(path)
    try:
        with open(partial, "wb") as file:
            np.save(file, array, allow_pickle=False)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        reason = error.strerror or "the disk took only a part of it"  # numpy does not say more
        raise OutputError(
            f"{array.nbytes / 1e6:.1f} MB could not be written to {path}: {reason}.",
            "Free some space on that disk, or let TMPDIR name a folder on another one.",
        ) from error


def partial_path(path: Path) -> Path:
    """Where `save_array` writes until the file is complete."""
    return path.with_name(path.name + ".part")


def map_array(path: Path) -> np.ndarray:
    """The array of a .npy file, memory-mapped, read-only.

    Raises:
        WorkerError: the file is missing or damaged.
    """
    from numpy.lib.format import open_memmap

    try:
        return open_memmap(path, mode="r")
    except (OSError, ValueError) as error:
        raise WorkerError(
            f"The file {path.name} that client and worker exchange is missing or damaged: {error}.",
            "Try again, and keep other programs out of the temporary folder.",
        ) from error
