"""A benchmark's plan: what it allows, how it says what is wrong, and what makes two runs the same."""

from __future__ import annotations

import json

import pytest
import yaml

from MedSegDLLib.bundle import Specification
from MedSegDLLib.errors import InputError
from MedSegTrainLib.benchmark.order import orders
from MedSegTrainLib.benchmark.plan import parse_plan, read_plan
from run import ROOT

PLANS = ROOT / "Testing" / "benchmarks" / "plans"


def data(**changes) -> dict:
    """A plan as its file holds it; `changes` replace its parts."""
    return {
        "name": "balls",
        "data_sets": [{"name": "balls", "path": "balls", "names": {1: "grey", 5: "white"}}],
        "networks": [
            {"network": "unet", "dims": 2, "label": "U-Net", "arguments": {"features": [4, 8]}},
            {"network": "unet", "dims": 3, "name": "unet-deep", "overrides": {"optimisation": {"batch": 2}}},
        ],
        "baselines": [{"baseline": "threshold"}],
        "folds": 3,
        "recipe": {"preset": "papers", "overrides": {"optimisation": {"steps": 10, "batch": 8}}},
    } | changes


def written(path, plan) -> str:
    path.write_text(plan if isinstance(plan, str) else yaml.safe_dump(plan))
    return path


def test_a_plan_is_the_same_in_yaml_and_json(tmp_path):
    from_yaml = read_plan(written(tmp_path / "plan.yaml", data()))
    (tmp_path / "plan.json").write_text(json.dumps(data()))
    assert read_plan(tmp_path / "plan.json") == from_yaml == parse_plan(data())
    assert [(method.name, method.label) for method in from_yaml.methods] == [
        ("unet", "U-Net"),
        ("unet-deep", "unet-deep"),
        ("threshold", "threshold"),
    ]
    assert from_yaml.data_sets[0].names == {1: "grey", 5: "white"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fold": 5}, "fold: extra inputs"),
        ({"folds": "5"}, "folds: input should be a valid integer"),
        ({"folds": 1}, "folds: input should be greater than or equal to 2"),
        ({"name": "../up"}, "name: string should match pattern"),
        ({"data_sets": []}, "data_sets: "),
        ({"data_sets": [{"name": "a"}]}, "data_sets.0.path: field required"),
        ({"data_sets": [{"name": "a", "path": "b", "spacing_mm": [1, 1]}]}, "data_sets.0.spacing_mm.2: field required"),
        ({"networks": [{"network": "unet", "dims": 4}]}, "networks.0.dims: input should be 2 or 3"),
        ({"networks": [{"network": "unet", "dims": 2}] * 2}, "'unet' is there twice"),
        ({"networks": [{"dims": 2}]}, "networks.0.network: field required"),
        ({"networks": [], "baselines": []}, "nothing to compare"),
        ({"only_folds": [3]}, "fold 3 does not exist; 3 folds are counted from 0"),
        ({"seeds": [1, 1]}, "seeds: 1 is there twice"),
        ({"metrics": {"tolerances_mm": [0]}}, "metrics.tolerances_mm.0: input should be greater than 0"),
        ({"keep": {"predictions": "some"}}, "keep.predictions: input should be"),
    ],
)
def test_what_is_wrong_is_named(changes, words, tmp_path):
    with pytest.raises(InputError) as caught:
        read_plan(written(tmp_path / "plan.yaml", data(**changes)))
    assert words in caught.value.message and "plan.yaml" in caught.value.message


@pytest.mark.parametrize("text", ["name: [", "just words", "- a\n- b", "when: 2020-01-01"])
def test_what_is_no_plan_is_said(text, tmp_path):
    with pytest.raises(InputError, match=r"plan\.yaml"):
        read_plan(written(tmp_path / "plan.yaml", text))


def test_a_plan_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_plan(tmp_path / "plan.yaml")


def test_runs_are_all_methods_fold_by_fold():
    found = orders(parse_plan(data(seeds=[0, 7], only_folds=[0, 2])))
    assert len(found) == 2 * 2 * 3 and len({order.key for order in found}) == 12
    assert [order.name for order in found[:4]] == [
        "balls/unet/fold-0-seed-0",
        "balls/unet-deep/fold-0-seed-0",
        "balls/threshold/fold-0-seed-0",
        "balls/unet/fold-2-seed-0",
    ]
    assert found[0].recipe.overrides == found[1].recipe.overrides == {"optimisation": {"steps": 10, "batch": 8}}
    assert found[1].method.overrides == {"optimisation": {"batch": 2}} and found[2].recipe is None


def keys(**changes) -> list[str]:
    return [order.key for order in orders(parse_plan(data(**changes)))]


def test_what_decides_no_figure_makes_no_other_run():
    moved = [{"name": "balls", "path": "/elsewhere", "title": "Balls", "names": {1: "grey", 5: "white"}}]
    networks = data()["networks"]
    assert keys() == keys(data_sets=moved, title="T", note="N", keep={"bundles": False}, seeds=[0])
    assert keys() == keys(networks=[networks[0] | {"label": "Other"}, networks[1]])


@pytest.mark.parametrize(
    ("changes", "others"),
    [
        ({"recipe": {"preset": "modern"}}, [True, True, False]),
        ({"split_seed": 1}, [True, True, True]),
        ({"folds": 4, "only_folds": [0, 1, 2]}, [True, True, True]),
        ({"metrics": {"band_mm": 3.0}}, [True, True, True]),
        ({"baselines": [{"baseline": "threshold", "parameters": {"tuning_cases": 3}}]}, [False, False, True]),
    ],
)
def test_what_decides_figures_makes_other_runs(changes, others):
    before, after = keys()[:3], keys(**changes)[:3]
    assert [a != b for a, b in zip(before, after)] == others


# ---- The plans of the measured results


@pytest.mark.parametrize("path", sorted(PLANS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_method_of_a_plan_can_be_made_and_its_recipe_is_valid(path):
    from MedSegTrainLib.benchmark.methods import check_methods
    from MedSegTrainLib.training.recipe import make_recipe, merged
    from training_makers import recipe_data

    plan = read_plan(path)
    check_methods(plan)
    specification = Specification.from_dict({"format": 1, **recipe_data()["medseg"]})
    for method in plan.networks:
        overrides = merged(plan.recipe.overrides, method.overrides)
        recipe = make_recipe(method.name, specification, {}, plan.recipe.preset, overrides)
        assert recipe.optimisation.batch > 0
    assert f"medseg benchmark {path.name} --data FOLDER --output RUNS" in path.read_text()


def test_the_hippocampus_is_segmented_by_all_that_were_asked_for():
    asked = {
        *("fcn-8s", "fcnn", "unet", "unet-3d", "unet-plus-plus", "segnet", "deeplabv3", "deeplabv3-plus", "pspnet"),
        *("mask-rcnn", "attention-unet", "dual-attention", "transunet", "nnunet-residual", "nnunet"),
    }
    for name in ("hippocampus", "hippocampus-narrow"):
        plan = read_plan(PLANS / f"{name}.yaml")
        assert {method.network for method in plan.networks} == asked and len(plan.baselines) == 2 and plan.folds == 5
        steps = [method.overrides.get("optimisation", {}).keys() for method in plan.networks]
        assert not any({"steps", "epochs"} & keys for keys in steps), "as long for all"
