"""Ctrl+C, heard where work can stop: raised within a library's compiled code it gets lost there, or crashes it."""

from __future__ import annotations

import signal

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """In its block Ctrl+C, and being told to end, wait for the next `check`; a second one strikes at once.

    with Interruption() as interruption:
        for case in cases:
            interruption.check()
    """

    def __init__(self):
        self._asked = False

    def __enter__(self) -> Interruption:
        self._former = {number: signal.signal(number, self._hear) for number in _SIGNALS}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def check(self) -> bool:
        """False, so that it can stand for "cancelled"; raises KeyboardInterrupt if there was a signal."""
        if self._asked:
            raise KeyboardInterrupt
        return False

    def _hear(self, number: int, frame) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
