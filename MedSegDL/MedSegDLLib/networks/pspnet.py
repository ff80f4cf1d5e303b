"""PSPNet: a dilated residual network with pyramid pooling.

Zhao et al. 2017, arXiv:1612.01105: a dilated ResNet gives a feature map of 1/8 of the input's size, 2048 channels. It
is averaged over 1, 2, 3 and 6 regions along each axis, each average reduced to 512 channels, enlarged and laid beside
the map (4096 channels). A 3x3 convolution to 512, dropout and a classifier follow, and the logits are enlarged
linearly. An auxiliary head on the fourth stage counts 0.4.

The paper gives no number of parameters; its layers over torchvision's ResNet-50, three input channels and 21 classes,
have 46,592,597, 48,957,802 with the auxiliary head (with ResNet-101 65,584,725 and 67,949,930), and that is what is
checked. segmentation-models-pytorch calls a smaller network by this name, which pools the third stage's map and ends
the backbone there; it is not built here.

What the authors released has three 3x3 convolutions for the stem's 7x7, strides in a bottleneck's first convolution,
and dilates the first block of a stage like the rest of it. The paper says ResNet, so the stem here is that one's 7x7,
and strides and dilations are torchvision's, as for DeepLab: published weights load (see `backbone`). Enlarging aligns
the outer edges of the corner voxels; theirs aligns the centres, which asks for sizes of 8 n + 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from .blocks import initialise_he
from .fcn_resnet import DilatedSegmenter, FCNHead
from .pyramid import PyramidPooling


class PSPNet(DilatedSegmenter):
    """PSPNet over a dilated ResNet; training takes batches of two or more.

    The pyramid and the heads start from He's initialisation by fan-in, as the authors'; the backbone as `ResNet` says.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: classes, background included.
        backbone: "resnet18", "resnet34", "resnet50" or "resnet101".
        output_stride: how much smaller than the input the backbone's last feature map is: 8, 16 or 32.
        bins: regions along an axis, for each level of the pyramid.
        width: of the backbone's first stage.
        head_features: channels before the classifier.
        auxiliary: in training, return the logits of a second head on the fourth stage too, weighted 0.4.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        backbone: str = "resnet50",
        output_stride: int = 8,
        bins: Sequence[int] = (1, 2, 3, 6),
        width: int = 64,
        head_features: int = 512,
        auxiliary: bool = False,
    ):
        super().__init__(spatial_dims, in_channels, out_channels, backbone, output_stride, width, auxiliary, 0.4)
        pyramid = PyramidPooling(spatial_dims, self.backbone.channels[-1], bins)
        self.head = nn.Sequential(pyramid, *FCNHead(spatial_dims, pyramid.out_channels, head_features, out_channels))
        self.head.apply(initialise_he)
        if auxiliary:
            self.auxiliary_head.apply(initialise_he)
