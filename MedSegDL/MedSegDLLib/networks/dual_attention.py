"""A residual encoder-decoder with dual attention, whose decoder depths are fused as a gated pyramid.

"Optimization of deep learning-based medical image segmentation algorithms" names the parts of its network and how many
parameters the whole has, 13.7 million. It gives no table of layers and no widths, and no code of it is known, so this
is no reproduction. Every part that the text names is here; how each is built was chosen, after the paper that the part
comes from:

- residual encoder-decoder: basic blocks of two 3x3 convolutions with batch norm and a shortcut (He et al. 2016,
  arXiv:1512.03385); two blocks in each of five encoder stages, one in each of four decoder stages; skips concatenated
  as in U-Net (arXiv:1505.04597); a stage strides by 2 in its first block.
- attention over the channels, from average and maximum pooling, and over the places: CBAM (Woo et al. 2018,
  arXiv:1807.06521) in every block of both paths, on the residual branch before the shortcut is added, as its authors
  place it.
- dense paths between levels: a decoder stage takes in, beside its skip, the feature maps of all deeper levels and not
  only of the next (the concatenation of Huang et al. 2017, arXiv:1608.06993, from level to level). Each comes in half
  as wide as the skip, which brings the whole to the paper's size at round widths.
- feature-pyramid fusion of all decoder depths: lateral 1x1 convolutions to one width, summed from the deepest to the
  finest, each sum smoothed by a 3x3 convolution (Lin et al. 2017, arXiv:1612.03144); all of them at full size, side
  by side.
- a gate per scale: one number between 0 and 1 for each place of each scale, a sigmoid of a 1x1 convolution, on what the
  scale brings into the pyramid. A sigmoid and not a softmax over the scales, so that a scale can be shut out, or all
  let in, without regard to the others.
- a light recalibration across scales: squeeze-and-excitation (Hu et al. 2018, arXiv:1709.01507) over the channels of
  all scales side by side, so that the weight of one scale's channel depends on all scales.

For an image (B, C, H, W): encoder (B, 32, H, W), (B, 64, H/2, W/2) ... (B, 512, H/16, W/16); decoder the same sizes
back; pyramid 5 x 32 channels at (H, W); fused to 32; logits (B, K, H, W).

Checked against the paper's 13.7 million: as built by default, for one channel and two classes, the 2D network has
13,796,397 parameters, 0.7 % more. The 3D network has cubes for kernels and 40,144,533.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, cat, nn
from torch.nn.init import kaiming_normal_

from .attention import CBAM, SqueezeExcitation
from .blocks import CONV, ConvBatchNormReLU, crop_to, pad_to_multiple, resize


class AttentionBlock(nn.Module):
    """Two convolutions and CBAM on what they give, beside a shortcut, projected where size or width changes.

    (B, in_channels, *spatial) -> (B, out_channels, *spatial / stride).
    """

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, stride: int = 1, reduction: int = 16):
        super().__init__()
        self.convs = nn.Sequential(
            ConvBatchNormReLU(spatial_dims, in_channels, out_channels, stride=stride),
            ConvBatchNormReLU(spatial_dims, out_channels, out_channels, act=False),
        )
        self.attention = CBAM(spatial_dims, out_channels, reduction)
        self.shortcut = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            self.shortcut = ConvBatchNormReLU(spatial_dims, in_channels, out_channels, 1, stride, act=False)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.attention(self.convs(x)) + self.shortcut(x))


class DensePaths(nn.Module):
    """The feature maps of all deeper levels, each projected to one width and enlarged to this level's size."""

    def __init__(self, spatial_dims: int, deeper_channels: Sequence[int], out_channels: int):
        super().__init__()
        self.projections = nn.ModuleList(
            ConvBatchNormReLU(spatial_dims, channels, out_channels, 1) for channels in deeper_channels
        )

    def forward(self, deeper: list[Tensor], spatial: tuple[int, ...]) -> list[Tensor]:
        return [resize(projection(x), spatial) for projection, x in zip(self.projections, deeper, strict=True)]


