"""Region proposal network, Ren et al. 2015, arXiv:1506.01497, on a feature pyramid, in two and three dimensions.

At each place of each level, for each of its anchors: is an instance there, and where is its box. A 3x3 convolution with
ReLU and two 1x1 convolutions, the same for all levels (Lin et al. 2017, arXiv:1612.03144, section 4.1). One logit an
anchor instead of the paper's two, as in the authors' Detectron. Anchors that reach out of the image count too, as in
Lin et al. but not in Ren et al.

Initialised as in the paper: normal with deviation 0.01, biases 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.init import normal_, zeros_

from .blocks import CONV
from .boxes import anchors, clip, decode, encode, nms_by_group, wide_enough
from .detection_settings import DetectionSettings
from .detection_targets import Truth, match, sample
from .fpn import STRIDES


class RegionProposals(nn.Module):
    """The first stage of a detector.

    Args:
        spatial_dims: 2 or 3.
        features: channels of the pyramid.
        settings: anchors, thresholds and counts.
    """

    def __init__(self, spatial_dims: int, features: int, settings: DetectionSettings):
        super().__init__()
        conv, self.settings = CONV[spatial_dims], settings
        a_place = len(settings.anchor_ratios)
        self.conv = conv(features, features, 3, padding=1)
        self.objectness = conv(features, a_place, 1)
        self.offsets = conv(features, 2 * spatial_dims * a_place, 1)
        for layer in (self.conv, self.objectness, self.offsets):
            normal_(layer.weight, std=0.01)
            zeros_(layer.bias)

    def forward(self, levels: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Levels of the pyramid -> objectness logits (B, anchors) and offsets (B, anchors, 2 * dims) of each."""
        objectness, offsets = [], []
        for level in levels:
            x = F.relu(self.conv(level))
            objectness.append(_by_anchor(self.objectness(x), self.objectness.out_channels).squeeze(2))
            offsets.append(_by_anchor(self.offsets(x), self.objectness.out_channels))
        return objectness, offsets

    def anchors(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """(anchors, 2 * dims) of each level, in the order of `forward`."""
        sizes, ratios = self.settings.anchor_sizes, self.settings.anchor_ratios
        return [
            anchors(level.shape[2:], stride, size, ratios, level.device)
            for level, stride, size in zip(levels, STRIDES, sizes, strict=True)
        ]

    @torch.no_grad()
    def propose(self, objectness, offsets, anchors: Sequence[Tensor], spatial: Sequence[int]) -> list[Tensor]:
        """The boxes of each image to look at more closely, best first: (N, 2 * dims).

        Args:
            objectness: from `forward`.
            offsets: from `forward`.
            anchors: from `anchors`.
            spatial: size of the images, to which the boxes are clipped.
        """
        phase = 0 if self.training else 1
        return [
            self._propose([each[n] for each in objectness], [each[n] for each in offsets], anchors, spatial, phase)
            for n in range(len(objectness[0]))
        ]

    def _propose(self, objectness, offsets, anchors, spatial, phase) -> Tensor:
        boxes, scores, levels = [], [], []
        for number, (logits, shifts, references) in enumerate(zip(objectness, offsets, anchors)):
            best = logits.topk(min(self.settings.candidates[phase], len(logits)))
            boxes.append(clip(decode(shifts[best.indices], references[best.indices]), spatial))
            scores.append(best.values)
            levels.append(torch.full_like(best.indices, number))
        boxes, scores, levels = torch.cat(boxes), torch.cat(scores), torch.cat(levels)
        inside = wide_enough(boxes, 1e-3)
        boxes, scores, levels = boxes[inside], scores[inside], levels[inside]
        return boxes[nms_by_group(boxes, scores, levels, self.settings.proposal_nms)[: self.settings.proposals[phase]]]

    def losses(self, objectness, offsets, anchors: Sequence[Tensor], truths: Sequence[Truth]) -> tuple[Tensor, Tensor]:
        """Of the objectness and of the boxes, over the sampled anchors of all images."""
        anchors, objectness, offsets = torch.cat(list(anchors)), torch.cat(objectness, 1), torch.cat(offsets, 1)
        asked, answers, boxes, targets = [], [], [], []
        for image, each in enumerate(truths):
            matched = match(anchors, each.boxes, *self.settings.anchor_iou, spare_none=True)
            sampled = sample(matched, self.settings.anchors_sampled, 0.5)
            positive = sampled[matched[sampled] >= 0]
            asked.append(objectness[image, sampled])
            answers.append(matched[sampled] >= 0)
            boxes.append(offsets[image, positive])
            targets.append(encode(each.boxes[matched[positive]], anchors[positive]))
        asked, answers = torch.cat(asked), torch.cat(answers).float()
        misplaced = F.smooth_l1_loss(torch.cat(boxes), torch.cat(targets), beta=1 / 9, reduction="sum")
        return F.binary_cross_entropy_with_logits(asked, answers), misplaced / len(asked)


def _by_anchor(x: Tensor, anchors: int) -> Tensor:
    """(B, anchors * values, *spatial) -> (B, places * anchors, values), in full precision for the boxes."""
    return x.float().unflatten(1, (anchors, -1)).flatten(3).permute(0, 3, 1, 2).flatten(1, 2)
