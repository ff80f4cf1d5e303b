"""What a model will make of a volume, before it runs: the grid on which it sees it, and the memory that this takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .bundle import Specification
from .errors import DeviceError
from .volume import Grid

_FLOAT = 4
_WORKING_BYTES = 200 << 20  # slabs of the resampling and of the upsampling


def network_grid(grid: Grid, spec: Specification) -> Grid:
    """The grid on which the network sees a volume: turned to the model's orientation, at its spacing."""
    turned = grid.steps_to(spec.orientation).apply_to_grid(grid)
    return turned.resized(turned.shape_at(spec.spacing_mm))


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes that a run adds to the process, without the network itself.

    Only a window's depth of logits is held at a time, so they grow with the area of a layer, not with the volume.
    """

    image: int
    logits: int
    labels: int

    @property
    def total_bytes(self) -> int:
        return self.image + self.logits + self.labels + _WORKING_BYTES

    @staticmethod
    def of(grid: Grid, spec: Specification, others: Sequence[Grid] = ()) -> MemoryPlan:
        """For an image on a grid, and the model's further images on theirs."""
        shape = network_grid(grid, spec).shape
        depth = min(spec.patch_kji[0], shape[0])
        layer = math.prod(shape[1:])
        classes = spec.network.out_channels
        # while the image is resampled, an intermediate result of at most the larger size is beside it
        image = _FLOAT * (math.prod(shape) + max(math.prod(shape), math.prod(grid.shape)))
        if others:  # all channels, and for one of them two copies of what it is, and two of it on the first one's grid
            largest = max(math.prod(other.shape) for other in others)
            image += _FLOAT * (spec.network.in_channels * math.prod(shape) + 2 * largest + 2 * math.prod(grid.shape))
        # the windows' sum and their weight, and a window's own logits
        logits = _FLOAT * ((classes + 1) * depth * layer + classes * math.prod(spec.patch_kji))
        return MemoryPlan(image, logits, math.prod(grid.shape))

    def check(self, free_bytes: int) -> None:
        """Raise DeviceError if more is needed than is free."""
        if self.total_bytes > free_bytes:
            raise DeviceError(
                f"The volume needs about {self.total_bytes / 1e9:.1f} GB of memory, {free_bytes / 1e9:.1f} GB is free.",
                "Close other programs, or segment a region of the volume.",
            )
