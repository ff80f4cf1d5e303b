"""Attention by small gates: over the channels, and over the places of a feature map.

Woo et al. 2018, arXiv:1807.06521 (CBAM, the two in turn); Hu et al. 2018, arXiv:1709.01507 (squeeze-and-excitation, the
older gate over the channels). Each module gives its map, every value between 0 and 1, and leaves the multiplication to
its caller; so a forward hook on a `ChannelAttention` or a `SpatialAttention` reads the map of any network they are in.

Checked against the paper's formulas: CBAM over C channels with reduction r has 2 C^2 / r + 2 * 7^n parameters in n
dimensions, which is 8,290 for C = 256, r = 16 in 2D.

The formulas have no biases, and so has this file. The authors' code (Jongchan/attention-module) adds biases to the
perceptron, C / r + C, and a batch norm of two parameters to the spatial convolution. In 3D the 7 x 7 kernel becomes
7 x 7 x 7.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .blocks import CONV


class ChannelAttention(nn.Module):
    """CBAM's gate over the channels: sigmoid(MLP(mean over the places) + MLP(maximum over the places)), one MLP.

    (B, channels, *spatial) -> (B, channels, 1, ...).

    Args:
        spatial_dims: 2 or 3.
        channels: of the feature map.
        reduction: how many times narrower the MLP's hidden layer is.
    """

    def __init__(self, spatial_dims: int, channels: int, reduction: int = 16):
        super().__init__()
        self.mlp = _bottleneck(spatial_dims, channels, max(channels // reduction, 1), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.mlp(_mean(x)) + self.mlp(x.amax(_places(x), keepdim=True)))


class SpatialAttention(nn.Module):
    """CBAM's gate over the places: sigmoid(convolution of the mean and the maximum over the channels).

    (B, any, *spatial) -> (B, 1, *spatial).

    Args:
        spatial_dims: 2 or 3.
        kernel: of the convolution, odd.
    """

    def __init__(self, spatial_dims: int, kernel: int = 7):
        super().__init__()
        self.conv = CONV[spatial_dims](2, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.conv(torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), dim=1)))


class CBAM(nn.Module):
    """A feature map times its attention, over the channels first, then over the places. Keeps the shape.

    Args:
        spatial_dims: 2 or 3.
        channels: of the feature map.
        reduction: how many times narrower the hidden layer of the channel attention is.
        kernel: of the spatial attention.
    """

    def __init__(self, spatial_dims: int, channels: int, reduction: int = 16, kernel: int = 7):
        super().__init__()
        self.channel = ChannelAttention(spatial_dims, channels, reduction)
        self.spatial = SpatialAttention(spatial_dims, kernel)

    def forward(self, x: Tensor) -> Tensor:
        x = x * self.channel(x)
        return x * self.spatial(x)


class SqueezeExcitation(nn.Module):
    """Hu's gate over the channels: sigmoid(MLP(mean over the places)), with biases.

    (B, channels, *spatial) -> (B, channels, 1, ...).

    Args:
        spatial_dims: 2 or 3.
        channels: of the feature map.
        hidden: width of the MLP's hidden layer.
    """

    def __init__(self, spatial_dims: int, channels: int, hidden: int):
        super().__init__()
        self.mlp = _bottleneck(spatial_dims, channels, hidden, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.mlp(_mean(x)))


def _bottleneck(spatial_dims: int, channels: int, hidden: int, bias: bool) -> nn.Sequential:
    """The MLP of one hidden layer, as convolutions over the single place that pooling leaves."""
    conv = CONV[spatial_dims]
    return nn.Sequential(
        conv(channels, hidden, 1, bias=bias), nn.ReLU(inplace=True), conv(hidden, channels, 1, bias=bias)
    )


def _places(x: Tensor) -> tuple[int, ...]:
    return tuple(range(2, x.ndim))


def _mean(x: Tensor) -> Tensor:
    return x.mean(_places(x), keepdim=True)
