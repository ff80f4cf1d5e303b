"""U-Nets as nnU-Net configures them: a plain and a residual encoder over one decoder.

Ronneberger et al. 2015, arXiv:1505.04597 (the shape); Isensee et al. 2021, doi:10.1038/s41592-020-01008-z (the plain
network: padded convolutions with instance norm and leaky ReLU, strided instead of pooled, transposed convolutions
upward); Isensee et al. 2024, arXiv:2404.09556 (the residual encoder).

Checked against the authors' implementation, one input channel and three classes: plain 3D with six stages 31,196,399
parameters, plain 2D with eight stages 46,326,581, residual encoder 3D "L" with blocks 1, 3, 4, 6, 6, 6 102,350,575. The
counts include the heads for deep supervision.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from torch import Tensor, cat, nn
from torch.nn.init import kaiming_normal_, zeros_

from .blocks import AVERAGE_POOL, CONV, INSTANCE_NORM, TRANSPOSED_CONV, ConvNormAct, crop_to, pad_to_multiple, per_axis


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut, which is averaged where the block strides and projected where it widens.

    (B, in_channels, *spatial) -> (B, out_channels, *spatial / stride); ResNet-D's block, He et al. 2019,
    arXiv:1812.01187.
    """

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, kernel=3, stride=1):
        super().__init__()
        self.convs = nn.Sequential(
            ConvNormAct(spatial_dims, in_channels, out_channels, kernel, stride),
            ConvNormAct(spatial_dims, out_channels, out_channels, kernel, act=False),
        )
        stride = per_axis(stride, spatial_dims)
        shortcut = []
        if prod(stride) > 1:
            shortcut.append(AVERAGE_POOL[spatial_dims](stride, stride))
        if in_channels != out_channels:
            shortcut.append(CONV[spatial_dims](in_channels, out_channels, 1, bias=False))
            shortcut.append(INSTANCE_NORM[spatial_dims](out_channels, affine=True))
        self.shortcut = nn.Sequential(*shortcut)
        self.act = nn.LeakyReLU(0.01, inplace=True)

    def start_as_shortcut(self) -> None:
        """Have the norm before the sum begin at zero, as nnU-Net does: the block then adds nothing to its shortcut."""
        *_, (_, norm) = self.convs
        zeros_(norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.convs(x) + self.shortcut(x))


class Decoder(nn.Module):
    """From the encoder's feature maps, shallow to deep, back to logits at the input's size."""

    def __init__(self, spatial_dims, features, out_channels, kernels, strides, convs_per_stage):
        super().__init__()
        self.ups, self.stages, self.heads = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for depth in reversed(range(len(features) - 1)):
            stride, width = strides[depth + 1], features[depth]
            self.ups.append(TRANSPOSED_CONV[spatial_dims](features[depth + 1], width, stride, stride))
            self.stages.append(_conv_stage(spatial_dims, 2 * width, width, kernels[depth], 1, convs_per_stage))
            self.heads.append(CONV[spatial_dims](width, out_channels, 1))

    def forward(self, skips: list[Tensor], all_depths: bool) -> list[Tensor]:
        """Logits, finest first; the finest alone unless all are asked for."""
        x, logits = skips[-1], []
        for level, (up, stage, head) in enumerate(zip(self.ups, self.stages, self.heads)):
            x = stage(cat((up(x), skips[-2 - level]), dim=1))
            if all_depths or level == len(self.ups) - 1:
                logits.append(head(x))
        return logits[::-1]


class _EncoderDecoder(nn.Module):
    def __init__(self, spatial_dims, out_channels, features, kernels, strides, decoder_convs, deep_supervision):
        super().__init__()
        self.deep_supervision = deep_supervision
        self.loss_weights = (*(0.5**depth for depth in range(len(features) - 2)), 0.0)
        self.multiple = tuple(prod(stride[axis] for stride in strides) for axis in range(spatial_dims))
        self.decoder = Decoder(spatial_dims, features, out_channels, kernels, strides, decoder_convs)

    def encode(self, x: Tensor) -> list[Tensor]:
        skips = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        return skips

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """(B, C, *spatial) -> (B, K, *spatial); in training with deep supervision a list, finest first.

        The coarser entries of that list belong to the padded input (see `pad_to_multiple`). `loss_weights` halve from
        one to the next; the coarsest is too coarse to teach anything.
        """
        all_depths = self.deep_supervision and self.training
        logits = self.decoder(self.encode(pad_to_multiple(x, self.multiple)), all_depths)
        logits[0] = crop_to(logits[0], x.shape[2:])
        return logits if all_depths else logits[0]


