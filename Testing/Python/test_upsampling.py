"""Labels from logits: exactly those that interpolating every class would give, in any portions."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from MedSegDLLib.engine import torch_runtime, upsampling
from MedSegDLLib.engine.torch_runtime import SlabUpsampler
from MedSegDLLib.engine.upsampling import LabelUpsampler, largest

SHAPES = [
    ((9, 10, 11), (20, 22, 31)),
    ((9, 10, 11), (9, 10, 11)),
    ((9, 10, 11), (10, 10, 11)),
    ((20, 22, 24), (7, 9, 5)),
    ((7, 22, 9), (20, 5, 33)),
    ((1, 10, 11), (1, 31, 20)),
    ((1, 10, 11), (4, 31, 20)),
    ((6, 1, 1), (17, 3, 5)),
    ((1, 1, 1), (3, 4, 5)),
    ((12, 13, 2), (1, 1, 1)),
    ((2, 2, 2), (40, 3, 2)),
    ((30, 8, 8), (2, 40, 40)),
]
every_shape = pytest.mark.parametrize(("samples", "voxels"), SHAPES)


def smooth_logits(classes: int, shape, seed: int) -> np.ndarray:
    """Blobs, so that there are cells of one class, of two and of many, and some noise."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.normal(size=(1, classes, 4, 4, 4)).astype(np.float32))
    blobs = F.interpolate(coarse, shape, mode="trilinear", align_corners=False)[0].numpy()
    return blobs + 0.1 * rng.normal(size=blobs.shape).astype(np.float32)


def interpolated(logits: np.ndarray, voxels) -> np.ndarray:
    tensor = torch.from_numpy(logits.astype(np.float64))[None]
    return F.interpolate(tensor, voxels, mode="trilinear", align_corners=False)[0].numpy()


def assert_right(found: np.ndarray, logits: np.ndarray, voxels, values: np.ndarray) -> None:
    """Equal to interpolating all classes, but where the two best lie closer together than rounding tells."""
    exact = interpolated(logits, voxels)
    expected = exact.argmax(axis=0)
    differing = values[expected] != found
    best_two = np.sort(exact, axis=0)[-2:]
    assert (best_two[1] - best_two[0])[differing].max(initial=0) < 1e-5
    assert differing.mean() < 1e-3


def push_all(upsampler, logits, portions, convert=lambda part: part) -> None:
    start = 0
    for size in portions:
        upsampler.push(convert(logits[:, start : start + size]))
        start += size
    assert start == logits.shape[1]


def portions_of(layers: int, seed: int) -> list[int]:
    """A random partition."""
    cuts = np.flatnonzero(np.random.default_rng(seed).random(layers - 1) < 0.5) + 1
    return np.diff([0, *cuts, layers]).tolist()


@every_shape
@pytest.mark.parametrize("classes", [2, 3, 9, 30])
def test_labels_equal_interpolating_all_classes(samples, voxels, classes):
    logits = smooth_logits(classes, samples, seed=classes)
    values = np.arange(classes, dtype=np.uint8)
    out = np.full(voxels, 99, np.uint8)
    push_all(LabelUpsampler(samples, out, values), logits, [samples[0]])
    assert_right(out, logits, voxels, values)


@every_shape
@pytest.mark.parametrize("seed", range(4))
def test_portions_make_no_difference(samples, voxels, seed):
    logits = smooth_logits(5, samples, seed)
    whole, parts = np.full(voxels, 99, np.uint8), np.full(voxels, 99, np.uint8)
    values = np.array([0, 7, 3, 255, 9], np.uint8)
    push_all(LabelUpsampler(samples, whole, values), logits, [samples[0]])
    push_all(LabelUpsampler(samples, parts, values), logits, portions_of(samples[0], seed))
    assert np.array_equal(whole, parts)
    assert_right(parts, logits, voxels, values)


@pytest.mark.parametrize("seed", range(12))
def test_noise_where_every_cell_is_mixed(seed):
    rng = np.random.default_rng(seed)
    samples, voxels = rng.integers(1, 12, 3).tolist(), rng.integers(1, 25, 3).tolist()
    classes = int(rng.integers(2, 12))
    logits = rng.normal(size=(classes, *samples)).astype(np.float32)
    out = np.full(voxels, 99, np.uint8)
    values = np.arange(classes, dtype=np.uint8)
    push_all(LabelUpsampler(samples, out, values), logits, portions_of(samples[0], seed))
    assert_right(out, logits, tuple(voxels), values)


