"""Networks that MONAI has as their authors left them, brought to our contract: any input size, logits of that size.

- SegResNet: Myronenko 2018, arXiv:1810.11654. Residual blocks of group norm, ReLU and convolution; strided convolutions
  down to an eighth, 1x1x1 convolutions and linear interpolation up, skips added. The paper's second decoder, which
  rebuilds the image to regularise training on few cases, is left out, as in MONAI.
- Swin UNETR: Hatamizadeh et al. 2022, arXiv:2201.01266; version 2 He et al. 2023, doi:10.1007/978-3-031-43901-8_40.
  Attention in shifted windows of 7^3 over patches of 2^3, four stages, each merged by 2; a convolutional decoder.
- UNETR: Hatamizadeh et al. 2021, arXiv:2103.10504. A vision transformer over patches of 16^3; the states after its
  fourth, seventh, tenth and last block go up through transposed convolutions, as in the authors' code (the paper
  counts 3, 6, 9, 12).
- V-Net: Milletari et al. 2016, arXiv:1606.04797. Convolutions of 5^3 that learn a residual at each of five scales. As
  in MONAI and the PyTorch version it comes from, batch norm, ELU and dropout, which the paper does not have, and fewer
  convolutions at most scales.
- MedNeXt: Roy et al. 2023, arXiv:2303.09975. ConvNeXt blocks (depthwise, expansion, compression) in a residual U of
  five scales, the changes of scale residual too.

SegResNet, Swin UNETR, UNETR and MedNeXt are MONAI's own classes, V-Net is put together from MONAI's transitions, where
its width is no longer fixed and its dropout in 2D leaves out feature maps and not whole images. All start from MONAI's
initialisation.

Checked against MONAI 1.6 and, through it, the papers; one input channel. SegResNet, 3 classes: 18,796,035 parameters in
3D and 6,298,563 in 2D. Swin UNETR, 14 classes: 62,187,296 and 25,138,568; version 2 72,762,656 and 28,663,688. UNETR,
14 classes: 92,784,046 and 87,146,638, which is 18,432 less than MONAI's, whose blocks carry norms that nothing reads.
V-Net, 3 classes: 45,601,906 and 9,359,538. MedNeXt S, B, M and L in 3D, 3 classes: with kernel 3 5,550,947, 10,510,883,
17,533,539 and 61,726,787; with kernel 5 5,980,579, 10,940,515, 18,245,411 and 62,940,419.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from monai.networks import nets
from monai.networks.nets import vnet
from torch import Tensor, nn

from .blocks import crop_to, pad_to_multiple, per_axis, resize


class SegResNet(nets.SegResNet):
    """SegResNet without the autoencoder.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: classes, background included.
        width: channels at full resolution, a multiple of 8; they double at each scale.
        blocks: residual blocks at each scale on the way down; on the way up there is one.
        dropout: share of the first feature maps that training leaves out.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        width: int = 32,
        blocks: Sequence[int] = (1, 2, 2, 4),
        dropout: float = 0.2,
    ):
        super().__init__(
            spatial_dims,
            width,
            in_channels,
            out_channels,
            dropout_prob=dropout,
            blocks_down=tuple(blocks),
            blocks_up=(1,) * (len(blocks) - 1),
        )
        self.multiple = per_axis(2 ** (len(blocks) - 1), spatial_dims)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *spatial) -> (B, K, *spatial)."""
        return crop_to(super().forward(pad_to_multiple(x, self.multiple)), x.shape[2:])


class SwinUNETR(nets.SwinUNETR):
    """Swin UNETR.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: classes, background included.
        width: channels at half resolution, a multiple of 12; they double at each scale.
        blocks: transformer blocks of each stage.
        heads: attention heads of each stage.
        window: edge of an attention window, in tokens.
        v2: a residual block of convolutions before each stage, as in version 2.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        width: int = 48,
        blocks: Sequence[int] = (2, 2, 2, 2),
        heads: Sequence[int] = (3, 6, 12, 24),
        window: int = 7,
        v2: bool = False,
    ):
        with torch.device("cpu"):  # while it builds, MONAI reads a tensor's values: on torch's "meta" there are none
            super().__init__(
                in_channels,
                out_channels,
                depths=blocks,
                num_heads=heads,
                window_size=window,
                feature_size=width,
                spatial_dims=spatial_dims,
                use_v2=v2,
            )
        self.to(torch.get_default_device())
        self.multiple = per_axis(32, spatial_dims)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *spatial) -> (B, K, *spatial)."""
        padded = pad_to_multiple(x, self.multiple)
        # a constant size in a traced graph: OpenVINO 2026.4 miscounts the windows of one that a pad gave
        padded = padded.reshape([int(size) for size in padded.shape])
        return crop_to(super().forward(padded), x.shape[2:])


class UNETR(nets.UNETR):
    """UNETR.

    The learned position of a patch belongs to images of one size. For another the grid of positions is interpolated, as
    vision transformers are taken from one resolution to another (Dosovitskiy et al. 2020, arXiv:2010.11929).

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: classes, background included.
        width: channels at full resolution; they double at each scale.
        hidden: length of a token.
        mlp: hidden features of a block's perceptron.
        heads: attention heads of a block.
        image_size: the size that the positions are learned for, one number or one an axis; best the patch of training.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        width: int = 16,
        hidden: int = 768,
        mlp: int = 3072,
        heads: int = 12,
        image_size: int | Sequence[int] = 96,
    ):
        super().__init__(
            in_channels,
            out_channels,
            per_axis(image_size, spatial_dims),
            feature_size=width,
            hidden_size=hidden,
            mlp_dim=mlp,
            num_heads=heads,
            spatial_dims=spatial_dims,
        )
        self.multiple = self.patch_size
        for block in self.vit.blocks:
            del block.norm_cross_attn  # for a cross-attention that a vision transformer does not have

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *spatial) -> (B, K, *spatial)."""
        padded = pad_to_multiple(x, self.multiple)
        fourth, seventh, tenth, last = self._encode(padded)
        up = self.decoder5(last, self.encoder4(tenth))
        up = self.decoder4(up, self.encoder3(seventh))
        up = self.decoder3(up, self.encoder2(fourth))
        up = self.decoder2(up, self.encoder1(padded))
        return crop_to(self.out(up), x.shape[2:])

    def _encode(self, x: Tensor) -> list[Tensor]:
        """Maps (B, hidden, *grid) of the tokens after the fourth, seventh, tenth and last block."""
        embedding = self.vit.patch_embedding
        x = embedding.patch_embeddings(x)
        grid = x.shape[2:]
        positions = embedding.position_embeddings.transpose(1, 2).unflatten(2, self.feat_size)
        x = (x + resize(positions, grid)).flatten(2).transpose(1, 2)
        states = []
        for block in self.vit.blocks:
            x = block(x)
            states.append(x)
        states = states[3], states[6], states[9], self.vit.norm(x)
        return [each.transpose(1, 2).unflatten(2, grid) for each in states]


class VNet(nn.Module):
    """V-Net, padded.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image, `width` at most.
        out_channels: classes, background included.
        width: channels at full resolution; they double at each scale.
        dropout: share of the feature maps that training leaves out, at the deep scales and in the skips.
    """

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int, width: int = 16, dropout: float = 0.5):
        super().__init__()
        if in_channels > width:
            raise ValueError(f"a V-Net of width {width} takes {width} channels at most, not {in_channels}")
        act = ("elu", {"inplace": True})
        self.multiple = per_axis(16, spatial_dims)
        # the image, repeated to `width` channels, is added to what the first convolution gives: its channels must
        # divide them, and channels of zeros make up what is missing
        self.in_channels = next(n for n in range(in_channels, width + 1) if width % n == 0)
        self.first = vnet.InputTransition(spatial_dims, self.in_channels, width, act)
        self.downs = nn.ModuleList(
            vnet.DownTransition(spatial_dims, width * 2**scale, convs, act, share, spatial_dims)
            for scale, (convs, share) in enumerate(((1, None), (2, None), (3, dropout), (2, dropout)))
        )
        self.ups = nn.ModuleList(
            vnet.UpTransition(spatial_dims, width * below, width * wide, convs, act, (share, dropout), spatial_dims)
            for below, wide, convs, share in (
                (16, 16, 2, dropout),
                (16, 8, 2, dropout),
                (8, 4, 1, None),
                (4, 2, 1, None),
            )
        )
        self.last = vnet.OutputTransition(spatial_dims, 2 * width, out_channels, act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *spatial) -> (B, K, *spatial)."""
        size = x.shape[2:]
        x = pad_to_multiple(x, self.multiple)
        x = F.pad(x, (0, 0) * len(size) + (0, self.in_channels - x.shape[1]))
        skips = [self.first(x)]
        for down in self.downs:
            skips.append(down(skips[-1]))
        x = skips.pop()
        for up in self.ups:
            x = up(x, skips.pop())
        return crop_to(self.last(x), size)


