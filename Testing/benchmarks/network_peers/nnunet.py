"""nnU-Net's networks, from dynamic-network-architectures, as its planner and trainer set them up."""

from __future__ import annotations

from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from torch import nn

_FEATURES = (32, 64, 128, 256, 320, 320)
_BLOCKS = (1, 3, 4, 6, 6, 6)
_CONV = {2: nn.Conv2d, 3: nn.Conv3d}
_NORM = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}


def plain(size: tuple[int, ...], in_channels: int, out_channels: int) -> nn.Module:
    return _build(PlainConvUNet, size, in_channels, out_channels, n_conv_per_stage=2, n_conv_per_stage_decoder=2)


def residual(size: tuple[int, ...], in_channels: int, out_channels: int) -> nn.Module:
    return _build(
        ResidualEncoderUNet,
        size,
        in_channels,
        out_channels,
        n_blocks_per_stage=_BLOCKS,
        n_conv_per_stage_decoder=1,
    )


def _build(network: type, size: tuple[int, ...], in_channels: int, out_channels: int, **arguments) -> nn.Module:
    built = network(
        in_channels,
        n_stages=len(_FEATURES),
        features_per_stage=_FEATURES,
        conv_op=_CONV[len(size)],
        kernel_sizes=3,
        strides=(1, 2, 2, 2, 2, 2),
        num_classes=out_channels,
        conv_bias=True,
        norm_op=_NORM[len(size)],
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        **arguments,
    )
    return built.apply(built.initialize)
