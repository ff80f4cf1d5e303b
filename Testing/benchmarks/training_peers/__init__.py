"""One file a peer, each with `run(task, seconds) -> Measured`: how it trains the same network on the same patches.

The network is nnU-Net's plain U-Net, the loss Dice and cross-entropy at every depth, the augmentation nnU-Net's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_WARM_UP, _FEWEST = 3, 5  # steps


@dataclass(frozen=True)
class Task:
    """What is trained: cases with images/ and labels/ of equal names, patches (k, j, i), a width at every depth."""

    folder: Path
    cases: tuple[str, ...]
    classes: int
    patch: tuple[int, int, int]
    batch: int
    features: tuple[int, ...]
    work: Path

    def files(self, kind: str) -> list[Path]:
        """The files in images/ or labels/, in the order of the cases."""
        return [self.folder / kind / case for case in self.cases]


@dataclass
class Measured:
    """Seconds of what a training consists of.

    prepare_s: from the files to where the first batch could be drawn.
    steps: (wall, processor) of each step: a batch drawn, and trained on.
    again: the same with one batch over and over: network, loss and optimiser without any data.
    """

    prepare_s: float
    steps: list[tuple[float, float]]
    again: list[tuple[float, float]]


class Clock:
    """Seconds of successive calls, the first few left out."""

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._calls = 0
        self._begin = 0.0
        self._last = self._now()
        self.found: list[tuple[float, float]] = []

    def tick(self) -> bool:
        """Call it after each step; False once the time is over."""
        now, self._calls = self._now(), self._calls + 1
        if self._calls > _WARM_UP:
            self.found.append((now[0] - self._last[0], now[1] - self._last[1]))
        else:
            self._begin = now[0]
        self._last = self._now()
        return len(self.found) < _FEWEST or now[0] - self._begin < self._seconds

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()


def repeated(step: Callable[[], object], seconds: float) -> list[tuple[float, float]]:
    """Seconds of a step that is taken again and again."""
    clock = Clock(seconds)
    step()
    while clock.tick():
        step()
    return clock.found
