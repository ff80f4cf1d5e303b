"""torchvision's networks without pretrained weights, their first convolution for another number of channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torchvision.models import segmentation
from torchvision.models.detection import maskrcnn_resnet50_fpn
from torchvision.models.detection.rpn import concat_box_prediction_layers
from torchvision.ops import roi_align as their_roi_align

from MedSegDLLib.networks.roi_align import roi_align as our_roi_align


def fcn(size: tuple[int, ...], in_channels: int, out_channels: int) -> nn.Module:
    return _segmenter(segmentation.fcn_resnet50, in_channels, out_channels)


def deeplabv3(size: tuple[int, ...], in_channels: int, out_channels: int) -> nn.Module:
    return _segmenter(segmentation.deeplabv3_resnet50, in_channels, out_channels)


def mask_rcnn(size: tuple[int, ...], in_channels: int, out_channels: int) -> nn.Module:
    """Without its scaling of the image; it gives detections, not logits."""
    network = maskrcnn_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=out_channels,
        min_size=min(size),
        max_size=max(size),
        image_mean=[0.0] * in_channels,
        image_std=[1.0] * in_channels,
    )
    _take_channels(network.backbone.body, in_channels)
    return network


def mask_rcnn_parts(ours: nn.Module, theirs: nn.Module, image: Tensor) -> list[tuple[nn.Module, nn.Module, Tensor]]:
    """What has a counterpart in both, each with an input: all that has weights, and RoIAlign.

    The whole cannot be compared: torchvision places anchors and reads boxes half a cell elsewhere (see our files).
    """
    level, bins, finer_bins = (torch.randn(4, 256, edge, edge) for edge in (24, 7, 14))
    heads = theirs.roi_heads
    their_box_head = nn.Sequential(heads.box_head, heads.box_predictor)
    return [
        (
            _Part(lambda x: _side_by_side(ours.pyramid(ours.backbone(x)[1:])), ours.backbone, ours.pyramid),
            _Part(lambda x: _side_by_side(theirs.backbone(x).values()), theirs.backbone),
            image,
        ),
        (
            _Part(lambda x: _side_by_side(each[0] for each in ours.proposals([x])), ours.proposals),
            _Part(lambda x: _side_by_side(_of_anchors(*theirs.rpn.head([x]), len(x))), theirs.rpn.head),
            level,
        ),
        (
            _Part(lambda x: _side_by_side(ours.box_head(x)), ours.box_head),
            _Part(lambda x: _side_by_side(their_box_head(x)), their_box_head),
            bins,
        ),
        (ours.mask_head, nn.Sequential(heads.mask_head, heads.mask_predictor), finer_bins),
        (_Part(_our_bins), _Part(_their_bins), level),
    ]


class _Part(nn.Module):
    """A function as a module, which holds the modules that the function uses."""

    def __init__(self, function: Callable[[Tensor], Tensor], *used: nn.Module):
        super().__init__()
        self.function, self.used = function, nn.ModuleList(used)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def _segmenter(build: Callable, in_channels: int, out_channels: int) -> nn.Module:
    network = build(weights=None, weights_backbone=None, num_classes=out_channels, aux_loss=False)
    _take_channels(network.backbone, in_channels)
    return _Part(lambda x: network(x)["out"], network)


def _take_channels(resnet: nn.Module, in_channels: int) -> None:
    resnet.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
    nn.init.kaiming_normal_(resnet.conv1.weight, mode="fan_out", nonlinearity="relu")


def _side_by_side(maps) -> Tensor:
    """All values as (1, 1, N), each map brought to a spread of 1, so that all count."""
    return torch.cat([(each / each.std()).flatten() for each in maps])[None, None]


def _of_anchors(objectness: Sequence[Tensor], offsets: Sequence[Tensor], images: int) -> list[Tensor]:
    """As torchvision orders them: anchor after anchor, image after image."""
    return [each.unflatten(0, (images, -1)).squeeze(-1) for each in concat_box_prediction_layers(objectness, offsets)]


def _some_boxes() -> Tensor:
    """(N, 4) as start and end along the first axis, then the second, within 24 x 24 cells of stride 8."""
    start = torch.rand(50, 2, generator=torch.Generator().manual_seed(2)) * 120
    return torch.cat((start, start + 4 + start.flip(1) / 2), dim=1)


def _our_bins(level: Tensor) -> Tensor:
    boxes = _some_boxes()
    return our_roi_align(level, boxes, torch.arange(len(boxes)) % len(level), 7, stride=8)


def _their_bins(level: Tensor) -> Tensor:
    boxes = _some_boxes()[:, [1, 0, 3, 2]]
    numbered = torch.cat(((torch.arange(len(boxes)) % len(level))[:, None], boxes), dim=1)
    return their_roi_align(level, numbered, 7, 1 / 8, sampling_ratio=2, aligned=True)
