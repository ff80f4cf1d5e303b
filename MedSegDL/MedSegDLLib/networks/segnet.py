"""SegNet: VGG16 and its mirror image, which puts features back where their maxima were.

Badrinarayanan et al. 2017, arXiv:1511.00561. The encoder is VGG16's thirteen convolutions with batch norm; each 2x2
max pooling remembers where in its window the maximum was. The decoder runs backwards: it unpools, each value to its
remembered place and zero elsewhere, and convolves as often as the encoder did at that depth, 3x3 with batch norm and
ReLU, the last of a depth to the width of the next (512, 256, 128, 64). The last of all gives the class scores and has
neither norm nor ReLU. There are no other connections: only the places cross over, not the features.

Checked against the authors' Caffe files (alexgkendall/SegNet-Tutorial): layers, widths and initialisation (He et al.
2015, by fan-in). Three channels and eleven classes make 29,449,355 parameters, 29,449,932 with twelve and 29,455,125
with 21 classes. The encoder, `backbone`, is named as torchvision's `vgg16_bn` and takes its ImageNet weights.

What differs: the authors' files state the unpooled sizes for images of one size; here the image is padded with zeros to
a multiple of 32, and to 64 at least. Their batch norms start with a shift of 0.001, these at 0. Three dimensions are
this file's extension: every 3x3 becomes 3x3x3.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import CONV, MAX_POOL, ConvBatchNormReLU, crop_to, initialise_he, pad_to_multiple
from .vgg import CONVS, VGG

POOL = {2: F.max_pool2d, 3: F.max_pool3d}


class SegNet(nn.Module):
    """SegNet in its full size, with VGG16 as encoder.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: classes, background included.
        width: features of the first stage.
    """

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, width: int = 64):
        super().__init__()
        self.spatial_dims = spatial_dims
        self.backbone = VGG(spatial_dims, in_channels, batch_norm=True, width=width)
        widths = self.backbone.widths
        shallower = (out_channels, *widths[:-1])
        self.decoder = nn.ModuleList(
            _decoder_stage(spatial_dims, widths[depth], shallower[depth], CONVS[16][depth], last=depth == 0)
            for depth in reversed(range(len(widths)))
        )
        self.decoder.apply(initialise_he)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *spatial) -> (B, K, *spatial)."""
        spatial = x.shape[2:]
        x = pad_to_multiple(x, (32,) * self.spatial_dims)
        places = []
        for layer in self.backbone.features:
            if isinstance(layer, MAX_POOL[self.spatial_dims]):
                x, where = POOL[self.spatial_dims](x, 2, return_indices=True)
                places.append(where)
            else:
                x = layer(x)
        for stage in self.decoder:
            x = stage(unpool(x, places.pop()))
        return crop_to(x, spatial)


def unpool(x: Tensor, places: Tensor) -> Tensor:
    """Undo a pooling by 2: (B, C, *spatial) -> (B, C, *(2 * spatial)), zero where no maximum was.

    Args:
        x: one value for each window.
        places: where each belongs, counted over the flattened spatial axes of the result, as max pooling returns it.
    """
    # as nn.MaxUnpool2d and 3d do it, but OpenVINO has neither
    spatial = tuple(2 * size for size in x.shape[2:])
    empty = x.new_zeros((*x.shape[:2], *spatial)).flatten(2)
    return empty.scatter(2, places.flatten(2), x.flatten(2)).unflatten(2, spatial)


def _decoder_stage(spatial_dims: int, width: int, out_channels: int, convs: int, last: bool) -> nn.Sequential:
    # biases, though the batch norm takes them away: the authors' layers and torchvision's encoder have them
    kept = (ConvBatchNormReLU(spatial_dims, width, width, bias=True) for _ in range(convs - 1))
    if last:
        return nn.Sequential(*kept, CONV[spatial_dims](width, out_channels, 3, padding=1))
    return nn.Sequential(*kept, ConvBatchNormReLU(spatial_dims, width, out_channels, bias=True))
