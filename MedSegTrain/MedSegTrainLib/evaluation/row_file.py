"""Results on disk while an evaluation runs, so that it can be gone on with, and what they are results of."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

from MedSegDLLib.atomic import replacing
from MedSegDLLib.errors import InputError

from .metrics import Settings
from .rows import DAMAGED, FAILED, Row, read_rows, write_rows

_SECONDS_BETWEEN_WRITES = 5.0


class RowFile:
    """A CSV file of rows that grows while an evaluation runs, and a JSON file beside it that says what they are of.

    Args:
        path: the CSV file; the other is `about_path(path)`.
        about: everything that decides the figures (model, checksum, data, settings), as JSON can hold it; rows of
            anything else are not gone on with.
    """

    def __init__(self, path: str | Path, about: dict):
        self.path = Path(path)
        self.about = json.loads(json.dumps(about))
        self._last_write = 0.0

    def finished(self) -> list[Row]:
        """Rows of the cases that need not be segmented again.

        Raises InputError where the file holds results of something else, OutputError where it cannot be written.
        """
        if self.path.exists():
            self._check_same()
            rows = read_rows(self.path)
            again = {row.case for row in rows if row.status in (FAILED, DAMAGED)}
            return [row for row in rows if row.case not in again]
        with replacing(about_path(self.path)) as partial:
            partial.write_text(json.dumps(self.about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return []

    def write_now_and_then(self, rows: list[Row]) -> None:
        """Write if the last time is a while ago: whoever kills the process loses seconds."""
        if time.monotonic() - self._last_write > _SECONDS_BETWEEN_WRITES:
            self.write(rows)

    def write(self, rows: list[Row]) -> None:
        write_rows(self.path, rows)
        self._last_write = time.monotonic()

    def _check_same(self) -> None:
        found = read_about(self.path)
        if found != self.about:
            different = sorted(key for key in {*found, *self.about} if found.get(key) != self.about.get(key))
            raise InputError(
                f"'{self.path}' holds results of something else; these differ: {', '.join(different)}.",
                "Name another file, or delete this one.",
            )


def about_path(rows: Path) -> Path:
    """Where it says what the rows of a file are of."""
    return rows.with_name(rows.name + ".about.json")


def read_about(rows: Path) -> dict:
    """What is known of the rows of a file; nothing where nothing was written."""
    try:
        return json.loads(about_path(rows).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def settings_in_words(settings: Settings) -> dict:
    """For an `about`: what the figures depend on besides the method and the data."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(settings).items()}