class DecoderStage(nn.Module):
    """A block over the encoder's skip and the dense paths from below."""

    def __init__(self, spatial_dims: int, channels: int, deeper_channels: Sequence[int], reduction: int):
        super().__init__()
        path = max(channels // 2, 1)
        self.paths = DensePaths(spatial_dims, deeper_channels, path)
        self.block = AttentionBlock(spatial_dims, channels + len(deeper_channels) * path, channels, reduction=reduction)

    def forward(self, skip: Tensor, deeper: list[Tensor]) -> Tensor:
        return self.block(cat((skip, *self.paths(deeper, skip.shape[2:])), dim=1))


class GatedPyramid(nn.Module):
    """Feature maps of all depths, gated, summed from the deepest up, and laid side by side at the finest size.

    [(B, channels[n], *spatial / 2^n), ...] -> (B, len(channels) * width, *spatial), the deepest scale's channels first.
    """

    def __init__(self, spatial_dims: int, channels: Sequence[int], width: int):
        super().__init__()
        conv = CONV[spatial_dims]
        self.laterals = nn.ModuleList(ConvBatchNormReLU(spatial_dims, each, width, 1) for each in channels)
        self.gates = nn.ModuleList(nn.Sequential(conv(width, 1, 1), nn.Sigmoid()) for _ in channels)
        self.smooths = nn.ModuleList(ConvBatchNormReLU(spatial_dims, width, width) for _ in channels)

    def forward(self, maps: list[Tensor]) -> Tensor:
        scales, total = [], None
        for level in reversed(range(len(maps))):
            x = self.laterals[level](maps[level])
            x = x * self.gates[level](x)
            total = x if total is None else x + resize(total, x.shape[2:])
            scales.append(resize(self.smooths[level](total), maps[0].shape[2:]))
        return cat(scales, dim=1)


class DualAttentionNet(nn.Module):
    """The dual-attention multi-scale network.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: classes, background included.
        features: width of each level; their number is the depth. The pyramid is as wide as the first.
        blocks: residual blocks in each stage of the encoder.
        reduction: how many times narrower the hidden layers of the gates over channels are.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        features: Sequence[int] = (32, 64, 128, 256, 512),
        blocks: int = 2,
        reduction: int = 16,
    ):
        super().__init__()
        width, depth = features[0], len(features)
        self.multiple = (2 ** (depth - 1),) * spatial_dims
        self.encoder = nn.ModuleList(
            _encoder_stage(spatial_dims, before, after, 1 if level == 0 else 2, blocks, reduction)
            for level, (before, after) in enumerate(zip((in_channels, *features), features))
        )
        self.decoder = nn.ModuleList(
            DecoderStage(spatial_dims, features[level], features[level + 1 :], reduction)
            for level in reversed(range(depth - 1))
        )
        self.pyramid = GatedPyramid(spatial_dims, features, width)
        self.recalibration = SqueezeExcitation(spatial_dims, depth * width, max(depth * width // reduction, 1))
        self.fuse = ConvBatchNormReLU(spatial_dims, depth * width, width)
        self.head = CONV[spatial_dims](width, out_channels, 1)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *spatial) -> (B, K, *spatial)."""
        fused = self.pyramid(self.decode(self.encode(pad_to_multiple(x, self.multiple))))
        fused = fused * self.recalibration(fused)
        return crop_to(self.head(self.fuse(fused)), x.shape[2:])

    def encode(self, x: Tensor) -> list[Tensor]:
        skips = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        return skips

    def decode(self, skips: list[Tensor]) -> list[Tensor]:
        """The feature maps of all depths, finest first; the deepest is the encoder's own."""
        maps = skips[-1:]
        for stage, skip in zip(self.decoder, reversed(skips[:-1])):
            maps = [stage(skip, maps), *maps]
        return maps


def _encoder_stage(spatial_dims, in_channels, out_channels, stride, blocks, reduction) -> nn.Sequential:
    first = AttentionBlock(spatial_dims, in_channels, out_channels, stride, reduction)
    rest = (AttentionBlock(spatial_dims, out_channels, out_channels, 1, reduction) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


def _initialise(module: nn.Module) -> None:
    """He's initialisation before a ReLU, as of the residual network; gates and head start as torch makes them."""
    if isinstance(module, ConvBatchNormReLU):
        kaiming_normal_(module[0].weight, nonlinearity="relu")
