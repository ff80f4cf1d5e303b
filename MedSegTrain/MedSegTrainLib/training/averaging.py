"""An exponential average of the weights, which a training validates and exports in place of its last ones."""

from __future__ import annotations

import torch
from lightning.pytorch.callbacks import WeightAveraging


class Averaging(WeightAveraging):
    """The average of all steps, the latest counting most.

    At the start it looks back less far, so that it does not hold on to the random weights of the beginning.

    Args:
        decay: of a step's share in it, with each step after.
    """

    def __init__(self, decay: float):
        super().__init__(multi_avg_fn=self._average)
        self._decay = decay
        self._step = 0

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        if step_idx is not None:
            self._step = step_idx
        return step_idx is not None

    def _average(self, averages: list[torch.Tensor], current: list[torch.Tensor], _count) -> None:
        """In place, of tensors of one kind."""
        share = 1 - min(self._decay, (1 + self._step) / (10 + self._step))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, current, share)
        else:
            for average, value in zip(averages, current):
                average.copy_(value)
