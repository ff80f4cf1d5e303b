"""What the system asks of a training by signals: to stop, or to make room and to be put into the queue again."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lightning.fabric.plugins.environments import SLURMEnvironment

_OF_SLURM = getattr(signal, "SIGUSR1", None)  # Windows has none


class Signals:
    """Takes note of signals, which a training then heeds between two steps.

    Ctrl+C and the end of a job's time ask for a stop; a second Ctrl+C stops at once. SIGUSR1, which SLURM sends before
    a job's time is up (#SBATCH --signal=SIGUSR1@90), asks for a stop and another turn. Lightning would save in the
    middle of whatever goes on, from where no training can go on exactly, and would have processes that train together
    talk to each other out of turn. Its own handler is hence called later, by `requeue`.

    Attributes:
        stop_asked: also by whoever sets it.
        turn_asked: whether SLURM wants the computer, and will start the job again.
    """

    def __init__(self):
        self.stop_asked = self.turn_asked = False
        self._are_ours = False
        self._lightnings = None

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """While this lasts; without effect beside the main thread, which alone gets signals."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {}
        for name in ("SIGINT", "SIGTERM"):
            with suppress(ValueError, OSError):
                number = getattr(signal, name)
                former[number] = signal.signal(number, self._on_stop)
        self._are_ours = True
        try:
            yield
        finally:
            self._are_ours = False
            for number, handler in former.items():
                signal.signal(number, handler)

    def take_from_lightning(self) -> None:
        """Lightning sets handlers of its own before it begins, and takes them back in the end."""
        if not self._are_ours:
            return
        signal.signal(signal.SIGTERM, self._on_stop)
        if _OF_SLURM and SLURMEnvironment.detect() and callable(signal.getsignal(_OF_SLURM)):
            self._lightnings = signal.signal(_OF_SLURM, self._on_turn)

    def requeue(self) -> None:
        """Have Lightning save for SLURM's next turn, and ask SLURM for it. All processes call it together."""
        self._lightnings(_OF_SLURM, None)

    def _on_stop(self, number: int, frame) -> None:
        if self.stop_asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.stop_asked = True

    def _on_turn(self, number: int, frame) -> None:
        self.turn_asked = True
