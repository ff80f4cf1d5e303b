"""How long a training takes in steps, and how its learning rate goes down."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .recipe_fields import Optimisation

STEPS_PER_EPOCH = 250
"""Where a recipe counts in steps and does not say how many an epoch has."""


@dataclass(frozen=True)
class Schedule:
    """Steps in all and of an epoch; the last epoch may be shorter.

    Attributes:
        epochs_per_validation: None to validate never.
    """

    steps: int
    steps_per_epoch: int
    epochs_per_validation: int | None = None

    @staticmethod
    def of(plan: Optimisation, cases: int, epochs_per_validation: int | None = None) -> Schedule:
        """Without another word an epoch has as many patches as there are cases to train on."""
        if plan.epochs is not None:
            per_epoch = plan.steps_per_epoch or math.ceil(cases / plan.batch)
            return Schedule(plan.epochs * per_epoch, per_epoch, epochs_per_validation)
        per_epoch = min(plan.steps, plan.steps_per_epoch or STEPS_PER_EPOCH)
        return Schedule(plan.steps, per_epoch, epochs_per_validation)

    @property
    def steps_per_validation(self) -> int | None:
        return self.steps_per_epoch * self.epochs_per_validation if self.epochs_per_validation else None

    @property
    def epochs(self) -> int:
        return math.ceil(self.steps / self.steps_per_epoch)

    def epoch_at(self, step: int) -> int:
        """The epoch, from 1, that the step belongs to; steps are counted from 1."""
        return max(1, math.ceil(step / self.steps_per_epoch))

    def ends_epoch(self, step: int) -> bool:
        return step % self.steps_per_epoch == 0 or step == self.steps

    def validates(self, step: int) -> bool:
        """Whether cases are looked at after this step: every so many epochs, and in the end."""
        every = self.steps_per_validation
        return every is not None and (step % every == 0 or step == self.steps)

    def validations_after(self, step: int) -> int:
        """How many are left, without that after this step itself."""
        every = self.steps_per_validation
        return math.ceil(self.steps / every) - step // every if every and step < self.steps else 0


def rate_factor(plan: Optimisation, step: int, steps: int) -> float:
    """By what the learning rate is multiplied after `step` of `steps`."""
    warm = min(1.0, (step + 1) / (plan.warmup_steps + 1))
    done = min(1.0, step / steps)
    decay = {
        "constant": 1.0,
        "polynomial": (1 - done) ** plan.decay_power,
        "exponential": plan.final_share**done,
        "cosine": (1 + math.cos(math.pi * done)) / 2,
    }
    return warm * decay[plan.schedule]