@pytest.mark.parametrize(
    ("permutation", "reversal"), product([(0, 1, 2), (2, 0, 1), (1, 0, 2)], [(1, 1, 1), (-1, 1, -1), (-1, -1, -1)])
)
def test_labels_are_written_through_any_view(permutation, reversal):
    logits = smooth_logits(4, (6, 7, 8), seed=1)
    values = np.array([0, 1, 2, 3], np.uint8)
    straight = np.zeros((13, 11, 17), np.uint8)
    LabelUpsampler((6, 7, 8), straight, values).push(logits)
    owner = np.zeros(np.array(straight.shape)[np.argsort(permutation)], np.uint8)
    view = owner.transpose(permutation)[tuple(slice(None, None, step) for step in reversal)]
    LabelUpsampler((6, 7, 8), view, values).push(logits)
    assert np.array_equal(view, straight)


def test_exact_ties_take_the_first_class():
    logits = np.zeros((3, 4, 4, 4), np.float32)
    out = np.full((9, 9, 9), 99, np.uint8)
    LabelUpsampler((4, 4, 4), out, np.array([0, 5, 6], np.uint8)).push(logits)
    assert (out == 0).all()
    logits[1:] = 1
    LabelUpsampler((4, 4, 4), out, np.array([0, 5, 6], np.uint8)).push(logits)
    assert (out == 5).all()


def test_slabs_and_chunks_make_no_difference(monkeypatch):
    samples, voxels = (14, 15, 16), (33, 31, 29)
    logits = smooth_logits(6, samples, seed=3)
    values = np.arange(6, dtype=np.uint8)
    whole, pieces = np.zeros(voxels, np.uint8), np.zeros(voxels, np.uint8)
    LabelUpsampler(samples, whole, values).push(logits)
    monkeypatch.setattr(upsampling, "_VOXELS_PER_SLAB", 2000)
    monkeypatch.setattr(upsampling, "_CELLS_PER_CHUNK", 50)
    push_all(LabelUpsampler(samples, pieces, values), logits, [3, 1, 10])
    assert np.array_equal(whole, pieces)


def test_a_pushed_array_may_be_reused_by_its_owner():
    logits = smooth_logits(3, (6, 5, 5), seed=4)
    values = np.arange(3, dtype=np.uint8)
    expected, found = np.zeros((15, 11, 11), np.uint8), np.zeros((15, 11, 11), np.uint8)
    LabelUpsampler((6, 5, 5), expected, values).push(logits)
    upsampler, buffer = LabelUpsampler((6, 5, 5), found, values), np.empty((3, 2, 5, 5), np.float32)
    for start in (0, 2, 4):
        buffer[:] = logits[:, start : start + 2]
        upsampler.push(buffer)
        buffer[:] = np.nan
    assert np.array_equal(found, expected)


def test_largest_is_argmax():
    logits = np.random.default_rng(0).integers(0, 4, (7, 5, 6, 8)).astype(np.float32)
    assert np.array_equal(largest(logits), logits.argmax(axis=0))


def test_too_many_classes():
    LabelUpsampler((1, 1, 1), np.zeros((1, 1, 1), np.uint8), np.arange(255))
    with pytest.raises(ValueError, match="256 classes; 255 at most"):
        LabelUpsampler((1, 1, 1), np.zeros((1, 1, 1), np.uint8), np.arange(256))


@every_shape
@pytest.mark.parametrize("seed", range(3))
def test_the_gpus_way_gives_the_same_labels(samples, voxels, seed, monkeypatch):
    """On tensors of the CPU: a GPU runs the same lines."""
    monkeypatch.setattr(torch_runtime, "_SLAB_BYTES", 4 * 5 * voxels[1] * voxels[2] * 3)
    logits = smooth_logits(5, samples, seed)
    values = np.array([0, 7, 3, 255, 9], np.uint8)
    out = np.full(voxels, 99, np.uint8)
    portions = portions_of(samples[0], seed)
    push_all(SlabUpsampler(samples, out, values), logits, portions, lambda part: torch.from_numpy(part))
    assert_right(out, logits, voxels, values)
