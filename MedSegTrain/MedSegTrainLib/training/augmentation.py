"""Random patches for training, by MONAI's transforms in nnU-Net's manner."""

from __future__ import annotations

import math

import numpy as np
import torch
from monai import transforms as mt

from MedSegDLLib.networks.blocks import LINEAR

from .recipe import Augmentation


def augmentation(recipe: Augmentation, patch: tuple[int, ...], classes: int) -> mt.Compose:
    """Transforms of {"image": (1, *patch) float, "label": (K, *patch) one-hot float} tensors.

    The patch is (k, j, i), or (j, i) of a slice. The result has its size; "label" comes back as class indices
    (1, *patch). Labels turn as linearly interpolated one-hot maps, which keeps their borders smooth where nearest
    neighbours would fray them.
    """
    angle, probability = math.radians(recipe.rotation_degrees), recipe.intensity_probability
    mirror = recipe.mirror[: len(patch)]
    return mt.Compose(
        [
            mt.RandAffined(
                ["image", "label"],
                prob=recipe.affine_probability,
                rotate_range=(angle,) * 3,
                scale_range=(recipe.scale,) * 3,
                mode="bilinear",
                padding_mode="zeros",
                cache_grid=True,
                spatial_size=patch,
            ),
            *(
                mt.RandFlipd(["image", "label"], prob=0.5, spatial_axis=axis)
                for axis, allowed in enumerate(reversed(mirror))
                if allowed
            ),
            mt.RandGaussianNoised("image", prob=recipe.noise_probability, std=0.15),
            mt.RandGaussianSmoothd("image", (0.3, 0.8), (0.3, 0.8), (0.3, 0.8), prob=recipe.blur_probability),
            mt.RandScaleIntensityd("image", factors=0.25, prob=probability),
            mt.RandShiftIntensityd("image", offsets=0.25, prob=probability),
            mt.RandAdjustContrastd("image", gamma=(0.7, 1.5), prob=probability, retain_stats=True),
            mt.RandSimulateLowResolutiond(
                "image",
                prob=recipe.low_resolution_probability,
                zoom_range=(0.5, 1.0),
                upsample_mode=LINEAR[len(patch)],
            ),
            mt.Lambdad("label", _class_indices),
        ]
    )


def _class_indices(one_hot: torch.Tensor) -> torch.Tensor:
    """Where the affine left the image every class is 0, and the first, background, is what argmax takes."""
    return one_hot.argmax(dim=0, keepdim=True)


def cut_patch(array: np.ndarray, center: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """A copy of `size` voxels around the center, with zeros (the mean of a normalised image) outside the array."""
    patch = np.zeros(size, dtype=array.dtype)
    starts = [int(c) - s // 2 for c, s in zip(center, size)]
    source = tuple(slice(max(0, a), max(0, a + s)) for a, s in zip(starts, size))
    found = array[source]
    target = tuple(slice(max(0, -a), max(0, -a) + n) for a, n in zip(starts, found.shape))
    patch[target] = found
    return patch
