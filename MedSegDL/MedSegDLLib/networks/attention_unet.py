"""Attention U-Net.

Oktay et al. 2018, arXiv:1804.03999. A U-Net whose skip connections pass attention gates: from a skip connection x and
the features g that come up from below, an additive attention makes one coefficient a voxel,

    alpha = sigmoid(psi(relu(W_x x + W_g g)))        W_x, W_g: 1x1 to half the width, psi: 1x1 to one channel

and alpha x is concatenated to g. So the gate mutes what the coarser level, which sees more, takes for irrelevant.

Of this network two graphs are in use. The one here is the 2D one that most comparisons mean (LeeJunHyun's, on GitHub):
five levels of 64 to 1024 features, two 3x3 convolutions with batch norm and ReLU each; upwards nearest-neighbour
doubling, then a 3x3 convolution with batch norm and ReLU that halves the features; a gate at all four skip connections,
fed with g after the doubling, and a batch norm behind each of its 1x1 convolutions. Checked against it, three channels
and one class: 34,878,573 parameters, without gates 34,527,041. In three dimensions the kernels have one more axis.

The authors' own graph (3D, feature widths 16 to 256) differs from it: g comes from before the doubling and W_x strides
by two, so that alpha is made at half the size and interpolated; alpha x passes another 1x1 convolution with batch norm;
the finest skip connection has no gate, the others two that are combined; the logits are drawn from all levels.

The weights start as in the authors' code: convolutions normal as in He et al. 2015, arXiv:1502.01852, scales of batch
norms normal around 1 with deviation 0.02. The paper wants gates that let everything pass at first. The authors' code
does so in the sigmoid gates of its classification networks, by a bias of 3 (not in those for segmentation); here that
is the shift of the batch norm behind psi, and alpha starts at about 0.95.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, cat, nn
from torch.nn.init import constant_, normal_

from .blocks import BATCH_NORM, CONV, ConvBatchNormReLU, crop_to, initialise_he, pad_to_multiple
from .u_shape import DoubleConv, UShape


class AttentionGate(nn.Module):
    """What is to pass of each voxel of a skip connection: (B, C, *spatial) twice -> (B, 1, *spatial) within 0 and 1."""

    def __init__(self, spatial_dims: int, width: int, between: int):
        super().__init__()
        self.skip = ConvBatchNormReLU(spatial_dims, width, between, kernel=1, bias=True, act=False)
        self.gating = ConvBatchNormReLU(spatial_dims, width, between, kernel=1, bias=True, act=False)
        self.psi = ConvBatchNormReLU(spatial_dims, between, 1, kernel=1, bias=True, act=False)

    def forward(self, skip: Tensor, gating: Tensor) -> Tensor:
        return self.psi((self.skip(skip) + self.gating(gating)).relu()).sigmoid()


class AttentionUNet(UShape):
    """Attention U-Net; `attention` shows where it looks.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: classes, background included.
        features: width of each level; their number is the depth.
        gates: without them it is the U-Net that the paper compares with.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        features: Sequence[int] = (64, 128, 256, 512, 1024),
        gates: bool = True,
    ):
        def convs(before: int, after: int) -> DoubleConv:
            return DoubleConv(spatial_dims, before, after, batch_norm=True)

        def up(coarse: int, fine: int) -> nn.Sequential:
            return nn.Sequential(nn.Upsample(scale_factor=2), ConvBatchNormReLU(spatial_dims, coarse, fine, bias=True))

        super().__init__(
            spatial_dims,
            encoder=[convs(before, after) for before, after in pairwise((in_channels, *features))],
            ups=[up(coarse, fine) for fine, coarse in pairwise(features)],
            decoder=[convs(2 * width, width) for width in features[:-1]],
            head=CONV[spatial_dims](features[0], out_channels, 1),
        )
        gated = features[:-1] if gates else ()
        self.gates = nn.ModuleList(AttentionGate(spatial_dims, width, max(width // 2, 1)) for width in gated)
        self.apply(_initialise)
        for gate in self.gates:
            constant_(gate.psi[1].bias, 3.0)

    def attention(self, x: Tensor) -> list[Tensor]:
        """What each gate lets pass of (B, C, *spatial), finest first: (B, 1, *spatial / 2^level), rounded up."""
        _, maps = self._decode(self.encode(pad_to_multiple(x, self.multiple)))
        return [crop_to(alpha, tuple(-(-size // 2**level) for size in x.shape[2:])) for level, alpha in enumerate(maps)]

    def decode(self, maps: list[Tensor]) -> Tensor:
        return self._decode(maps)[0]

    def _decode(self, maps: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The features of the finest level, and alpha of each gate, finest first."""
        x, alphas = maps[-1], []
        for level in reversed(range(len(self.ups))):
            x, skip = self.ups[level](x), maps[level]
            if self.gates:
                alphas.append(self.gates[level](skip, x))
                skip = alphas[-1] * skip
            x = self.decoder[level](cat((x, skip), dim=1))
        return x, alphas[::-1]


def _initialise(module: nn.Module) -> None:
    initialise_he(module)
    if isinstance(module, tuple(BATCH_NORM.values())):
        normal_(module.weight, 1.0, 0.02)