class PlainUNet(_EncoderDecoder):
    """nnU-Net's plain network ("PlainConvUNet").

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: classes, background included.
        features: width of each stage; their number is the depth.
        strides: downsampling at the start of each stage, one number or one an axis; default 1, 2, 2, ...
        kernels: kernel size of each stage; default 3.
        convs_per_stage: convolutions in a stage, encoder and decoder alike.
        deep_supervision: in training, return the logits of every decoder stage.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        features: Sequence[int] = (32, 64, 128, 256, 320, 320),
        strides: Sequence | None = None,
        kernels: Sequence | None = None,
        convs_per_stage: int = 2,
        deep_supervision: bool = False,
    ):
        strides, kernels = _stage_geometry(spatial_dims, len(features), strides, kernels)
        super().__init__(spatial_dims, out_channels, features, kernels, strides, convs_per_stage, deep_supervision)
        widths = (in_channels, *features)
        self.encoder = nn.ModuleList(
            _conv_stage(spatial_dims, widths[n], widths[n + 1], kernels[n], strides[n], convs_per_stage)
            for n in range(len(features))
        )
        self.apply(_initialise)


class ResidualUNet(_EncoderDecoder):
    """nnU-Net's residual encoder network ("ResEncUNet"); `blocks` as in its presets M and L by default.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: classes, background included.
        features: width of each stage; their number is the depth.
        blocks: residual blocks in each stage of the encoder.
        strides: downsampling at the start of each stage, one number or one an axis; default 1, 2, 2, ...
        kernels: kernel size of each stage; default 3.
        decoder_convs: convolutions in a stage of the decoder.
        deep_supervision: in training, return the logits of every decoder stage.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        features: Sequence[int] = (32, 64, 128, 256, 320, 320),
        blocks: Sequence[int] = (1, 3, 4, 6, 6, 6),
        strides: Sequence | None = None,
        kernels: Sequence | None = None,
        decoder_convs: int = 1,
        deep_supervision: bool = False,
    ):
        strides, kernels = _stage_geometry(spatial_dims, len(features), strides, kernels)
        super().__init__(spatial_dims, out_channels, features, kernels, strides, decoder_convs, deep_supervision)
        stem = ConvNormAct(spatial_dims, in_channels, features[0], kernels[0])
        widths = (features[0], *features)
        stages = [
            _residual_stage(spatial_dims, widths[n], widths[n + 1], kernels[n], strides[n], blocks[n])
            for n in range(len(features))
        ]
        stages[0] = nn.Sequential(stem, *stages[0])
        self.encoder = nn.ModuleList(stages)
        self.apply(_initialise)
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                module.start_as_shortcut()


def _stage_geometry(spatial_dims: int, depth: int, strides, kernels) -> tuple[list[tuple], list[tuple]]:
    strides = strides or [1] + [2] * (depth - 1)
    kernels = kernels or [3] * depth
    if len(strides) != depth or len(kernels) != depth:
        raise ValueError(f"{depth} stages need {depth} strides and kernels, got {len(strides)} and {len(kernels)}")
    return [per_axis(s, spatial_dims) for s in strides], [per_axis(k, spatial_dims) for k in kernels]


def _conv_stage(spatial_dims, in_channels, out_channels, kernel, stride, convs) -> nn.Sequential:
    first = ConvNormAct(spatial_dims, in_channels, out_channels, kernel, stride)
    rest = (ConvNormAct(spatial_dims, out_channels, out_channels, kernel) for _ in range(convs - 1))
    return nn.Sequential(first, *rest)


def _residual_stage(spatial_dims, in_channels, out_channels, kernel, stride, blocks) -> nn.Sequential:
    first = ResidualBlock(spatial_dims, in_channels, out_channels, kernel, stride)
    rest = (ResidualBlock(spatial_dims, out_channels, out_channels, kernel) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


def _initialise(module: nn.Module) -> None:
    """He's initialisation for the leaky ReLU of slope 0.01, as nnU-Net's."""
    if isinstance(module, (*CONV.values(), *TRANSPOSED_CONV.values())):
        kaiming_normal_(module.weight, a=0.01)
        if module.bias is not None:
            zeros_(module.bias)
