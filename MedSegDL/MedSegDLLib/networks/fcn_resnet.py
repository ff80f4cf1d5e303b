"""A fully convolutional network over a dilated residual network, and what DeepLabV3 and PSPNet share with it.

Long et al. 2015, arXiv:1411.4038, in the form that torchvision publishes as `fcn_resnet50` and `fcn_resnet101`. The
last two stages of the backbone dilate, so that its feature map has 1/8 of the input's size (2048 channels with a
bottleneck's ResNet); a 3x3 convolution to a quarter of the channels and a classifier follow, and the logits are
enlarged linearly. There are no skips from shallower stages as in FCN-8s: the dilated stages take their place.

Checked against torchvision, three input channels and 21 classes: ResNet-50 32,957,013 parameters, 35,322,218 with the
auxiliary head, ResNet-101 with it 54,314,346.
"""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import CONV, ConvBatchNormReLU, resize
from .resnet import ResNet


class FCNHead(nn.Sequential):
    """3x3 convolution, batch norm, ReLU, dropout and the classifier: (B, in_channels, *) -> (B, out_channels, *)."""

    def __init__(self, spatial_dims: int, in_channels: int, features: int, out_channels: int):
        super().__init__(
            ConvBatchNormReLU(spatial_dims, in_channels, features, 3),
            nn.Dropout(0.1),
            CONV[spatial_dims](features, out_channels, 1),
        )


class DilatedSegmenter(nn.Module):
    """A backbone, a head on its last feature map and, if wanted, an auxiliary one on the map before.

    `head` is the subclass's to set. The auxiliary head has a quarter of its map's channels, 256 in the published
    networks; it helps to train the deep backbone and is not computed in evaluation.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        backbone: str,
        output_stride: int,
        width: int,
        auxiliary: bool,
        auxiliary_weight: float,
    ):
        super().__init__()
        self.loss_weights = (1.0, auxiliary_weight)
        self.backbone = ResNet(spatial_dims, in_channels, backbone, output_stride, width)
        before_last = self.backbone.channels[-2]
        self.auxiliary_head = FCNHead(spatial_dims, before_last, before_last // 4, out_channels) if auxiliary else None

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """(B, C, *spatial) -> (B, K, *spatial); in training with the auxiliary head a list, the result first."""
        *_, before_last, last = self.backbone(x)
        logits = resize(self.head(last), x.shape[2:])
        if self.auxiliary_head is not None and self.training:
            return [logits, resize(self.auxiliary_head(before_last), x.shape[2:])]
        return logits


class ResNetFCN(DilatedSegmenter):
    """FCN over a dilated ResNet.

    The heads start from torch's defaults, as torchvision's; the backbone as `ResNet` says.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: classes, background included.
        backbone: "resnet18", "resnet34", "resnet50" or "resnet101".
        output_stride: how much smaller than the input the backbone's last feature map is: 8, 16 or 32.
        width: of the backbone's first stage.
        head_features: channels before the classifier; default a quarter of the backbone's.
        auxiliary: in training, return the logits of a second head on the fourth stage too. It counts 0.5, as in
            torchvision's reference training.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        backbone: str = "resnet50",
        output_stride: int = 8,
        width: int = 64,
        head_features: int | None = None,
        auxiliary: bool = False,
    ):
        super().__init__(spatial_dims, in_channels, out_channels, backbone, output_stride, width, auxiliary, 0.5)
        channels = self.backbone.channels[-1]
        self.head = FCNHead(spatial_dims, channels, head_features or channels // 4, out_channels)
