"""VGG's convolutional part, the encoder of FCN, SegNet and DoubleU-Net.

Simonyan & Zisserman 2015, arXiv:1409.1556, configurations D (16 layers) and E (19 layers): five stages of 3x3
convolutions, each followed by a 2x2 max pooling; 64, 128, 256, 512 and 512 features at 1/1, 1/2, 1/4, 1/8 and 1/16 of
the input's size, 1/32 behind the last pooling. The fully connected layers are left to who needs them.

Checked against torchvision, whose names the weights carry (`features.0.weight`, ...), so that its ImageNet weights
load: 14,714,688 parameters for 16 layers, 14,723,136 with batch norm, 20,024,384 for 19 layers.

Two things differ from torchvision. The poolings round an odd size up, as those of Caffe do, in which VGG and FCN were
published: FCN's crop offsets rely on it, and for a multiple of 32 it makes no difference. The weights start as in He et
al. 2015, arXiv:1502.01852, by fan-in, as in the authors' files of SegNet. Simonyan & Zisserman grew their networks from
a shallow one and say that Glorot's initialisation works as well; but it halves the variance at every ReLU, by a factor
of 8000 over thirteen convolutions, and where neither batch norm nor ImageNet weights are used nothing makes up for it.
"""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import BATCH_NORM, CONV, MAX_POOL, initialise_he

CONVS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Convolutions in each stage, by the number of layers that the network is named for."""


class VGG(nn.Module):
    """The stages of VGG; `features` is numbered as torchvision's.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        depth: 16 or 19.
        batch_norm: a batch norm behind each convolution, as in torchvision's `vgg16_bn`.
        width: features of the first stage.
    """

    def __init__(self, spatial_dims: int, in_channels: int, depth: int = 16, batch_norm: bool = False, width: int = 64):
        super().__init__()
        self.widths = (width, 2 * width, 4 * width, 8 * width, 8 * width)
        layers = []
        for convs, features in zip(CONVS[depth], self.widths):
            for _ in range(convs):
                layers.append(CONV[spatial_dims](in_channels, features, 3, padding=1))
                if batch_norm:
                    layers.append(BATCH_NORM[spatial_dims](features))
                layers.append(nn.ReLU(inplace=True))
                in_channels = features
            layers.append(MAX_POOL[spatial_dims](2, 2, ceil_mode=True))
        self.features = nn.Sequential(*layers)
        self.apply(initialise_he)

    def forward(self, x: Tensor, pooled: bool = False) -> list[Tensor]:
        """(B, C, *spatial) -> the feature maps of the five stages, shallow to deep: before each pooling, or after."""
        maps = []
        for layer in self.features:
            before = x
            x = layer(x)
            if isinstance(layer, tuple(MAX_POOL.values())):
                maps.append(x if pooled else before)
        return maps
