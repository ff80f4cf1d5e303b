"""What every prompter does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...prompts import Prompts
from ...volume import Volume


@dataclass(frozen=True)
class Mask:
    """A structure.

    Args:
        array: bool, axes (k, j, i); a part of the image's grid, outside of which nothing belongs to the structure.
        start: voxel (k, j, i) of the image that is the array's first.
    """

    array: np.ndarray
    start: tuple[int, int, int]


class Prompter(Protocol):
    """Finds the structure that prompts mean."""

    device: str

    def warm(self, volume: Volume, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Compute of the volume what every prompt needs, and keep it until another volume comes.

        Raises:
            InputError: the image is empty.
            CancelledError: soon after `cancelled` returned True.
        """

    def segment(self, volume: Volume, prompts: Prompts, cancelled: Callable[[], bool] = lambda: False) -> Mask:
        """The structure; the same for the same volume and prompts, whatever was asked before.

        Raises:
            InputError: no prompt says what belongs to the structure, one lies outside the image, or the image is empty.
            CancelledError: soon after `cancelled` returned True.
        """
