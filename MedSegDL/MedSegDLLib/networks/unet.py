"""U-Net, padded and with valid convolutions.

Ronneberger et al. 2015, arXiv:1505.04597. Five levels of 64, 128, 256, 512 and 1024 features, each two 3x3
convolutions with ReLU; a 2x2 max pooling between them downwards, a 2x2 up-convolution that halves the features upwards,
skip connections by concatenation, a 1x1 convolution to the classes. No norm. The convolutions of the paper are valid:
a tile of 572x572 gives the logits of its inner 388x388, skip connections are cropped, and the context that a tile needs
beyond the image is mirrored ("overlap-tile"). That is `ValidUNet`; most networks that go by the name are padded, as
`UNet`.

Checked against the paper's figure 1: one channel, two classes, 572x572 -> 388x388, and by its layers 31,030,658
parameters, padded or not. With `batch_norm` and three channels it is the network that PyTorch users know as U-Net,
31,037,698.

What the paper leaves open is as in the network that the authors released (phseg_v5): dropout of one half at the end of
the two coarsest levels of the contracting path; weights normal of deviation sqrt(2 / N), N being for an up-convolution
the kernel's voxels times the features it gives. What that network has beyond the paper is left out: a ReLU after each
up-convolution, and a last up-convolution that keeps its features. In three dimensions the kernels have one more axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from .blocks import CONV, TRANSPOSED_CONV, initialise_he
from .u_shape import DoubleConv, UShape


class UNet(UShape):
    """U-Net.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: classes, background included.
        features: width of each level; their number is the depth.
        batch_norm: a batch norm before each ReLU, and no biases in these convolutions.
        dropout: at the end of the two coarsest levels.
        padded: convolutions that keep the size.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        features: Sequence[int] = (64, 128, 256, 512, 1024),
        batch_norm: bool = False,
        dropout: float = 0.5,
        padded: bool = True,
    ):
        def convs(before: int, after: int) -> DoubleConv:
            return DoubleConv(spatial_dims, before, after, batch_norm=batch_norm, bias=not batch_norm, padded=padded)

        encoder = [convs(before, after) for before, after in pairwise((in_channels, *features))]
        for stage in encoder[-2:]:
            stage.append(nn.Dropout(dropout))
        super().__init__(
            spatial_dims,
            encoder=encoder,
            ups=[TRANSPOSED_CONV[spatial_dims](coarse, fine, 2, 2) for fine, coarse in pairwise(features)],
            decoder=[convs(2 * width, width) for width in features[:-1]],
            head=CONV[spatial_dims](features[0], out_channels, 1),
            padded=padded,
        )
        self.apply(initialise_he)


class ValidUNet(UNet):
    """U-Net with the valid convolutions of the paper; arguments as those of `UNet`.

    `forward` mirrors the image at its borders, so that the logits have its size; `tile_logits` is the paper's network.
    The context costs: 92 voxels at every side with five levels, whatever the size of the image.
    """

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, **arguments):
        super().__init__(spatial_dims, in_channels, out_channels, padded=False, **arguments)
