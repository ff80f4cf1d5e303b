"""The networks of segmentation-models-pytorch, over a ResNet-50 without pretrained weights."""

from __future__ import annotations

import segmentation_models_pytorch as models
from torch import nn


def deeplabv3_plus(size: tuple[int, ...], in_channels: int, out_channels: int) -> nn.Module:
    return models.DeepLabV3Plus("resnet50", encoder_weights=None, in_channels=in_channels, classes=out_channels)


def deeplabv3_plus_like_ours(size: tuple[int, ...], in_channels: int, out_channels: int) -> nn.Module:
    """The same, but for what ours takes from elsewhere: see the peer's `settled`."""
    network = deeplabv3_plus(size, in_channels, out_channels)
    first = network.encoder.layer4[0].conv2
    first.dilation = first.padding = (1, 1)
    for module in network.modules():
        if isinstance(module, nn.Upsample):
            module.align_corners = False
    return network


def pspnet(size: tuple[int, ...], in_channels: int, out_channels: int) -> nn.Module:
    return models.PSPNet("resnet50", encoder_weights=None, in_channels=in_channels, classes=out_channels)
