"""Losses: MONAI's and torch's own figures where all is annotated, and nothing learned from what is not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from monai.losses import DiceCELoss, DiceLoss, FocalLoss, TverskyLoss

from MedSegTrainLib.data.case import IGNORE
from MedSegTrainLib.training.losses import (
    SegmentationLoss,
    count_classes,
    inverse_frequency,
    merged_with_background,
    signed_distances,
)
from MedSegTrainLib.training.recipe import Loss

NAMES = ["cross_entropy", "dice", "dice_ce", "focal", "tversky", "boundary"]
WEIGHTS = torch.tensor([0.2, 1.0, 3.0])


def batch(dims: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of three classes and a label in which all occur."""
    generator = torch.Generator().manual_seed(dims)
    shape = (5, 6, 7)[-dims:]
    return (
        torch.randn(2, 3, *shape, generator=generator, requires_grad=True),
        torch.randint(0, 3, (2, 1, *shape), generator=generator),
    )


def loss_of(name: str, weights=None, **options) -> SegmentationLoss:
    return SegmentationLoss(Loss(name=name, **options), weights)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (loss_of("cross_entropy"), lambda x, y: F.cross_entropy(x, y[:, 0])),
        (loss_of("cross_entropy", WEIGHTS), lambda x, y: F.cross_entropy(x, y[:, 0], WEIGHTS)),
        (loss_of("dice"), DiceLoss(include_background=False, softmax=True, to_onehot_y=True, batch=True)),
        (loss_of("dice_ce"), DiceCELoss(include_background=False, softmax=True, to_onehot_y=True, batch=True)),
        (loss_of("focal"), FocalLoss(gamma=2, to_onehot_y=True, use_softmax=True)),
        (
            loss_of("focal", WEIGHTS, focal_gamma=1),
            FocalLoss(gamma=1, to_onehot_y=True, use_softmax=True, weight=WEIGHTS),
        ),
        (
            loss_of("tversky"),
            TverskyLoss(include_background=False, softmax=True, to_onehot_y=True, alpha=0.3, beta=0.7, batch=True),
        ),
    ],
)
def test_where_all_is_annotated_the_losses_are_monais_and_torchs(ours, theirs, sparse, dims):
    logits, label = batch(dims)
    everything = torch.ones(2, 3, dtype=torch.bool)
    expected = theirs(logits, label)
    assert torch.allclose(ours(logits, label, sparse=sparse), expected, atol=1e-6)
    assert torch.allclose(ours(logits, label, everything, sparse), expected, atol=1e-5)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("name", NAMES)
def test_what_nobody_annotated_changes_nothing_and_gets_no_gradient(name, weights):
    logits, label = batch()
    label[:, :, 2:4] = IGNORE
    loss = loss_of(name, weights)(logits, label)
    loss.backward()
    hidden = (label == IGNORE).expand_as(logits)
    assert logits.grad[hidden].abs().max() == 0 and logits.grad[~hidden].abs().max() > 0
    changed = torch.where(hidden, 100 * torch.randn_like(logits), logits).detach()
    assert torch.allclose(loss_of(name, weights)(changed, label), loss, atol=1e-6)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"boundary"}))
def test_the_loss_of_what_is_annotated_is_that_of_the_rest_cut_away(name):
    logits, label = batch()
    label[:, :, 3:] = IGNORE
    rest = loss_of(name)(logits[:, :, :3], label[:, :, :3])
    assert torch.allclose(loss_of(name)(logits, label), rest, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_without_any_annotation_teaches_nothing(name):
    logits, label = batch()
    loss = loss_of(name, WEIGHTS)(logits, torch.full_like(label, IGNORE))
    loss.backward()
    assert loss.item() == 0 and logits.grad.abs().max() == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_structure_that_was_not_contoured_may_be_found_or_not(name):
    """Moving probability between background and such a structure costs nothing."""
    logits, label = batch()
    label[label == 2] = 0
    annotated = torch.tensor([[True, True, False]]).expand(2, 3)
    swapped = logits[:, [2, 1, 0]]
    loss = loss_of(name)(logits, label, annotated)
    assert torch.allclose(loss_of(name)(swapped, label, annotated), loss, atol=1e-6)
    assert loss_of(name)(swapped, label).sub(loss).abs() > 1e-3
    loss.backward()
    assert logits.grad.isfinite().all() and logits.grad[:, 1].abs().max() > 0


def test_merged_probabilities_are_sums():
    logits, _ = batch()
    annotated = torch.tensor([[True, True, False], [True, True, True]])
    merged = merged_with_background(logits, annotated).softmax(1)
    plain = logits.softmax(1)
    assert torch.allclose(merged[0, 0], plain[0, 0] + plain[0, 2], atol=1e-6)
    assert torch.allclose(merged[0, 1], plain[0, 1], atol=1e-6) and merged[0, 2].max() == 0
    assert torch.allclose(merged[1], plain[1], atol=1e-6)


def test_signed_distances_by_hand():
    label = torch.tensor([[[[0, 0, 1, 1, 1, 0]]]])
    distances = signed_distances(label, 3)
    assert distances[0, 1].tolist() == [[2, 1, 0, -1, 0, 1]]
    assert distances[0, 0].tolist() == [[-1, 0, 1, 2, 1, 0]]
    assert distances[0, 2].abs().max() == 0  # it is not there
    assert signed_distances(label, 3, (1, 2.5))[0, 1].tolist() == [[5, 2.5, 0, -2.5, 0, 2.5]]
    assert signed_distances(torch.ones(1, 1, 3, 3, dtype=torch.long), 2).abs().max() == 0  # nothing else is there


def test_the_boundary_loss_weighs_errors_by_their_distance():
    label = torch.zeros(1, 1, 9, 9, dtype=torch.long)
    label[..., 3:6, 3:6] = 1
    near, far = (F.one_hot(label[:, 0], 2).movedim(-1, 1).float() * 40 for _ in range(2))
    near[..., 4, 6], far[..., 4, 8] = torch.tensor([0.0, 40.0]), torch.tensor([0.0, 40.0])
    boundary, plain = loss_of("boundary", boundary_share=1.0), loss_of("dice_ce")
    assert boundary(far, label) > boundary(near, label)
    assert torch.allclose(plain(far, label), plain(near, label))
    assert torch.allclose(boundary(far, label, progress=0.0), plain(far, label))


class Sampled:
    def __init__(self, classes):
        self.classes = np.array(classes, np.uint8)


def test_rare_classes_count_as_much_as_frequent_ones():
    samples = [lambda: Sampled([0] * 6 + [1]), lambda: Sampled([0, 0, 1, IGNORE])]
    counts = count_classes(samples, 3)
    assert counts.tolist() == [8, 2, 0]
    weights = inverse_frequency(counts)
    assert weights[0] * 8 == pytest.approx(float(weights[1] * 2)) and weights[2] == 0
    assert weights.mean() == pytest.approx(1)
