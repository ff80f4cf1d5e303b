"""Samples, and the cache that keeps them: made once, whole or not at all, and made again when something changed."""

from __future__ import annotations

import errno
import os
import shutil
from collections import namedtuple
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from data_makers import FIRST, SECOND, image, labels_of, write_pairs
from MedSegDLLib.bundle import Intensity
from MedSegDLLib.errors import CancelledError, InputError, OutputError, WorkerError
from MedSegDLLib.files import write_volume
from MedSegDLLib.volume import Volume
from MedSegTrainLib.data import stored_samples
from MedSegTrainLib.data.cache import SampleCache, preparation_key, sample_bytes
from MedSegTrainLib.data.case import IGNORE
from MedSegTrainLib.data.dataset import open_dataset
from MedSegTrainLib.data.parallel import each
from MedSegTrainLib.data.samples import ANYWHERE, MOST_PLACES, places_of, prepare_sample
from sample_makers import specification, write_case

# Samples


def test_labels_turn_with_the_image_and_become_classes():
    scan = image(0)
    label = labels_of({1: FIRST, 7: SECOND, 9: (slice(0, 1), slice(0, 1), slice(0, 1))})
    spec = specification(orientation="RAS", spacing_mm=tuple(scan.grid.spacing_mm))
    prepared = prepare_sample(scan, label, spec)
    assert prepared.image.shape == (1, *scan.array.shape) and prepared.image.dtype == np.float32
    turned = label.reoriented("RAS").array
    assert np.array_equal(prepared.classes, np.select([turned == 1, turned == 7], [1, 2], 0))  # 9 is unknown
    assert prepared.classes.dtype == np.uint8 and prepared.annotated.tolist() == [True, True, True]
    assert np.allclose(prepared.image[0].mean(), 0, atol=1e-5) and np.allclose(prepared.image[0].std(), 1, atol=1e-4)


def test_classes_of_another_spacing_lie_where_the_image_shows_them():
    label = labels_of({1: FIRST})
    scan = Volume(label.array * 100 + np.random.default_rng(0).normal(0, 1, label.array.shape), label.ijk_to_ras)
    prepared = prepare_sample(scan, label, specification(spacing_mm=(0.7, 0.9, 1.1)))
    assert prepared.classes.shape == (22, 17, 26)
    assert np.mean((prepared.image[0] > prepared.image.mean() + 1) == (prepared.classes == 1)) > 0.97


def test_what_nobody_annotated_is_kept_and_what_nobody_looked_for_is_said():
    label = labels_of({1: FIRST, IGNORE: SECOND})
    prepared = prepare_sample(image(0), label, specification(), not_contoured={"Milz", "Herz"})
    assert IGNORE in prepared.classes and prepared.annotated.tolist() == [True, True, False]
    kept = prepared.classes[tuple(prepared.places[ANYWHERE].T)]
    assert (kept != IGNORE).all() and (prepared.classes[tuple(prepared.places[1].T)] == 1).all()
    assert set(prepared.places) == {1, ANYWHERE}


def test_a_case_without_one_annotated_voxel_is_refused():
    label = labels_of({IGNORE: (slice(None),) * 3})
    with pytest.raises(InputError, match="annotated"):
        prepare_sample(image(0), label, specification())


def test_labels_of_another_size_are_refused():
    with pytest.raises(InputError, match="voxels"):
        prepare_sample(image(0), labels_of({}, (8, 10, 11)), specification())


def test_instances_keep_their_numbers():
    numbers = labels_of({}).with_array(np.zeros((8, 10, 12), np.uint16))
    numbers.array[FIRST], numbers.array[SECOND] = 1000, 2
    spec = specification(spacing_mm=(1.5, 1.5, 3.0))
    prepared = prepare_sample(image(0), labels_of({1: FIRST, 7: SECOND}), spec, instances=numbers)
    assert prepared.instances.dtype == np.uint16
    assert np.array_equal(prepared.instances, np.select([prepared.classes == 1, prepared.classes == 2], [1000, 2], 0))


def test_of_large_structures_some_voxels_are_remembered():
    classes = np.zeros((40, 40, 40), np.uint8)
    classes[5:35] = 1
    classes[0, 0, :3] = 2
    places = places_of(classes)
    assert len(places[1]) == MOST_PLACES == len(np.unique(places[1], axis=0))
    assert places[2].tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 2]]
    assert (classes[tuple(places[1].T)] == 1).all()


