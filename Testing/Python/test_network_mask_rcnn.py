"""Mask R-CNN: the published size, its losses, its detections drawn as a segmentation, and that it learns."""

from __future__ import annotations

import pytest
import torch

from MedSegDLLib.networks import create
from MedSegDLLib.networks.blocks import parameter_count
from MedSegDLLib.networks.boxes import iou
from MedSegDLLib.networks.detection_targets import truth
from MedSegDLLib.networks.fpn import FeaturePyramid
from MedSegDLLib.networks.mask_rcnn import Instances, draw
from MedSegDLLib.networks.roi_heads import box_losses, mask_loss, mask_targets
from network_makers import small

both_dimensions = pytest.mark.parametrize("dims", [2, 3])
LOSSES = ["objectness", "proposal_boxes", "classes", "boxes", "masks"]


def test_parameters_are_as_many_as_in_torchvision():
    with torch.device("meta"):
        network = create("mask-rcnn", 2, 3, 91)
    box, mask = network.box_head, network.mask_head
    assert parameter_count(network.backbone) + parameter_count(network.pyramid) == 26_852_416
    assert parameter_count(network.proposals) == 593_935
    assert parameter_count(box.hidden) == 13_895_680
    assert parameter_count(box.classes) + parameter_count(box.offsets) == 466_375
    assert parameter_count(mask.convs) == 2_360_320
    assert parameter_count(mask.up) + parameter_count(mask.masks) == 285_787
    assert parameter_count(network) == 44_454_513


def test_a_third_axis_only_adds_to_kernels_bins_and_box_sides():
    with torch.device("meta"):
        flat, deep = (dict(create("mask-rcnn", dims, 1, 3).named_parameters()) for dims in (2, 3))
    assert list(flat) == list(deep)
    for name, parameter in flat.items():
        expected = list(parameter.shape)
        if parameter.ndim == 4:
            expected += expected[-1:]
        if name == "box_head.hidden.1.weight":
            expected[1] *= 7
        if ".offsets." in name:
            expected[0] = expected[0] * 3 // 2
        assert list(deep[name].shape) == expected, name


