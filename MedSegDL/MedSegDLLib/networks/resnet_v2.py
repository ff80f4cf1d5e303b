"""The residual network in front of a hybrid vision transformer, in two dimensions: the backbone of TransUNet.

Dosovitskiy et al. 2021, arXiv:2010.11929, section 4.1: ResNet-50 with group norm for batch norm and weight-standardised
convolutions (Qiao et al. 2019, arXiv:1903.10520), and without its last stage, whose blocks join the third: 3, 4 and 9
bottlenecks. For an input of N voxels along an axis, a multiple of 16, its maps have N/2, N/4, N/8 and N/16 voxels and
64, 256, 512 and 1024 channels.

As in the implementation of TransUNet's authors (Chen et al. 2021, arXiv:2102.04306), and unlike what "V2" promises, a
block is not pre-activated: each norm follows its convolution, and the last ReLU the sum. The norm of a projected
shortcut has one group a channel. The max pooling is not padded, so that the first stage works on N/4 - 1 voxels; its
map is given with a zero at the end of each axis.

The names in the state dict are theirs, so that `backbone.load_backbone` can load the entries
`transformer.embeddings.hybrid_model.*` of a checkpoint of their TransUNet, that prefix taken away. What they start from
themselves, Google's R50+ViT-B_16.npz, does not fit as it is: its names differ, and its kernels are (height, width, in,
out).

Checked against the authors' implementation, three input channels: 11,894,848 parameters, and the same maps from the
same weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class StandardisedConv2d(nn.Conv2d):
    """A convolution whose every filter is brought to mean 0 and variance 1 before it is applied."""

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), correction=0, keepdim=True)
        return self._conv_forward(x, (self.weight - mean) * (variance + 1e-5).rsqrt(), self.bias)


class GroupNorm(nn.GroupNorm):
    """A group norm over (B, C, H, W), laid out as one axis of voxels while it is normalised.

    The result is the same. But OpenVINO 2026.4 dies on compiling two residual blocks in single precision if the norm's
    own output goes into the sum; a change of shape between the two keeps it from fusing them.
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(2)).unflatten(2, x.shape[2:])


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 beside a shortcut: (B, in_channels, H, W) -> (B, 4 * width, H / stride, W / stride)."""

    def __init__(self, in_channels: int, width: int, stride: int = 1):
        super().__init__()
        out_channels = 4 * width
        self.conv1 = StandardisedConv2d(in_channels, width, 1, bias=False)
        self.gn1 = _group_norm(width)
        self.conv2 = StandardisedConv2d(width, width, 3, stride, padding=1, bias=False)
        self.gn2 = _group_norm(width)
        self.conv3 = StandardisedConv2d(width, out_channels, 1, bias=False)
        self.gn3 = _group_norm(out_channels)
        self.projects = stride != 1 or in_channels != out_channels
        if self.projects:
            self.downsample = StandardisedConv2d(in_channels, out_channels, 1, stride, bias=False)
            self.gn_proj = GroupNorm(out_channels, out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.gn_proj(self.downsample(x)) if self.projects else x
        y = self.relu(self.gn1(self.conv1(x)))
        y = self.relu(self.gn2(self.conv2(y)))
        return self.relu(self.gn3(self.conv3(y)) + shortcut)


class ResNetV2(nn.Module):
    """The three stages. All layers start as torch starts them, as in the authors' implementation.

    Args:
        in_channels: channels of the image.
        blocks: bottlenecks in each stage.
        width: channels of the first convolution; the others follow from it. A norm has 32 groups, or as many as it
            has channels if those are fewer.

    Attributes:
        channels: of the feature maps that `forward` gives.
    """

    def __init__(self, in_channels: int, blocks: Sequence[int] = (3, 4, 9), width: int = 64):
        super().__init__()
        self.channels = (width, *(4 * width * 2**stage for stage in range(len(blocks))))
        self.root = nn.Sequential()
        self.root.add_module("conv", StandardisedConv2d(in_channels, width, 7, stride=2, padding=3, bias=False))
        self.root.add_module("gn", _group_norm(width))
        self.root.add_module("relu", nn.ReLU(inplace=True))
        self.pool = nn.MaxPool2d(3, stride=2)
        self.body = nn.Sequential()
        for stage, number in enumerate(blocks):
            units = nn.Sequential()
            for n in range(number):
                strided = stage > 0 and n == 0
                unit = Bottleneck(self.channels[stage + min(n, 1)], width * 2**stage, stride=2 if strided else 1)
                units.add_module(f"unit{n + 1}", unit)
            self.body.add_module(f"block{stage + 1}", units)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, C, H, W), multiples of 16 -> feature maps, fine to coarse: the stem's, then each stage's."""
        maps = [self.root(x)]
        x = self.pool(maps[0])
        for stage in self.body:
            x = stage(x)
            maps.append(x)
        maps[1] = F.pad(maps[1], (0, 1, 0, 1))
        return maps


def _group_norm(channels: int) -> GroupNorm:
    return GroupNorm(min(32, channels), channels, eps=1e-6)
