"""What each model took on this computer, and hence what a run will take."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path

from ..atomic import replacing
from ..bundle import Specification
from ..errors import OutputError
from ..folders import cache_folder
from ..volume import Grid


class Timings:
    """Seconds a million voxels of the model's own grid, for each model and device; kept in a small file.

    Args:
        path: the file; by default in the platform's cache folder.
    """

    def __init__(self, path: Path | None = None):
        self._path = path or cache_folder() / "timings.json"
        self._seconds = _read(self._path)

    def expected_seconds(self, model: str, device: str, spec: Specification, grid: Grid) -> float | None:
        """What a run on this grid (the volume's, or the region's) will take; None for a model that never ran here."""
        seconds = self._seconds.get(_key(model, device))
        return None if seconds is None else seconds * millions_of_voxels(spec, grid)

    def remember(self, model: str, device: str, spec: Specification, grid: Grid, seconds: float) -> None:
        """Learn from a run; a file that cannot be written costs no more than the estimate."""
        self._seconds[_key(model, device)] = seconds / millions_of_voxels(spec, grid)
        with contextlib.suppress(OSError, OutputError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._path) as partial:
                partial.write_text(json.dumps(self._seconds, indent=1), encoding="utf-8")


def millions_of_voxels(spec: Specification, grid: Grid) -> float:
    """On the model's grid; an image smaller than a window is computed as a whole one."""
    voxels = math.prod(grid.extent_mm) / math.prod(spec.spacing_mm)
    return max(voxels, math.prod(spec.patch)) / 1e6


def _key(model: str, device: str) -> str:
    return f"{model} on {device}"


def _read(path: Path) -> dict[str, float]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(data, dict):
        return {}
    return {key: value for key, value in data.items() if isinstance(value, (int, float)) and value > 0}
