"""How long runs take, by how long those took that are done."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean, median


class Durations:
    """Seconds of finished runs. One that took unusually long, as when its computer was suspended, counts little."""

    def __init__(self):
        self._seconds: dict[str, list[float]] = {}

    def learn(self, run: str, seconds: float) -> None:
        self._seconds.setdefault(_kind(run), []).append(seconds)

    def expected(self, run: str) -> float | None:
        """The median of the method on its data set; None where none of these is done."""
        known = self._seconds.get(_kind(run))
        return median(known) if known else None

    def of_all(self, runs: Iterable[str]) -> float | None:
        """Of runs, one after another; None where nothing is known. What was never run counts as the others' mean."""
        if not self._seconds:
            return None
        usual = fmean(median(known) for known in self._seconds.values())
        return sum(usual if (seconds := self.expected(run)) is None else seconds for run in runs)


def _kind(run: str) -> str:
    """Data set and method."""
    return run.rpartition("/")[0]
