"""Evaluation: Dice that agrees with a hand's calculation, and ends in the bundle and its card."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest

from bundle_makers import specification, threshold_bundle
from MedSegDLLib.bundle import METADATA, Bundle
from MedSegDLLib.volume import Volume
from MedSegTrainLib.cli import main
from MedSegTrainLib.evaluation.evaluate import (
    Scores,
    dice,
    evaluate_bundle,
    held_back_cases,
    record_results,
    summary,
    write_scores,
)
from MedSegTrainLib.training.recipe import Recipe
from training_makers import balls, recipe_data, write_cases, write_recipe


def recipe(**changes) -> Recipe:
    return Recipe(**recipe_data(**changes))


def labelmap(*values) -> np.ndarray:
    return np.array(values, np.uint8).reshape(1, 2, -1)


def test_dice_by_hand():
    truth = labelmap(1, 1, 1, 0, 2, 2, 0, 0)
    result = labelmap(1, 1, 0, 1, 2, 0, 2, 2)
    found = dice(result, truth, specification((1, 2)))
    assert found == {"structure 1": pytest.approx(2 * 2 / (3 + 3)), "structure 2": pytest.approx(2 * 1 / (2 + 3))}


def test_dice_of_what_is_not_there():
    spec = specification((1, 2, 3))
    found = dice(labelmap(1, 0, 0, 0), labelmap(0, 0, 2, 0), spec)
    assert found["structure 1"] == 0  # found where there is none
    assert found["structure 2"] == 0  # missed
    assert math.isnan(found["structure 3"])  # rightly not found


def test_the_summary_is_the_mean_over_cases():
    scores = [
        Scores("a", {"x": 0.8, "y": 0.6}, 1.0, "f32"),
        Scores("b", {"x": 0.9, "y": float("nan")}, 1.0, "f32"),
        Scores("c", {"x": 0.4, "y": 0.2}, 1.0, "f32"),
    ]
    found = summary(scores, recipe())
    assert found["dice"] == {"x": 0.7, "y": 0.4}
    assert found["mean_dice"] == pytest.approx((0.7 + 0.9 + 0.3) / 3, abs=1e-4)
    assert (found["worst_case"], found["cases"], found["precision"]) == (0.3, 3, "f32")
    assert found["split"] == "Held back from training: fold 0 of 2, split seed 0."
    assert found["command"] == ("python -m MedSegTrainLib evaluate balls.yaml --data FOLDER --bundle MODELS/balls")


def test_a_structure_that_no_case_has_is_not_a_result():
    scores = [Scores("a", {"x": 0.5, "y": float("nan")}, 1.0, "f32")]
    assert summary(scores, recipe())["dice"] == {"x": 0.5}


def test_cases_held_back_are_those_that_training_leaves_out(tmp_path):
    folder = write_cases(tmp_path / "d", 4)
    first, second = (
        [name for name, *_ in held_back_cases(recipe(data={"source": "folder", "folds": 2, "fold": fold}), folder)]
        for fold in (0, 1)
    )
    assert sorted(first + second) == [f"case_{n:02}" for n in range(4)] and len(first) == 2


@pytest.fixture
def bundle(tmp_path):
    """Thresholds that find both balls, with the values of their labels."""
    spec = recipe().spec
    return threshold_bundle(
        tmp_path / "models" / "balls", thresholds=(50.0, 150.0), patch=(16, 16, 16), labels=spec.labels
    )


def test_a_bundle_is_judged_by_what_its_user_would_get(bundle):
    image, truth = balls(0)
    worse = truth.array.copy()
    worse[truth.array == 5] = np.where(np.arange((truth.array == 5).sum()) % 2, 5, 0)
    scores = evaluate_bundle(
        bundle.folder, [("good", image, truth), ("half", image, Volume(worse, truth.ijk_to_ras))], threads=1
    )
    good, half = scores
    assert good.dice == {"grey ball": 1.0, "white ball": 1.0} and good.mean == 1.0
    size = (truth.array == 5).sum()
    assert half.dice["white ball"] == pytest.approx(2 * (size // 2) / (size // 2 + size))
    assert good.seconds > 0 and good.precision == "f32"


def test_scores_are_written_one_row_a_case(tmp_path):
    write_scores(tmp_path / "scores.csv", [Scores("a", {"x": 0.81236, "y": 1.0}, 1.5, "f32")])
    rows = list(csv.reader((tmp_path / "scores.csv").open()))
    assert rows == [["case", "x", "y", "mean", "seconds"], ["a", "0.8124", "1.0000", "0.9062", "1.500"]]


def test_results_land_in_metadata_and_model_card(tmp_path, bundle, monkeypatch, capsys):
    """By the command line, with a recipe that describes the threshold bundle."""
    folder = write_cases(tmp_path / "d", 4)
    network = {"name": "nnunet", "spatial_dims": 3, "in_channels": 1, "out_channels": 3, "head": "conv.weight"}
    intensity = {"rule": "window", "low": -1e4, "high": 1e4, "mean": 0, "std": 1}
    medseg = recipe_data()["medseg"] | {"network": network, "intensity": intensity}
    path = write_recipe(tmp_path / "balls.yaml", recipe_data(medseg=medseg))
    options = ["--data", str(folder), "--bundle", str(bundle.folder), "--output", str(tmp_path / "scores.csv")]
    assert main(["evaluate", str(path), *options]) == 0
    assert "'mean_dice': 1.0" in capsys.readouterr().out
    results = json.loads((bundle.folder / METADATA).read_text())["medseg"]["results"]
    assert results["mean_dice"] == 1.0 and results["cases"] == 2
    read = Bundle.load(bundle.folder)
    read.verify()
    assert read.spec.results == results and read.checksums == bundle.checksums
    card = (bundle.folder / "docs" / "README.md").read_text()
    for words in ("| white ball | 1.0000 |", "| mean | 1.0000 |", "2 cases; f32 on the CPU", results["command"]):
        assert words in card
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 3


def test_recording_keeps_the_weights(bundle):
    before = bundle.weights_path.read_bytes()
    spec = bundle.spec
    described = recipe_data()["medseg"] | {
        "network": {"name": "nnunet", "spatial_dims": 3, "in_channels": 1, "out_channels": 3, "head": "conv.weight"},
        "patch": list(spec.patch),
    }
    scores = [Scores("a", {"grey ball": 0.5, "white ball": 0.7}, 1.0, "bf16")]
    results = record_results(bundle.folder, scores, recipe(medseg=described))
    assert results["mean_dice"] == 0.6 and Bundle.load(bundle.folder).weights_path.read_bytes() == before
