"""Feature pyramid over a backbone, Lin et al. 2017, arXiv:1612.03144, in two and three dimensions.

The backbone's feature maps C2 to C5, of strides 4 to 32, are projected to one width. From the coarsest on each is
doubled in size (nearest neighbour) and added to the next finer one, and a 3x3 convolution of each sum gives P2 to P5.
P6, every second cell of P5, is there for the largest anchors only.

Neither norms nor activations. Initialised as in the authors' Detectron and in torchvision: uniform with variance
1 / inputs, biases 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.init import kaiming_uniform_, zeros_

from .blocks import CONV

STRIDES = (4, 8, 16, 32, 64)
"""Of P2 to P6."""


class FeaturePyramid(nn.Module):
    """C2 ... C5 -> P2 ... P6.

    Args:
        spatial_dims: 2 or 3.
        in_channels: of each of the backbone's feature maps, fine to coarse.
        features: channels of each level of the pyramid.
    """

    def __init__(self, spatial_dims: int, in_channels: Sequence[int], features: int = 256):
        super().__init__()
        conv = CONV[spatial_dims]
        self.lateral = nn.ModuleList(conv(channels, features, 1) for channels in in_channels)
        self.output = nn.ModuleList(conv(features, features, 3, padding=1) for _ in in_channels)
        for layer in (*self.lateral, *self.output):
            kaiming_uniform_(layer.weight, a=1)
            zeros_(layer.bias)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Fine to coarse, and one more than was given."""
        levels, coarser = [], None
        for x, lateral, output in zip(reversed(maps), reversed(self.lateral), reversed(self.output)):
            summed = lateral(x)
            if coarser is not None:
                summed = summed + F.interpolate(coarser, summed.shape[2:], mode="nearest")
            levels.insert(0, output(summed))
            coarser = summed
        every_second = (slice(None), slice(None), *(slice(None, None, 2) for _ in range(levels[-1].ndim - 2)))
        return [*levels, levels[-1][every_second]]
