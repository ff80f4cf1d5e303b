"""From a name to a network. A family's file, and MONAI, are imported when one of its networks is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module

from torch import nn

from .presets import PRESETS, presets_of


@dataclass(frozen=True)
class Entry:
    """What is known of a network before it is built.

    Attributes:
        title: as its paper calls it.
        paper: authors, year, identifier.
        factory: "file:class" below this package.
        spatial_dims: (2, 3), or (2,) for a network that works on slices by nature.
        arguments: its own preset, for a name that stands for one size of a family.
        checked: what the tests hold it against, in a few words.
    """

    title: str
    paper: str
    factory: str
    spatial_dims: tuple[int, ...] = (2, 3)
    arguments: dict = field(default_factory=dict)
    checked: str = ""


_LONG = "Long et al. 2015, arXiv:1411.4038"
_RONNEBERGER = "Ronneberger et al. 2015, arXiv:1505.04597"
_ISENSEE_2021 = "Isensee et al. 2021, doi:10.1038/s41592-020-01008-z"
_ISENSEE_2024 = "Isensee et al. 2024, arXiv:2404.09556"
_ROY = "Roy et al. 2023, arXiv:2303.09975"
_SMITH = "Optimization of deep learning-based medical image segmentation algorithms"

NETWORKS = {
    "fcn-32s": Entry("FCN-32s", _LONG, "fcn:FCN32s", (2,), checked="authors' layers, 134.3 M"),
    "fcn-16s": Entry("FCN-16s", _LONG, "fcn:FCN16s", (2,), checked="authors' layers, 134.4 M"),
    "fcn-8s": Entry("FCN-8s", _LONG, "fcn:FCN8s", (2,), checked="authors' layers, 134.4 M"),
    "fcn-resnet": Entry(
        "FCN, residual backbone", _LONG, "fcn_resnet:ResNetFCN", checked="torchvision, 32,957,013 (R50), 54,314,346"
    ),
    "fcnn": Entry(
        "FCNN", "Medical image semantic segmentation based on FCNN", "fcnn:FCNN", checked="no published figure"
    ),
    "unet": Entry("U-Net", _RONNEBERGER, "unet:UNet", checked="paper's layers, 31,030,658"),
    "unet-valid": Entry(
        "U-Net, valid convolutions", _RONNEBERGER, "unet:ValidUNet", checked="paper, 572x572 to 388x388, 31,030,658"
    ),
    "unet-3d": Entry(
        "3D U-Net",
        "Çiçek et al. 2016, arXiv:1606.06650",
        "unet_3d:UNet3D",
        checked="paper, 132x132x116 to 44x44x28, 19,069,955",
    ),
    "unet-plus-plus": Entry(
        "UNet++",
        "Zhou et al. 2018, arXiv:1807.10165",
        "unet_plus_plus:UNetPlusPlus",
        checked="authors' 9,041,601, graph of skips",
    ),
    "attention-unet": Entry(
        "Attention U-Net",
        "Oktay et al. 2018, arXiv:1804.03999",
        "attention_unet:AttentionUNet",
        checked="its common 2D graph, 34,878,573",
    ),
    "segnet": Entry(
        "SegNet",
        "Badrinarayanan et al. 2017, arXiv:1511.00561",
        "segnet:SegNet",
        checked="authors' layers, 29,449,355",
    ),
    "deeplabv3": Entry(
        "DeepLabV3",
        "Chen et al. 2017, arXiv:1706.05587",
        "deeplab:DeepLabV3",
        checked="torchvision, 39,638,869 (R50), 58,630,997 (R101)",
    ),
    "deeplabv3-plus": Entry(
        "DeepLabV3+",
        "Chen et al. 2018, arXiv:1802.02611",
        "deeplab:DeepLabV3Plus",
        checked="segmentation-models-pytorch, 26,682,725 (R50)",
    ),
    "pspnet": Entry(
        "PSPNet", "Zhao et al. 2017, arXiv:1612.01105", "pspnet:PSPNet", checked="paper's layers, 46,592,597 (R50)"
    ),
    "mask-rcnn": Entry(
        "Mask R-CNN", "He et al. 2017, arXiv:1703.06870", "mask_rcnn:MaskRCNN", checked="torchvision, 44,454,513 (R50)"
    ),
    "dual-attention": Entry(
        "Dual-attention multi-scale network",
        _SMITH,
        "dual_attention:DualAttentionNet",
        checked="paper's 13.7 M, +0.7 %",
    ),
    "transunet": Entry(
        "TransUNet", "Chen et al. 2021, arXiv:2102.04306", "transunet:TransUNet", (2,), checked="authors' 105,277,081"
    ),
    "u-transformer": Entry(
        "U-Transformer",
        "Petit et al. 2021, arXiv:2103.06104",
        "u_transformer:UTransformer",
        (2,),
        checked="U-Net's 31,037,698 and its formulas",
    ),
    "doubleu-net": Entry(
        "DoubleU-Net",
        "Jha et al. 2020, arXiv:2006.04868",
        "doubleu_net:DoubleUNet",
        (2,),
        checked="authors' 29,288,886",
    ),
    "nnunet": Entry(
        "nnU-Net, plain", _ISENSEE_2021, "nnunet:PlainUNet", checked="authors' 31,196,399 (3D), 46,326,581 (2D)"
    ),
    "nnunet-residual": Entry(
        "nnU-Net, residual encoder M, L", _ISENSEE_2024, "nnunet:ResidualUNet", checked="authors' 102,350,575"
    ),
    "segresnet": Entry(
        "SegResNet",
        "Myronenko 2018, arXiv:1810.11654",
        "from_monai:SegResNet",
        checked="is MONAI's, 18,796,035",
    ),
    "swin-unetr": Entry(
        "Swin UNETR",
        "Hatamizadeh et al. 2022, arXiv:2201.01266",
        "from_monai:SwinUNETR",
        checked="is MONAI's, 62,187,296",
    ),
    "unetr": Entry(
        "UNETR", "Hatamizadeh et al. 2021, arXiv:2103.10504", "from_monai:UNETR", checked="is MONAI's, 92,784,046"
    ),
    "vnet": Entry(
        "V-Net", "Milletari et al. 2016, arXiv:1606.04797", "from_monai:VNet", checked="is MONAI's, 45,601,906"
    ),
    "mednext-s": Entry(
        "MedNeXt S", _ROY, "from_monai:MedNeXt", arguments={"variant": "S"}, checked="is MONAI's; paper's 5.6 M"
    ),
    "mednext-b": Entry(
        "MedNeXt B", _ROY, "from_monai:MedNeXt", arguments={"variant": "B"}, checked="is MONAI's; paper's 10.5 M"
    ),
    "mednext-m": Entry(
        "MedNeXt M", _ROY, "from_monai:MedNeXt", arguments={"variant": "M"}, checked="is MONAI's; paper's 17.6 M"
    ),
    "mednext-l": Entry(
        "MedNeXt L", _ROY, "from_monai:MedNeXt", arguments={"variant": "L"}, checked="is MONAI's; paper's 61.8 M"
    ),
}


def names() -> list[str]:
    """The names that `create` takes, family by family."""
    return list(NETWORKS)


def create(
    name: str, spatial_dims: int, in_channels: int, out_channels: int, preset: str | None = None, **arguments
) -> nn.Module:
    """Build a network with fresh weights.

    It takes (B, in_channels, *spatial), 17 voxels or more along each axis, and gives logits (B, out_channels, *spatial)
    of the same size. A network that supervises more than its result gives, in training and if built so, a list of
    logits, the result first, and says in `loss_weights` how much each counts.

    Args:
        name: one of `names()`.
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: classes, background included.
        preset: a size that a paper compares at (see `presets`), instead of the network's own.
        arguments: what the network's own docstring lists; they win over the preset's.

    Raises:
        ValueError: the name is unknown, or the network does not exist in these dimensions or has no such preset.
        TypeError: an argument is unknown.
    """
    if name not in NETWORKS:
        raise ValueError(f"there is no network '{name}'; there are {', '.join(names())}")
    entry = NETWORKS[name]
    if spatial_dims not in entry.spatial_dims:
        known = " or ".join(map(str, entry.spatial_dims))
        raise ValueError(f"{entry.title} has {known} dimensions, not {spatial_dims}")
    if preset is not None and preset not in presets_of(name):
        raise ValueError(f"{entry.title} has no preset '{preset}'; it has {', '.join(presets_of(name)) or 'none'}")
    chosen = PRESETS[preset][name] if preset is not None else {}
    module, _, factory = entry.factory.partition(":")
    build = getattr(import_module(f".{module}", __package__), factory)
    return build(spatial_dims, in_channels, out_channels, **entry.arguments | chosen | arguments)
