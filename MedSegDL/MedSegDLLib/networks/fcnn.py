"""FCNN: an encoder of convolutions and poolings, convolutions for the fully connected layers, and a mirrored decoder.

"Medical image semantic segmentation based on FCNN" names the parts: convolution and pooling, every fully connected
layer a convolution, transposed convolutions back to the input's size, batch norm, dropout, any input size. It gives no
table of layers, no widths and no count of parameters, so there is no published number to check against. What it leaves
open is chosen here after DeconvNet, Noh et al. 2015, arXiv:1505.04366, whose decoder mirrors VGG layer by layer:

- encoder: stages of two 3x3 convolutions and a 2x2 max pooling, with VGG's widths 64, 128, 256, 512, 512: 1/32 of the
  input's size;
- bottom: two fully connected layers as convolutions, 3x3 to 1024 features and 1x1, each with dropout, and a 3x3 back.
  VGG's 7x7 covers the whole map of its one input size; here that map has any size, and 7x7x7 would hold more weights
  than all the rest;
- decoder: for each stage a 2x2 transposed convolution with stride 2 in place of DeconvNet's unpooling, and two 3x3
  convolutions, the second to the width of the next stage up; a 1x1 convolution to the class scores.

Every convolution but the last has batch norm and ReLU. There are no skips. The weights start as in He et al. 2015. With
one channel and two classes there are 31,784,130 parameters in 2D and 90,775,874 in 3D.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from .blocks import (
    BATCH_NORM,
    CONV,
    MAX_POOL,
    TRANSPOSED_CONV,
    ConvBatchNormReLU,
    crop_to,
    initialise_he,
    pad_to_multiple,
)


class FCNN(nn.Module):
    """Encoder, fully connected layers as convolutions, decoder.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: classes, background included.
        features: width of each stage; each halves the size.
        fc_features: width of the fully connected layers.
        dropout: share of their features that is dropped in training.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        features: Sequence[int] = (64, 128, 256, 512, 512),
        fc_features: int = 1024,
        dropout: float = 0.5,
    ):
        super().__init__()
        self.multiple = (2 ** len(features),) * spatial_dims
        widths = (in_channels, *features)
        self.encoder = nn.Sequential(
            *(_encoder_stage(spatial_dims, widths[n], widths[n + 1]) for n in range(len(features)))
        )
        self.fully_connected = nn.Sequential(
            ConvBatchNormReLU(spatial_dims, features[-1], fc_features),
            nn.Dropout(dropout),
            ConvBatchNormReLU(spatial_dims, fc_features, fc_features, kernel=1),
            nn.Dropout(dropout),
            ConvBatchNormReLU(spatial_dims, fc_features, features[-1]),
        )
        widths = (features[0], *features)
        self.decoder = nn.Sequential(
            *(_decoder_stage(spatial_dims, widths[n + 1], widths[n]) for n in reversed(range(len(features))))
        )
        self.head = CONV[spatial_dims](features[0], out_channels, 1)
        self.apply(initialise_he)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *spatial) -> (B, K, *spatial)."""
        encoded = self.encoder(pad_to_multiple(x, self.multiple))
        return crop_to(self.head(self.decoder(self.fully_connected(encoded))), x.shape[2:])


def _encoder_stage(spatial_dims: int, in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        ConvBatchNormReLU(spatial_dims, in_channels, out_channels),
        ConvBatchNormReLU(spatial_dims, out_channels, out_channels),
        MAX_POOL[spatial_dims](2),
    )


def _decoder_stage(spatial_dims: int, in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        TRANSPOSED_CONV[spatial_dims](in_channels, in_channels, 2, 2, bias=False),
        BATCH_NORM[spatial_dims](in_channels),
        nn.ReLU(inplace=True),
        ConvBatchNormReLU(spatial_dims, in_channels, in_channels),
        ConvBatchNormReLU(spatial_dims, in_channels, out_channels),
    )
