"""What a training makes small, for labels of which some were never given.

    cross_entropy   of each voxel
    dice            soft Dice of each structure over the batch (Milletari et al. 2016, arXiv:1606.04797)
    dice_ce         their sum, as in nnU-Net
    focal           Lin et al. 2017, arXiv:1708.02002
    tversky         Salehi et al. 2017, arXiv:1706.05721
    boundary        Kervadec et al. 2019, arXiv:1812.07032, joined to dice_ce by a share that grows

A voxel labelled `IGNORE` was annotated by nobody: it is in no sum and no mean, and its gradient is zero. A structure
that nobody contoured in a case may be anywhere in that case's background. There the loss is the marginal one (Shi et
al. 2021, arXiv:2007.03868): the probabilities of such structures are added to that of the background.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from monai.losses import DiceLoss, FocalLoss, TverskyLoss
from scipy.ndimage import distance_transform_edt
from torch import Tensor, nn

from ..data.case import IGNORE
from .recipe_fields import Loss

_NEVER = -1e4  # a logit whose softmax is 0; an infinite one would make a gradient of 0 * inf


class SegmentationLoss(nn.Module):
    """The loss that a recipe names.

    Args:
        recipe: name and numbers of the loss.
        class_weights: of cross-entropy and focal loss, (K,), background first; None for equal ones.
        sampling: distance of the voxels along each axis of an image, for the boundary loss.
    """

    def __init__(self, recipe: Loss, class_weights: Tensor | None = None, sampling: tuple[float, ...] | None = None):
        super().__init__()
        self.recipe, self.sampling = recipe, sampling
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.dice = DiceLoss(include_background=False, batch=True)
        self.tversky = TverskyLoss(
            include_background=False, alpha=recipe.tversky_alpha, beta=recipe.tversky_beta, batch=True
        )
        self.focal = FocalLoss(gamma=recipe.focal_gamma, use_softmax=True, reduction="none")

    def forward(
        self, logits: Tensor, label: Tensor, annotated: Tensor | None = None, sparse: bool = True, progress: float = 1.0
    ) -> Tensor:
        """The loss, a scalar; 0 where no voxel was annotated.

        Args:
            logits: (B, K, *spatial).
            label: (B, 1, *spatial), integers: class of each voxel, or IGNORE.
            annotated: (B, K), which classes were contoured in each image; None for all in all.
            sparse: whether the label may hold IGNORE; where it does not, this saves time.
            progress: share of the training that is done, for the boundary loss.
        """
        logits, label = logits.float(), label.long()
        if annotated is not None:
            logits = merged_with_background(logits, annotated)
        valid = label != IGNORE if sparse else None
        if self.recipe.name == "boundary":
            share = self.recipe.boundary_share * progress
            return (1 - share) * self._dice_ce(logits, label, valid) + share * self._boundary(logits, label, valid)
        return getattr(self, f"_{self.recipe.name}")(logits, label, valid)

    def _cross_entropy(self, logits: Tensor, label: Tensor, valid: Tensor | None) -> Tensor:
        classes, weights = label[:, 0], self._weights_for(logits)
        total = F.cross_entropy(logits, classes, weights, ignore_index=IGNORE, reduction="sum")
        if weights is None:
            return total / (classes.numel() if valid is None else valid.sum().clamp(min=1))
        counted = F.pad(weights, (0, IGNORE + 1 - len(weights)))[classes]
        return total / counted.sum().clamp(min=1e-8)

    def _dice(self, logits: Tensor, label: Tensor, valid: Tensor | None) -> Tensor:
        return self.dice(*_of_valid(valid, logits.softmax(1), _one_hot(label, logits)))

    def _dice_ce(self, logits: Tensor, label: Tensor, valid: Tensor | None) -> Tensor:
        return self._dice(logits, label, valid) + self._cross_entropy(logits, label, valid)

    def _tversky(self, logits: Tensor, label: Tensor, valid: Tensor | None) -> Tensor:
        return self.tversky(*_of_valid(valid, logits.softmax(1), _one_hot(label, logits)))

    def _focal(self, logits: Tensor, label: Tensor, valid: Tensor | None) -> Tensor:
        losses, weights = self.focal(logits, _one_hot(label, logits)), self._weights_for(logits)
        if weights is not None:
            losses = losses * weights.view(-1, *(1 for _ in losses.shape[2:]))
        return _mean(losses, valid)

    def _boundary(self, logits: Tensor, label: Tensor, valid: Tensor | None) -> Tensor:
        distances = signed_distances(label, logits.shape[1], self.sampling).to(logits.device)
        return _mean((logits.softmax(1) * distances)[:, 1:], valid)

    def _weights_for(self, logits: Tensor) -> Tensor | None:
        """On the device of the logits: those of whole cases lie on the CPU while a GPU trains."""
        return None if self.class_weights is None else self.class_weights.to(logits.device)


def merged_with_background(logits: Tensor, annotated: Tensor) -> Tensor:
    """(B, K, *spatial) with classes that were not annotated added to the background's probability.

    Args:
        annotated: (B, K) of bool; the background's entry does not matter.
    """
    annotated = annotated.view(*annotated.shape, *(1 for _ in logits.shape[2:]))
    background = torch.cat((logits[:, :1], logits[:, 1:].masked_fill(annotated[:, 1:], -torch.inf)), dim=1)
    others = logits[:, 1:].masked_fill(~annotated[:, 1:], _NEVER)
    return torch.cat((background.logsumexp(1, keepdim=True), others), dim=1)


def signed_distances(label: Tensor, classes: int, sampling: tuple[float, ...] | None = None) -> Tensor:
    """Distance of each voxel (B, K, *spatial) to the border of each class, negative inside, on the CPU.

    As the paper's authors define it: a class's outermost voxels have 0. Where an image lacks a class, or has nothing
    else, there is no border, and all are 0.
    """
    maps = np.zeros((len(label), classes, *label.shape[2:]), np.float32)
    for image, found in zip(maps, label[:, 0].cpu().numpy()):
        for number in np.unique(found[found != IGNORE]):
            inside = found == number
            if not inside.all():
                outer = distance_transform_edt(~inside, sampling)
                inner = distance_transform_edt(inside, sampling)
                image[number] = outer - np.where(inside, inner - inner[inside].min(), 0)
    return torch.from_numpy(maps)


def count_classes(samples, classes: int) -> np.ndarray:
    """Voxels of each class in all samples, background first; those that nobody annotated are not counted.

    Args:
        samples: functions that give a sample each.
    """
    return sum(np.bincount(sample().classes.ravel(), minlength=IGNORE + 1)[:classes] for sample in samples)


def inverse_frequency(counts) -> Tensor:
    """Weights (K,) that make all classes count alike in a mean over voxels; their mean is 1. 0 for what never occurs.

    Args:
        counts: of voxels or volumes of each class, background first.
    """
    counts = torch.as_tensor(np.asarray(counts, dtype=float))
    weights = torch.where(counts > 0, 1 / counts.clamp(min=1e-12), 0)
    return (weights * (len(counts) / weights.sum())).float()


def _one_hot(label: Tensor, logits: Tensor) -> Tensor:
    return torch.zeros_like(logits).scatter_(1, label.masked_fill(label == IGNORE, 0), 1)


def _of_valid(valid: Tensor | None, *maps: Tensor) -> tuple[Tensor, ...]:
    """(B, K, *spatial) with zeros where nobody annotated."""
    return maps if valid is None else tuple(x * valid for x in maps)


def _mean(values: Tensor, valid: Tensor | None) -> Tensor:
    """Over the classes and the annotated voxels of (B, K, *spatial)."""
    if valid is None:
        return values.mean()
    return (values * valid).sum() / (valid.sum() * values.shape[1]).clamp(min=1)
