"""MONAI's networks, bare: they take the sizes that they can halve."""

from __future__ import annotations

from functools import partial

from monai.networks import nets
from monai.networks.nets.mednext import create_mednext
from torch import nn

_LEVELS = (64, 128, 256, 512, 1024)


def attention_unet(size: tuple[int, ...], in_channels: int, out_channels: int) -> nn.Module:
    return nets.AttentionUnet(len(size), in_channels, out_channels, channels=_LEVELS, strides=(2, 2, 2, 2))


def unet(size: tuple[int, ...], in_channels: int, out_channels: int) -> nn.Module:
    return nets.BasicUNet(len(size), in_channels, out_channels, features=(*_LEVELS, 64))


def unet_plus_plus(size: tuple[int, ...], in_channels: int, out_channels: int) -> nn.Module:
    network = nets.BasicUNetPlusPlus(len(size), in_channels, out_channels, features=(32, 64, 128, 256, 512, 32))
    return _First(network)


def segresnet(size: tuple[int, ...], in_channels: int, out_channels: int) -> nn.Module:
    return nets.SegResNet(len(size), 32, in_channels, out_channels, dropout_prob=0.2, blocks_down=(1, 2, 2, 4))


def swin_unetr(size: tuple[int, ...], in_channels: int, out_channels: int) -> nn.Module:
    return nets.SwinUNETR(in_channels, out_channels, feature_size=48, spatial_dims=len(size))


def unetr(size: tuple[int, ...], in_channels: int, out_channels: int) -> nn.Module:
    return nets.UNETR(in_channels, out_channels, size, spatial_dims=len(size))


def vnet(size: tuple[int, ...], in_channels: int, out_channels: int) -> nn.Module:
    return nets.VNet(len(size), in_channels, out_channels, dropout_dim=len(size))


def _mednext(variant: str, size: tuple[int, ...], in_channels: int, out_channels: int) -> nn.Module:
    return create_mednext(variant, len(size), in_channels, out_channels)


mednext_s, mednext_b, mednext_m, mednext_l = (partial(_mednext, variant) for variant in "SBML")


class _First(nn.Module):
    """A network that gives a list, of which the first is wanted."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x)[0]
