"""Boxes of the detection networks: overlaps, offsets, anchors, suppression, and who answers for which instance."""

from __future__ import annotations

import pytest
import torch

from MedSegDLLib.networks.boxes import anchors, clip, decode, encode, iou, nms, nms_by_group, volume, wide_enough
from MedSegDLLib.networks.detection_settings import SETTINGS
from MedSegDLLib.networks.detection_targets import BACKGROUND, IGNORED, match, sample, truth

both_dimensions = pytest.mark.parametrize("dims", [2, 3])


def random_boxes(count: int, dims: int, extent: float = 100, length: float = 30, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    start = extent * torch.rand(count, dims, generator=generator)
    return torch.cat([start, start + 1 + length * torch.rand(count, dims, generator=generator)], 1)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([0, 0, 4, 6], [0, 0, 4, 6], 1),
        ([0, 0, 4, 6], [2, 3, 6, 9], 6 / 42),
        ([0, 0, 4, 6], [4, 0, 8, 6], 0),  # they only touch
        ([0, 0, 8, 8], [2, 2, 4, 6], 8 / 64),
        ([0, 0, 4, 6], [5, 7, 9, 9], 0),  # apart along both axes: two negative lengths are no overlap
        ([3, 3, 3, 5], [3, 3, 3, 5], 0),  # empty
        ([0, 0, 0, 2, 2, 2], [1, 1, 1, 3, 3, 3], 1 / 15),
        ([0, 0, 0, 2, 2, 2], [0, 0, 2, 2, 2, 4], 0),
    ],
)
def test_known_overlaps(first, second, expected):
    first, second = torch.tensor([first]).float(), torch.tensor([second]).float()
    assert iou(first, second).item() == pytest.approx(expected)
    assert iou(second, first).item() == pytest.approx(expected)


@both_dimensions
def test_overlaps_are_those_of_counted_voxels(dims):
    boxes = random_boxes(12, dims, extent=10, length=9).round()
    voxels = torch.zeros(12, *(20,) * dims, dtype=torch.bool)
    for voxel, box in zip(voxels, boxes.long().tolist()):
        voxel[tuple(slice(box[axis], box[axis + dims]) for axis in range(dims))] = True
    voxels = voxels.flatten(1)
    shared = (voxels[:, None] & voxels[None]).sum(2)
    either = (voxels[:, None] | voxels[None]).sum(2)
    assert torch.equal(volume(boxes), voxels.sum(1).float())
    assert torch.allclose(iou(boxes, boxes), shared / either)


@both_dimensions
@pytest.mark.parametrize("weights", [(1.0, 1.0), (10.0, 5.0)])
def test_decoding_undoes_encoding(dims, weights):
    boxes, references = random_boxes(50, dims), random_boxes(50, dims, seed=1)
    assert torch.allclose(decode(encode(boxes, references, weights), references, weights), boxes, atol=1e-3)
    assert torch.equal(encode(boxes, boxes, weights), torch.zeros_like(boxes))


def test_offsets_are_those_of_the_paper():
    boxes, reference = torch.tensor([[12.0, 20.0, 22.0, 60.0]]), torch.tensor([[10.0, 20.0, 30.0, 40.0]])
    log_2 = 0.693147
    # centres 17, 40 from 20, 30, in lengths of 20; lengths 10 and 40 for 20
    expected = torch.tensor([[10 * -0.15, 10 * 0.5, 5 * -log_2, 5 * log_2]])
    assert torch.allclose(encode(boxes, reference, (10, 5)), expected, atol=1e-5)


def test_one_refinement_grows_a_box_by_a_bounded_factor():
    grown = decode(torch.tensor([[0.0, 0.0, 80.0, 80.0]]), torch.tensor([[0.0, 0.0, 2.0, 2.0]]))
    assert torch.allclose(grown, torch.tensor([[-61.5, -61.5, 63.5, 63.5]]))


def test_clipping_and_width():
    clipped = clip(torch.tensor([[-3.0, 2.0, 5.0, 40.0], [12.0, 1.0, 15.0, 3.0]]), (10, 20))
    assert clipped.tolist() == [[0, 2, 5, 20], [10, 1, 10, 3]]
    assert wide_enough(clipped, 1e-3).tolist() == [True, False]


@both_dimensions
def test_anchors_stand_on_the_centres_of_their_cells(dims):
    shape = (3, 4, 5)[-dims:]
    found = anchors(shape, 8, 16, (0.5, 1, 2))
    cells = torch.cartesian_prod(*(torch.arange(n) for n in shape))
    assert found.shape == (3 * len(cells), 2 * dims)
    start, end = found.chunk(2, 1)
    assert torch.allclose((start + end) / 2, (8.0 * cells + 4).repeat_interleave(3, 0))
    assert torch.allclose(volume(found), torch.tensor(16.0**dims))
    height, width = (end - start)[:3, -2:].unbind(1)
    assert torch.allclose(height / width, torch.tensor([0.5, 1, 2]))
    assert torch.all((end - start)[:, :-2] == 16)


def test_anchors_of_torchvision_but_for_rounding_and_half_a_cell():
    # what its generator gives for size 32 and three ratios around the origin, axes turned round
    theirs = [[-11, -23, 11, 23], [-16, -16, 16, 16], [-23, -11, 23, 11]]
    assert (anchors((1, 1), 4, 32, (0.5, 1, 2)) - 2).round().tolist() == theirs


def slow_nms(boxes, scores, threshold):
    overlaps = iou(boxes, boxes).tolist()
    left, kept = scores.argsort(descending=True).tolist(), []
    while left:
        best, *left = left
        kept.append(best)
        left = [each for each in left if overlaps[best][each] <= threshold]
    return kept


