"""Recipes that say themselves where their cases come from: pairs of files in folders, split, or drawn phantoms."""

from __future__ import annotations

import numpy as np
import pytest

from MedSegDLLib.errors import InputError
from MedSegTrainLib.training.recipe import Recipe
from MedSegTrainLib.training.recipe_cases import find_cases, phantom_seeds, recipe_samples, split
from training_makers import recipe_data, write_cases


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return write_cases(tmp_path_factory.mktemp("data"), 4)


def test_cases_are_pairs_by_name(cases):
    found = find_cases(cases)
    assert [case.name for case in found] == ["case_00", "case_01", "case_02", "case_03"]
    (image,), label = found[1].load()
    assert image.grid.agrees_with(label.grid) and label.array.dtype == np.uint8
    assert np.unique(label.array).tolist() == [0, 1, 5]


def test_files_that_a_system_hides_are_no_cases(tmp_path):
    folder = write_cases(tmp_path / "d", 2)
    (folder / "images" / "._case_00.nii.gz").write_bytes(b"a Mac was here")
    assert len(find_cases(folder)) == 2


def test_an_image_without_labels_is_named(tmp_path):
    folder = write_cases(tmp_path / "d", 3)
    (folder / "labels" / "case_01.nii.gz").unlink()
    with pytest.raises(InputError, match="1 images have no labels, the first is 'case_01'"):
        find_cases(folder)


@pytest.mark.parametrize("count", [5, 23])
def test_every_case_is_held_back_once_and_never_trained_on(count):
    names = [f"case {n}" for n in range(count)]
    folds = [split(names, 5, fold, seed=3) for fold in range(5)]
    for training, held_back in folds:
        assert not set(training) & set(held_back)
        assert sorted(training + held_back) == sorted(names)
    assert sorted(case for _, held_back in folds for case in held_back) == sorted(names)


def test_a_split_is_stable_and_depends_on_its_seed():
    names = [f"case {n}" for n in range(20)]
    assert split(names, 5, 1, seed=0)[1] == ["case 3", "case 11", "case 13", "case 16"]
    assert split(names, 5, 1, seed=0)[1] != split(names, 5, 1, seed=1)[1]
    with pytest.raises(InputError, match="3 cases cannot be split into 5 folds"):
        split(names[:3], 5, 0, seed=0)


def test_samples_of_a_folder(cases):
    training = recipe_samples(Recipe(**recipe_data()), cases)
    assert len(training) == 2
    sample = training[0]()
    assert sample.image.shape == (1, 20, 22, 24) and set(np.unique(sample.classes)) == {0, 1, 2}


def test_phantoms_to_judge_on_are_not_those_trained_on():
    recipe = Recipe(**recipe_data(data={"source": "thorax-phantom", "cases": 100, "held_back": 10}))
    training, held_back = phantom_seeds(recipe)
    assert (len(training), len(held_back)) == (100, 10) and not set(training) & set(held_back)
