"""Every network in a size that a test can afford."""

from __future__ import annotations

import torch
from torch import nn

from MedSegDLLib.networks import create, names
from MedSegDLLib.networks.registry import NETWORKS

_SMALL_UNET = {"features": [4, 8, 12]}
_SMALL_DILATED = {"backbone": "resnet18", "width": 4, "head_features": 16}

SMALL = {
    "fcn-32s": {"width": 4, "fc_features": 16},
    "fcn-16s": {"width": 4, "fc_features": 16},
    "fcn-8s": {"width": 4, "fc_features": 16},
    "fcn-resnet": _SMALL_DILATED,
    "fcnn": _SMALL_UNET | {"fc_features": 16},
    "unet": _SMALL_UNET,
    "unet-valid": _SMALL_UNET,
    "unet-3d": _SMALL_UNET,
    "unet-plus-plus": {"features": [4, 6, 8, 12]},
    "attention-unet": _SMALL_UNET,
    "segnet": {"width": 2},
    "deeplabv3": _SMALL_DILATED,
    "deeplabv3-plus": _SMALL_DILATED,
    "pspnet": _SMALL_DILATED,
    "mask-rcnn": {
        **{"backbone": "resnet18", "width": 4, "head_features": 8, "fc_features": 16, "box_pool": 4, "mask_pool": 5},
        **{"anchor_sizes": [4, 8, 16, 32, 64], "candidates": [200, 200], "proposals": [100, 100], "detections": 10},
        "rois_sampled": 32,
    },
    "dual-attention": _SMALL_UNET | {"reduction": 2},
    "transunet": {
        "width": 4,
        "hidden": 24,
        "layers": 2,
        "heads": 2,
        "mlp": 32,
        "features": [16, 16, 8, 8, 4],
        "image_size": 48,
    },
    "u-transformer": _SMALL_UNET | {"heads": 2},
    "doubleu-net": {"width": 6},
    "nnunet": _SMALL_UNET,
    "nnunet-residual": _SMALL_UNET | {"blocks": [1, 2, 2]},
    "segresnet": {"width": 8, "blocks": [1, 1, 1]},
    "swin-unetr": {"width": 12, "blocks": [1, 2, 1, 1], "window": 4},
    "unetr": {"width": 4, "hidden": 24, "mlp": 48, "heads": 3, "image_size": 32},
    "vnet": {"width": 2},
    "mednext-s": {"width": 4},
    "mednext-b": {"width": 4},
    "mednext-m": {"width": 2},
    "mednext-l": {"width": 2},
}

EVERY = [(name, dims) for name in names() for dims in NETWORKS[name].spatial_dims]
"""Each network in each of its dimensions."""


def small(name: str, dims: int, in_channels: int = 1, out_channels: int = 3, **more) -> nn.Module:
    """A small network of that name, always with the same weights."""
    torch.manual_seed(0)
    return create(name, dims, in_channels, out_channels, **SMALL[name] | more)
