"""Mask R-CNN: finds instances as boxes and draws a mask in each, in two and three dimensions.

He et al. 2017, arXiv:1703.06870, with a residual network and feature pyramid (Lin et al. 2017, arXiv:1612.03144) under
it. In three dimensions the same graph with a third axis, as in Jaeger et al. 2018, arXiv:1811.08661, and its authors'
medicaldetectiontoolkit.

    image -> ResNet C2 ... C5 -> pyramid P2 ... P6 -> proposals -> bins 7x7 -> classes and boxes
                                                                -> bins 14x14 -> masks 28x28

As this package's networks give logits, the detections are drawn: a voxel's probability of a class is the highest of its
instances' score * mask, that of the background what the highest of all leaves. For training there is `training_loss`.

Checked against torchvision's `maskrcnn_resnet50_fpn` with batch norms that train, three input channels and 91 classes:
44,454,513 parameters, of which backbone and pyramid 26,852,416, proposals 593,935, box head 13,895,680 and its outputs
466,375, mask head 2,360,320 and its outputs 285,787. The formulae were checked against its sources, those of the
toolkit's only as far as the settings for three dimensions (see `detection_settings`).

What differs from the paper: batch norms train, for there are no ImageNet weights whose statistics could be kept. What
differs from torchvision: RoIAlign (see `roi_align`), the place of the anchors (see `boxes`), and mask targets that are
0 or 1 as in the paper. What differs from the toolkit: one logit an anchor instead of two; losses, matching and sampling
of the paper in place of its mining of hard examples; strides, bins and masks that are the same along all axes by
default (its bins are 7x7x3, for thick slices); the overlaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, cat, nn

from .blocks import pad_to_multiple, per_axis
from .boxes import clip, decode, nms_by_group, wide_enough
from .detection_settings import SETTINGS
from .detection_targets import Truth, match, sample, truth
from .fpn import FeaturePyramid
from .resnet import ResNet
from .roi_align import paste, pool
from .roi_heads import WEIGHTS, BoxHead, MaskHead, box_losses, mask_loss, mask_targets
from .rpn import RegionProposals

_LEAST_PROBABILITY = 1e-6
_MASKS_AT_ONCE = 16


@dataclass
class Instances:
    """What was found in one image, the surest first.

    Attributes:
        boxes: (N, 2 * dims), start of each axis, then end, in voxels.
        scores: (N,), probability of the class.
        classes: (N,), 1 or more.
        masks: (N, *spatial), probability that a voxel belongs to the instance.
    """

    boxes: Tensor
    scores: Tensor
    classes: Tensor
    masks: Tensor


class MaskRCNN(nn.Module):
    """Mask R-CNN with a residual backbone and a feature pyramid.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: classes, background included.
        backbone: "resnet18", "resnet34", "resnet50" or "resnet101".
        width: channels of the backbone's first stage.
        head_features: channels of the pyramid, the proposal network and the mask head.
        fc_features: of the box head's two hidden layers.
        settings: how to search, by the names in `DetectionSettings`, in place of the defaults for these dimensions.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        out_channels: int,
        backbone: str = "resnet50",
        width: int = 64,
        head_features: int = 256,
        fc_features: int = 1024,
        **settings,
    ):
        super().__init__()
        self.settings = replace(SETTINGS[spatial_dims], **settings)
        self.out_channels = out_channels
        self.multiple = (32,) * spatial_dims
        self.backbone = ResNet(spatial_dims, in_channels, backbone, width=width)
        self.pyramid = FeaturePyramid(spatial_dims, self.backbone.channels[1:], head_features)
        self.proposals = RegionProposals(spatial_dims, head_features, self.settings)
        bins = per_axis(self.settings.box_pool, spatial_dims)
        self.box_head = BoxHead(head_features, bins, out_channels, fc_features)
        self.mask_head = MaskHead(spatial_dims, head_features, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, *spatial) -> (B, K, *spatial), log-probabilities, in training too. They carry no gradient."""
        return torch.stack([draw(found, self.out_channels) for found in self.instances(x)])

    @torch.no_grad()
    def instances(self, x: Tensor) -> list[Instances]:
        """What is found in each image of (B, C, *spatial)."""
        levels = self._levels(x)
        objectness, offsets = self.proposals(levels)
        boxes = self.proposals.propose(objectness, offsets, self.proposals.anchors(levels), x.shape[2:])
        logits, offsets = self.box_head(self._bins(levels, boxes, self.settings.box_pool))
        counts = [len(each) for each in boxes]
        found = [self._detect(*each, x.shape[2:]) for each in zip(boxes, logits.split(counts), offsets.split(counts))]
        return [self._with_masks(levels, n, *each, x.shape[2:]) for n, each in enumerate(found)]

    def most_work(self, x: Tensor) -> None:
        """All that `forward` computes in layers if it finds as much as it may; what it finds decides how much it is.

        For counting operations, on torch's "meta" device too.
        """
        levels = self._levels(x)
        self.proposals(levels)
        _, proposals = self.settings.proposals
        for head, boxes, bins in (
            (self.box_head, len(x) * proposals, self.settings.box_pool),
            (self.mask_head, len(x) * self.settings.detections, self.settings.mask_pool),
        ):
            head(x.new_empty(boxes, levels[0].shape[1], *per_axis(bins, len(self.multiple))))

    def training_loss(self, x: Tensor, labels: Tensor, instances: Tensor | None = None) -> Tensor:
        """The sum of `training_losses`."""
        return sum(self.training_losses(x, labels, instances).values())

    def training_losses(self, x: Tensor, labels: Tensor, instances: Tensor | None = None) -> dict[str, Tensor]:
        """The five losses of both stages: "objectness", "proposal_boxes", "classes", "boxes" and "masks".

        Args:
            x: (B, C, *spatial).
            labels: (B, *spatial), the class of each voxel.
            instances: (B, *spatial), the number of the instance that a voxel belongs to, 0 for none. Without it all
                voxels of a class in an image are one instance.
        """
        truths = [truth(labels[n], None if instances is None else instances[n]) for n in range(len(x))]
        levels = self._levels(x)
        objectness, offsets = self.proposals(levels)
        anchors = self.proposals.anchors(levels)
        of_objectness, of_proposals = self.proposals.losses(objectness, offsets, anchors, truths)
        proposals = self.proposals.propose(objectness, offsets, anchors, x.shape[2:])
        return {
            "objectness": of_objectness,
            "proposal_boxes": of_proposals,
            **self._second_stage_losses(levels, proposals, truths),
        }

    def _second_stage_losses(self, levels, proposals: Sequence[Tensor], truths: Sequence[Truth]) -> dict[str, Tensor]:
        rois, classes, boxes, positives, masks = [], [], [], [], []
        for proposed, each in zip(proposals, truths):
            proposed = cat([proposed, each.boxes])  # so that there is something to learn from at the start
            matched = match(proposed, each.boxes, self.settings.roi_iou, self.settings.roi_iou)
            sampled = sample(matched, self.settings.rois_sampled, 0.25)
            proposed, matched = proposed[sampled], matched[sampled]
            positive = matched >= 0
            rois.append(proposed)
            positives.append(proposed[positive])
            matched = matched[positive]
            classes.append(torch.zeros_like(sampled).masked_scatter(positive, each.classes[matched]))
            boxes.append(each.boxes[matched])
            size = [2 * bins for bins in per_axis(self.settings.mask_pool, len(self.multiple))]
            masks.append(mask_targets(each.masks, positives[-1], matched, size))
        logits, offsets = self.box_head(self._bins(levels, rois, self.settings.box_pool))
        classes = cat(classes)
        of_classes, of_boxes = box_losses(logits, offsets, cat(rois), classes, cat(boxes))
        drawn = self.mask_head(self._bins(levels, positives, self.settings.mask_pool))
        return {
            "classes": of_classes,
            "boxes": of_boxes,
            "masks": mask_loss(drawn, classes[classes > 0], cat(masks)),
        }

    def _levels(self, x: Tensor) -> list[Tensor]:
        return self.pyramid(self.backbone(pad_to_multiple(x, self.multiple))[1:])

    def _bins(self, levels: Sequence[Tensor], boxes: Sequence[Tensor], size) -> Tensor:
        # P6 has anchors only
        return pool(levels[:-1], boxes, size, self.settings.canonical, self.settings.points)

    def _detect(self, proposals: Tensor, logits: Tensor, offsets: Tensor, spatial) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes, scores and classes of one image. A proposal may become a detection of several classes."""
        scores = logits.softmax(1)
        rows, classes = (scores[:, 1:] > self.settings.score_threshold).nonzero().unbind(1)
        classes = classes + 1
        boxes = clip(decode(offsets[rows, classes], proposals[rows], WEIGHTS), spatial)
        scores = scores[rows, classes]
        inside = wide_enough(boxes, 1e-2)
        boxes, scores, classes = boxes[inside], scores[inside], classes[inside]
        kept = nms_by_group(boxes, scores, classes, self.settings.detection_nms)[: self.settings.detections]
        return boxes[kept], scores[kept], classes[kept]

    def _with_masks(self, levels, image: int, boxes: Tensor, scores: Tensor, classes: Tensor, spatial) -> Instances:
        levels = [level[image : image + 1] for level in levels]
        masks = [boxes.new_zeros(0, *spatial)]
        for some, their in zip(boxes.split(_MASKS_AT_ONCE), classes.split(_MASKS_AT_ONCE)):
            logits = self.mask_head(self._bins(levels, [some], self.settings.mask_pool))
            own = logits[torch.arange(len(their), device=their.device), their].sigmoid()
            masks.append(paste(own, some, spatial).to(boxes.dtype))
        return Instances(boxes, scores, classes, cat(masks))


def draw(found: Instances, out_channels: int) -> Tensor:
    """One image's instances as log-probabilities of each voxel's class: (K, *spatial)."""
    probability = found.masks.new_zeros(out_channels, *found.masks.shape[1:])
    for number in found.classes.unique().tolist():
        own = found.classes == number
        weights = found.scores[own].view(-1, *(1 for _ in found.masks.shape[1:]))
        probability[number] = (weights * found.masks[own]).amax(0)
    probability[0] = 1 - probability[1:].amax(0)
    return probability.clamp(min=_LEAST_PROBABILITY).log()