_MEDNEXT = {
    "S": {"expansion": (2, 2, 2, 2), "blocks": (2, 2, 2, 2)},
    "B": {"expansion": (2, 3, 4, 4), "blocks": (2, 2, 2, 2)},
    "M": {"expansion": (2, 3, 4, 4), "blocks": (3, 4, 4, 4)},
    "L": {"expansion": (3, 4, 8, 8), "blocks": (3, 4, 8, 8)},
}
"""Of the four scales on the way down. The bottom is as the last of them, and the way up is the way down, reversed."""


class MedNeXt(nets.MedNeXt):
    """MedNeXt.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: classes, background included.
        variant: "S", "B", "M" or "L".
        kernel: size of the depthwise convolutions, 3 or 5 in the paper.
        width: channels at full resolution; they double at each scale.
        deep_supervision: in training, return the logits of all five scales.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        variant: str = "S",
        kernel: int = 3,
        width: int = 32,
        deep_supervision: bool = False,
    ):
        if variant not in _MEDNEXT:
            raise ValueError(f"there is no MedNeXt '{variant}'; there are {', '.join(_MEDNEXT)}")
        expansion, blocks = _MEDNEXT[variant]["expansion"], _MEDNEXT[variant]["blocks"]
        super().__init__(
            spatial_dims,
            width,
            in_channels,
            out_channels,
            encoder_expansion_ratio=expansion,
            decoder_expansion_ratio=expansion[::-1],
            bottleneck_expansion_ratio=expansion[-1],
            kernel_size=kernel,
            deep_supervision=deep_supervision,
            use_residual_connection=True,
            blocks_down=blocks,
            blocks_bottleneck=blocks[-1],
            blocks_up=blocks[::-1],
        )
        self.multiple = per_axis(16, spatial_dims)
        self.loss_weights = tuple(0.5**scale for scale in range(5))  # as in the authors' trainer, the bottom too

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """(B, C, *spatial) -> (B, K, *spatial); in training with deep supervision a list, finest first.

        The coarser entries of that list belong to the padded input (see `pad_to_multiple`).
        """
        logits = super().forward(pad_to_multiple(x, self.multiple))
        if isinstance(logits, tuple):
            return [crop_to(logits[0], x.shape[2:]), *logits[1:]]
        return crop_to(logits, x.shape[2:])
