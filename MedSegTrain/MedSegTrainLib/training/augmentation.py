"""Random changes of training patches in nnU-Net's manner, on MONAI's transforms.

Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, supplement. What differs: a patch is turned and scaled in
millimetres, so an organ keeps its shape where voxels are no cubes; and the channels change independently in every way.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from monai import transforms as mt
from monai.data import MetaTensor

from MedSegDLLib.networks.blocks import LINEAR

from .recipe_fields import Augmentation

FLAT = 3
"""A patch this many times thinner than wide is a stack of slices: it turns and blurs within them (nnU-Net's rule)."""

_BLUR_SIGMA = (0.5, 1.0)
_CONTRAST = 0.25
_GAMMA = (0.7, 1.5)
_NOISE_STD = 0.1
_ZOOM = (0.5, 1.0)


def is_flat(patch: tuple[int, ...]) -> bool:
    """Whether a patch (k, j, i) is a stack of slices rather than a block."""
    return len(patch) == 3 and max(patch) > FLAT * patch[0]


class Intensities:
    """Noise, blur, brightness, contrast, low resolution, gamma: each with its probability, each channel by itself."""

    def __init__(self, settings: Augmentation, patch: tuple[int, ...]):
        self._as_slices = is_flat(patch)
        dims = 2 if self._as_slices else len(patch)
        probability = settings.intensity_probability
        transforms = [
            (settings.noise_probability, mt.RandGaussianNoise(1, std=_NOISE_STD)),
            (settings.blur_probability, mt.RandGaussianSmooth(*(_BLUR_SIGMA,) * 3, prob=1)),
            (probability, mt.RandScaleIntensity(_CONTRAST, prob=1)),
            (probability, mt.RandScaleIntensityFixedMean(1, _CONTRAST, preserve_range=True)),
            (
                settings.low_resolution_probability,
                mt.RandSimulateLowResolution(1, zoom_range=_ZOOM, upsample_mode=LINEAR[dims]),
            ),
            (
                settings.inverted_gamma_probability,
                mt.RandAdjustContrast(1, _GAMMA, invert_image=True, retain_stats=True),
            ),
            (settings.gamma_probability, mt.RandAdjustContrast(1, _GAMMA, retain_stats=True)),
        ]
        self._transforms = [(share, transform) for share, transform in transforms if share > 0]

    def __call__(self, image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        """(C, *patch) float32 -> the same, changed."""
        changed = [self._changed(channel, rng) for channel in image.split(1)]
        return changed[0] if len(changed) == 1 else torch.cat(changed)

    def _changed(self, channel: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        result = channel[0] if self._as_slices else channel  # slices as MONAI's channels: it then works in the plane
        for share, transform in self._transforms:
            if rng.random() < share:
                transform.set_random_state(state=np.random.RandomState(rng.bit_generator))  # what MONAI draws from
                result = _plain(transform(result))
        return result.reshape(channel.shape)


def affine_matrix(
    settings: Augmentation, patch: tuple[int, ...], spacing_mm: tuple[float, ...], rng: np.random.Generator
) -> np.ndarray | None:
    """Where a changed patch's voxels come from, by chance; None to leave the patch as it is.

    Args:
        patch: (k, j, i), or (j, i) of a slice.
        spacing_mm: in the same order.

    Returns:
        (D + 1, D + 1): from places in the result, in voxels from its centre, to places in the image.
    """
    if rng.random() >= settings.affine_probability:
        return None
    dims, within_slices = len(patch), len(patch) == 2 or is_flat(patch)
    angles = np.radians(settings.rotation_degrees) * rng.uniform(-1, 1, 1 if within_slices else 3)
    spacing = np.diag(np.asarray(spacing_mm, dtype=float))
    scale = 1 + settings.scale * rng.uniform(-1, 1)
    matrix = np.eye(dims + 1)
    matrix[:dims, :dims] = np.linalg.inv(spacing) @ _rotation(angles)[-dims:, -dims:] @ spacing / scale
    matrix[:dims, dims] = settings.translation * np.array(patch) * rng.uniform(-1, 1, dims)
    if is_flat(patch):
        matrix[0, 0] = 1  # neither larger nor smaller across the slices
    return matrix


def _rotation(angles: np.ndarray) -> np.ndarray:
    """3x3 on (k, j, i): about k by the first angle, then about j and i by the others, if there are any."""
    planes = ((1, 2), (0, 2), (0, 1))
    matrix = np.eye(3)
    for plane, angle in zip(planes, angles):
        matrix = _plane_rotation(*plane, angle) @ matrix
    return matrix


def _plane_rotation(first: int, second: int, angle: float) -> np.ndarray:
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = math.cos(angle)
    matrix[first, second], matrix[second, first] = -math.sin(angle), math.sin(angle)
    return matrix


def margin_for(matrix: np.ndarray, patch: tuple[int, ...]) -> np.ndarray:
    """Voxels beyond each face of the patch that an affine change of it looks at, along each axis."""
    half = (np.array(patch) - 1) / 2
    corners = np.array(list(product((-1, 1), repeat=len(patch)))) * half
    reached = np.abs(corners @ matrix[:-1, :-1].T + matrix[:-1, -1]).max(axis=0)
    return np.maximum(0, np.ceil(reached - half)).astype(int)


def resample_affine(maps: torch.Tensor, matrix: np.ndarray, patch: tuple[int, ...], mode: str) -> torch.Tensor:
    """(N, *cut) float32 -> (N, *patch), 0 where there is nothing; before the change both have the same centre.

    With torch's function, as MONAI's `Affine` takes three times as long for a slice.
    """
    places = _places(matrix, patch, maps.shape[1:])
    return F.grid_sample(maps[None], places[None], mode=mode, padding_mode="zeros", align_corners=False)[0]


def _places(matrix: np.ndarray, patch: tuple[int, ...], cut: tuple[int, ...]) -> torch.Tensor:
    """(*patch, D): where to look, as `grid_sample` wants it: in halves of the cut, the last axis first.

    A sum of one term for each axis, which is quicker than torch's `affine_grid`, a matrix product at every voxel.
    """
    dims = len(patch)
    to_halves = 2 / np.array(cut)
    places = torch.empty(*patch, dims)
    for row in range(dims):
        coordinate = torch.full((1,) * dims, float(matrix[row, dims] * to_halves[row]))
        for axis, n in enumerate(patch):
            steps = (torch.arange(n) - (n - 1) / 2) * float(matrix[row, axis] * to_halves[row])
            coordinate = coordinate + steps.view([-1 if a == axis else 1 for a in range(dims)])
        places[..., dims - 1 - row] = coordinate
    return places


def _plain(image: torch.Tensor) -> torch.Tensor:
    """Without MONAI's metadata, which would slow down whatever follows."""
    return (image.as_tensor() if isinstance(image, MetaTensor) else image).float()
