"""Pieces that several networks share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.init import kaiming_normal_, zeros_

# by the number of spatial dimensions
CONV = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED_CONV = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
INSTANCE_NORM = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
BATCH_NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
MAX_POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVERAGE_POOL = {2: nn.AvgPool2d, 3: nn.AvgPool3d}
ADAPTIVE_AVERAGE_POOL = {2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
LINEAR = {2: "bilinear", 3: "trilinear"}


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


class ConvBatchNormReLU(nn.Sequential):
    """Convolution, batch norm, ReLU. Padded to keep the size at stride 1, whatever the dilation.

    Without `act` the ReLU is left out, for what is added to something before it. The bias is off by default: the batch
    norm would take it away.
    """

    def __init__(
        self, spatial_dims, in_channels, out_channels, kernel=3, stride=1, dilation=1, groups=1, bias=False, act=True
    ):
        padding = tuple(dilation * (k // 2) for k in per_axis(kernel, spatial_dims))
        super().__init__(
            CONV[spatial_dims](in_channels, out_channels, kernel, stride, padding, dilation, groups, bias),
            BATCH_NORM[spatial_dims](out_channels),
            *([nn.ReLU(inplace=True)] if act else []),
        )


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Scaled dot-product attention, Vaswani et al. 2017, arXiv:1706.03762, in `heads` groups of the channels.

    (B, N, C), (B, M, C) and (B, M, C) -> (B, N, C), the heads side by side; what mixes them is the caller's.
    """
    query, key, value = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


def initialise_he(module: nn.Module) -> None:
    """He et al. 2015, arXiv:1502.01852, for the ReLU by fan-in; for `apply`. Only of convolutions, biases at 0."""
    if isinstance(module, (*CONV.values(), *TRANSPOSED_CONV.values())):
        kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            zeros_(module.bias)


def parameter_count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def resize(x: Tensor, spatial: tuple[int, ...]) -> Tensor:
    """(B, C, *any) -> (B, C, *spatial), linearly, voxel centres staying where they are (`align_corners=False`)."""
    return x if x.shape[2:] == torch.Size(spatial) else F.interpolate(x, tuple(spatial), mode=LINEAR[x.ndim - 2])


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
