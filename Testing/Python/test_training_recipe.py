"""Recipes: presets and their overrides, and errors that name the wrong entry and what may stand there."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bundle_makers import specification
from MedSegDLLib.bundle import Network
from MedSegDLLib.errors import InputError
from MedSegTrainLib.data.heads import class_tensors, head_name, supervision_argument
from MedSegTrainLib.training.recipe import (
    Recipe,
    make_recipe,
    merged,
    preset_names,
    read_recipe,
    write_recipe,
)
from network_makers import EVERY, SMALL, small
from training_makers import nested, recipe_data
from training_makers import write_recipe as write_recipe_file

SHIPPED = Path(__file__).resolve().parents[2] / "MedSegTrain" / "Resources" / "Recipes"


def network(**changes) -> dict:
    return nested("medseg", network=recipe_data()["medseg"]["network"] | changes)


def without(data: dict, key: str) -> dict:
    return {name: value for name, value in data.items() if name != key}


def test_a_recipe_is_read(tmp_path):
    read = read_recipe(write_recipe_file(tmp_path / "r.yaml", recipe_data()))
    assert read.spec.patch_kji == (16, 16, 16) and read.data.folds == 2
    assert read.licence_text.lstrip().startswith("Apache License")


@pytest.mark.parametrize("name", ["hippocampus-mr", "thorax-phantom"])
def test_the_shipped_recipes_are_valid(name):
    recipe = read_recipe(SHIPPED / f"{name}.yaml")
    assert recipe.name == name and recipe.loss.name == "dice_ce" and recipe.optimisation.optimiser == "adamw"


def test_a_licence_without_a_text_is_named():
    licensed = Recipe(**recipe_data(**nested("medseg", licence="CC0")))
    assert licensed.licence_text == "Licence of the weights: CC0\n"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (without(recipe_data(), "optimisation"), "optimisation: Field required"),
        (recipe_data(epochs=3), r"epochs: there is no such entry; there are preset, name, description, medseg, data"),
        (
            recipe_data(augmentation={"scales": 0.2}),
            r"augmentation.scales: .*did you mean 'scale'\?.* rotation_degrees",
        ),
        (recipe_data(**nested("optimisation", steps=0)), "optimisation.steps: Input should be greater than 0"),
        (recipe_data(**nested("optimisation", steps="9")), "optimisation.steps: Input should be a valid integer"),
        (recipe_data(**nested("optimisation", steps=None)), "optimisation: say either 'steps' or 'epochs'"),
        (recipe_data(**nested("optimisation", epochs=2)), "optimisation: say either 'steps' or 'epochs'"),
        (
            recipe_data(**nested("optimisation", optimiser="lion")),
            "optimiser: Input should be 'adam', 'adamw' or 'sgd'",
        ),
        (recipe_data(loss={"name": "hinge"}), "loss.name: Input should be 'cross_entropy', 'dice', 'dice_ce', 'focal'"),
        (recipe_data(loss={"class_weights": [1, 2]}), "loss.class_weights has 2 numbers for 3 classes"),
        (recipe_data(preset="best"), "preset: there is no 'best'; there are modern, papers"),
        (recipe_data(name="a/b"), "name: String should match pattern"),
        (recipe_data(**nested("data", fold=2)), "data: .*fold 2 does not exist; 2 folds are counted from 0"),
        (recipe_data(data={"source": "folder", "folds": 1}), "the cases of a folder are split into 2 folds or more"),
        (recipe_data(data={"source": "thorax-phantom"}), "phantoms need the numbers 'cases' and 'held_back'"),
        (recipe_data(data={"source": "web"}), "data.source: Input should be 'dataset', 'folder' or 'thorax-phantom'"),
        (recipe_data(augmentation={"scale": 1.5}), "augmentation.scale: Input should be less than 1"),
        (recipe_data(description={"name": "x"}), "description: .*lacks version, title, task"),
        (recipe_data(**nested("medseg", orientation="XYZ")), "medseg: .*orientation 'XYZ'"),
        (recipe_data(**network(out_channels=4)), "4 classes for 2 structures"),
        (recipe_data(**network(spatial_dims=2)), "patch is .16, 16, 16.; a network for slices takes one at a time"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_said_at_once(tmp_path, data, words):
    with pytest.raises(InputError, match=f"The recipe 'r.yaml' is wrong: .*{words}") as caught:
        read_recipe(write_recipe_file(tmp_path / "r.yaml", data))
    assert "\n" not in str(caught.value) and caught.value.remedy == "Correct it."


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "\tx", "name: 2024-01-01"])
def test_a_file_that_is_no_recipe(tmp_path, text):
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match="The recipe 'r.yaml' is wrong"):
        read_recipe(path)


def test_a_recipe_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="cannot be read. Check the path"):
        read_recipe(tmp_path / "none.yaml")
    (tmp_path / "r.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InputError, match="cannot be read"):
        read_recipe(tmp_path / "r.yaml")


# Presets


def preset(name: str, **overrides) -> Recipe:
    return make_recipe("livers", specification(), {"authors": "We"}, name, overrides)


def test_the_papers_recipe_is_what_the_papers_say():
    recipe = preset("papers")
    plan = recipe.optimisation
    assert (plan.optimiser, plan.learning_rate, plan.batch, plan.epochs) == ("adam", 1e-3, 8, 200)
    assert plan.schedule == "exponential" and recipe.loss.name == "cross_entropy"
    change = recipe.augmentation
    assert change.rotation_degrees and change.translation and change.scale and all(change.mirror)
    assert change.noise_probability == change.gamma_probability == 0


def test_the_modern_recipe_supervises_every_depth_of_a_network_that_can():
    recipe = preset("modern")
    plan = recipe.optimisation
    assert (plan.optimiser, plan.schedule, plan.steps_per_epoch) == ("sgd", "polynomial", 250)
    assert recipe.loss.name == "dice_ce" and plan.foreground_share == 0.33
    assert recipe.spec.network.arguments["deep_supervision"] is True
    assert "deep_supervision" not in preset("papers").spec.network.arguments


def test_a_network_that_cannot_supervise_its_depths_stays_as_it_is():
    plain = specification(network=Network("unet", 3, 1, 3, "head.weight", {"features": [2, 4]}))
    assert make_recipe("x", plain, {}, "modern").spec.network.arguments == {"features": [2, 4]}


def test_the_description_of_a_made_recipe_is_whole():
    assert preset("papers").description["authors"] == "We"
    assert preset("papers").description["task"] == "Segmentation of structure 1, structure 2"


def test_overrides_win_and_steps_take_the_place_of_epochs():
    recipe = preset(
        "papers", optimisation={"steps": 7, "clip": 3}, augmentation={"scale": 0}, medseg={"patch": [4, 4, 4]}
    )
    assert (recipe.optimisation.steps, recipe.optimisation.epochs) == (7, None)
    assert recipe.optimisation.clip == 3 and recipe.optimisation.batch == 8
    assert recipe.augmentation.scale == 0 and recipe.augmentation.rotation_degrees == 15
    assert recipe.spec.patch == (4, 4, 4)


def test_overrides_that_are_wrong_are_named():
    with pytest.raises(InputError, match="The recipe 'livers' is wrong: optimisation.step: .*did you mean 'steps'"):
        preset("papers", optimisation={"step": 7})


def test_merging_leaves_its_arguments_alone():
    base = {"a": {"b": 1, "c": 2}}
    assert merged(base, {"a": {"b": 3}}) == {"a": {"b": 3, "c": 2}} and base == {"a": {"b": 1, "c": 2}}


@pytest.mark.parametrize("name", preset_names())
def test_a_recipe_is_the_same_after_writing_it(tmp_path, name):
    recipe = preset(name, optimisation={"steps": 9})
    write_recipe(recipe, tmp_path / "r.yaml")
    assert read_recipe(tmp_path / "r.yaml") == recipe
    assert yaml.safe_load((tmp_path / "r.yaml").read_text())["optimisation"]["batch"] == recipe.optimisation.batch


def test_a_preset_may_be_named_in_a_file(tmp_path):
    data = recipe_data(preset="papers", optimisation={"epochs": 3})
    recipe = read_recipe(write_recipe_file(tmp_path / "r.yaml", data))
    assert recipe.optimisation.epochs == 3 and recipe.optimisation.batch == 8


def test_inference_mirrors_only_where_training_did():
    data = recipe_data(augmentation={"mirror": (True, False, False)}, **nested("medseg", inference={"mirror": True}))
    assert Recipe(**data).spec.inference.mirrored_kji == (False, False, True)


# Heads


@pytest.mark.parametrize(("name", "dims"), [each for each in EVERY if each[1] == 2])
def test_the_head_counts_the_classes(name, dims):
    head = head_name(Network(name, dims, 1, 3, "", SMALL[name]))
    assert len(small(name, dims).state_dict()[head]) == 3
    assert head in class_tensors(Network(name, dims, 1, 3, head, SMALL[name]))


def test_all_tensors_of_the_classes_are_found():
    network = Network("nnunet", 3, 1, 3, "", {"features": [2, 4, 8]})
    heads = [f"decoder.heads.{n}.{part}" for n in range(2) for part in ("weight", "bias")]
    assert class_tensors(network) == heads
    with pytest.raises(InputError, match="'u-net' cannot be built: there is no network 'u-net'"):
        head_name(Network("u-net", 3, 1, 3, "", {}))


def test_the_argument_that_supervises():
    assert supervision_argument("nnunet") == supervision_argument("unet-plus-plus") == "deep_supervision"
    assert supervision_argument("pspnet") == "auxiliary" and supervision_argument("unet") is None
