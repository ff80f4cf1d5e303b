"""Lets torchvision be imported, by the peers and by timm and segmentation-models-pytorch. Import this first.

pip's wheel of torchvision is a CUDA build. Beside a CPU build of torch its compiled operators do not load, and its
import ends at two of them which it wants to describe to torch's compiler. Once they are declared, it imports. Its
models need no compiled operator but for Mask R-CNN, which gets RoIAlign from torchvision's own plain version, here
without waiting for a compiler, and the suppression of boxes from this file.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor


def _declare_operators() -> torch.library.Library:
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def _plain_nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """What torchvision.ops.nms gives: the boxes' numbers, the best first."""
    order = scores.argsort(descending=True, stable=True)
    overlaps = torchvision.ops.box_iou(boxes[order], boxes[order]) > iou_threshold
    suppressed = torch.zeros(len(order), dtype=torch.bool)
    for n in range(len(order)):
        if not suppressed[n]:
            suppressed[n + 1 :] |= overlaps[n, n + 1 :]
    return order[~suppressed]


try:
    import torchvision
except RuntimeError:
    _KEPT = _declare_operators()  # they last as long as it does
    import torchvision

    torchvision.ops.boxes.nms = _plain_nms
    _module = sys.modules["torchvision.ops.roi_align"]
    _module._roi_align = _module._roi_align.__wrapped__
