"""The models that come with the extension: whole, described, and as good as their cards say."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from MedSegDLLib.bundle import MODEL_CARD, Bundle
from MedSegDLLib.engine.predictor import Predictor
from MedSegDLLib.engine.torch_runtime import TorchRuntime
from MedSegDLLib.models import SHIPPED
from MedSegTrainLib.data.phantom import draw_thorax
from MedSegTrainLib.evaluation.results import HeldBack, evaluate_bundle, held_back_cases
from MedSegTrainLib.evaluation.summary import over_structures
from MedSegTrainLib.training.recipe import read_recipe

RECIPES = Path(__file__).resolve().parents[2] / "MedSegTrain" / "Resources" / "Recipes"
MODELS = sorted(folder.name for folder in SHIPPED.iterdir())
FEW_MEGABYTES = 8e6
UNSEEN_CASES = 8


def shipped(name: str) -> Bundle:
    return Bundle.load(SHIPPED / name)


def test_the_models_are_there():
    assert MODELS == ["hippocampus-mr", "thorax-phantom"]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_whole_and_small(name):
    bundle = shipped(name)
    bundle.verify()
    assert bundle.graph_path and bundle.size_bytes < FEW_MEGABYTES
    assert (bundle.folder / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", MODELS)
def test_the_card_states_what_was_measured(name):
    bundle = shipped(name)
    card = (bundle.folder / MODEL_CARD).read_text(encoding="utf-8")
    assert f"| mean | {bundle.spec.results['mean_dice']:.4f} |" in card
    assert "## Limits" in card and bundle.spec.licence in card and bundle.spec.results["command"] in card


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_what_its_recipe_describes(name):
    recipe, bundle = read_recipe(RECIPES / f"{name}.yaml"), shipped(name)
    assert replace(bundle.spec, results={}) == recipe.spec
    assert {key: bundle.metadata[key] for key in recipe.description} == recipe.description


@pytest.mark.parametrize("name", MODELS)
def test_the_graph_computes_what_the_weights_do(name):
    bundle = shipped(name)
    window = np.random.default_rng(0).normal(size=(1, *bundle.spec.patch_kji)).astype(np.float32)
    exported = Predictor(bundle, "cpu", precision="f32", threads=1)._runtime(window)
    trained = TorchRuntime(bundle, "cpu", "f32", 1)(window).numpy()
    assert np.abs(exported - trained).max() < 0.02 * np.abs(trained).max()


def test_hippocampus_on_cases_it_never_saw(shared_data):
    recipe = read_recipe(RECIPES / "hippocampus-mr.yaml")
    unseen = islice(held_back_cases(recipe, shared_data / "hippocampus-mr"), UNSEEN_CASES)
    rows = evaluate_bundle(SHIPPED / "hippocampus-mr", unseen, threads=1)
    assert 0.85 < over_structures(rows, "dice").mean < 0.93  # above: the cases were seen after all


def test_the_phantom_model_on_a_phantom_it_never_saw():
    phantom = draw_thorax(3_000_000)
    case = HeldBack("phantom", lambda: ((phantom.image,), phantom.truth))
    rows = evaluate_bundle(SHIPPED / "thorax-phantom", [case], threads=1)
    assert over_structures(rows, "dice").mean > 0.8