# The cache


@pytest.fixture
def cases(tmp_path):
    return open_dataset(write_pairs(tmp_path / "data", 3)).cases


@pytest.fixture
def cache(tmp_path):
    return SampleCache(tmp_path / "cache", specification())


@pytest.fixture
def made(monkeypatch):
    """Names of the cases that are prepared from now on."""
    names = []
    monkeypatch.setattr(stored_samples, "_write", partial(_noting, names, stored_samples._write))
    return names


def _noting(names: list, write, sample, folder: Path, source: str) -> None:
    names.append(folder.name.split("-", 1)[1])
    write(sample, folder, source)


def test_a_case_is_prepared_once(cases, cache, made):
    calls = []
    samples = cache.samples(cases, progress=lambda *told: calls.append(told))
    assert made == [case.name for case in cases] == [stored.name for stored in samples]
    assert calls == [(1, 3, "case_0"), (2, 3, "case_1"), (3, 3, "case_2")]
    cache.samples(cases)
    assert len(made) == 3
    for case, stored in zip(cases, samples):
        images, label = case.load()
        fresh, kept = prepare_sample(images, label, specification(), case.not_contoured), stored()
        assert np.array_equal(kept.image, fresh.image.astype(np.float16)) and isinstance(kept.image, np.memmap)
        assert np.array_equal(kept.classes, fresh.classes) and np.array_equal(kept.annotated, fresh.annotated)
        assert kept.places.keys() == fresh.places.keys() and kept.instances is None
        assert all(np.array_equal(kept.places[key], fresh.places[key]) for key in fresh.places)


def test_full_precision_and_instances_can_be_had(tmp_path, cases):
    images, label = cases[0].load()
    write_volume(label.with_array(label.array.astype(np.uint16) * 300), tmp_path / "instances.nii.gz")
    case = replace(cases[0], instances=tmp_path / "instances.nii.gz")
    (stored,) = SampleCache(tmp_path, specification(), half=False).samples([case])
    assert stored().image.dtype == np.float32
    assert np.array_equal(stored().image, prepare_sample(images, label, specification()).image)
    assert stored().instances.max() == 600 and stored().instances.dtype == np.uint16


@pytest.mark.parametrize(
    "change",
    [
        {"spacing_mm": (1.0, 1.0, 2.0)},
        {"orientation": "RAS"},
        {"intensity": Intensity("window", -100, 100, 0, 50)},
        {"labels": specification().labels[::-1]},
    ],
)
def test_another_preparation_is_another_cache(change):
    assert preparation_key(specification()) != preparation_key(specification(**change))


def test_what_does_not_matter_to_the_preparation_uses_the_same_cache():
    assert preparation_key(specification()) == preparation_key(specification(2, patch=(4, 4, 1), licence="MIT"))
    assert preparation_key(specification()) != preparation_key(specification(), half=False)


def test_a_case_that_changed_is_prepared_again(cases, cache, made):
    cache.samples(cases)
    write_volume(image(99), cases[1].images[0])
    samples = cache.samples(cases)
    assert made[3:] == ["case_1"]
    fresh = prepare_sample(image(99), labels_of({}), specification()).halved()
    assert np.array_equal(samples[1]().image, fresh.image)
    cache.samples([replace(cases[0], not_contoured=frozenset({"Milz"}))])
    assert made[4:] == ["case_0"]


def _cut_off(folder: Path) -> None:
    path = folder / "image.npy"
    path.write_bytes(path.read_bytes()[:-100])


def _delete(folder: Path) -> None:
    (folder / "classes.npy").unlink()


def _overwrite(folder: Path) -> None:
    path = folder / "image.npy"
    path.write_bytes(b"x" * path.stat().st_size)


def _spoil_places(folder: Path) -> None:
    path = folder / "places.npy"
    path.write_bytes(b"x" * path.stat().st_size)


def _lose_the_note(folder: Path) -> None:
    (folder / "entry.json").write_text("{")


