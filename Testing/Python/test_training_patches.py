"""Patches: where they are cut, how they change, and that their stream can be taken up anywhere."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from MedSegDLLib.networks import create
from MedSegTrainLib.data.case import IGNORE
from MedSegTrainLib.training.augmentation import Intensities, affine_matrix, is_flat, margin_for, resample_affine
from MedSegTrainLib.training.patches import Patches, PatchOrder, cut_patch, patch_loader
from MedSegTrainLib.training.recipe_fields import Augmentation
from sample_makers import sample, specification

NOTHING = {name: 0 for name in Augmentation.model_fields if name.endswith("probability")}
STILL = Augmentation(**NOTHING, mirror=(False, False, False))
STRONG = Augmentation(
    rotation_degrees=180, scale=0.5, translation=0.3, **(dict.fromkeys(NOTHING, 1) | {"intensity_probability": 0.7})
)


def blocks(shape=(20, 22, 24)) -> np.ndarray:
    """Classes 1 and 2 side by side."""
    classes = np.zeros(shape, np.uint8)
    k, j, i = (n // 4 for n in shape)
    classes[k : 3 * k, j : 2 * j, i : 3 * i] = 1
    classes[k : 3 * k, 2 * j : 3 * j, i : 3 * i] = 2
    return classes


def patches(*samples, spec=None, augmentation=STILL, batch=2, **options) -> Patches:
    functions = [lambda each=each: each for each in samples or (sample(blocks()),)]
    return Patches(functions, spec or specification(), augmentation, batch=batch, **options)


# Cutting


@pytest.mark.parametrize("center", [(0, 0, 0), (5, 6, 7), (9, 0, 13), (30, 30, 30)])
def test_a_patch_is_cut_around_its_centre(center):
    array = np.random.default_rng(0).random((2, 10, 12, 14)) + 1
    patch = cut_patch(array, np.array(center), (8, 5, 20))
    assert patch.shape == (2, 8, 5, 20)
    for index in np.ndindex(patch.shape[1:]):
        source = np.array(index) + center - np.array([4, 2, 10])
        inside = ((source >= 0) & (source < array.shape[1:])).all()
        expected = array[(slice(None), *source)] if inside else 0
        assert (patch[(slice(None), *index)] == expected).all()


@pytest.mark.parametrize("dims", [2, 3])
def test_unchanged_patches_are_parts_of_the_image_with_their_classes(dims):
    classes = blocks()
    made = patches(sample(classes), spec=specification(dims), foreground_share=0)
    for patch in map(made.__getitem__, range(12)):
        assert patch["image"].shape == patch["label"].shape == ((1, 8, 10, 12) if dims == 3 else (1, 10, 12))
        assert patch["image"].dtype == torch.float32 and patch["label"].dtype == torch.int64
        places = patch["image"].long().numpy()  # a voxel's grey value is its index
        assert (np.diff(places) == 1).all()
        assert (classes.ravel()[places] == patch["label"].numpy()).all()


def test_an_image_smaller_than_the_patch_lies_in_its_middle():
    patch = patches(sample(np.ones((4, 22, 6), np.uint8), image=np.full((1, 4, 22, 6), 3.0)))[0]
    assert (patch["image"][0, 2:6, :, 3:9] == 3).all() and (patch["label"][0, 2:6, :, 3:9] == 1).all()
    assert patch["image"].sum() == 3 * 4 * 10 * 6 and patch["label"].sum() == 4 * 10 * 6


@pytest.mark.parametrize(
    "batch, share, last", [(2, 0.33, 1), (3, 0.33, 1), (9, 1 / 3, 3), (8, 0.33, 3), (4, 0, 0), (4, 1, 4)]
)
def test_the_last_of_each_batch_show_a_structure(batch, share, last):
    classes = np.zeros((40, 40, 40), np.uint8)
    classes[2:4, 2:4, 2:4] = 2
    made = patches(sample(classes), batch=batch, foreground_share=share)
    for start in (0, batch, 5 * batch):
        shown = [bool((made[n]["label"] == 2).any()) for n in range(start, start + batch)]
        assert all(shown[batch - last :])
        assert not all(shown[: batch - last]) or last == batch


def test_a_batch_of_one_shows_a_structure_as_often_as_wanted():
    classes = np.zeros((60, 60, 60), np.uint8)
    classes[2:4, 2:4, 2:4] = 2
    made = patches(sample(classes), batch=1, foreground_share=0.33)
    assert 20 <= sum(bool((made[n]["label"] == 2).any()) for n in range(100)) <= 46


def test_rare_structures_are_looked_for_as_often_as_large_ones():
    classes = np.zeros((60, 60, 60), np.uint8)
    classes[:50, :30] = 1
    classes[55, 55, 55] = 2
    made = patches(sample(classes), foreground_share=1)
    assert 25 <= sum(bool((made[n]["label"] == 2).any()) for n in range(80)) <= 55


@pytest.mark.parametrize("foreground_share", [0, 0.5])
def test_no_patch_shows_only_voxels_that_nobody_annotated(foreground_share):
    classes = np.full((60, 60, 60), IGNORE, np.uint8)
    classes[30] = 0
    classes[30, 20:30, 20:30] = 1
    made = patches(sample(classes), foreground_share=foreground_share)
    for patch in map(made.__getitem__, range(40)):
        assert (patch["label"] != IGNORE).any()


@pytest.mark.parametrize("augmentation", [None, STILL, STRONG])
def test_a_slice_is_drawn_that_somebody_annotated(augmentation):
    classes = np.full((30, 20, 24), IGNORE, np.uint8)
    classes[[7, 19]] = blocks((2, 20, 24))
    made = patches(sample(classes), spec=specification(2), augmentation=augmentation)
    for patch in map(made.__getitem__, range(30)):
        assert (patch["label"] != IGNORE).any()
        assert set(patch["label"].unique().tolist()) <= {0, 1, 2, IGNORE}


def test_every_sample_is_drawn_and_says_which_classes_were_looked_for():
    first = sample(blocks(), annotated=(True, True, False))
    second = sample(blocks(), image=np.full((1, 20, 22, 24), -1.0))
    found = [
        (float(p["image"].min()) < 0, p["annotated"].tolist())
        for p in map(patches(first, second).__getitem__, range(30))
    ]
    assert {(False, (True, True, False)), (True, (True, True, True))} == {(a, tuple(b)) for a, b in found}


# Changing


@pytest.mark.parametrize("dims, patch", [(3, (12, 10, 8)), (3, (14, 13, 3)), (2, (12, 10, 1))])
def test_augmented_patches_keep_shape_type_and_classes(dims, patch):
    made = patches(spec=specification(dims, patch=patch), augmentation=STRONG)
    for result in map(made.__getitem__, range(12)):
        assert result["image"].shape == result["label"].shape == (1, *patch[::-1][-dims:])
        assert result["image"].dtype == torch.float32 and result["image"].isfinite().all()
        assert set(result["label"].unique().tolist()) <= {0, 1, 2}
        assert type(result["image"]) is type(result["label"]) is torch.Tensor


@pytest.mark.parametrize("dims", [2, 3])
def test_image_and_classes_turn_together(dims):
    classes = blocks()
    turning = STRONG.model_copy(update=NOTHING | {"affine_probability": 1.0})
    image = (classes > 0).astype(np.float32)[None]
    made = patches(sample(classes, image=image), spec=specification(dims), augmentation=turning)
    apart = [((p["image"] > 0.5) != (p["label"] > 0)).float().mean() for p in map(made.__getitem__, range(20))]
    assert max(apart) < 0.01


def test_a_change_is_a_rotation_in_millimetres():
    """A ball in flat voxels stays a ball whichever way it turns, and shrinks as the scale says."""
    spacing = (3.0, 1.0, 1.0)
    places = np.stack(np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in (17, 51, 51)), indexing="ij"), -1)
    ball = torch.from_numpy((np.linalg.norm(places * spacing, axis=-1) < 12).astype(np.float32))[None]
    settings = STRONG.model_copy(update={"translation": 0.0, "scale": 0.0})
    rng = np.random.default_rng(0)
    for _ in range(5):
        matrix = affine_matrix(settings, (17, 51, 51), spacing, rng)
        assert matrix[0, 1:3].all()  # also out of its slices
        turned = resample_affine(ball, matrix, (17, 51, 51), "bilinear")
        both = (turned > 0.5) & (ball > 0.5)
        assert 2 * both.sum() / ((turned > 0.5).sum() + ball.sum()) > 0.94


def test_a_matrix_says_where_the_voxels_come_from():
    matrix = np.eye(3)
    matrix[:, 2] = 2, -3, 1
    image = torch.arange(20.0 * 30).reshape(1, 20, 30)
    moved = resample_affine(image, matrix, (10, 12), "bilinear")
    assert torch.allclose(moved, image[:, 7:17, 6:18], atol=1e-3)
    assert (margin_for(matrix, (10, 12)) == (2, 3)).all()
    quarter = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    turned = resample_affine(image[:, :, :20], quarter, (20, 20), "nearest")
    assert torch.equal(turned[0], image[0, :, :20].rot90(-1))


def test_turning_brings_in_what_lies_beyond_the_patch_not_nothing():
    turning = STRONG.model_copy(update=NOTHING | {"affine_probability": 1.0})
    classes = np.zeros((60, 60, 60))
    classes[30, 30, 30] = 1
    made = patches(sample(classes, image=np.ones((1, 60, 60, 60))), augmentation=turning, foreground_share=1)
    for n in range(30):
        assert torch.allclose(made[n]["image"], torch.ones(1), atol=1e-5)


def test_a_flat_patch_turns_within_its_slices():
    rng = np.random.default_rng(0)
    assert is_flat((4, 40, 40)) and not is_flat((20, 40, 40)) and not is_flat((40, 400))
    for _ in range(10):
        matrix = affine_matrix(STRONG, (4, 40, 40), (5.0, 1.0, 1.0), rng)
        assert matrix[0, 0] == 1 and not matrix[0, 1:3].any() and not matrix[1:3, 0].any()
        assert matrix[1, 2] != 0


def test_voxels_that_nobody_annotated_turn_with_the_rest():
    classes = np.full((20, 22, 24), IGNORE, np.uint8)
    classes[:, :, 12:] = 1
    turning = Augmentation(**(NOTHING | {"affine_probability": 1}), mirror=(False,) * 3, rotation_degrees=20, scale=0.1)
    for patch in map(patches(sample(classes), augmentation=turning).__getitem__, range(20)):
        values = patch["label"].unique().tolist()
        assert set(values) <= {0, 1, IGNORE} and 1 in values  # 0 beyond the image alone, never a mean of 1 and 255


def test_mirroring_is_along_the_axes_that_the_recipe_allows():
    classes = blocks((2, 3, 4))
    spec = specification(patch=(4, 3, 2))
    mirroring = Augmentation(**NOTHING, mirror=(True, False, False))
    made = patches(sample(classes), spec=spec, augmentation=mirroring)
    image = torch.arange(24.0).reshape(1, 2, 3, 4)
    seen = {tuple(made[n]["image"].ravel().tolist()) for n in range(20)}
    assert seen == {tuple(image.ravel().tolist()), tuple(image.flip(3).ravel().tolist())}  # i is the last axis


def test_a_slice_is_mirrored_within_itself_alone():
    mirroring = Augmentation(**NOTHING, mirror=(False, True, True))
    made = patches(spec=specification(2), augmentation=mirroring)
    steps = {int(made[n]["image"][0, 1, 0] - made[n]["image"][0, 0, 0]) for n in range(20)}
    assert steps == {24, -24}
    assert all((made[n]["image"].diff() == 1).all() for n in range(20))


@pytest.mark.parametrize("share, name", [(n, name) for n, name in enumerate(NOTHING) if name != "affine_probability"])
def test_each_change_of_grey_values_can_be_had_alone(share, name):
    image = torch.from_numpy(np.random.default_rng(share).normal(0, 1, (2, 16, 16, 16)).astype(np.float32))
    change = Intensities(Augmentation(**(NOTHING | {name: 1})), (16, 16, 16))
    changed = change(image, np.random.default_rng(0))
    assert changed.shape == image.shape and changed.dtype == torch.float32
    assert (changed - image).abs().mean() > 1e-3
    untouched = Intensities(Augmentation(**NOTHING), (16, 16, 16))(image, np.random.default_rng(0))
    assert torch.equal(untouched, image)


def test_channels_change_independently():
    image = torch.from_numpy(np.random.default_rng(0).normal(0, 1, (1, 16, 16)).astype(np.float32)).repeat(2, 1, 1)
    change = Intensities(Augmentation(**(NOTHING | {"gamma_probability": 1})), (16, 16))
    changed = change(image, np.random.default_rng(0))
    assert not torch.allclose(changed[0], changed[1])


def test_several_channels_are_cut_and_turned_as_one():
    classes = blocks()
    image = np.stack([classes, 10.0 * classes]).astype(np.float16)
    turning = STRONG.model_copy(update=NOTHING | {"affine_probability": 1.0})
    made = patches(sample(classes, image=image), spec=specification(channels=2), augmentation=turning)
    for patch in map(made.__getitem__, range(6)):
        assert patch["image"].shape == (2, 8, 10, 12)
        assert torch.allclose(10 * patch["image"][0], patch["image"][1], atol=1e-4)


# Instances


def test_instances_turn_with_their_classes_and_teach_mask_rcnn():
    numbers = np.zeros((3, 40, 40), np.uint16)
    numbers[:, 5:15, 5:15], numbers[:, 20:34, 18:30] = 40_000, 2
    spec = specification(2, patch=(32, 32, 1))
    with_instances = sample((numbers > 0).astype(np.uint8), instances=numbers)
    made = patches(with_instances, spec=spec, augmentation=STRONG)
    for patch in map(made.__getitem__, range(10)):
        assert patch["instances"].dtype == torch.int64 and patch["instances"].shape == (1, 32, 32)
        assert set(patch["instances"].unique().tolist()) <= {0, 2, 40_000}
        differing = (patch["instances"] > 0) != (patch["label"] > 0)
        assert differing.float().mean() < 0.02 and not patch["instances"][patch["label"] == 0].any()
    batch = next(iter(patch_loader(made, 2, 1)))
    arguments = {"backbone": "resnet18", "width": 8, "head_features": 8, "fc_features": 16}
    network = create("mask-rcnn", 2, 1, 3, **arguments)
    loss = network.training_loss(batch["image"], batch["label"][:, 0], batch["instances"][:, 0])
    assert loss.isfinite()


def test_samples_without_instances_give_none():
    assert "instances" not in patches()[0]


# The stream


def same(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_patch_depends_on_the_seed_and_its_number_alone():
    made, again = patches(augmentation=STRONG, seed=3), patches(augmentation=STRONG, seed=3)
    in_another_order = {n: again[n] for n in (5, 2, 0, 3)}
    assert all(same(made[n], patch) for n, patch in in_another_order.items())
    assert not same(made[2], made[3])
    assert not same(made[2], patches(augmentation=STRONG, seed=4)[2])


def epochs(loader, count: int) -> list[dict]:
    batches = []
    for epoch in range(count):
        loader.sampler.set_epoch(epoch)
        batches += list(loader)
    return batches


@pytest.mark.parametrize("done", [1, 3, 4])
def test_a_training_that_was_interrupted_gets_the_patches_it_would_have_got(done):
    made = patches(augmentation=STRONG)
    whole = epochs(patch_loader(made, 2, 3), 2)
    assert len(whole) == 6
    resumed = patch_loader(made, 2, 3, start_step=done)
    rest = list(resumed)
    for epoch in range(done // 3 + 1, 2):
        resumed.sampler.set_epoch(epoch)
        rest += list(resumed)
    assert len(rest) == 6 - done and all(same(a, b) for a, b in zip(rest, whole[done:]))
    assert len(resumed) == 3


def test_processes_make_the_same_patches():
    made = Patches([Ready(sample(blocks()))], specification(), STRONG, batch=2)
    alone, with_others = (list(patch_loader(made, 2, 5, workers=workers)) for workers in (0, 2))
    assert len(alone) == 5 and all(same(a, b) for a, b in zip(alone, with_others))


class Ready:
    """A function that other processes can be given."""

    def __init__(self, given):
        self.given = given

    def __call__(self):
        return self.given


def test_processes_that_train_together_share_the_patches_of_a_step():
    orders = [list(PatchOrder(2, 3, start_step=1, rank=rank, world=2)) for rank in (0, 1)]
    assert orders == [[4, 5, 8, 9], [6, 7, 10, 11]]
    assert list(islice(PatchOrder(2, 3), 3)) == [0, 1, 2]


def test_half_precision_is_enough_to_cut_from():
    halved = replace(sample(blocks()), image=np.random.default_rng(0).normal(0, 1, (1, 20, 22, 24))).halved()
    patch = patches(halved)[0]
    assert halved.image.dtype == np.float16 and patch["image"].dtype == torch.float32
