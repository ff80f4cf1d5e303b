"""What the U-Nets share: two paths with skip connections between them, and the mirrored tile of the valid form.

Ronneberger et al. 2015, arXiv:1505.04597, section 2 and figure 2. On its way down a level convolves twice, 3x3, and a
2x2 max pooling halves the size between levels; on its way up a level doubles the size, concatenates the feature map
that the way down had at that size, and convolves twice again.

The convolutions are padded, or valid as published. Padded, the image is filled up to a multiple of m = 2^(levels - 1).
Valid, each convolution loses a voxel at either side. From b voxels at the bottom follow m (b + 8) - 4 voxels at the
input and m b - 4 (m - 1) at the output; the input is larger by 6 m - 4 at either side, its context, which is mirrored
where the image ends. With five levels b = 28 gives 572 -> 388, with four b = 9 and 7 give 132 -> 44 and 116 -> 28.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, cat, nn

from .blocks import BATCH_NORM, CONV, MAX_POOL, crop_to, pad_to_multiple


class DoubleConv(nn.Sequential):
    """Two 3x3 convolutions, each with a ReLU: (B, in_channels, ...) -> (B, out_channels, ...).

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels that come in.
        out_channels: channels that go out.
        middle: channels between the two; as many as go out by default.
        batch_norm: before each ReLU.
        bias: of the convolutions.
        padded: keep the size; else lose two voxels at either side.
        dropout: after each ReLU.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        middle: int | None = None,
        batch_norm: bool = False,
        bias: bool = True,
        padded: bool = True,
        dropout: float = 0.0,
    ):
        layers = []
        for before, after in pairwise((in_channels, middle or out_channels, out_channels)):
            layers.append(CONV[spatial_dims](before, after, 3, padding=int(padded), bias=bias))
            if batch_norm:
                layers.append(BATCH_NORM[spatial_dims](after))
            layers.append(nn.ReLU(inplace=True))
            if dropout:
                layers.append(nn.Dropout(dropout))
        super().__init__(*layers)


class UShape(nn.Module):
    """The two paths, whatever their levels are made of. All lists are ordered from the finest level to the coarsest.

    Args:
        spatial_dims: 2 or 3.
        encoder: the convolutions of each level on the way down; the last is the bottom.
        ups: what doubles the size towards each level but the bottom.
        decoder: the convolutions of each level on the way up, of what came up and the skip connection, in this order.
        head: from the finest level to the classes.
        padded: whether the convolutions keep the size.
    """

    def __init__(
        self,
        spatial_dims: int,
        encoder: Sequence[nn.Module],
        ups: Sequence[nn.Module],
        decoder: Sequence[nn.Module],
        head: nn.Module,
        padded: bool = True,
    ):
        super().__init__()
        self.padded = padded
        self.multiple = (2 ** (len(encoder) - 1),) * spatial_dims
        self.pool = MAX_POOL[spatial_dims](2)
        self.encoder, self.ups, self.decoder = map(nn.ModuleList, (encoder, ups, decoder))
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *spatial) -> (B, K, *spatial)."""
        tile = pad_to_multiple(x, self.multiple) if self.padded else _with_context(x, self.multiple)
        return crop_to(self.tile_logits(tile), x.shape[2:])

    def tile_logits(self, x: Tensor) -> Tensor:
        """The network as published, without what `forward` adds around the image.

        Padded, (B, C, *spatial) -> (B, K, *spatial) with sizes that are multiples of m, else valid, from m (b + 8) - 4
        to m b - 4 (m - 1) for any b of 1 or more.

        Raises:
            ValueError: a size that does not halve evenly on its way down.
        """
        return self.head(self.decode(self.encode(x)))

    def encode(self, x: Tensor) -> list[Tensor]:
        """The feature map of each level, finest first."""
        maps = []
        for level, convs in enumerate(self.encoder):
            x = convs(self.pool(x) if level else x)
            maps.append(x)
        return maps

    def decode(self, maps: list[Tensor]) -> Tensor:
        """From these back to the finest level."""
        x = maps[-1]
        for level in reversed(range(len(self.ups))):
            x = self.ups[level](x)
            x = self.decoder[level](cat((x, centre_crop(maps[level], x.shape[2:])), dim=1))
        return x


def centre_crop(x: Tensor, spatial: Sequence[int]) -> Tensor:
    """The middle of (B, C, *any); a ValueError where there is none, because an odd number of voxels is too many."""
    for axis, size in enumerate(spatial, start=2):
        surplus = x.shape[axis] - size
        if surplus % 2:
            raise ValueError(f"a tile must halve evenly at each level, {x.shape[axis]} voxels at one do not")
        if surplus:
            x = x.narrow(axis, surplus // 2, size)
    return x


def mirror(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    """Continue an axis on both sides by reflection at its first and last voxel, which are not repeated.

    As often as it takes: `torch.nn.functional.pad` cannot continue an axis by more than its own length.
    """
    size = x.shape[axis]
    period = max(2 * (size - 1), 1)
    index = torch.arange(-before, size + after, device=x.device).remainder(period)
    return x.index_select(axis, torch.minimum(index, period - index))


def _with_context(x: Tensor, multiple: Sequence[int]) -> Tensor:
    """The smallest tile whose valid output begins with the image's first voxel and reaches its last."""
    for axis, m in enumerate(multiple, start=2):
        context = 6 * m - 4
        x = mirror(x, axis, context, context + (4 - x.shape[axis]) % m)
    return x