@pytest.mark.parametrize("damage", [_cut_off, _delete, _overwrite, _spoil_places, _lose_the_note, shutil.rmtree])
def test_a_damaged_entry_is_made_again(cases, cache, made, damage):
    before = [np.array(stored().image) for stored in cache.samples(cases)]
    damage(cache.folder / "case_2")
    samples = cache.samples(cases)
    assert made[3:] == ["case_2"]
    assert all(np.array_equal(stored().image, whole) for stored, whole in zip(samples, before))


def test_a_damaged_case_is_left_out_and_said(cases, cache):
    cases[0].images[0].write_bytes(b"no image")
    write_volume(labels_of({1: FIRST}, (8, 10, 11)), cases[2].label)
    samples = cache.samples(cases)
    assert [stored.name for stored in samples] == ["case_1"]
    assert [(s.what, s.why.split()[0]) for s in cache.skipped] == [("case_0", "The"), ("case_2", "The")]
    assert "11 x 10 x 8" in cache.skipped[1].why


def test_nothing_left_to_train_on_is_an_error(cases, cache):
    for case in cases:
        case.images[0].write_bytes(b"no image")
    with pytest.raises(InputError, match="None of the cases.*case_0"):
        cache.samples(cases)


def test_cancelling_keeps_what_is_done(cases, cache, made):
    with pytest.raises(CancelledError):
        cache.samples(cases, cancelled=lambda: len(made) == 2)
    assert made == ["case_0", "case_1"]
    cache.samples(cases)
    assert made[2:] == ["case_2"]


def test_processes_prepare_the_same(tmp_path, cases, cache):
    alone = cache.samples(cases)
    cases[1].images[0].write_bytes(b"no image")
    others = SampleCache(tmp_path / "others", specification())
    samples = others.samples(cases, workers=2)
    assert [stored.name for stored in samples] == ["case_0", "case_2"] and others.skipped[0].what == "case_1"
    assert np.array_equal(samples[1]().image, alone[2]().image)


# A full disk


def test_a_disk_that_is_too_small_is_noticed_before_it_starts(cases, cache, made, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**12, 10**12 - 10**6, 10**6))
    with pytest.raises(OutputError, match="which has 1 MB free.*Free some space"):
        cache.samples(cases)
    assert not made


def test_a_disk_that_fills_up_costs_nothing_finished(cases, cache, made, monkeypatch):
    def full(path, array, save=stored_samples._save):
        if "case_1" in str(path) and path.name == "classes.npy":
            raise OSError(errno.ENOSPC, "No space left on device")
        save(path, array)

    with monkeypatch.context() as patch:
        patch.setattr(stored_samples, "_save", full)
        with pytest.raises(OutputError, match="the disk is full"):
            cache.samples(cases)
    assert [path.name for path in cache.folder.iterdir()] == ["case_0"]
    cache.samples(cases)
    assert made == ["case_0", "case_1", "case_1", "case_2"]


def test_what_a_case_takes_is_known_before_it_is_prepared(tmp_path, cases):
    spec = specification(spacing_mm=(0.75, 0.75, 1.0))
    for case in (cases[0], replace(cases[0], facts=None)):
        (stored,) = SampleCache(tmp_path, spec).samples([case])
        size = sum(path.stat().st_size for path in stored.folder.iterdir())
        assert size <= sample_bytes(case, spec, half=True) < size + (300 << 10)


def test_a_picture_is_a_case_of_one_slice(tmp_path, cache):
    picture = Volume(np.random.default_rng(0).random((1, 30, 40)).astype(np.float32))
    (stored,) = cache.samples([write_case(tmp_path, "picture", picture)])
    assert stored().classes.shape == (1, 30, 40) and (stored().classes == 1).any()


def test_a_case_that_shows_no_structure_is_kept_too(tmp_path, cache):
    (stored,) = cache.samples([write_case(tmp_path, "healthy", image(0), labels_of({}))])
    assert stored().places == {} and not stored().classes.any()
    assert cache.samples([write_case(tmp_path, "healthy", image(0), labels_of({}))])[0]().places == {}


# Processes


def test_a_process_that_dies_is_said():
    with pytest.raises(WorkerError, match="memory"):
        list(each(_die, [1, 2, 3], workers=1))


def _die(item: int) -> None:
    os._exit(1)


def test_waiting_for_processes_can_be_cancelled():
    results = each(_double, range(100), workers=1, cancelled=lambda: True)
    with pytest.raises(CancelledError):
        next(results)


def _double(item: int) -> int:
    return 2 * item
