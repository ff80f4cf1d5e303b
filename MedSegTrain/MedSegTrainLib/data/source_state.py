"""Whether files are still those from which something was made."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from .case import Case


def state_of(case: Case) -> list[tuple[str, int, int]]:
    """Path, size and time of change of each file of a case; -1 where there is none."""
    files = [*case.images, case.label, *([case.instances] if case.instances else [])]
    return [_state(path) for path in files]


def digest(decisive) -> str:
    """A short name for what JSON can write; the same for the same."""
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:20]


def _state(path: Path) -> tuple[str, int, int]:
    place = str(path.absolute())
    try:
        found = path.stat()
    except OSError:
        return place, -1, -1
    return place, found.st_size, found.st_mtime_ns
