"""Context at several scales at once: what DeepLab and PSPNet put behind a dilated backbone.

Atrous spatial pyramid pooling: Chen et al. 2017, arXiv:1706.05587, section 3.3. Pyramid pooling: Zhao et al. 2017,
arXiv:1612.01105, section 3.2. Both keep the size of the feature map. Both average the whole map to a single voxel and
norm that over the batch, so in training they need two images or more.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, cat, nn

from .blocks import ADAPTIVE_AVERAGE_POOL, CONV, ConvBatchNormReLU, resize


class SeparableConv(nn.Sequential):
    """A 3x3 convolution of each channel by itself, a 1x1 convolution across them, batch norm, ReLU."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, dilation: int = 1):
        depthwise = CONV[spatial_dims](
            in_channels, in_channels, 3, padding=dilation, dilation=dilation, groups=in_channels, bias=False
        )
        super().__init__(depthwise, ConvBatchNormReLU(spatial_dims, in_channels, out_channels, 1))


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: (B, in_channels, *spatial) -> (B, features, *spatial).

    Side by side: a 1x1 convolution, a 3x3 convolution at each rate and the average of the whole map; then a 1x1
    convolution over all of them, and dropout.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the feature map.
        features: channels of each branch, and of the result.
        rates: dilation of each 3x3 convolution.
        separable: these convolutions are depthwise separable, as in DeepLabV3+.
        dropout: behind the last convolution.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        features: int = 256,
        rates: Sequence[int] = (12, 24, 36),
        separable: bool = False,
        dropout: float = 0.5,
    ):
        super().__init__()
        conv = SeparableConv if separable else ConvBatchNormReLU
        self.point = ConvBatchNormReLU(spatial_dims, in_channels, features, 1)
        self.dilated = nn.ModuleList(conv(spatial_dims, in_channels, features, dilation=rate) for rate in rates)
        self.image = _pooled(spatial_dims, in_channels, features, 1)
        self.project = nn.Sequential(
            ConvBatchNormReLU(spatial_dims, (len(rates) + 2) * features, features, 1), nn.Dropout(dropout)
        )

    def forward(self, x: Tensor) -> Tensor:
        branches = (self.point(x), *(conv(x) for conv in self.dilated), resize(self.image(x), x.shape[2:]))
        return self.project(cat(branches, dim=1))


class PyramidPooling(nn.Module):
    """Pyramid pooling: (B, C, *spatial) -> (B, C + n * (C // n), *spatial) with n `bins`; twice the channels, if n
    divides them.

    For each number of bins the map is averaged over a grid of that many regions along each axis, reduced by a 1x1
    convolution, enlarged again and laid beside the map itself.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the feature map.
        bins: regions along an axis, for each level of the pyramid.
    """

    def __init__(self, spatial_dims: int, in_channels: int, bins: Sequence[int] = (1, 2, 3, 6)):
        super().__init__()
        reduced = in_channels // len(bins)
        self.levels = nn.ModuleList(_pooled(spatial_dims, in_channels, reduced, n) for n in bins)
        self.out_channels = in_channels + len(bins) * reduced

    def forward(self, x: Tensor) -> Tensor:
        return cat((x, *(resize(level(x), x.shape[2:]) for level in self.levels)), dim=1)


def _pooled(spatial_dims: int, in_channels: int, out_channels: int, bins: int) -> nn.Sequential:
    return nn.Sequential(
        ADAPTIVE_AVERAGE_POOL[spatial_dims](bins), ConvBatchNormReLU(spatial_dims, in_channels, out_channels, 1)
    )