@both_dimensions
def test_pyramid_is_the_sum_of_what_is_coarser(dims):
    pyramid = FeaturePyramid(dims, (4, 8, 16, 32), 4).eval()
    maps = [torch.randn(1, 2 ** (n + 2), *(2 ** (4 - n) - n // 3,) * dims) for n in range(4)]  # 16, 8, 4, 1
    with torch.inference_mode():
        levels = pyramid(maps)
        of_coarse, of_fine = pyramid([*maps[:3], maps[3] + 1]), pyramid([maps[0] + 1, *maps[1:]])
    assert [level.shape[-1] for level in levels] == [16, 8, 4, 1, 1]
    assert all(not torch.equal(*each) for each in zip(levels, of_coarse))
    assert [torch.equal(*each) for each in zip(levels, of_fine)] == [False, True, True, True, True]


def found(boxes, scores, classes, masks) -> Instances:
    return Instances(torch.tensor(boxes), torch.tensor(scores), torch.tensor(classes), torch.tensor(masks))


def test_instances_are_drawn_as_the_surest_of_each_class():
    instances = found(
        [[0.0, 0, 1, 4]] * 3, [0.5, 0.8, 0.9], [1, 1, 2], [[[1.0, 1, 0, 0]], [[0.0, 1, 1, 0]], [[0.0, 0, 0.5, 0]]]
    )
    expected = torch.tensor([[[0.5, 0.2, 0.2, 1]], [[0.5, 0.8, 0.8, 0]], [[0, 0, 0.45, 0]]])
    drawn = draw(instances, 3)
    assert drawn.isfinite().all()
    assert torch.allclose(drawn.exp(), expected, atol=1e-5)


@both_dimensions
def test_nothing_found_is_all_background(dims):
    network = small("mask-rcnn", dims, score_threshold=1.0).eval()
    x = torch.randn(1, 1, *(20,) * dims)
    assert len(network.instances(x)[0].scores) == 0
    logits = network(x)
    assert torch.all(logits[:, 0] == 0) and torch.all(logits[:, 1:] < -13)


@both_dimensions
def test_instances_lie_in_the_image(dims):
    network, size = small("mask-rcnn", dims).eval(), (19, 33, 40)[-dims:]
    instances = network.instances(torch.randn(2, 1, *size))
    assert len(instances) == 2
    for each in instances:
        assert 0 < len(each.scores) <= 10
        assert each.masks.shape == (len(each.scores), *size)
        start, end = each.boxes.chunk(2, 1)
        assert torch.all(start >= 0) and torch.all(end > start) and torch.all(end <= torch.tensor(size))
        assert set(each.classes.tolist()) <= {1, 2}
        assert each.scores.tolist() == sorted(each.scores.tolist(), reverse=True)
        assert 0 <= each.masks.min() and each.masks.max() <= 1


@both_dimensions
def test_masks_are_those_of_their_classes_and_boxes(dims):
    network = small("mask-rcnn", dims, detections=100).eval()
    torch.nn.init.zeros_(network.mask_head.masks.weight)
    network.mask_head.masks.bias.data = torch.tensor([0.0, 20, -20])  # class 1 fills its boxes, class 2 nothing
    instances = network.instances(torch.randn(1, 1, *(32,) * dims))[0]
    assert set(instances.classes.tolist()) == {1, 2}
    centres = [(torch.arange(32) + 0.5)] * dims
    place = torch.stack(torch.meshgrid(*centres, indexing="ij"), -1)
    for box, number, mask in zip(instances.boxes, instances.classes, instances.masks):
        start, end = box.chunk(2)
        cell = (end - start) / 10 / 2  # half a cell of the mask, over which it fades
        deep_inside = ((place > start + cell) & (place < end - cell)).all(-1)
        outside = ((place < start - cell) | (place > end + cell)).any(-1)
        assert torch.all((mask[deep_inside] > 0.99) == (number == 1))
        assert mask[outside].abs().max() < 1e-5


@both_dimensions
def test_mask_targets_are_cut_out_of_the_instance(dims):
    masks = torch.zeros(2, *(16,) * dims, dtype=torch.bool)
    masks[(1, *(slice(4, 12) for _ in range(dims)))] = True
    boxes = torch.tensor([[4.0] * dims + [12.0] * dims, [0.0] * dims + [16.0] * dims, [4.0] * dims + [12.0] * dims])
    targets = mask_targets(masks, boxes, torch.tensor([1, 1, 0]), (8,) * dims)
    assert targets[0].min() == 1 and targets[2].max() == 0
    middle = torch.zeros((8,) * dims)
    middle[(slice(2, 6),) * dims] = 1
    assert torch.equal(targets[1], middle)


def test_only_the_true_class_is_asked_for_box_and_mask():
    offsets = torch.zeros(2, 3, 4, requires_grad=True)
    proposals = torch.tensor([[0.0, 0, 8, 8], [0.0, 0, 8, 8]])
    classes = torch.tensor([0, 2])
    of_classes, of_boxes = box_losses(torch.zeros(2, 3), offsets, proposals, classes, proposals[:1] + 0.8)
    assert of_classes.item() == pytest.approx(1.098612)
    assert of_boxes.item() == pytest.approx(2 * (1 - 0.5 / 9) / 2)  # two shifts of 10 * 0.1 over two proposals
    of_boxes.backward()
    assert offsets.grad.abs().sum((0, 2)).tolist()[:2] == [0, 0] and offsets.grad[1, 2, :2].abs().min() > 0
    logits = torch.zeros(1, 3, 2, 2, requires_grad=True)
    mask_loss(logits, torch.tensor([2]), torch.ones(1, 2, 2)).backward()
    assert logits.grad[0, :2].abs().max() == 0 and logits.grad[0, 2].abs().min() > 0


def images(dims: int, size: int, count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images with three balls apart from each other, of two classes and brightnesses, and their labels and numbers."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.zeros(count, *(size,) * dims, dtype=torch.long)
    numbers = labels.clone()
    place = torch.stack(torch.meshgrid(*[torch.arange(size) + 0.5] * dims, indexing="ij"), -1)
    for label, number in zip(labels, numbers):
        while number.max() < 3:
            radius = 5 + 4 * torch.rand(1, generator=generator)
            centre = radius + 1 + (size - 2 * radius - 2) * torch.rand(dims, generator=generator)
            distance = (place - centre).norm(dim=-1)
            if number[distance < radius + 2].any():
                continue
            number[distance < radius] = number.max() + 1
            label[distance < radius] = 1 + number.max() % 2
    x = labels + 0.1 * torch.randn(labels.shape, generator=generator)
    return x[:, None], labels, numbers


@both_dimensions
def test_losses_are_five_and_a_seed_decides_them(dims):
    x, labels, numbers = images(dims, 32, 2)
    network = small("mask-rcnn", dims)
    values = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        values.append(network.training_losses(x, labels, numbers))
    assert list(values[0]) == LOSSES
    assert all(each.ndim == 0 and each > 0 for each in values[0].values())
    assert values[0] == values[1] != values[2]
    torch.manual_seed(0)
    assert network.training_loss(x, labels, numbers) == sum(values[0].values())
    torch.manual_seed(0)
    assert network.training_loss(x, labels) != sum(values[0].values())


@both_dimensions
def test_images_without_instances_teach_background_only(dims):
    x, labels, _ = images(dims, 32, 2)
    network = small("mask-rcnn", dims)
    losses = network.training_losses(x, torch.zeros_like(labels))
    assert losses["objectness"] > 0 and losses["classes"] > 0
    assert [losses[name].item() for name in ("proposal_boxes", "boxes", "masks")] == [0, 0, 0]
    labels[0] = 0
    sum(network.training_losses(x, labels).values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def dice(network, x, labels) -> list[float]:
    drawn = network.eval()(x).argmax(1)
    return [
        (2 * ((drawn == c) & (labels == c)).sum() / ((drawn == c).sum() + (labels == c).sum())).item() for c in (1, 2)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dims", "size", "count", "more"),
    [
        (2, 64, 4, {"width": 16, "head_features": 32, "anchor_sizes": [4, 8, 16, 32, 64], "box_pool": 5}),
        (3, 32, 2, {"width": 8, "head_features": 24, "anchor_sizes": [8, 16, 32, 64, 128], "box_pool": 5}),
    ],
)
def test_it_learns_to_find_balls(dims, size, count, more):
    x, labels, numbers = images(dims, size, count)
    network = small("mask-rcnn", dims, fc_features=64, mask_pool=7, rois_sampled=64, proposals=[200, 100], **more)
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 120)
    losses = []
    for _ in range(120):
        loss = network.train().training_loss(x, labels, numbers)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    assert min(dice(network, x, labels)) > 0.95
    for image, instances in enumerate(network.instances(x)):
        sure = instances.scores > 0.5
        expected = truth(labels[image], numbers[image])
        overlap = iou(expected.boxes, instances.boxes[sure])
        best = overlap.max(1)
        assert best.values.min() > 0.7
        assert torch.equal(instances.classes[sure][best.indices], expected.classes)
