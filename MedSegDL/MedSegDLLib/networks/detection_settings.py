"""How a two-stage detector searches, in two and in three dimensions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DetectionSettings:
    """The numbers of a two-stage detector beside its widths; the defaults are those for two dimensions.

    Those are He et al. 2017, arXiv:1703.06870, section 3.1, and where the paper is silent torchvision's, which follows
    the authors' Detectron. Pairs named "(training, inference)" hold one number for each.

    Attributes:
        anchor_sizes: side of the anchors of P2 to P6, in voxels. A box 7/4 as long as P4's anchors is read from P4,
            which is 224 voxels as published.
        anchor_ratios: height / width of the anchors at each place.
        candidates: (training, inference), best boxes of each level that go into the suppression.
        proposals: (training, inference), boxes of an image that come out of it, for the second stage.
        proposal_nms: overlap (IoU) above which the better of two proposals suppresses the other.
        anchor_iou: an anchor that overlaps an instance by less than the first is background, by the second or more is
            that instance, and between is not asked.
        anchors_sampled: anchors of an image in the loss, half of them on instances where there are that many.
        roi_iou: a proposal that overlaps an instance by this or more is that instance, else background.
        rois_sampled: proposals of an image in the loss, at most a quarter of them instances.
        box_pool: bins of a box for the box head, one number or one an axis.
        mask_pool: the same for the mask head, whose masks are twice as fine.
        points: read in each bin along each axis.
        score_threshold: a detection's least probability of its class.
        detection_nms: overlap above which the better of two detections of a class suppresses the other.
        detections: kept of an image, the best.
    """

    anchor_sizes: tuple[float, float, float, float, float] = (32, 64, 128, 256, 512)
    anchor_ratios: tuple[float, ...] = (0.5, 1, 2)
    candidates: tuple[int, int] = (2000, 1000)
    proposals: tuple[int, int] = (2000, 1000)
    proposal_nms: float = 0.7
    anchor_iou: tuple[float, float] = (0.3, 0.7)
    anchors_sampled: int = 256
    roi_iou: float = 0.5
    rois_sampled: int = 512
    box_pool: int | tuple[int, ...] = 7
    mask_pool: int | tuple[int, ...] = 14
    points: int = 2
    score_threshold: float = 0.05
    detection_nms: float = 0.5
    detections: int = 100

    @property
    def canonical(self) -> float:
        """Length of the boxes that P4 is read for."""
        return self.anchor_sizes[2] * 7 / 4


SETTINGS = {
    2: DetectionSettings(),
    3: DetectionSettings(
        anchor_sizes=(8, 16, 32, 64, 128),
        candidates=(1000, 1000),
        proposals=(500, 500),
        proposal_nms=0.59,
        anchor_iou=(0.16, 0.59),
        roi_iou=0.35,
        rois_sampled=64,
        points=1,
        detection_nms=0.35,
        detections=30,
    ),
}
"""By the number of dimensions.

In three the anchors of P2 to P5, the proposals and detections at inference, and one point a bin are those of Jaeger et
al. 2018, arXiv:1811.08661, in its authors' toolkit (see `mask_rcnn`; its anchors are a quarter as long across slices).
The overlaps are the planar ones to the power 3/2: what is off by the same share along each axis overlaps by that much
less. RoIs are fewer because each has seven or fourteen times the bins that it has in the plane; the toolkit takes six.
"""
