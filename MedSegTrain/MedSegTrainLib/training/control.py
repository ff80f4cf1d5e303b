"""What happens to a training between its steps: checkpoints, and what other processes and signals ask for."""

from __future__ import annotations

import math
import time
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
from .signals import Signals

_NOTHING, _SAVE, _PAUSE, _STOP, _NEXT_TURN = range(5)
_SECONDS_BETWEEN_LOOKS = 0.2


class Control(Checkpoint):
    """Saves when it is time, and pauses or stops within a step.

    Where several processes train together the first one decides. A stop that comes while cases are validated waits for
    their end, so that nothing is lost; a pause does not.

    Args:
        every: how often to save.
        plan: for early stopping.

    Attributes:
        signals: to be heeded while the training lasts.
    """

    def __init__(self, folder: Path, session: RunSession, schedule: Schedule, every: Checkpoints, plan: Optimisation):
        super().__init__()
        self._folder, self._session, self._schedule, self._every = folder, session, schedule, every
        self._patience = plan.early_stop_epochs
        self._saved_at, self._saved_step = time.monotonic(), 0
        self.signals = Signals()
        self._pause_asked = False
        self._best, self._epochs_since_best = -math.inf, 0

    def state_dict(self) -> dict:
        return {"best": self._best, "epochs_since_best": self._epochs_since_best}

    def load_state_dict(self, state: dict) -> None:
        self._best, self._epochs_since_best = state["best"], state["epochs_since_best"]

    def on_train_start(self, trainer, module) -> None:
        self._saved_at, self._saved_step = time.monotonic(), trainer.global_step
        self.signals.take_from_lightning()
        self._stop_if_hopeless(trainer)  # one that was killed when it had just ended

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
        self.signals.stop_asked |= request == STOP
        self._pause_asked = request == PAUSE or (self._pause_asked and request != CONTINUE)

    def _own_decision(self, step: int) -> int:
        self._heed()
        if self._must_leave:
            return self._way_to_leave
        return _PAUSE if self._pause_asked else _SAVE if self._is_time(step) else _NOTHING

    @property
    def _must_leave(self) -> bool:
        return self.signals.stop_asked or self.signals.turn_asked

    @property
    def _way_to_leave(self) -> int:
        return _NEXT_TURN if self.signals.turn_asked else _STOP

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
            decision = self._told(trainer, self._way_to_leave if self._must_leave else _NOTHING)
        where = f"Stopped after step {trainer.global_step} of {self._schedule.steps}."
        if decision == _NEXT_TURN:
            self.signals.requeue()
            raise CancelledError(f"{where} SLURM was asked for another turn.", "It goes on from there.")
        if decision == _STOP:
            raise CancelledError(where, "The same command goes on from there.")

    def _pause(self, trainer) -> None:
        """Until somebody asks to continue or to stop. Keeps the memory."""
        before, start = self._session.status, time.monotonic()
        self._session.say(PAUSED, "Paused. It goes on as soon as it is asked to.")
        while self._told(trainer, int(self._pause_asked and not self._must_leave)):
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
        self._stop_if_hopeless(trainer)

    def _stop_if_hopeless(self, trainer) -> None:
        if self._patience and self._epochs_since_best >= self._patience:
            trainer.should_stop = True
