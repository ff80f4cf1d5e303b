"""DoubleU-Net: a first U-Net finds a mask, a second one looks again at the image times that mask.

Jha et al. 2020, arXiv:2006.04868. The first encoder is VGG19 (Simonyan & Zisserman 2015, arXiv:1409.1556), so far that
the ImageNet weights fit; behind each encoder is an atrous spatial pyramid (Chen et al. 2017, arXiv:1706.05587) of 64
features; a stage of a decoder doubles the size linearly, takes in the skip connections, convolves twice with batch norm
and ReLU, and weighs its channels by squeeze-and-excitation (Hu et al. 2018, arXiv:1709.01507). Features, for an image
of H x W:

    first    encoder 64, 128, 256, 512 (skips) and 512 at H/16; pyramid 64; decoder 256, 128, 64, 32; mask 1
    second   encoder 32, 64, 128, 256 (skips), pooled to H/16; pyramid 64; decoder 256, 128, 64, 32, which takes in the
             skips of both encoders; mask 2

Checked against the authors' PyTorch code (DebeshJha/2020-CBMS-DoubleU-Net), three channels and one class: 29,288,886
parameters, of which VGG19 20,024,384, pyramids 971,520 and 496,384, first decoder 2,908,828, second encoder 1,195,516,
second decoder 3,692,188, heads 33 each.

The paper segments one class, and multiplies by the sigmoid of its logit. For K classes, background first, it is here
the probability of all but the background, 1 - softmax_0, which for K = 2 is the sigmoid of the difference of the two
logits. The paper lays both masks side by side for its output and trains both alike. Here the second is the result, and
`deep_supervision` trains the first beside it.

Where the authors' Keras and PyTorch codes differ, biases are as in PyTorch (the squeeze-and-excitation has them, the
convolutions have none). As in Keras, maps are enlarged with the voxel centres in their places, not the corners, and the
atrous pyramid averages the whole map to one voxel, not to 2x2. VGG19 starts as `vgg` says, the rest as torch makes it,
as in the PyTorch code; the paper says nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, cat, nn

from .attention import SqueezeExcitation
from .blocks import CONV, MAX_POOL, crop_to, pad_to_multiple, resize
from .pyramid import ASPP
from .u_shape import DoubleConv
from .vgg import VGG


class Stage(nn.Module):
    """Two convolutions, whose channels are then weighed by squeeze-and-excitation."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.convs = DoubleConv(2, in_channels, out_channels, batch_norm=True, bias=False)
        # an eighth; 4 is what it is for the paper's narrowest stage
        self.excitation = SqueezeExcitation(2, out_channels, max(out_channels // 8, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.convs(x)
        return x * self.excitation(x)


class Encoder(nn.Module):
    """The second encoder: a stage and a max pooling, four times."""

    def __init__(self, in_channels: int, features: Sequence[int]):
        super().__init__()
        self.stages = nn.ModuleList(Stage(before, after) for before, after in pairwise((in_channels, *features)))
        self.pool = MAX_POOL[2](2)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The feature map of each stage, shallow to deep, and what is left of the last behind the pooling."""
        maps = []
        for stage in self.stages:
            maps.append(stage(x))
            x = self.pool(maps[-1])
        return [*maps, x]


class Decoder(nn.Module):
    """From the pyramid back to the input's size. Features and skips are ordered from shallow to deep."""

    def __init__(self, in_channels: int, skip_channels: Sequence[int], features: Sequence[int]):
        super().__init__()
        incoming = (*features[1:], in_channels)
        self.stages = nn.ModuleList(map(Stage, (sum(pair) for pair in zip(incoming, skip_channels)), features))

    def forward(self, x: Tensor, skips: Sequence[Tensor]) -> Tensor:
        for stage, skip in zip(reversed(self.stages), reversed(skips), strict=True):
            x = stage(cat((resize(x, skip.shape[2:]), skip), dim=1))
        return x


class DoubleUNet(nn.Module):
    """DoubleU-Net; training takes batches of two or more (see `pyramid`).

    `backbone` is the first encoder, for the weights of an ImageNet VGG19.

    Args:
        spatial_dims: 2.
        in_channels: channels of the image.
        out_channels: classes, background included; 1 for the paper's single logit.
        width: features of VGG's first stage; all others follow from it.
        deep_supervision: in training, return the logits of both networks, the second's first.
    """

    loss_weights = (1.0, 1.0)

    def __init__(
        self, spatial_dims: int, in_channels: int, out_channels: int, width: int = 64, deep_supervision: bool = False
    ):
        super().__init__()
        self.deep_supervision = deep_supervision
        features = (width // 2, width, 2 * width, 4 * width)
        self.backbone = VGG(spatial_dims, in_channels, depth=19, width=width)
        *skips, deepest = self.backbone.widths
        self.pyramid1 = _pyramid(deepest, width)
        self.decoder1 = Decoder(width, skips, features)
        self.head1 = CONV[spatial_dims](features[0], out_channels, 1)

        self.encoder2 = Encoder(in_channels, features)
        self.pyramid2 = _pyramid(features[-1], width)
        self.decoder2 = Decoder(width, [sum(pair) for pair in zip(skips, features)], features)
        self.head2 = CONV[spatial_dims](features[0], out_channels, 1)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """(B, C, H, W) -> (B, K, H, W); in training with deep supervision a list, the second network's first."""
        image = pad_to_multiple(x, (16, 16))
        *skips, deepest = self.backbone(image)
        first = self.head1(self.decoder1(self.pyramid1(deepest), skips))
        *own_skips, deepest = self.encoder2(image * foreground(first))
        both = [cat(pair, dim=1) for pair in zip(skips, own_skips, strict=True)]
        second = self.head2(self.decoder2(self.pyramid2(deepest), both))
        first, second = crop_to(first, x.shape[2:]), crop_to(second, x.shape[2:])
        return [second, first] if self.deep_supervision and self.training else second


def foreground(logits: Tensor) -> Tensor:
    """The probability of any class but the background: (B, K, H, W) -> (B, 1, H, W)."""
    if logits.shape[1] == 1:
        return torch.sigmoid(logits)
    return logits.softmax(dim=1)[:, 1:].sum(dim=1, keepdim=True)


def _pyramid(in_channels: int, out_channels: int) -> ASPP:
    return ASPP(2, in_channels, out_channels, rates=(6, 12, 18), dropout=0.0)
