"""Pieces that several networks share."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED_CONV = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
INSTANCE_NORM = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
AVERAGE_POOL = {2: nn.AvgPool2d, 3: nn.AvgPool3d}


def per_axis(value: int | tuple[int, ...], spatial_dims: int) -> tuple[int, ...]:
    """One number for all axes, or one each."""
    return (value,) * spatial_dims if isinstance(value, int) else tuple(value)


class ConvNormAct(nn.Sequential):
    """Convolution (with bias), instance norm, leaky ReLU: nnU-Net's unit. Padded to keep the size at stride 1."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, kernel=3, stride=1, act: bool = True):
        kernel = per_axis(kernel, spatial_dims)
        super().__init__(
            CONV[spatial_dims](in_channels, out_channels, kernel, stride, padding=tuple(k // 2 for k in kernel)),
            INSTANCE_NORM[spatial_dims](out_channels, affine=True),
            *([nn.LeakyReLU(0.01, inplace=True)] if act else []),
        )


def pad_to_multiple(x: Tensor, multiple: tuple[int, ...]) -> Tensor:
    """Pad the spatial axes of (B, C, *spatial) with zeros at their ends to multiples, and to two of them at least.

    Two, because an instance norm over a single voxel at the bottom of a network is not defined.
    """
    padding = []
    for size, m in zip(reversed(x.shape[2:]), reversed(multiple)):
        wanted = max(-(-size // m), 2) * m if m > 1 else size
        padding += [0, wanted - size]
    return F.pad(x, padding) if any(padding) else x


def crop_to(x: Tensor, spatial: tuple[int, ...]) -> Tensor:
    """The first `spatial` voxels of each axis of (B, C, *spatial)."""
    for axis, size in enumerate(spatial, start=2):
        if x.shape[axis] != size:
            x = x.narrow(axis, 0, size)
    return x
