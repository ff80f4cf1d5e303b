"""DeepLabV3 and DeepLabV3+: dilated residual networks with atrous spatial pyramid pooling.

DeepLabV3, Chen et al. 2017, arXiv:1706.05587: a dilated ResNet gives a feature map of 1/8 of the input's size, atrous
spatial pyramid pooling (see `pyramid`) reads it at several scales, a 3x3 convolution and a classifier follow, and the
logits are enlarged linearly. Written as torchvision publishes it: the 3x3 convolution is torchvision's, and it trains
at an output stride of 8, at which the paper evaluates.

DeepLabV3+, Chen et al. 2018, arXiv:1802.02611: a decoder brings edges back. With an output stride of 16 and depthwise
separable convolutions throughout the head,

    last map, 1/16          -> pyramid pooling, 256 -> 3x3, 256 -> enlarged to 1/4 --+
    second stage's map, 1/4 -> 1x1, 48 ----------------------------------------------+-> 3x3, 256 -> classifier -> 1/1

Checked with three input channels and 21 classes. DeepLabV3 against torchvision's: ResNet-50 39,638,869 parameters,
42,004,074 with the auxiliary head, ResNet-101 58,630,997 and 60,996,202. DeepLabV3+ against that of
segmentation-models-pytorch 0.6.0: ResNet-34 22,442,597, ResNet-50 26,682,725, ResNet-101 45,674,853.

Of DeepLabV3+ with a ResNet the authors publish no count, so it follows the widely used implementation it is checked
against where that departs from the paper. One of the decoder's two 3x3 convolutions lies before the enlargement, not
both behind it (the count is the same); separable convolutions have no norm between their two parts; the rates are 12,
24 and 36, where the paper takes half of that for an output stride of 16 (`rates` has it otherwise). It departs from
that implementation in two things: the first block of the dilated stage is not dilated yet, as in torchvision, and
enlarging aligns the outer edges of the corner voxels, not their centres, as everywhere here.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, cat, nn

from .blocks import CONV, ConvBatchNormReLU, resize
from .fcn_resnet import DilatedSegmenter
from .pyramid import ASPP, SeparableConv
from .resnet import ResNet


class DeepLabV3(DilatedSegmenter):
    """DeepLabV3 over a dilated ResNet; training takes batches of two or more.

    The heads start from torch's defaults, as torchvision's; the backbone as `ResNet` says.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: classes, background included.
        backbone: "resnet18", "resnet34", "resnet50" or "resnet101".
        output_stride: how much smaller than the input the backbone's last feature map is: 8, 16 or 32.
        rates: dilations of the pyramid's convolutions; the paper halves them for an output stride of 16.
        width: of the backbone's first stage.
        head_features: channels of the pyramid and before the classifier.
        auxiliary: in training, return the logits of a second head on the fourth stage too. It counts 0.5, as in
            torchvision's reference training; the paper has none.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        backbone: str = "resnet50",
        output_stride: int = 8,
        rates: Sequence[int] = (12, 24, 36),
        width: int = 64,
        head_features: int = 256,
        auxiliary: bool = False,
    ):
        super().__init__(spatial_dims, in_channels, out_channels, backbone, output_stride, width, auxiliary, 0.5)
        self.head = nn.Sequential(
            ASPP(spatial_dims, self.backbone.channels[-1], head_features, rates),
            ConvBatchNormReLU(spatial_dims, head_features, head_features, 3),
            CONV[spatial_dims](head_features, out_channels, 1),
        )


class DeepLabV3Plus(nn.Module):
    """DeepLabV3+ over a dilated ResNet; training takes batches of two or more.

    Head and decoder start from torch's defaults, as in the implementation it is checked against; the backbone as
    `ResNet` says.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: classes, background included.
        backbone: "resnet18", "resnet34", "resnet50" or "resnet101".
        output_stride: how much smaller than the input the backbone's last feature map is: 8, 16 or 32.
        rates: dilations of the pyramid's convolutions.
        width: of the backbone's first stage.
        head_features: channels of the pyramid and of the decoder.
        low_level_features: channels to which the second stage's feature map is reduced.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        backbone: str = "resnet50",
        output_stride: int = 16,
        rates: Sequence[int] = (12, 24, 36),
        width: int = 64,
        head_features: int = 256,
        low_level_features: int = 48,
    ):
        super().__init__()
        self.backbone = ResNet(spatial_dims, in_channels, backbone, output_stride, width)
        _, low_channels, *_, channels = self.backbone.channels
        self.pyramid = nn.Sequential(
            ASPP(spatial_dims, channels, head_features, rates, separable=True),
            SeparableConv(spatial_dims, head_features, head_features),
        )
        self.low_level = ConvBatchNormReLU(spatial_dims, low_channels, low_level_features, 1)
        self.fuse = SeparableConv(spatial_dims, head_features + low_level_features, head_features)
        self.classify = CONV[spatial_dims](head_features, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *spatial) -> (B, K, *spatial)."""
        _, low, *_, last = self.backbone(x)
        context = resize(self.pyramid(last), low.shape[2:])
        fused = self.fuse(cat((context, self.low_level(low)), dim=1))
        return resize(self.classify(fused), x.shape[2:])
