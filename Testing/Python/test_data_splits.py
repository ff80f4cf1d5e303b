"""Splits: by patient, alike in structures and volumes, the same for the same seed, and checked for leakage."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_makers import write_pairs
from MedSegDLLib.errors import InputError
from MedSegTrainLib.data import splits
from MedSegTrainLib.data.case import Case, Channel, Facts
from MedSegTrainLib.data.dataset import Dataset, open_dataset
from MedSegTrainLib.data.splits import Split, check, k_fold, single
from MedSegTrainLib.data.structures import plain_label
from MedSegTrainLib.training.for_dataset import split_of, take_splits

LABELS = tuple(plain_label(value, name) for value, name in enumerate(("liver", "cyst", "stone"), start=1))


def made(volumes: list[tuple[float, ...]], cases_each: int = 1) -> Dataset:
    """Patients with these volumes of liver, cyst and stone."""
    cases = [
        Case(f"p{n:04}_{m}", (Path("i"),), Path("l"), f"p{n:04}", facts=Facts(
            (1, 1, 1), (1.0, 1.0, 1.0), dict(zip(("liver", "cyst", "stone"), found))))
        for n, found in enumerate(volumes)
        for m in range(cases_each)
    ]  # fmt: skip
    return Dataset(Path("d"), "d", (Channel("CT"),), LABELS, tuple(cases))


def livers(count: int, seed: int = 0) -> list[tuple[float, float, float]]:
    """Every tenth patient has a cyst, every fourth a stone."""
    sizes = np.random.default_rng(seed).lognormal(7, 0.5, count)
    return [(size, 3.0 * (n % 10 == 0), 1.0 * (n % 4 == 0)) for n, size in enumerate(sizes)]


def means(names, dataset: Dataset) -> float:
    return float(np.mean([case.facts.volumes_ml["liver"] for case in dataset.select(names)]))


def showing(names, dataset: Dataset) -> Counter:
    cases = dataset.select(names)
    return Counter(name for case in cases for name, ml in case.facts.volumes_ml.items() if ml)


def test_a_training_takes_splits_that_exist_and_no_others_later(tmp_path):
    dataset = made(livers(12))
    splits.write(tmp_path / "ours.json", k_fold(dataset, 3, seed=4), dataset, 4)
    run = tmp_path / "run"
    assert take_splits(tmp_path / "ours.json", dataset, run) == (3, 4)
    assert split_of(dataset, 3, 1, 4, run) == k_fold(dataset, 3, seed=4)[1]
    assert take_splits(tmp_path / "ours.json", dataset, run) == (3, 4)
    splits.write(tmp_path / "theirs.json", k_fold(dataset, 3, seed=5), dataset, 5)
    with pytest.raises(InputError, match="holds a training on other splits than .*theirs.json"):
        take_splits(tmp_path / "theirs.json", dataset, run)
    for folds, seed in ((3, 5), (4, 4)):
        with pytest.raises(InputError, match=f"other splits: 3 with seed 4, not {folds} with {seed}"):
            split_of(dataset, folds, 1, seed, run)


@pytest.mark.parametrize("seed", range(5))
def test_every_case_is_held_back_once_and_nobody_is_in_two_parts(seed):
    dataset = made(livers(103), cases_each=2)
    folds = k_fold(dataset, 5, seed)
    tested = [name for split in folds for name in split.test]
    assert sorted(tested) == [case.name for case in dataset.cases]
    for split in folds:
        check(split, dataset)
        assert len(split.train) + len(split.validation) + len(split.test) == 206
    patients = [len(split.test) // 2 for split in folds]
    assert max(patients) - min(patients) <= 2


@pytest.mark.parametrize("seed", range(5))
def test_parts_are_alike_in_structures_and_volumes(seed):
    dataset = made(livers(200))
    for split in k_fold(dataset, 5, seed):
        assert len(split.test) == pytest.approx(40, abs=1)
        assert showing(split.test, dataset)["cyst"] == 4
        assert showing(split.test, dataset)["stone"] == pytest.approx(10, abs=1)
        assert means(split.test, dataset) == pytest.approx(means(split.train, dataset), rel=0.12)
        assert len(split.validation) == pytest.approx(0.15 * 160, abs=1)
        assert showing(split.validation, dataset)["cyst"] in (2, 3)


def test_folds_are_more_alike_than_by_chance():
    dataset = made(livers(100))
    names = np.array([case.name for case in dataset.cases])

    def spread(folds) -> float:
        return float(np.std([means(fold, dataset) for fold in folds]))

    by_chance = [spread(np.array_split(np.random.default_rng(n).permutation(names), 5)) for n in range(50)]
    ours = [spread([split.test for split in k_fold(dataset, 5, n)]) for n in range(10)]
    assert np.mean(ours) < np.mean(by_chance) / 2


def test_one_split_has_the_shares_asked_for():
    dataset = made(livers(200))
    split = single(dataset, seed=3)
    check(split, dataset)
    assert [len(part) for part in (split.train, split.validation, split.test)] == pytest.approx([140, 30, 30], abs=1)
    assert showing(split.test, dataset)["cyst"] == 3
    assert means(split.test, dataset) == pytest.approx(means(split.train, dataset), rel=0.1)


def test_the_seed_decides_and_the_order_of_the_cases_does_not():
    dataset = made(livers(30))
    turned = replace(dataset, cases=dataset.cases[::-1])
    assert k_fold(dataset, 5, 1) == k_fold(turned, 5, 1)
    assert k_fold(dataset, 5, 1) != k_fold(dataset, 5, 2)
    assert single(dataset, seed=1) == single(turned, seed=1)


def test_few_patients_still_leave_no_part_empty():
    split = single(made(livers(3)))
    assert [len(part) for part in (split.train, split.validation, split.test)] == [1, 1, 1]
    for split in k_fold(made(livers(3)), 3, 0):
        assert (len(split.train), len(split.validation), len(split.test)) == (1, 1, 1)


def test_too_few_patients_are_refused():
    with pytest.raises(InputError, match=r"patients of the data set \(2\) cannot be split into 3 folds"):
        k_fold(made(livers(2), cases_each=4), 3, 0)
    with pytest.raises(InputError, match="too few"):
        single(made(livers(2)))
    with pytest.raises(InputError, match="sum 1"):
        single(made(livers(9)), shares=(0.5, 0.2, 0.2))


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (Split(("p0000_0",), ("p0001_0",), ("p0000_1",)), "patient 'p0000' is in 'train' and in 'test'"),
        (Split(("p0000_0", "p0000_0"), (), ("p0001_0",)), "twice"),
        (Split(("p0000_0",), (), ("somebody",)), "no case 'somebody'"),
        (Split((), (), ("p0000_0",)), "no case to train on"),
    ],
)
def test_a_leaking_or_foreign_split_is_refused(split, message):
    with pytest.raises(InputError, match=message):
        check(split, made(livers(3), cases_each=2))


def test_splits_are_read_as_they_were_written_and_checked(tmp_path):
    dataset = made(livers(12))
    folds = k_fold(dataset, 3, 7)
    splits.write(tmp_path / "sub" / "splits.json", folds, dataset, 7)
    assert splits.read(tmp_path / "sub" / "splits.json", dataset) == folds
    with pytest.raises(InputError, match="no case"):
        splits.read(tmp_path / "sub" / "splits.json", made(livers(5)))
    (tmp_path / "broken.json").write_text('{"format": "medseg-splits-1", "splits": [{"train": []}]}')
    with pytest.raises(InputError, match="holds no splits"):
        splits.read(tmp_path / "broken.json", dataset)


def test_volumes_are_measured_where_nobody_did(tmp_path):
    dataset = open_dataset(write_pairs(tmp_path, 6))
    unmeasured = replace(dataset, cases=tuple(replace(case, facts=None) for case in dataset.cases))
    assert k_fold(unmeasured, 3, 0) == k_fold(dataset, 3, 0)


def test_thousands_of_cases_take_moments():
    dataset = made(livers(4000))
    assert sum(len(split.test) for split in k_fold(dataset, 5, 0)) == 4000


def test_folds_of_real_hippocampi_have_like_volumes(shared_data):
    dataset = open_dataset(shared_data / "hippocampus-mr")
    total = {case.name: sum(case.facts.volumes_ml.values()) for case in dataset.cases}
    overall = np.array(list(total.values()))
    for split in k_fold(dataset, 5, 0):
        check(split, dataset)
        assert (len(split.train), len(split.validation), len(split.test)) == (136, 24, 40)
        held_back = np.array([total[name] for name in split.test])
        assert held_back.mean() == pytest.approx(overall.mean(), rel=0.02)
        quartiles = np.percentile(overall, (25, 50, 75))
        np.testing.assert_allclose(np.percentile(held_back, (25, 50, 75)), quartiles, rtol=0.03)
