"""The second stage of Mask R-CNN: class, box and mask of each proposal, in two and three dimensions.

He et al. 2017, arXiv:1703.06870, figure 4, right: 7x7 bins go through two fully connected layers of 1024 to classes and
boxes (a box for each class), 14x14 bins through four 3x3 convolutions and a transposed one, which doubles them, to a
mask for each class. In three dimensions 7x7x7 and 14x14x14.

Losses and weights of the offsets (10 for the centre, 5 for the lengths) are torchvision's, which follows Girshick 2015,
arXiv:1504.08083, and Detectron. Initialised as in Detectron: hidden layers of the box head uniform with variance
1 / inputs, its outputs normal with deviations 0.01 (classes) and 0.001 (boxes); the mask head He's normal over the
outputs, its last layer normal with deviation 0.001; biases 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.init import kaiming_normal_, kaiming_uniform_, normal_, zeros_

from .blocks import CONV, TRANSPOSED_CONV
from .boxes import encode
from .roi_align import roi_align

WEIGHTS = (10.0, 5.0)
"""Of the box head's offsets, see `encode`."""


class BoxHead(nn.Module):
    """(N, in_channels, *size) -> logits (N, classes) and offsets (N, classes, 2 * dims).

    Args:
        in_channels: of the pyramid.
        size: bins along each axis.
        classes: background included.
        features: of its two hidden layers.
    """

    def __init__(self, in_channels: int, size: Sequence[int], classes: int, features: int = 1024):
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Flatten(),
            nn.Linear(in_channels * prod(size), features),
            nn.ReLU(inplace=True),
            nn.Linear(features, features),
            nn.ReLU(inplace=True),
        )
        self.classes = nn.Linear(features, classes)
        self.offsets = nn.Linear(features, classes * 2 * len(size))
        for layer in self.hidden[1::2]:
            kaiming_uniform_(layer.weight, a=1)
            zeros_(layer.bias)
        for layer, deviation in ((self.classes, 0.01), (self.offsets, 0.001)):
            normal_(layer.weight, std=deviation)
            zeros_(layer.bias)

    def forward(self, bins: Tensor) -> tuple[Tensor, Tensor]:
        x = self.hidden(bins)
        return self.classes(x).float(), self.offsets(x).float().unflatten(1, (self.classes.out_features, -1))


class MaskHead(nn.Module):
    """(N, features, *size) -> logits (N, classes, *2 * size).

    Args:
        spatial_dims: 2 or 3.
        features: of the pyramid and of its own layers.
        classes: background included, which stays unused, so that a class is its own index.
    """

    def __init__(self, spatial_dims: int, features: int, classes: int):
        super().__init__()
        conv = CONV[spatial_dims]
        self.convs = nn.ModuleList(conv(features, features, 3, padding=1) for _ in range(4))
        self.up = TRANSPOSED_CONV[spatial_dims](features, features, 2, 2)
        self.masks = conv(features, classes, 1)
        for layer in (*self.convs, self.up):
            kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            zeros_(layer.bias)
        normal_(self.masks.weight, std=0.001)
        zeros_(self.masks.bias)

    def forward(self, bins: Tensor) -> Tensor:
        for conv in self.convs:
            bins = F.relu(conv(bins))
        return self.masks(F.relu(self.up(bins))).float()


def box_losses(
    logits: Tensor, offsets: Tensor, proposals: Tensor, classes: Tensor, boxes: Tensor
) -> tuple[Tensor, Tensor]:
    """Of the classes and of the boxes, over the sampled proposals of all images.

    Args:
        logits: (N, classes).
        offsets: (N, classes, 2 * dims).
        proposals: (N, 2 * dims).
        classes: (N,), the true ones.
        boxes: (P, 2 * dims), the true ones of those proposals whose class is not 0.
    """
    positive = classes.nonzero().squeeze(1)
    targets = encode(boxes, proposals[positive], WEIGHTS)
    count = max(len(classes), 1)
    misplaced = F.smooth_l1_loss(offsets[positive, classes[positive]], targets, beta=1 / 9, reduction="sum")
    return F.cross_entropy(logits, classes, reduction="sum") / count, misplaced / count


def mask_targets(masks: Tensor, boxes: Tensor, chosen: Tensor, size: Sequence[int]) -> Tensor:
    """What of a mask lies in each box, drawn in it at that size: (N, *size), 0 or 1.

    Args:
        masks: (M, *spatial), bool.
        boxes: (N, 2 * dims).
        chosen: (N,), the mask of each box.
        size: of what is drawn.
    """
    return (roi_align(masks[:, None].float(), boxes, chosen, size)[:, 0] >= 0.5).float()


def mask_loss(logits: Tensor, classes: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of the true classes' masks; the other classes are not asked. 0 where there are none."""
    own = logits[torch.arange(len(classes), device=classes.device), classes]
    return F.binary_cross_entropy_with_logits(own, targets, reduction="sum") / max(targets.numel(), 1)