@both_dimensions
@pytest.mark.parametrize("threshold", [0.2, 0.5])
def test_suppression_is_that_of_one_box_after_another(dims, threshold):
    boxes = random_boxes(1000, dims, extent=60 if dims == 2 else 25)
    scores = torch.rand(1000, generator=torch.Generator().manual_seed(1))
    kept = nms(boxes, scores, threshold).tolist()
    assert kept == slow_nms(boxes, scores, threshold)
    assert 50 < len(kept) < 950


def test_a_suppressed_box_suppresses_nothing():
    chain = torch.tensor([[0.0, float(n), 10.0, n + 10.0] for n in range(0, 50, 4)])  # neighbours overlap by 6 / 14
    scores = torch.linspace(1, 0.1, len(chain))
    assert nms(chain, scores, 0.4).tolist() == list(range(0, len(chain), 2))


@both_dimensions
def test_groups_do_not_suppress_each_other(dims):
    boxes, scores = random_boxes(200, dims, extent=20), torch.rand(200, generator=torch.Generator().manual_seed(2))
    groups = torch.arange(200) % 3
    kept = nms_by_group(boxes, scores, groups, 0.2)
    assert scores[kept].tolist() == sorted(scores[kept].tolist(), reverse=True)
    for group in range(3):
        own = (groups == group).nonzero().squeeze(1)
        alone = own[nms(boxes[own], scores[own], 0.2)]
        assert kept[groups[kept] == group].tolist() == alone.tolist()


def test_nothing_to_suppress():
    none = torch.zeros(0, 4)
    assert nms(none, none[:, 0], 0.5).tolist() == nms_by_group(none, none[:, 0], none[:, 0], 0.5).tolist() == []


def test_instances_of_a_label_map():
    labels, instances = torch.zeros(2, 6, 8, dtype=torch.long), torch.zeros(2, 6, 8, dtype=torch.long)
    labels[0, 1:3, 2:5], instances[0, 1:3, 2:5] = 2, 7
    labels[0, 4:6, 0:2], instances[0, 4:6, 0:2] = 2, 3
    by_number, by_class, empty = truth(labels[0], instances[0]), truth(labels[0]), truth(labels[1])
    assert by_number.boxes.tolist() == [[4, 0, 6, 2], [1, 2, 3, 5]]
    assert by_number.classes.tolist() == [2, 2]
    assert torch.equal(by_number.masks[1], instances[0] == 7)
    assert (by_class.boxes.tolist(), by_class.classes.tolist()) == ([[1, 0, 6, 5]], [2])
    assert (empty.boxes.shape, empty.classes.shape, empty.masks.shape) == ((0, 4), (0,), (0, 6, 8))


def test_an_instance_has_the_class_of_most_of_its_voxels():
    labels = torch.tensor([[0, 1, 2], [2, 2, 0]])
    found = truth(labels, torch.ones_like(labels))
    assert (found.classes.tolist(), found.boxes.tolist()) == ([2], [[0, 0, 2, 3]])
    assert torch.equal(found.masks[0], labels > 0)


def test_matching():
    instances = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 24.0, 24.0]])
    boxes = torch.tensor(
        [
            [0, 0, 10, 9],  # 0.9 of the first
            [0, 0, 10, 5],  # half of it
            [0, 0, 10, 2],  # a fifth of it
            [20, 20, 30, 30],  # 0.16 of the second, more than any other box
            [20, 20, 30, 31],
        ]
    ).float()
    assert match(boxes, instances, 0.3, 0.7).tolist() == [0, IGNORED, BACKGROUND, BACKGROUND, BACKGROUND]
    assert match(boxes, instances, 0.3, 0.7, spare_none=True).tolist() == [0, IGNORED, BACKGROUND, 1, BACKGROUND]
    assert match(boxes, instances[:0], 0.3, 0.7, spare_none=True).tolist() == [BACKGROUND] * 5
    beyond_all = torch.tensor([[50.0, 50.0, 60.0, 60.0]])  # overlapping nothing is no best overlap
    assert match(boxes, beyond_all, 0.3, 0.7, spare_none=True).tolist() == [BACKGROUND] * 5


def test_sampling():
    matched = torch.tensor([BACKGROUND] * 50 + [IGNORED] * 50 + [3] * 50)
    torch.manual_seed(0)
    first, second = sample(matched, 40, 0.25), sample(matched, 40, 0.25)
    assert (matched[first] == 3).sum() == 10 and (matched[first] == BACKGROUND).sum() == 30
    assert len(first.unique()) == 40 and first.tolist() != second.tolist()
    torch.manual_seed(0)
    assert torch.equal(sample(matched, 40, 0.25), first)
    few = sample(matched[-53:], 40, 0.5)  # three ignored, no background
    assert len(few) == 20
    assert (matched[sample(matched[:51], 40, 0.5)] == BACKGROUND).all()


def test_defaults_are_the_published_ones():
    flat, deep = SETTINGS[2], SETTINGS[3]
    assert (flat.anchor_sizes, flat.anchor_ratios, flat.canonical) == ((32, 64, 128, 256, 512), (0.5, 1, 2), 224)
    assert (flat.anchors_sampled, flat.rois_sampled, flat.anchor_iou, flat.roi_iou) == (256, 512, (0.3, 0.7), 0.5)
    assert (flat.proposal_nms, flat.score_threshold, flat.detection_nms, flat.detections) == (0.7, 0.05, 0.5, 100)
    # the same misfit along each axis
    of_planar = [
        round(each**1.5, 2) for each in (*flat.anchor_iou, flat.roi_iou, flat.proposal_nms, flat.detection_nms)
    ]
    assert of_planar == [*deep.anchor_iou, deep.roi_iou, deep.proposal_nms, deep.detection_nms]
