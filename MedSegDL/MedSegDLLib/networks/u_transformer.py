"""U-Transformer: a U-Net with self-attention at its bottom and cross-attention in its skip connections, for slices.

Petit et al. 2021, arXiv:2103.06104. Two modules join a U-Net, and each takes a feature map's voxels for tokens.

Multi-head self-attention (MHSA), at the bottom, lets the decision about a voxel depend on every other. With P the
encoding of the positions, and X the coarsest map,

    X' = softmax(Q K^T / sqrt(d)) V W_o        Q, K, V = (X + P) W_q, (X + P) W_k, (X + P) W_v

Multi-head cross-attention (MHCA) makes a filter Z between 0 and 1 for a skip connection S from the coarser map Y that
comes up beside it: Z * S, freed of what means nothing to the coarser level, is concatenated to Y's up-convolution.

    Z = upsample(sigmoid(conv(softmax(Q K^T / sqrt(d)) V)))
    Q, K = f(Y + P) W_q, f(Y + P) W_k        V = f(maxpool(S + P)) W_v        f: 1x1 convolution, batch norm, ReLU

Keys and queries are both of Y, so attention is at Y's size, and V is brought to it. The convolution of Z is a 1x1 with
batch norm; it also mixes the heads. For N x N voxels the five levels have N to N/16 voxels along an axis and 64 to 1024
features; MHSA attends among (N/16)^2 tokens, MHCA in the three deepest skip connections among (N/16)^2, (N/8)^2 and
(N/4)^2. The finest skip connection is plain: (N/2)^2 tokens would be too many. With four levels the modules are where
the paper's figure 2 has them.

No implementation of the authors was found, nor a number of parameters to check against. Here the U-Net is `unet` with
batch norm, 31,037,698 parameters with three channels and two classes, its up-convolutions included (figure 2 has
interpolation, a 3x3 and a 1x1 convolution in their place) and without its dropout, so that what is new is the attention
alone. That adds 6,608,128 parameters, as the formulas above say for as many features in Q, K and V as in X and S.

The layers of MHCA are those of a public reading of the paper, HXLH50K/U-Net-Transformer; as in the paper and unlike
there, attention has several heads, softmax goes over the keys, a sigmoid closes Z, and Z filters S, not S + P. P has
the sines and cosines of Vaswani et al. 2017, arXiv:1706.03762, half of the channels for each axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, cat, nn

from .blocks import ConvBatchNormReLU, attend, initialise_he, resize
from .unet import UNet


class SelfAttention(nn.Module):
    """MHSA: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(channels, channels, bias=False) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        tokens = _tokens(x + positions(x))
        y = attend(self.query(tokens), self.key(tokens), self.value(tokens), self.heads)
        return _map(self.out(y), x)


class CrossAttention(nn.Module):
    """MHCA, what of a skip connection is to pass: (B, C, 2H, 2W) and (B, D, H, W) -> (B, C, 2H, 2W) in 0 to 1."""

    def __init__(self, skip_channels: int, deep_channels: int, heads: int):
        super().__init__()
        self.heads = heads
        self.embed_skip = nn.Sequential(nn.MaxPool2d(2), ConvBatchNormReLU(2, skip_channels, skip_channels, kernel=1))
        self.embed_deep = ConvBatchNormReLU(2, deep_channels, skip_channels, kernel=1)
        self.query, self.key, self.value = (nn.Linear(skip_channels, skip_channels, bias=False) for _ in range(3))
        self.out = ConvBatchNormReLU(2, skip_channels, skip_channels, kernel=1, act=False)

    def forward(self, skip: Tensor, deep: Tensor) -> Tensor:
        coarse = _tokens(self.embed_deep(deep + positions(deep)))
        values = _tokens(self.embed_skip(skip + positions(skip)))
        y = attend(self.query(coarse), self.key(coarse), self.value(values), self.heads)
        return resize(self.out(_map(y, deep)).sigmoid(), skip.shape[2:])


class UTransformer(UNet):
    """U-Transformer.

    Convolutions start from He's initialisation, as in `unet`, and the matrices of the attention as torch starts them.

    Each attention compares all its tokens with each other: at 256 x 256 it makes 15 of 111 GFLOP, at 512 x 512 181 of
    566. Memory grows with the number of tokens only, for torch and OpenVINO compute attention in pieces. What spells
    out the products, as a reading of the attention's weights would, holds for MHCA at N/4 and each head (N/4)^4
    numbers: with 8 heads in single precision 0.5 GB at 256 x 256 and 8.6 GB at 512 x 512.

    Args:
        spatial_dims: 2.
        in_channels: channels of the image.
        out_channels: classes, background included.
        features: width of each level, multiples of 4 and of `heads`; their number is the depth.
        heads: of each attention.
        gates: skip connections with cross-attention, counted from the deepest.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        features: Sequence[int] = (64, 128, 256, 512, 1024),
        heads: int = 8,
        gates: int = 3,
    ):
        if any(width % 4 or width % heads for width in features):
            raise ValueError(f"the features of a U-Transformer are multiples of 4 and of its {heads} heads")
        super().__init__(2, in_channels, out_channels, features, batch_norm=True, dropout=0.0)
        levels = list(pairwise(features))
        self.plain = max(len(levels) - gates, 0)  # so many skip connections have no gate, the finest ones
        self.gates = nn.ModuleList(CrossAttention(fine, coarse, heads) for fine, coarse in levels[self.plain :])
        self.gates.apply(initialise_he)
        self.self_attention = SelfAttention(features[-1], heads)

    def decode(self, maps: list[Tensor]) -> Tensor:
        x = self.self_attention(maps[-1])
        for level in reversed(range(len(self.ups))):
            skip = maps[level]
            if level >= self.plain:
                skip = skip * self.gates[level - self.plain](skip, x)
            x = self.decoder[level](cat((self.ups[level](x), skip), dim=1))
        return x


def positions(x: Tensor) -> Tensor:
    """The encoding of a feature map's positions: (B, C, H, W) -> (C, H, W), C a multiple of 4.

    A quarter of the channels each for sine and cosine of the row, and of the column, at wavelengths from 2 pi voxels to
    almost 10000 times as many.
    """
    channels, height, width = x.shape[1:]
    frequencies = 10000 ** (torch.arange(channels // 4, device=x.device) * (-4 / channels))
    rows = frequencies[:, None, None] * torch.arange(height, device=x.device)[:, None]
    columns = frequencies[:, None, None] * torch.arange(width, device=x.device)
    waves = (wave.expand(-1, height, width) for angle in (rows, columns) for wave in (angle.sin(), angle.cos()))
    return cat(tuple(waves)).to(x.dtype)


def _tokens(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H * W, C)."""
    return x.flatten(2).transpose(1, 2)


def _map(tokens: Tensor, like: Tensor) -> Tensor:
    """(B, H * W, C) -> (B, C, H, W), the size of `like`."""
    return tokens.transpose(1, 2).unflatten(2, like.shape[2:])
