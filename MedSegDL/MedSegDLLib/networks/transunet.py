"""TransUNet: a vision transformer between a residual encoder and a U-Net's decoder, for slices.

Chen et al. 2021, arXiv:2102.04306, the R50-ViT-B_16 hybrid. For a slice of N x N, N a multiple of 16, a ResNet-50 of
three stages (see `resnet_v2`) gives 1024 channels at N/16; a 1x1 convolution makes each of those voxels a token of 768
channels, to which a learnt embedding of its position is added; twelve pre-norm transformer layers let every token see
every other. The decoder ("cascaded upsampler") brings the tokens back into their places, convolves them to 512
channels, and four times doubles the size bilinearly and convolves twice, to 256, 128, 64 and 16 channels. The encoder's
maps at N/8, N/4 and N/2 (512, 256 and 64 channels) join the first three of these.

Checked against the authors' implementation, three input channels, nine classes, 224 x 224: 105,277,081 parameters, of
which encoder and transformer 97,888,576, decoder 7,387,200, head 1,305. With three layers, at 64 x 64, the same logits
from the same weights.

It differs from that implementation in this. There an image of one channel is repeated three times; here the first
convolution has the image's own channels. Weights for three channels then do the same if `backbone.load_backbone` sums
them, since the norm that follows takes away their scale. A slice need be neither square nor of the size that the
network was built for: it is padded to a multiple of 16, and the embeddings of the positions are interpolated to its
grid, as Dosovitskiy et al. 2021, arXiv:2010.11929, section 3.2, do for fine-tuning at another resolution. Query, key
and value come of one linear layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, cat, nn
from torch.nn.init import normal_, xavier_uniform_

from .blocks import ConvBatchNormReLU, attend, crop_to, pad_to_multiple, per_axis, resize
from .resnet_v2 import ResNetV2


class SelfAttention(nn.Module):
    """Multi-head self-attention: (B, N, hidden) -> (B, N, hidden)."""

    def __init__(self, hidden: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(hidden, 3 * hidden)
        self.out = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(attend(*self.query_key_value(x).chunk(3, dim=-1), self.heads))


class TransformerLayer(nn.Module):
    """Attention, then a perceptron for each token, each after a norm and beside a shortcut: equations 2 and 3."""

    def __init__(self, hidden: int, heads: int, mlp: int):
        super().__init__()
        self.attention_norm = nn.LayerNorm(hidden, eps=1e-6)
        self.attention = SelfAttention(hidden, heads)
        self.mlp_norm = nn.LayerNorm(hidden, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(hidden, mlp), nn.GELU(), nn.Dropout(0.1), nn.Linear(mlp, hidden), nn.Dropout(0.1)
        )
        for linear in (self.mlp[0], self.mlp[3]):
            xavier_uniform_(linear.weight)
            normal_(linear.bias, std=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))


class Transformer(nn.Module):
    """A feature map as tokens through the layers and back: (B, in_channels, H, W) -> (B, hidden, H, W)."""

    def __init__(self, in_channels: int, grid: tuple[int, ...], hidden: int, layers: int, heads: int, mlp: int):
        super().__init__()
        self.patch_embedding = nn.Conv2d(in_channels, hidden, 1)
        self.position_embedding = nn.Parameter(torch.zeros(1, hidden, *grid))
        self.dropout = nn.Dropout(0.1)
        self.layers = nn.Sequential(*(TransformerLayer(hidden, heads, mlp) for _ in range(layers)))
        self.norm = nn.LayerNorm(hidden, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        grid = x.shape[2:]
        x = self.dropout(self.patch_embedding(x) + resize(self.position_embedding, grid))
        tokens = self.norm(self.layers(x.flatten(2).transpose(1, 2)))
        return tokens.transpose(1, 2).unflatten(2, grid)


class DecoderStage(nn.Module):
    """Twice the size, the skip beside it where there is one, two convolutions."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int):
        super().__init__()
        # the authors' interpolation keeps the corners in place
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.convs = nn.Sequential(
            ConvBatchNormReLU(2, in_channels + skip_channels, out_channels),
            ConvBatchNormReLU(2, out_channels, out_channels),
        )

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        x = self.up(x)
        return self.convs(x if skip is None else cat((x, skip), dim=1))


class Decoder(nn.Module):
    """The transformer's map, and the skips deep to shallow, to features at 16 times the map's size."""

    def __init__(self, hidden: int, skip_channels: Sequence[int], features: Sequence[int]):
        super().__init__()
        self.conv = ConvBatchNormReLU(2, hidden, features[0])
        widths = zip(features, (*skip_channels, 0), features[1:])
        self.stages = nn.ModuleList(DecoderStage(before, skip, after) for before, skip, after in widths)

    def forward(self, x: Tensor, skips: Sequence[Tensor]) -> Tensor:
        x = self.conv(x)
        for stage, skip in zip(self.stages, (*skips, None)):
            x = stage(x, skip)
        return x


class TransUNet(nn.Module):
    """TransUNet, "R50-ViT-B_16".

    As in the authors' implementation the perceptrons start from Glorot's uniform initialisation with biases near 0, the
    embedding of the positions from 0, and all other layers as torch starts them. The authors then load weights from
    ImageNet-21k, which this project does not have. The attribute `backbone` is the residual encoder; `resnet_v2` says
    which weights fit it.

    Attention takes time in proportion to the square of the number of tokens: 196 at 224 x 224, 1024 at 512 x 512.

    Args:
        spatial_dims: 2.
        in_channels: channels of the image.
        out_channels: classes, background included.
        width: channels of the encoder's first convolution; those of its stages follow from it.
        hidden: channels of a token.
        layers: layers of the transformer.
        heads: of each layer's attention; they divide `hidden`.
        mlp: width of each layer's perceptron.
        features: channels in the decoder, before and after each of its four stages.
        image_size: for which positions are learnt, one number or one an axis; other sizes interpolate.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        width: int = 64,
        hidden: int = 768,
        layers: int = 12,
        heads: int = 12,
        mlp: int = 3072,
        features: Sequence[int] = (512, 256, 128, 64, 16),
        image_size: int | tuple[int, int] = 224,
    ):
        super().__init__()
        if hidden % heads:
            raise ValueError(f"{heads} heads cannot share {hidden} channels equally")
        self.backbone = ResNetV2(in_channels, width=width)
        *skip_channels, channels = self.backbone.channels
        grid = tuple(-(-size // 16) for size in per_axis(image_size, 2))
        self.transformer = Transformer(channels, grid, hidden, layers, heads, mlp)
        self.decoder = Decoder(hidden, skip_channels[::-1], features)
        self.head = nn.Conv2d(features[-1], out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, K, H, W)."""
        *skips, deepest = self.backbone(pad_to_multiple(x, (16, 16)))
        logits = self.head(self.decoder(self.transformer(deepest), skips[::-1]))
        return crop_to(logits, x.shape[2:])
