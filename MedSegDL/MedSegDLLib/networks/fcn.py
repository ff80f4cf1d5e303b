"""Fully convolutional networks: VGG16 whose fully connected layers became convolutions, upsampled to every pixel.

Long et al. 2015, arXiv:1411.4038. The image is padded by 100 pixels, so that even one pixel gives the classifier its
7x7 window: VGG's five stages, then fc6 (7x7 convolution, 512 -> 4096 features) and fc7 (1x1), each with a ReLU and
dropout, then a 1x1 score for each class at 1/32 of the size. FCN-32s upsamples that in one step. FCN-16s doubles it,
adds a score of the fourth pooling and upsamples by 16; FCN-8s doubles that once more, adds a score of the third pooling
and upsamples by 8. Upsampling is a transposed convolution with a bilinear kernel, and the offsets at which maps are
cropped before they meet (5 and 9; 19, 27 and 31 at the end) put every pixel where its score belongs.

Checked against the authors' Caffe files (shelhamer/fcn.berkeleyvision.org): paddings, kernels, offsets and layers.
With three channels and 21 classes FCN-32s has 134,346,581 parameters to train. The scores of the poolings add 10,773
and 5,397, each doubling 7,056: 134,364,410 for FCN-16s and 134,376,863 for FCN-8s.

The paper learns the doublings from a bilinear start and fixes the last upsampling; so does this file, where the fixed
kernel is a constant and no parameter. The authors' files fix the doublings too (134,362,751 to train in FCN-8s, and
134,489,759 with every kernel counted). Scores start at zero, as published, and fc6 and fc7 as `vgg` does. ImageNet's
weights, from which the paper starts, load into `backbone`; `classifier` is numbered as torchvision's and takes those of
fc6 and fc7 as 7x7 and 1x1 kernels. The paper trains FCN-32s first and goes on from its weights to FCN-16s and FCN-8s:
names agree, so that `load_state_dict(weights, strict=False)` does this.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.init import zeros_

from .blocks import initialise_he
from .vgg import VGG

PADDING = 99
"""The first convolution pads by one pixel more."""
POOL_OFFSETS = (5, 9)
"""Where a doubled score begins in the maps of the fourth and third pooling."""
IMAGE_OFFSETS = {32: 19, 16: 27, 8: 31}
"""Where the image begins in the upsampled score, by the factor of the upsampling."""


class FCN32s(nn.Module):
    """FCN-32s: from the deepest score alone.

    Args:
        spatial_dims: 2.
        in_channels: channels of the image.
        out_channels: classes, background included.
        width: features of VGG's first stage.
        fc_features: features of fc6 and fc7.
        dropout: share of their features that is dropped in training.
    """

    stride = 32
    """Factor of the last upsampling."""

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        fc_features: int = 4096,
        dropout: float = 0.5,
    ):
        super().__init__()
        self.backbone = VGG(spatial_dims, in_channels, width=width)
        *_, third, fourth, fifth = self.backbone.widths
        self.classifier = nn.Sequential(
            nn.Conv2d(fifth, fc_features, 7),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Conv2d(fc_features, fc_features, 1),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
        )
        self.classifier.apply(initialise_he)
        self.score = _score(fc_features, out_channels)
        fused = {32: (), 16: (fourth,), 8: (fourth, third)}[self.stride]
        self.pool_scores = nn.ModuleList(_score(features, out_channels) for features in fused)
        self.doublings = nn.ModuleList(_learned_doubling(out_channels) for _ in fused)
        self.register_buffer("kernel", bilinear_kernel(self.stride)[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, K, H, W)."""
        maps = self.backbone(F.pad(x, (PADDING,) * 4), pooled=True)
        score = self.score(self.classifier(maps[4]))
        for double, pool_score, pool, offset in zip(self.doublings, self.pool_scores, (maps[3], maps[2]), POOL_OFFSETS):
            score = double(score)
            score = score + _crop(pool_score(pool), offset, score.shape[2:])
        kernels = self.kernel.expand(score.shape[1], -1, -1, -1)
        score = F.conv_transpose2d(score, kernels, stride=self.stride, groups=score.shape[1])
        return _crop(score, IMAGE_OFFSETS[self.stride], x.shape[2:])


class FCN16s(FCN32s):
    """FCN-32s with the score of the fourth pooling; the same arguments."""

    stride = 16


class FCN8s(FCN32s):
    """FCN-32s with the scores of the fourth and the third pooling; the same arguments."""

    stride = 8


def bilinear_kernel(factor: int) -> Tensor:
    """(2 * factor, 2 * factor): of a transposed convolution with stride `factor` that interpolates linearly."""
    distance = (torch.arange(2 * factor) - (factor - 0.5)).abs()
    taps = 1 - distance / factor
    return taps[:, None] * taps


def _score(features: int, out_channels: int) -> nn.Conv2d:
    layer = nn.Conv2d(features, out_channels, 1)
    zeros_(layer.weight)
    zeros_(layer.bias)
    return layer


def _learned_doubling(channels: int) -> nn.ConvTranspose2d:
    """Bilinear at the start: each class from itself; training may mix them."""
    layer = nn.ConvTranspose2d(channels, channels, 4, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(channels)[:, :, None, None] * bilinear_kernel(2))
    return layer


def _crop(x: Tensor, offset: int, spatial: tuple[int, ...]) -> Tensor:
    height, width = spatial
    return x[:, :, offset : offset + height, offset : offset + width]
