"""Models that take several images at once: each image in its place, wherever in space it was taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bundle_makers import (  # noqa: F401
    UNCHANGED,
    specification,
    threshold_bundle,
    thresholded,
    thresholds_in_torch,
    unet_bundle,
)
from MedSegDLLib.bundle import Coarse, Inference, Intensity, Network
from MedSegDLLib.demand import MemoryPlan
from MedSegDLLib.engine.predictor import Predictor
from MedSegDLLib.engine.preprocessing import prepare
from MedSegDLLib.engine.torch_runtime import load_network
from MedSegDLLib.errors import InputError, ModelError
from MedSegDLLib.volume import Volume
from test_alignment import by_hand
from test_predictor import blobs
from test_upsampling import interpolated
from test_volume import GRIDS, ijk_to_ras, rotation

CT_PT = ("CT", "PT")
WEIGHTS = (1.0, -0.5)
OTHER_GRID = ijk_to_ras(rotation(15, -20, 40), (1.3, 0.9, 2.1), (-6.0, -4.0, -3.0))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """Its classes are thresholds of the first image less half of the second."""
    return threshold_bundle(tmp_path_factory.mktemp("m") / "two", (50.0, 200.0), weights=WEIGHTS)


@pytest.fixture(scope="module")
def predictor(bundle):
    return Predictor(bundle, "cpu", threads=1)


def expected(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return thresholded(WEIGHTS[0] * first + WEIGHTS[1] * second, 50, 200)


def two_images(matrix=None) -> tuple[Volume, Volume]:
    matrix = np.eye(4) if matrix is None else matrix
    return Volume(blobs(seed=1), matrix, "CT", "ct"), Volume(blobs(seed=2), matrix, "PT", "pet")


def test_each_image_reaches_its_channel(predictor):
    ct, pet = two_images()
    found = predictor.segment([ct, pet])
    assert np.array_equal(found.array, expected(ct.array, pet.array)) and len(np.unique(found.array)) == 3
    assert (found.name, found.modality) == ("ct", "CT") and found.grid.agrees_with(ct.grid)


def test_their_order_matters(predictor):
    ct, pet = two_images()
    swapped = predictor.segment([pet, ct]).array
    assert np.array_equal(swapped, expected(pet.array, ct.array))
    assert np.mean(swapped != predictor.segment([ct, pet]).array) > 0.2


def test_in_torch(tmp_path, thresholds_in_torch):  # noqa: F811
    bundle = threshold_bundle(tmp_path / "m", (50.0, 200.0), graph=False, weights=WEIGHTS)
    ct, pet = two_images()
    assert np.array_equal(Predictor(bundle, "cpu").segment([ct, pet]).array, expected(ct.array, pet.array))


@pytest.mark.parametrize("first", ["straight", "oblique and flipped"])
def test_an_image_on_another_grid_is_brought_to_the_first(bundle, predictor, first):
    """Of another spacing, turned, and not everywhere where the first one is."""
    ct = Volume(blobs((9, 20, 30), seed=1), GRIDS[first])
    matrix = np.array(OTHER_GRID)
    matrix[:3, 3] += ct.grid.center_ras - Volume(blobs(), OTHER_GRID).grid.center_ras
    pet = Volume(blobs(seed=2), matrix)
    found = predictor.segment([ct, pet])
    assert found.grid.agrees_with(ct.grid)
    assert predictor.report.notes == [
        "The image for 'PT' does not reach everywhere: beyond it, it counts as its lowest value."
    ]
    by_itself = replace(bundle.spec, network=replace(bundle.spec.network, in_channels=1), channels=("image",))
    on_grid = [ct, ct.with_array(by_hand(pet, ct.grid).astype(np.float32))]
    seen = [prepare(volume, by_itself).array[0] for volume in on_grid]
    turned = found.reoriented("RAS").array
    combined = interpolated((WEIGHTS[0] * seen[0] + WEIGHTS[1] * seen[1])[None], turned.shape)[0]
    assert np.mean(turned != thresholded(combined, 50, 200)) < 2e-3
    assert len(np.unique(turned)) == 3


def test_what_covers_the_first_image_needs_no_note(predictor):
    ct, pet = two_images()
    larger = Volume(blobs((20, 20, 20), seed=2), ijk_to_ras(np.eye(3), (1, 1, 1), (-2, -2, -2)))
    found = predictor.segment([ct, larger]).array
    assert np.array_equal(found, expected(ct.array, larger.array[2:16, 2:14, 2:12]))
    assert predictor.report.notes == []


def test_each_channel_has_its_own_intensities(tmp_path):
    window = Intensity("window", low=100, high=300, mean=200, std=50)
    spec = specification(channels=CT_PT, intensity=(window, Intensity("zscore")))
    ct, pet = two_images()
    first, second = prepare([ct, pet], spec).array
    assert np.allclose(first, (np.clip(ct.array, 100, 300) - 200) / 50, atol=1e-5)
    assert np.allclose(second, (pet.array - pet.array.mean()) / pet.array.std(), atol=1e-4)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("graph", [True, False])
def test_a_random_network_of_three_channels(tmp_path, dims, graph):
    """One window: what the predictor finds is what the network itself says."""
    network = Network("nnunet", dims, 3, 3, "decoder.heads.0.weight", {"features": [2, 4]})
    patch = (10, 12, 1) if dims == 2 else (10, 12, 14)
    spec = specification(network=network, channels=("T1", "T2", "FLAIR"), patch=patch)
    bundle = unet_bundle(tmp_path / "m", spec, seed=3, graph=graph)
    volumes = [Volume(np.random.default_rng(n).normal(size=(14, 12, 10)).astype(np.float32)) for n in range(3)]
    found = Predictor(bundle, "cpu", threads=1).segment(volumes).array
    stack = torch.from_numpy(np.stack([volume.array for volume in volumes]))
    with torch.inference_mode():
        batch = stack.transpose(0, 1) if dims == 2 else stack[None]
        logits = load_network(bundle).eval()(batch)
    classes = (logits.argmax(dim=1) if dims == 2 else logits[0].argmax(dim=0)).numpy()
    assert np.mean(found != classes) < 2e-3 and len(np.unique(found)) > 1
    other_order = Predictor(bundle, "cpu", threads=1).segment(volumes[::-1]).array
    assert np.mean(other_order != found) > 0.01


# Regions, quick models, air, memory


@pytest.mark.parametrize("same_grid", [True, False])
def test_a_region_of_the_first_image(predictor, same_grid):
    ct, pet = two_images()
    if not same_grid:
        pet = Volume(blobs((20, 20, 20), seed=2), ijk_to_ras(np.eye(3), (1, 1, 1), (-2, -3, -4)))
    region = (slice(3, 9), slice(2, 11), slice(0, 5))
    whole = predictor.segment([ct, pet]).array
    inside = np.zeros_like(whole)
    inside[region] = whole[region]
    assert np.array_equal(predictor.segment([ct, pet], region).array, inside) and inside.any()


def test_a_quick_model_sees_the_first_of_the_images(tmp_path):
    quick = threshold_bundle(tmp_path / "quick", thresholds=(300.0,), spacing_mm=(2.0, 2.0, 2.0))
    fine = threshold_bundle(tmp_path / "fine", (50.0, 200.0), weights=WEIGHTS, coarse=Coarse("quick", 2.0))
    ct = np.zeros((30, 30, 30), np.float32)
    ct[16:24, 14:24, 12:24] = 400
    ct[2:5, 2:5, 2:5] = 150
    images = [Volume(ct), Volume(blobs(ct.shape) / 100)]
    found = Predictor(fine, "cpu", coarse=lambda _: quick).segment(images).array
    assert (found[16:24, 14:24, 12:24] == 2).all() and not found[2:5, 2:5, 2:5].any()


@pytest.mark.parametrize(("channels", "fits"), [(("CT",), True), (("PT",), False), (("PT", "CT"), False)])
def test_a_quick_model_that_would_see_the_wrong_images_is_refused(tmp_path, channels, fits):
    quick = threshold_bundle(tmp_path / "quick", weights=(1.0,) * len(channels), channels=channels)
    fine = threshold_bundle(tmp_path / "fine", weights=WEIGHTS, coarse=Coarse("quick", 2.0))
    if fits:
        assert Predictor(fine, "cpu", coarse=lambda _: quick).segment(two_images()).array.any()
    else:
        with pytest.raises(ModelError, match="quick model 'test' sees PT.* begins with other images: CT, PT"):
            Predictor(fine, "cpu", coarse=lambda _: quick)


def test_air_is_judged_by_the_first_image(tmp_path):
    inference = Inference(overlap=0.0, air_below=-900.0)
    window = Intensity("window", low=-1e4, high=1e4, mean=-100, std=10)
    bundle = threshold_bundle(
        tmp_path / "m", (-1e6,), weights=(1.0, 1.0), inference=inference, intensity=(window, Intensity("zscore"))
    )
    ct = np.full((16, 16, 16), -1000, np.int16)
    ct[9, 1, 1] = -899
    predictor = Predictor(bundle, "cpu")
    found = predictor.segment([Volume(ct), Volume(blobs((16, 16, 16)))]).array
    assert (predictor.report.windows, predictor.report.windows_skipped) == (8, 7)
    assert found[8:, :8, :8].all() and np.count_nonzero(found) == 512


def test_every_image_counts_in_the_memory_that_is_needed(bundle):
    one, two = (specification(channels=names) for names in (("CT",), CT_PT))
    grid = Volume(np.zeros((40, 200, 200))).grid
    assert MemoryPlan.of(grid, two, [grid]).image >= MemoryPlan.of(grid, one).image + 2 * 4 * 40 * 200 * 200


# What is refused


@pytest.mark.parametrize(("count", "words"), [(1, "1 was given"), (3, "3 were given"), (0, "0 were given")])
def test_a_missing_image_is_said(predictor, count, words):
    images = (two_images() + two_images())[:count]
    given = images[0] if count == 1 else images
    with pytest.raises(InputError, match=rf"takes 2 images at once \(CT, PT\); {words}") as caught:
        predictor.segment(given)
    assert caught.value.remedy == "Choose one image for each of its channels."


def test_several_images_for_a_model_of_one(tmp_path):
    with pytest.raises(InputError, match=r"takes 1 image at once \(image\); 2 were given"):
        Predictor(threshold_bundle(tmp_path / "m"), "cpu").segment(two_images())


@pytest.mark.parametrize("array", [np.zeros((14, 12, 10)), np.full((14, 12, 10), np.nan), np.zeros((0, 3, 3))])
def test_any_image_that_cannot_be_used_is_refused(predictor, array):
    with pytest.raises(InputError):
        predictor.segment([two_images()[0], Volume(array)])


def test_images_of_different_places_are_refused(predictor):
    ct, pet = two_images()
    away = Volume(pet.array, ijk_to_ras(np.eye(3), (1, 1, 1), (0, 0, 100)), name="pet")
    with pytest.raises(InputError, match="'pet' shows another part of space"):
        predictor.segment([ct, away])


def test_no_image_is_changed(predictor):
    images = two_images()
    before = [image.array.copy() for image in images]
    predictor.segment(images)
    assert all(np.array_equal(image.array, kept) for image, kept in zip(images, before))
