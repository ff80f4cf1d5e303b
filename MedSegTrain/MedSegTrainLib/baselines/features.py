"""What a classical learner knows of a voxel: its brightness and edges at several scales, and its place."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .seen import Seen

SCALES = (1.0, 2.0, 4.0)  # standard deviations, in voxels of the finest axis


def voxel_features(seen: Seen) -> np.ndarray:
    """(voxels, features) float32, voxels in the order of a ravelled (k, j, i) array.

    For each channel its value, and at each scale the Gaussian mean, the gradient's magnitude, the Laplacian and the
    local standard deviation; then the place along k, j, i as a share of the image, -1 to 1.
    """
    columns = [feature for channel in seen.channels for feature in _of_channel(channel, seen.spacing_mm)]
    columns += [np.broadcast_to(axis, seen.shape) for axis in _places(seen.shape)]
    return np.stack([column.ravel() for column in columns], axis=1).astype(np.float32)


def _of_channel(image: np.ndarray, spacing_mm: tuple[float, float, float]) -> list[np.ndarray]:
    features = [image]
    axes = [axis for axis, size in enumerate(image.shape) if size > 1]
    for scale in SCALES:
        sigma = [scale * min(spacing_mm) / spacing_mm[2 - axis] for axis in axes]
        mean = ndimage.gaussian_filter(image, sigma, axes=axes)
        square = ndimage.gaussian_filter(image**2, sigma, axes=axes)
        features += [
            mean,
            np.sqrt(sum(np.gradient(mean, axis=axis) ** 2 for axis in axes)),
            sum(ndimage.correlate1d(mean, [1.0, -2.0, 1.0], axis) for axis in axes),
            np.sqrt(np.maximum(square - mean**2, 0)),
        ]
    return features


def _places(shape: tuple[int, int, int]) -> list[np.ndarray]:
    """Place along each axis, to be broadcast over the shape."""
    ramps = [np.linspace(-1, 1, n, dtype=np.float32) if n > 1 else np.zeros(1, np.float32) for n in shape]
    return np.meshgrid(*ramps, indexing="ij", sparse=True)
