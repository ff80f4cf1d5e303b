"""UNet++.

Zhou et al. 2018, arXiv:1807.10165; Zhou et al. 2020, arXiv:1912.05074. A U-Net whose skip connections are filled with
further nodes, so that it holds U-Nets of every depth over one encoder. Node X^{i,j} stands at level i, of 1 / 2^i of
the input's size and 32 * 2^i features, as the j-th of its row:

    X^{i,0} = convs(pool(X^{i-1,0}))
    X^{i,j} = convs([X^{i,0}, ..., X^{i,j-1}, up(X^{i+1,j-1})])

where `convs` are two 3x3 convolutions with ReLU, no norm, and `up` is a 2x2 transposed convolution to the features of
the level it reaches; so a node takes (j + 1) times the features it gives. Each X^{0,j}, j > 0, is at full size and ends
a U-Net of depth j; with deep supervision each has a 1x1 convolution to the classes, and all are trained alike.
Afterwards their outputs are averaged (the paper's "accurate mode"), or the network is cut down to one of them ("fast
mode", L1 to L4): see `UNetPlusPlus.pruned`.

Checked against the authors' Keras network: 9,041,601 parameters for one channel and one class, 9,042,177 for three
channels, 9,041,700 with all four heads.

The authors' code adds a dropout of one half after each convolution, of which the papers do not speak: it is off unless
asked for. The weights start as there, normal as in He et al. 2015, arXiv:1502.01852; so do the transposed convolutions,
which Keras would start uniform. In three dimensions the kernels have one more axis.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, cat, nn, stack

from .blocks import CONV, MAX_POOL, TRANSPOSED_CONV, crop_to, initialise_he, pad_to_multiple
from .u_shape import DoubleConv


class UNetPlusPlus(nn.Module):
    """UNet++; its modules are named as the papers index them, `nodes["0_4"]` is X^{0,4}.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: classes, background included.
        features: width of each level; their number is the depth.
        deep_supervision: heads at all nodes of full size. In training return the logits of each, else their mean.
        dropout: after each convolution.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        features: Sequence[int] = (32, 64, 128, 256, 512),
        deep_supervision: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.spatial_dims, self.in_channels, self.out_channels = spatial_dims, in_channels, out_channels
        self.features, self.deep_supervision, self.dropout = tuple(features), deep_supervision, dropout
        self.depth = len(features) - 1
        self.multiple = (2**self.depth,) * spatial_dims
        self.loss_weights = (1.0,) * self.depth
        self.pool = MAX_POOL[spatial_dims](2)
        self.nodes, self.ups = nn.ModuleDict(), nn.ModuleDict()
        for i, width in enumerate(features):
            before = features[i - 1] if i else in_channels
            self.nodes[f"{i}_0"] = DoubleConv(spatial_dims, before, width, dropout=dropout)
            for j in range(1, self.depth - i + 1):
                self.ups[f"{i}_{j}"] = TRANSPOSED_CONV[spatial_dims](features[i + 1], width, 2, 2)
                self.nodes[f"{i}_{j}"] = DoubleConv(spatial_dims, (j + 1) * width, width, dropout=dropout)
        supervised = range(1, self.depth + 1) if deep_supervision else [self.depth]
        self.heads = nn.ModuleDict({f"0_{j}": CONV[spatial_dims](features[0], out_channels, 1) for j in supervised})
        self.apply(initialise_he)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """(B, C, *spatial) -> (B, K, *spatial); in training with deep supervision a list of that size, deepest first.

        Else with deep supervision it is logits again: their softmax is the mean of the heads' softmaxes.
        """
        finest = self._finest_row(pad_to_multiple(x, self.multiple))
        logits = [crop_to(head(finest[node]), x.shape[2:]) for node, head in self.heads.items()][::-1]
        if self.deep_supervision:
            return logits if self.training else _mean_of_outputs(logits)
        return logits[0]

    def pruned(self, depth: int) -> UNetPlusPlus:
        """The network that remains when X^{0, depth} is to give the result: L1 to L4, by the paper's names.

        It shares its weights with this one. Where both need to pad the image, this one pads it further, so that they
        may differ slightly near its last voxels.

        Raises:
            ValueError: there is no such head.
        """
        if f"0_{depth}" not in self.heads:
            raise ValueError(f"there is no head at depth {depth}, only at {', '.join(key[2:] for key in self.heads)}")
        with torch.device("meta"):  # its own weights are replaced at once
            part = UNetPlusPlus(
                self.spatial_dims, self.in_channels, self.out_channels, self.features[: depth + 1], dropout=self.dropout
            )
        for kind in ("nodes", "ups", "heads"):
            mine, its = getattr(self, kind), getattr(part, kind)
            its.update({key: mine[key] for key in its})
        return part.train(self.training)

    def _finest_row(self, x: Tensor) -> dict[str, Tensor]:
        """All X^{0,j} by name. One diagonal i + j after the other, each from its encoder node upwards."""
        rows = []
        for diagonal in range(self.depth + 1):
            x = self.nodes[f"{diagonal}_0"](self.pool(x) if diagonal else x)
            rows.append([x])
            for i in reversed(range(diagonal)):
                name = f"{i}_{diagonal - i}"
                up = self.ups[name](rows[i + 1][-1])
                rows[i].append(self.nodes[name](cat((*rows[i], up), dim=1)))
        return {f"0_{j}": features for j, features in enumerate(rows[0])}


def _mean_of_outputs(logits: list[Tensor]) -> Tensor:
    """The logarithm of the sum of the probabilities, which are what the paper averages."""
    return stack([each.log_softmax(dim=1) for each in logits]).logsumexp(dim=0)
