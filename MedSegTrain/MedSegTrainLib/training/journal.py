"""What a training writes about itself: a line an epoch, its status, and curves for TensorBoard and for tables."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Sequence

import torch
from lightning.pytorch.callbacks import Callback
from tqdm import tqdm

from MedSegDLLib.atomic import output_errors, replacing
from MedSegDLLib.errors import MedSegError
from MedSegDLLib.interaction.measures import seconds_text

from .pace import Pace
from .run_folder import TRAINING, RunFolder
from .run_session import RunSession
from .schedule import Schedule

_SECONDS_BETWEEN_LOOKS = 1.0  # at the loss: each look waits for the GPU
_CURVES = ("loss", "validation_loss", "dice", "miou", "learning_rate")


class Journal(Callback):
    """Collects the loss of an epoch and writes its event, also when the epoch was interrupted in between.

    Args:
        structures: names of the classes without the background.
    """

    def __init__(self, session: RunSession, schedule: Schedule, structures: Sequence[str]):
        self._session, self._schedule, self._structures = session, schedule, structures
        self._loss, self._count, self._seconds = torch.zeros(()), 0, 0.0
        self._pace = Pace()
        self._bar: tqdm | None = None

    def state_dict(self) -> dict:
        """Of all processes together, since the first one's alone is written."""
        total, count = self._of_all_processes()
        return {"loss": total, "count": count, "seconds": self._seconds + self._elapsed()}

    def load_state_dict(self, state: dict) -> None:
        self._seconds = state["seconds"]
        if self._session.leads:
            self._loss, self._count = torch.tensor(state["loss"]), state["count"]

    def on_train_start(self, trainer, module) -> None:
        self._epoch_start = self._looked_at = self._now()
        self._looked_step = trainer.global_step
        self._loss, self._strategy = self._loss.to(module.device), trainer.strategy
        if self._session.leads:
            self._session.folder.forget_events_after(trainer.global_step)
            self._bar = tqdm(total=self._schedule.steps, initial=trainer.global_step, unit="step", disable=None)
        self._tell(trainer, "")

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_index) -> None:
        step = trainer.global_step
        self._loss += outputs["loss"].detach()
        self._count += 1
        if self._bar is not None:
            self._bar.update()
        ends, validates = self._schedule.ends_epoch(step), self._schedule.validates(step)
        if self._now() - self._looked_at > _SECONDS_BETWEEN_LOOKS or ends:
            self._look(trainer, outputs["loss"])
        if ends and not validates:
            self._end_epoch(trainer, {})

    def on_validation_start(self, trainer, module) -> None:
        self._tell(trainer, "Validating", validations=1)

    def on_validation_end(self, trainer, module) -> None:
        self._pace.validated(self._since_look(trainer))
        self._end_epoch(trainer, module.result)

    def on_train_end(self, trainer, module) -> None:
        self._close()

    def on_exception(self, trainer, module, exception) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def _look(self, trainer, loss: torch.Tensor) -> None:
        """Raises MedSegError where there is nothing left to train."""
        value = float(loss)
        steps = trainer.global_step - self._looked_step
        self._pace.stepped(steps, self._since_look(trainer))
        if not math.isfinite(value):
            raise MedSegError(
                f"The loss is no number any more at step {trainer.global_step}.",
                "Take a lower optimisation.learning_rate, or optimisation.precision f32; then start in a new folder.",
            )
        if self._bar is not None:
            self._bar.set_postfix(loss=f"{value:.3f}", refresh=False)
        self._tell(trainer, f"Loss {value:.3f}")

    def _end_epoch(self, trainer, result: dict) -> None:
        total, count = self._of_all_processes()
        step, seconds = trainer.global_step, self._seconds + self._elapsed()
        self._loss, self._count, self._seconds = torch.zeros_like(self._loss), 0, 0.0
        self._epoch_start = self._now()
        if self._session.leads:
            event = {
                "epoch": self._schedule.epoch_at(step),
                "step": step,
                "loss": total / count,
                "validation_loss": result.get("loss"),
                "dice": _mean(result.get("dice")),
                "miou": _mean(result.get("miou")),
                "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
                "seconds": seconds,
                "remaining_seconds": self._remaining(step),
                "dice_of": dict(zip(self._structures, map(_finite, result.get("dice", ())))),
            }
            self._write(trainer, event)

    def _of_all_processes(self) -> tuple[float, float]:
        """Sum and number of the losses of this epoch."""
        losses = torch.stack([self._loss, torch.tensor(float(self._count), device=self._loss.device)])
        return tuple(self._strategy.reduce(losses, reduce_op="sum").tolist())

    def _write(self, trainer, event: dict) -> None:
        folder, step = self._session.folder, event["step"]
        folder.add_event(event)
        write_curves(folder)
        curves = {name: event[name] for name in _CURVES if event[name] is not None}
        structures = {f"dice/{name}": value for name, value in event["dice_of"].items() if value is not None}
        with output_errors(folder.path / "tensorboard"):
            trainer.logger.log_metrics(curves | structures, step)
        line = epoch_in_words(event, self._schedule.epochs)
        tqdm.write(line)
        self._tell(trainer, line)

    def _tell(self, trainer, message: str, validations: int = 0) -> None:
        """`validations`: those that are going on."""
        step = trainer.global_step
        self._session.say(
            TRAINING,
            message,
            step=step,
            steps=self._schedule.steps,
            epoch=self._schedule.epoch_at(step),
            epochs=self._schedule.epochs,
            remaining_seconds=self._remaining(step, validations),
        )

    def _remaining(self, step: int, validations: int = 0) -> float | None:
        left = self._schedule.validations_after(step) + validations
        return self._pace.remaining_seconds(self._schedule.steps - step, left)

    def _since_look(self, trainer) -> float:
        """Seconds since the last call, or since the training began."""
        before, self._looked_at = self._looked_at, self._now()
        self._looked_step = trainer.global_step
        return self._looked_at - before

    def _elapsed(self) -> float:
        """Seconds of this epoch in this process."""
        return self._now() - self._epoch_start

    def _now(self) -> float:
        return time.monotonic() - self._session.paused_seconds


def write_curves(folder: RunFolder) -> None:
    """curves.csv, a row an epoch, from the events."""
    events = folder.events()
    names = [name for name in events[0] if name != "dice_of"]
    structures = list(dict.fromkeys(name for event in events for name in event["dice_of"]))
    with replacing(folder.path / "curves.csv") as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*names, *(f"dice {name}" for name in structures)])
        for event in events:
            writer.writerow([*(event[name] for name in names), *(event["dice_of"].get(name) for name in structures)])


def epoch_in_words(event: dict, epochs: int) -> str:
    parts = [f"Epoch {event['epoch']} of {epochs}", f"loss {shown(event['loss'])}"]
    if event["dice"] is not None:
        parts += [f"validation loss {shown(event['validation_loss'])}", f"Dice {shown(event['dice'])}"]
        parts += [f"mIoU {shown(event['miou'])}"]
    if event["remaining_seconds"]:
        parts.append(f"{seconds_text(event['remaining_seconds'])} left")
    return ", ".join(parts)


def shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _mean(values: Sequence[float] | None) -> float | None:
    """Of those that are numbers."""
    known = [value for value in values or () if math.isfinite(value)]
    return sum(known) / len(known) if known else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
