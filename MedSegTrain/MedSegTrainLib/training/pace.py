"""How long the rest of a training takes, by what its steps and validations took so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from statistics import fmean, median

_REMEMBERED = 1000
_MOST = 3.0


class Pace:
    """Seconds of the latest steps and validations.

    A mean over all the time that has passed would expect what happened once again and again: a computer that was
    suspended, a disk that hung, the first steps of a GPU.
    """

    def __init__(self):
        self._a_step: deque[float] = deque(maxlen=_REMEMBERED)
        self._a_validation: deque[float] = deque(maxlen=_REMEMBERED)

    def stepped(self, steps: int, seconds: float) -> None:
        """So many steps took so long together."""
        if steps:
            self._a_step.append(seconds / steps)

    def validated(self, seconds: float) -> None:
        self._a_validation.append(seconds)

    def remaining_seconds(self, steps: int, validations: int) -> float | None:
        """Of so many of each; None before the first step. A validation of which nothing is known counts nothing."""
        if not self._a_step:
            return None
        return steps * _usual(self._a_step) + validations * _usual(self._a_validation)


def _usual(seconds: Collection[float]) -> float:
    """The mean, to which nothing adds more than a few times the median."""
    if not seconds:
        return 0.0
    most = _MOST * median(seconds)
    return fmean(min(each, most) for each in seconds)
