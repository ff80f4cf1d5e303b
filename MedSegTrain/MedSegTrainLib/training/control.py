"""What happens to a training between its steps: checkpoints, and what other processes and signals ask for."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from lightning.pytorch.callbacks import Checkpoint

from MedSegDLLib.errors import CancelledError

from .checkpoints import BEST, LAST
from .module import METRIC
from .recipe_fields import Checkpoints, Optimisation
from .run_folder import CONTINUE, PAUSE, PAUSED, STOP, TRAINING
from .run_session import RunSession
from .schedule import Schedule

_NOTHING, _SAVE, _PAUSE, _STOP = range(4)
_SECONDS_BETWEEN_LOOKS = 0.2


class Control(Checkpoint):
    """Saves when it is time, and pauses or stops within a step.

    Where several processes train together the first one decides. A stop that comes while cases are validated waits for
    their end, so that nothing is lost; a pause does not.

    Args:
        every: how often to save.
        plan: for early stopping.
    """

    def __init__(self, folder: Path, session: RunSession, schedule: Schedule, every: Checkpoints, plan: Optimisation):
        super().__init__()
        self._folder, self._session, self._schedule, self._every = folder, session, schedule, every
        self._patience = plan.early_stop_epochs
        self._saved_at, self._saved_step = time.monotonic(), 0
        self._stop_asked = self._pause_asked = False
        self._best, self._epochs_since_best = -math.inf, 0

    def state_dict(self) -> dict:
        return {"best": self._best, "epochs_since_best": self._epochs_since_best}

    def load_state_dict(self, state: dict) -> None:
        self._best, self._epochs_since_best = state["best"], state["epochs_since_best"]

    def request_stop(self) -> None:
        """As a request for a stop in the folder; safe in a signal's handler."""
        self._stop_asked = True

    def on_train_start(self, trainer, module) -> None:
        self._saved_at, self._saved_step = time.monotonic(), trainer.global_step

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_index) -> None:
        step = trainer.global_step
        if step == self._schedule.steps:
            trainer.should_stop = True  # has Lightning validate once more, though the epoch may be shorter
        if not self._schedule.validates(step):  # else after that: Lightning cannot go on from between the two
            self._act(trainer, self._told(trainer, self._own_decision(step)))

    def on_validation_batch_end(self, trainer, module, outputs, batch, batch_index, dataloader_index=0) -> None:
        self._heed()
        if self._pause_asked and trainer.world_size == 1:  # several would have to agree on it
            self._pause(trainer)

    def on_validation_end(self, trainer, module) -> None:
        self._look_for_the_best(trainer)
        self._act(trainer, self._told(trainer, self._own_decision(trainer.global_step)))

    def save(self, trainer) -> None:
        trainer.save_checkpoint(self._folder / LAST)
        self._saved_at, self._saved_step = time.monotonic(), trainer.global_step
        status, epoch = self._session.status, self._schedule.epoch_at(trainer.global_step)
        self._session.say(status.state, status.message, step=trainer.global_step, epoch=epoch)

    def _heed(self) -> None:
        """Take note of what another process asks for."""
        request = self._session.take_request()
        self._stop_asked |= request == STOP
        self._pause_asked = request == PAUSE or (self._pause_asked and request != CONTINUE)

    def _own_decision(self, step: int) -> int:
        self._heed()
        if self._stop_asked:
            return _STOP
        return _PAUSE if self._pause_asked else _SAVE if self._is_time(step) else _NOTHING

    def _is_time(self, step: int) -> bool:
        steps = self._every.every_steps
        if steps is None:
            return time.monotonic() - self._saved_at > 60 * self._every.every_minutes
        return step // steps > self._saved_step // steps

    @staticmethod
    def _told(trainer, decision: int) -> int:
        """What the first of all processes decided."""
        if trainer.world_size == 1:
            return decision
        told = torch.tensor(decision, device=trainer.strategy.root_device)
        torch.distributed.broadcast(told, src=0)
        return int(told)

    def _act(self, trainer, decision: int) -> None:
        if decision != _NOTHING:
            self.save(trainer)
        if decision == _PAUSE:
            self._pause(trainer)
            decision = self._told(trainer, _STOP if self._stop_asked else _NOTHING)
        if decision == _STOP:
            step, steps = trainer.global_step, self._schedule.steps
            raise CancelledError(f"Stopped after step {step} of {steps}.", "The same command goes on from there.")

    def _pause(self, trainer) -> None:
        """Until somebody asks to continue or to stop. Keeps the memory."""
        before, start = self._session.status, time.monotonic()
        self._session.say(PAUSED, "Paused. It goes on as soon as it is asked to.")
        while self._told(trainer, int(self._pause_asked and not self._stop_asked)):
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            self._heed()
        self._pause_asked = False
        self._session.paused_seconds += time.monotonic() - start
        self._session.say(TRAINING, before.message)

    def _look_for_the_best(self, trainer) -> None:
        score = float(trainer.callback_metrics[METRIC])
        self._epochs_since_best += 1
        if score > self._best:
            self._epochs_since_best = 0
        if score >= self._best:  # of equals the later: at the start all may be 0
            self._best = score
            trainer.save_checkpoint(self._folder / BEST)
        if self._patience and self._epochs_since_best >= self._patience:
            trainer.should_stop = True

    @contextmanager
    def signals_heeded(self) -> Iterator[None]:
        """Ctrl+C and the end of a job's time stop the training after its step. A second Ctrl+C stops it at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {}
        for name in ("SIGINT", "SIGTERM"):
            with suppress(ValueError, OSError):
                number = getattr(signal, name)
                former[number] = signal.signal(number, self._on_signal)
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame) -> None:
        if self._stop_asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.request_stop()
