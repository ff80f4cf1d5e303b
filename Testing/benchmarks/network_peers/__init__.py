"""The networks as others provide them: one file a provider, one function a network.

A function takes (size, in_channels, out_channels), `size` the image's voxels along each axis, and returns a module that
gives logits of that size, as wide and deep as ours is by default, with the provider's own initial weights.
"""

from __future__ import annotations

from dataclasses import dataclass

AGREEMENT_SIZE = {2: (352, 416), 3: (96, 64, 64)}
"""In 2D large enough for the widest dilation, 36 at an eighth of the size, to see more than its centre. In 3D 64 or
more, because ours pads an axis to two multiples at least of what it divides by, which is up to 32."""


@dataclass(frozen=True)
class Peer:
    """One network of a provider.

    Attributes:
        title: what the provider calls it.
        factory: "file:function" in this folder.
        difference: why its logits cannot be ours; empty where it is the same graph.
        like_ours: another function, for the agreement, where only settings differ that can be changed.
        parts: a function that gives the pairs of parts to compare, and an input each, where the whole cannot be.
        remark: what the report should say about it.
        edge: voxels along each axis of the image on which the two are compared, where `AGREEMENT_SIZE` does not fit.
    """

    title: str
    factory: str
    difference: str = ""
    like_ours: str = ""
    parts: str = ""
    remark: str = ""
    edge: int | None = None

    def agreement_size(self, dims: int) -> tuple[int, ...]:
        return (self.edge,) * dims if self.edge else AGREEMENT_SIZE[dims]


def _both(name: str, *arguments, **options) -> dict[tuple[str, int], Peer]:
    """The same in two and three dimensions."""
    return {(name, dims): Peer(*arguments, **options) for dims in (2, 3)}


_ALIGNED = (
    "for the agreement its last stage does not dilate the first block, as torchvision's, and its enlargements align "
    "the outer edges of the corner voxels, not their centres"
)

PEERS = {
    ("fcn-resnet", 2): Peer("torchvision's fcn_resnet50", "torchvision:fcn"),
    ("deeplabv3", 2): Peer("torchvision's deeplabv3_resnet50", "torchvision:deeplabv3"),
    ("deeplabv3-plus", 2): Peer(
        "segmentation-models-pytorch's DeepLabV3Plus",
        "segmentation_models:deeplabv3_plus",
        like_ours="segmentation_models:deeplabv3_plus_like_ours",
        remark=_ALIGNED,
    ),
    ("pspnet", 2): Peer(
        "segmentation-models-pytorch's PSPNet",
        "segmentation_models:pspnet",
        difference="ends its backbone after the third stage, which does not dilate",
    ),
    ("mask-rcnn", 2): Peer(
        "torchvision's maskrcnn_resnet50_fpn",
        "torchvision:mask_rcnn",
        parts="torchvision:mask_rcnn_parts",
        remark="compared part by part; timed with plain torch in place of its compiled RoIAlign and NMS, and the "
        "random weights of each decide how much there is to do",
    ),
    **_both("unet", "MONAI's BasicUNet", "monai:unet", difference="instance norms"),
    **_both(
        "attention-unet",
        "MONAI's AttentionUnet",
        "monai:attention_unet",
        difference="strided convolutions down and transposed ones up",
    ),
    **_both(
        "unet-plus-plus",
        "MONAI's BasicUNetPlusPlus",
        "monai:unet_plus_plus",
        difference="instance norms, and up-convolutions that halve or keep the features",
    ),
    **_both("nnunet", "nnU-Net's PlainConvUNet", "nnunet:plain"),
    **_both("nnunet-residual", "nnU-Net's ResidualEncoderUNet", "nnunet:residual"),
    **_both("segresnet", "MONAI's SegResNet", "monai:segresnet"),
    **_both("swin-unetr", "MONAI's SwinUNETR", "monai:swin_unetr"),
    **_both("unetr", "MONAI's UNETR", "monai:unetr", edge=96),
    **_both("vnet", "MONAI's VNet", "monai:vnet"),
    **_both("mednext-s", "MONAI's MedNeXt S", "monai:mednext_s"),
    **_both("mednext-b", "MONAI's MedNeXt B", "monai:mednext_b"),
    **_both("mednext-m", "MONAI's MedNeXt M", "monai:mednext_m"),
    **_both("mednext-l", "MONAI's MedNeXt L", "monai:mednext_l"),
}
"""By name and dimensions of ours."""
