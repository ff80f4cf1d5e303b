"""Residual networks, the backbone of DeepLab, PSPNet, FCN and Mask R-CNN, in two and three dimensions.

He et al. 2016, arXiv:1512.03385, table 1: a 7x7 convolution and a max pooling, each of stride 2, then four stages of
residual blocks, each but the first halving the size and doubling the width. For an input of N voxels along an axis the
five feature maps have N/2, N/4, N/8, N/16 and N/32, and 64, 256, 512, 1024 and 2048 channels (with basic blocks, of
ResNet-18 and 34, 64, 64, 128, 256 and 512).

A bottleneck strides in its 3x3 convolution, not in its first 1x1 as in the paper: torchvision's "v1.5", of which most
published weights are. The names in the state dict are torchvision's too, so that such weights fit (see `backbone`).

For dense prediction the last stages may dilate instead of stride (Chen et al. 2017, arXiv:1706.05587, section 3.1).
As in torchvision, the convolution that has lost its stride keeps the dilation of the stage before, and only what
follows it is spread out. So the dilated network computes what the strided one does, at every voxel in place of every
second or fourth: sampled there, its feature map is the strided one's.

Checked against torchvision's networks without their classifiers, three input channels: ResNet-18 11,176,512 parameters,
34 21,284,672, 50 23,508,032, 101 42,500,160.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.init import kaiming_normal_

from .blocks import BATCH_NORM, CONV, MAX_POOL


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut: (B, C, *spatial) -> (B, width, *spatial / stride).

    The first has the dilation of what comes in, the second that of what goes out.
    """

    expansion = 1

    def __init__(self, spatial_dims: int, in_channels: int, width: int, stride: int, dilation_in: int, dilation: int):
        super().__init__()
        self.conv1 = _conv(spatial_dims, in_channels, width, 3, stride, dilation_in)
        self.bn1 = BATCH_NORM[spatial_dims](width)
        self.conv2 = _conv(spatial_dims, width, width, 3, 1, dilation)
        self.bn2 = BATCH_NORM[spatial_dims](width)
        self.downsample = _shortcut(spatial_dims, in_channels, width, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 beside a shortcut: (B, C, *spatial) -> (B, 4 * width, *spatial / stride).

    The 3x3 convolution has the dilation of what comes in; behind it nothing has any.
    """

    expansion = 4

    def __init__(self, spatial_dims: int, in_channels: int, width: int, stride: int, dilation_in: int, dilation: int):
        super().__init__()
        out_channels = self.expansion * width
        self.conv1 = _conv(spatial_dims, in_channels, width, 1)
        self.bn1 = BATCH_NORM[spatial_dims](width)
        self.conv2 = _conv(spatial_dims, width, width, 3, stride, dilation_in)
        self.bn2 = BATCH_NORM[spatial_dims](width)
        self.conv3 = _conv(spatial_dims, width, out_channels, 1)
        self.bn3 = BATCH_NORM[spatial_dims](out_channels)
        self.downsample = _shortcut(spatial_dims, in_channels, out_channels, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


_BLOCKS = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
}
"""Kind of block, and how many in each stage: He et al. 2016, table 1."""


class ResNet(nn.Module):
    """A residual network without its classifier.

    Convolutions start from He's normal initialisation over the outputs, batch norms from 1 and 0, as torchvision's.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        name: "resnet18", "resnet34", "resnet50" or "resnet101".
        output_stride: how much smaller than the input the last feature map is: 32, 16 or 8. Stages that would make it
            smaller dilate.
        width: channels of the first stage, before a bottleneck's expansion; the others follow from it.

    Attributes:
        channels: of the five feature maps that `forward` gives.
    """

    def __init__(
        self, spatial_dims: int, in_channels: int, name: str = "resnet50", output_stride: int = 32, width: int = 64
    ):
        super().__init__()
        if name not in _BLOCKS:
            raise ValueError(f"there is no backbone '{name}'; there are {', '.join(_BLOCKS)}")
        if output_stride not in (8, 16, 32):
            raise ValueError(f"the output stride of a residual network is 8, 16 or 32, not {output_stride}")
        block, blocks = _BLOCKS[name]
        self.channels = (width, *(block.expansion * width * 2**stage for stage in range(4)))

        self.conv1 = CONV[spatial_dims](in_channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = BATCH_NORM[spatial_dims](width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = MAX_POOL[spatial_dims](3, stride=2, padding=1)
        reached, dilation = 4, 1
        for stage in range(4):
            dilation_in = dilation
            stride = 1 if stage == 0 else 2
            if reached * stride > output_stride:
                stride, dilation = 1, 2 * dilation
            reached *= stride
            channels, features = self.channels[stage + 1], width * 2**stage
            first = block(spatial_dims, self.channels[stage], features, stride, dilation_in, dilation)
            rest = (block(spatial_dims, channels, features, 1, dilation, dilation) for _ in range(blocks[stage] - 1))
            setattr(self, f"layer{stage + 1}", nn.Sequential(first, *rest))
        self.apply(_initialise)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, C, *spatial) -> five feature maps, fine to coarse: the stem's before its pooling, then each stage's."""
        maps = [self.relu(self.bn1(self.conv1(x)))]
        x = self.maxpool(maps[0])
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            maps.append(x)
        return maps


def _conv(spatial_dims, in_channels, out_channels, kernel, stride=1, dilation=1) -> nn.Module:
    padding = dilation * (kernel // 2)
    return CONV[spatial_dims](in_channels, out_channels, kernel, stride, padding, dilation, bias=False)


def _shortcut(spatial_dims, in_channels, out_channels, stride) -> nn.Sequential | None:
    """A projection where the block changes the size or the width; else the identity, which has no entry."""
    if stride == 1 and in_channels == out_channels:
        return None
    conv = _conv(spatial_dims, in_channels, out_channels, 1, stride)
    return nn.Sequential(conv, BATCH_NORM[spatial_dims](out_channels))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, tuple(CONV.values())):
        kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
