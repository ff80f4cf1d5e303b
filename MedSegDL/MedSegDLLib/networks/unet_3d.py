"""3D U-Net.

Çiçek et al. 2016, arXiv:1606.06650. Four levels. In the analysis path each has two 3x3x3 convolutions, the second of
which doubles the features, so that a max pooling never narrows: 32 64, 64 128, 128 256, 256 512. In the synthesis path
a 2x2x2 up-convolution keeps the features, the shortcut of the same size is concatenated (512 + 256, 256 + 128,
128 + 64), and two convolutions leave as many as the shortcut had. A batch norm before each ReLU; a 1x1x1 convolution to
the classes. The convolutions of the paper are valid, 132x132x116 voxels give the logits of 44x44x28; here they are
padded unless built with `padded=False`, which works on mirrored tiles as the valid U-Net does.

Checked against the paper, three channels and three classes: 132x132x116 -> 44x44x28 and 19,069,955 parameters. These
are 19,067,616 weights, up-convolutions included, 2,336 biases of the 3x3x3 convolutions and 3 of the last one, which
leaves no biases for the up-convolutions; so it is here. Scale and shift of the batch norms, which the paper does not
count, add 4,672.

The paper does not say how the weights start; they do as in He et al. 2015, arXiv:1502.01852, as the 2D U-Net's. In two
dimensions the kernels have one axis less.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from .blocks import CONV, TRANSPOSED_CONV, initialise_he
from .u_shape import DoubleConv, UShape


class UNet3D(UShape):
    """3D U-Net, in three dimensions or two.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: classes, background included.
        features: width of each level, to which its second convolution doubles; their number is the depth.
        padded: convolutions that keep the size.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        features: Sequence[int] = (64, 128, 256, 512),
        padded: bool = True,
    ):
        def convs(before: int, middle: int, after: int) -> DoubleConv:
            return DoubleConv(spatial_dims, before, after, middle, batch_norm=True, padded=padded)

        super().__init__(
            spatial_dims,
            encoder=[convs(before, after // 2, after) for before, after in pairwise((in_channels, *features))],
            ups=[TRANSPOSED_CONV[spatial_dims](width, width, 2, 2, bias=False) for width in features[1:]],
            decoder=[convs(coarse + fine, fine, fine) for fine, coarse in pairwise(features)],
            head=CONV[spatial_dims](features[0], out_channels, 1),
            padded=padded,
        )
        self.apply(initialise_he)
