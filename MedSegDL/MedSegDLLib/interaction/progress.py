"""From counted windows to the time that is left."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class ProgressClock:
    """Windows done since the first one was counted, and what the rest will take.

    The first window is no measure: it holds the preparation of the image. A count that starts anew, as when a second
    model follows a first, starts the measurement anew.
    """

    done: int = 0
    total: int = 0
    message: str = ""
    _first: tuple[float, int] | None = None
    _last_seconds: float = 0.0

    def count(self, done: int, total: int, message: str, now_seconds: float) -> None:
        """Take in a report of the worker."""
        if (total, message) != (self.total, self.message) or done < self.done or self._first is None:
            self._first = now_seconds, done
        self.done, self.total, self.message, self._last_seconds = done, total, message, now_seconds

    def seconds_left(self, now_seconds: float) -> float | None:
        """None while nothing was measured."""
        if self._first is None:
            return None
        start_seconds, start = self._first
        if self.done <= start:
            return None
        per_window = (self._last_seconds - start_seconds) / (self.done - start)
        return max(0.0, per_window * (self.total - self.done) - (now_seconds - self._last_seconds))
