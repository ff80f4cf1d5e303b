"""A case as the classical methods see it: upright, and with comparable grey values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from MedSegDLLib.volume import Reorientation, Volume

ORIENTATION = "LPS"
_DARK, _BRIGHT = 1, 99  # percentiles of an image that become 0 and 1


@dataclass(frozen=True)
class Seen:
    """Channels (C, k, j, i) float32, turned to LPS, with 0 and 1 at the 1st and 99th percentile of each.

    The values are clipped to -0.5 .. 1.5, so that one bright vessel does not use up the histogram.
    """

    channels: np.ndarray
    spacing_mm: tuple[float, float, float]
    steps: Reorientation

    @staticmethod
    def of(volumes: Sequence[Volume]) -> Seen:
        """Volumes of one grid, one a channel. Raises InputError for an image without contrast."""
        for volume in volumes:
            volume.check_usable()
        steps = volumes[0].grid.steps_to(ORIENTATION)
        channels = np.stack([_scaled(steps.apply(volume.array)) for volume in volumes])
        spacing = steps.apply_to_grid(volumes[0].grid).spacing_mm
        return Seen(channels, tuple(float(s) for s in spacing), steps)

    @property
    def image(self) -> np.ndarray:
        """The first channel (k, j, i): the one that methods for one image work on."""
        return self.channels[0]

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels.shape[1:]

    def itk(self, array: np.ndarray) -> sitk.Image:
        """An array of this grid for ITK's filters: two-dimensional where there is only one slice."""
        array = array.astype(np.uint8) if array.dtype == bool else array
        if self.shape[0] == 1:
            image = sitk.GetImageFromArray(array[0])
            image.SetSpacing(self.spacing_mm[:2])
        else:
            image = sitk.GetImageFromArray(array)
            image.SetSpacing(self.spacing_mm)
        return image

    def array(self, image: sitk.Image) -> np.ndarray:
        """What a filter made, again (k, j, i)."""
        return sitk.GetArrayFromImage(image).reshape(self.shape)

    def turned(self, labels: np.ndarray) -> np.ndarray:
        """A labelmap of the volumes' own grid, as this case is turned."""
        return self.steps.apply(labels)

    def turned_back(self, labels: np.ndarray) -> np.ndarray:
        """A result of this case on the volumes' own grid."""
        return np.ascontiguousarray(self.steps.undo(labels))


def _scaled(array: np.ndarray) -> np.ndarray:
    low, high = np.percentile(array, (_DARK, _BRIGHT))
    scaled = (array.astype(np.float32) - low) / max(high - low, 1e-6)
    return np.clip(scaled, -0.5, 1.5).astype(np.float32)
