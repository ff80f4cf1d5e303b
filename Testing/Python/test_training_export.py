"""From a training to a bundle that MedSegDL takes, to further training, and to what it would have cost beforehand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from MedSegDLLib.bundle import WEIGHTS, Bundle, Specification
from MedSegDLLib.engine.predictor import Predictor
from MedSegDLLib.engine.torch_runtime import load_network
from MedSegDLLib.errors import DeviceError, ModelError, OutputError
from MedSegDLLib.files import write_volume
from MedSegDLLib.models import find_model
from MedSegTrainLib.cli import main
from MedSegTrainLib.training import estimate as estimate_module
from MedSegTrainLib.training import export as export_module
from MedSegTrainLib.training import run_command
from MedSegTrainLib.training.checkpoints import trained_weights
from MedSegTrainLib.training.estimate import estimate, memory_bytes
from MedSegTrainLib.training.export import export_bundle, install
from MedSegTrainLib.training.fine_tune import load_initial
from MedSegTrainLib.training.for_dataset import prepared
from MedSegTrainLib.training.machine import Machine
from MedSegTrainLib.training.model_card import recipe_of
from MedSegTrainLib.training.module import SegmentationModule
from MedSegTrainLib.training.recipe import Data, Recipe, read_recipe
from MedSegTrainLib.training.run_folder import RunFolder
from MedSegTrainLib.training.train import train
from network_makers import SMALL
from training_makers import ANATOMY, balls, nested, recipe_data, write_cases, write_recipe
from training_run_cases import samples, tiny_recipe

BF16 = {"precision": "bf16"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A recipe, and the checkpoint it ended with."""
    recipe = tiny_recipe(optimisation=BF16)
    folder = tmp_path_factory.mktemp("run")
    return recipe, train(recipe, folder, samples(recipe, range(4)), samples(recipe, (7,)), devices="cpu")


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory) -> Bundle:
    return export_bundle(*trained, tmp_path_factory.mktemp("models") / "balls")


def for_slices(name: str = "nnunet", head: str = "decoder.heads.1.weight", **arguments) -> dict:
    """Changes of `medseg` for a network of two dimensions."""
    described = recipe_data()["medseg"]["network"] | {"name": name, "head": head, "spatial_dims": 2}
    return {"network": described | {"arguments": arguments}, "patch": [20, 16, 1]}


DETECTOR = for_slices("mask-rcnn", "box_head.classes.weight", **SMALL["mask-rcnn"])


def worst_dice(bundle: Bundle) -> float:
    """Of an unseen case's two balls."""
    image, label = balls(99)
    found = Predictor(bundle, "cpu", threads=1).segment(image).array
    pairs = [(found == value, label.array == value) for value in (1, 5)]
    return min(2 * (ours & true).sum() / (ours.sum() + true.sum()) for ours, true in pairs)


# Bundles


def test_the_bundle_is_whole_and_half_as_large(exported, trained):
    exported.verify()
    assert {"models/model.safetensors", "models/model.xml", "models/model.bin"} == set(exported.checksums)
    assert (exported.folder / "LICENSE").read_text().lstrip().startswith("Apache License")
    weights = trained_weights(trained[1])
    for name, value in load_network(exported).state_dict().items():
        assert torch.allclose(value, weights[name], rtol=1e-3, atol=1e-6)
        assert torch.equal(value.half().float(), value)


@pytest.mark.parametrize(
    "words",
    [
        "# Test",
        "| 5 | white ball |",
        "Modality MR",
        "4 cases to train on, 1 to validate; fold 0 of 2 held back to judge on, split seed 0.",
        "60 steps of 2 windows, AdamW from 0.02, Dice and cross-entropy loss, exponential average of the weights.",
        "in bf16, with seed 0 (MedSegDL ",
        "torch 2.",
        "on the validation cases and were kept",
        "Not measured yet",
        "Apache",
    ],
)
def test_the_model_card_says_what_it_is_and_how_it_came_about(exported, words):
    assert words in (exported.folder / "docs" / "README.md").read_text()


def test_the_bundle_says_by_which_recipe_it_was_made(exported, trained):
    assert recipe_of(exported) == trained[0]


def test_everybody_may_read_what_one_has_trained(exported):
    modes = {path.stat().st_mode for path in exported.folder.rglob("*") if path.is_file()}
    assert len(modes) == 1


def test_a_graph_that_finds_no_room_is_said_and_the_bundle_before_stays(trained, tmp_path, monkeypatch):
    export_bundle(*trained, tmp_path / "balls")

    def full(*args, **options):
        raise RuntimeError("basic_ios::clear: iostream error")

    monkeypatch.setattr(export_module.openvino, "save_model", full)
    with pytest.raises(OutputError, match="The graph of 'balls' could not be written; the disk may be full"):
        export_bundle(*trained, tmp_path / "balls")
    Bundle.load(tmp_path / "balls").verify()
    assert [path.name for path in tmp_path.iterdir()] == ["balls"]


def test_a_bundle_that_computes_something_else_is_refused(trained, tmp_path, monkeypatch):
    def other_network(bundle: Bundle) -> torch.nn.Module:
        network = load_network(bundle)
        next(network.parameters()).data += 0.1
        return network

    monkeypatch.setattr(export_module, "load_network", other_network)
    with pytest.raises(ModelError, match="The bundle 'balls' does not compute what was trained: its logits differ by"):
        export_bundle(*trained, tmp_path / "balls")


def test_both_runtimes_segment_an_unseen_case_alike_and_well(exported, monkeypatch):
    image, _ = balls(99)
    fast = Predictor(exported, "cpu", threads=1).segment(image).array
    monkeypatch.setattr(Bundle, "graph_path", None)
    slow = Predictor(exported, "cpu", threads=1).segment(image).array
    assert np.mean(fast != slow) < 1e-3 and worst_dice(exported) > 0.8


def test_a_network_for_slices_is_trained_and_segments_a_volume(tmp_path):
    optimisation = {"steps": 70, "batch": 8, "foreground_share": 0.7}
    recipe = tiny_recipe(medseg=for_slices(features=[8, 16, 16]), optimisation=optimisation)
    kept = train(recipe, tmp_path / "run", samples(recipe, range(3)), devices="cpu")
    assert worst_dice(export_bundle(recipe, kept, tmp_path / "balls")) > 0.8


def test_a_network_that_finds_instances_is_exported_without_a_graph(tmp_path):
    recipe = tiny_recipe(medseg=DETECTOR)
    torch.save({"state_dict": SegmentationModule(recipe).state_dict()}, tmp_path / "last.ckpt")
    bundle = export_bundle(recipe, tmp_path / "last.ckpt", tmp_path / "balls")
    assert set(bundle.checksums) == {"models/model.safetensors"}
    assert Predictor(bundle, "cpu", threads=1).segment(balls(99, shape=(3, 22, 24))[0]).array.shape == (3, 22, 24)


def test_exporting_again_replaces_the_bundle(exported, trained, tmp_path):
    folder = tmp_path / "balls"
    for _ in range(2):
        again = export_bundle(*trained, folder)
    assert again.checksums[WEIGHTS.as_posix()] == exported.checksums[WEIGHTS.as_posix()]
    assert [path.name for path in tmp_path.iterdir()] == ["balls"]


def test_an_export_that_fails_leaves_the_bundle_before(trained, tmp_path, monkeypatch):
    bundle = export_bundle(*trained, tmp_path / "balls")
    monkeypatch.setattr(export_module, "write_model_card", refuse)
    with pytest.raises(OutputError):
        export_bundle(*trained, tmp_path / "balls")
    bundle.verify()
    assert [path.name for path in tmp_path.iterdir()] == ["balls"]


def refuse(*_):
    raise OutputError("The disk is full.")


def test_a_model_is_offered_in_medsegdl(exported, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "models"))
    for _ in range(2):  # a later one takes its place
        assert install(exported) == tmp_path / "models" / "balls"
    find_model("balls").verify()


# Further training


def fresh(recipe: Recipe) -> SegmentationModule:
    torch.manual_seed(1)
    return SegmentationModule(recipe)


def test_training_starts_from_a_bundle(exported, trained):
    module = fresh(trained[0])
    words = load_initial(module.network, trained[0].spec, exported.folder)
    assert words.startswith("Starts from 'balls' 1.2.3: ") and "Fresh" not in words
    expected = load_network(exported).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in module.network.state_dict().items())


def other_structures(count: int) -> dict:
    labels = [{"value": n + 1, "name": f"bone {n}", "color": [n, 0, 0], "terminology": ANATOMY} for n in range(count)]
    return {"labels": labels, "network": recipe_data()["medseg"]["network"] | {"out_channels": count + 1}}


@pytest.mark.parametrize("count", [1, 2])  # as many structures as before may be others all the same
def test_the_head_of_other_structures_starts_anew(exported, count):
    recipe = tiny_recipe(medseg=other_structures(count))
    module = fresh(recipe)
    before = {name: value.clone() for name, value in module.network.state_dict().items()}
    words = load_initial(module.network, recipe.spec, exported.folder)
    assert "Fresh: decoder.heads.0.weight, decoder.heads.0.bias, decoder.heads.1.weight" in words
    expected = load_network(exported).state_dict()
    for name, value in module.network.state_dict().items():
        assert torch.equal(value, before[name] if "heads" in name else expected[name])


def test_the_first_layer_of_other_channels_starts_anew(exported):
    two = {"network": recipe_data()["medseg"]["network"] | {"in_channels": 2}, "channels": ["CT", "PET"]}
    recipe = tiny_recipe(medseg=two)
    module = fresh(recipe)
    before = {name: value.clone() for name, value in module.network.state_dict().items()}
    words = load_initial(module.network, recipe.spec, exported.folder)
    assert words.endswith("Fresh: encoder.0.0.0.weight.")
    expected = load_network(exported).state_dict()
    for name, value in module.network.state_dict().items():
        assert torch.equal(value, before[name] if name == "encoder.0.0.0.weight" else expected[name])


def test_a_bundle_of_another_network_is_refused(exported):
    recipe = tiny_recipe(medseg=DETECTOR)
    with pytest.raises(ModelError, match="'nnunet' of 3 dimensions.* fit the network 'mask-rcnn' of 2"):
        load_initial(fresh(recipe).network, recipe.spec, exported.folder)


def test_a_fine_tuned_network_starts_better(exported, tmp_path, capsys):
    losses = []
    for name, initial in (("random", None), ("tuned", exported.folder)):
        recipe = tiny_recipe(optimisation={"steps": 2, "steps_per_epoch": 2, "learning_rate": 1e-6})
        train(recipe, tmp_path / name, samples(recipe, range(2)), devices="cpu", initial=initial)
        losses.append(RunFolder(tmp_path / name).events()[0]["loss"])
    assert losses[1] < 0.6 * losses[0] and "Starts from 'balls'" in capsys.readouterr().out


# Before it starts


def test_an_estimate_says_device_time_and_memory():
    recipe = tiny_recipe(validation={"patches": 6})
    found = estimate(recipe, samples(recipe, range(2)), samples(recipe, (7,)), machine=Machine())
    assert found.steps == 60 and found.epochs == 3 and found.seconds > 60 * found.step_seconds > 0
    for words in ("cores: 60 steps in 3 epochs, about ", " a step) and at least ", " of memory ("):
        assert words in found.in_words


@pytest.mark.parametrize("medseg", [{}, DETECTOR])
def test_the_memory_that_is_counted_is_what_a_step_keeps(medseg):
    """Against the sizes of what a real step keeps, also where values decide what is computed."""
    recipe = tiny_recipe(medseg=medseg)
    module, shape = SegmentationModule(recipe), recipe.spec.patch_kji[-recipe.spec.network.spatial_dims :]
    batch = {"image": torch.randn(2, 1, *shape), "label": torch.randint(0, 3, (2, 1, *shape))}
    weights = sum(p.numel() * 4 for p in module.network.parameters())
    counted = memory_bytes(module, batch, "f32") - 5 * weights  # gradients, AdamW's two, the average, themselves
    assert counted == pytest.approx(estimate_module._kept_bytes(module, batch, "f32"), rel=0.05)
    first_layer = 4 * 2 * 4 * np.prod(shape)
    assert counted > first_layer


def test_a_training_that_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(estimate_module, "free_bytes", lambda device: 1000)
    recipe = tiny_recipe()
    with pytest.raises(DeviceError, match=r"needs at least .* of memory, 1 kB are free. Choose a smaller patch"):
        estimate(recipe, samples(recipe, range(2)), machine=Machine())


# The command line


def test_a_recipe_is_trained_into_a_bundle(tmp_path, capsys):
    data = recipe_data(optimisation=recipe_data()["optimisation"] | {"steps": 4})
    recipe, cases = write_recipe(tmp_path / "r.yaml", data), write_cases(tmp_path / "data", 4)
    folders = ["--runs", str(tmp_path / "runs"), "--output", str(tmp_path / "models")]
    command = ["train", str(recipe), "--data", str(cases), *folders, "--cpu", "--set", "optimisation.steps=3"]
    assert main([*command, "--estimate"]) == 0
    assert "3 steps in 1 epoch, about" in capsys.readouterr().out and not (tmp_path / "models").exists()
    assert main(command) == 0
    assert f"Wrote {tmp_path / 'models' / 'balls'}" in capsys.readouterr().out
    assert Bundle.load(tmp_path / "models" / "balls").spec.patch == (16, 16, 16)
    assert read_recipe(tmp_path / "runs" / "balls" / "recipe.yaml").optimisation.steps == 3
    assert main([*command, "--estimate"]) == 0  # which changes nothing
    capsys.readouterr()
    assert main(["status", str(tmp_path / "runs" / "balls")]) == 0
    assert capsys.readouterr().out.startswith(f"done. Wrote {tmp_path}")
    assert main(["stop", str(tmp_path / "runs" / "balls")]) == 2
    assert "No training runs in" in capsys.readouterr().err
    assert main(["status", str(tmp_path / "runs" / "bills")]) == 2
    assert "No training has begun in" in capsys.readouterr().err


def test_a_network_is_trained_on_a_data_set(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "models"))
    data = write_cases(tmp_path / "data", 6)
    command = ["train", "--dataset", str(data), "--network", "nnunet", "--folds", "3", "--cpu", "--install"]
    command += ["--cache", str(tmp_path / "cache"), "--name", "two-balls", "--output", str(tmp_path / "run")]
    for setting in ("optimisation.steps=2", "medseg.patch=[16, 16, 16]", "validation.patches=2"):
        command += ["--set", setting]
    command += ["--set", "medseg.network={head: decoder.heads.1.weight}"]
    command += ["--set", "medseg.network.arguments={features: [4, 8, 8], strides: null, kernels: null}"]
    assert main(command) == 0
    assert "MedSegDL offers it as 'two-balls'" in capsys.readouterr().out
    assert isinstance(find_model("two-balls").spec, Specification)
    recipe = read_recipe(tmp_path / "run" / "recipe.yaml")
    assert recipe.preset == "modern" and recipe.data.folds == 3 and (tmp_path / "run" / "splits.json").exists()
    assert recipe.spec.network.arguments["deep_supervision"] is True
    before = (tmp_path / "run" / "last.ckpt").stat().st_mtime_ns
    assert main(command) == 0  # nothing is trained twice
    assert (tmp_path / "run" / "last.ckpt").stat().st_mtime_ns == before
    capsys.readouterr()
    measure_and_train_again(command, data, tmp_path / "run", capsys)
    for more, words in (
        (["--folds", "2"], "holds a training on other splits: 3 with seed 0, not 2 with 0"),
        (["--fold", "1"], "holds a training of 'two-balls' with other cases"),
        (["--name", "three-balls"], "with another name"),
    ):
        assert main([*command, *more]) == 2
        assert words in capsys.readouterr().err
    for part, volume in zip(("images", "labels"), balls(6)):
        write_volume(volume, data / part / "late.nii.gz")
    assert main(command) == 0
    assert "Not in the splits of this folder, and not used: 1 case, such as 'late'" in capsys.readouterr().out
    assert RunFolder(tmp_path / "run").status().state == "done"


def test_a_stop_is_heeded_while_cases_are_prepared(tmp_path, capsys, monkeypatch):
    def asked_to_stop(*arguments):
        RunFolder(tmp_path / "run").ask("stop")
        return prepared(*arguments)

    monkeypatch.setattr(run_command, "prepared", asked_to_stop)
    data, recipe = write_cases(tmp_path / "data", 4), write_recipe(tmp_path / "r.yaml", unnamed_structures())
    command = ["train", str(recipe), "--dataset", str(data), "--cpu", "--cache", str(tmp_path / "cache")]
    assert main([*command, "--output", str(tmp_path / "run")]) == 2
    assert RunFolder(tmp_path / "run").status().state == "stopped" and not list(tmp_path.glob("cache/*/*"))


def test_a_recipe_is_trained_on_another_fold_and_on_no_other_structures(tmp_path, capsys):
    data = write_cases(tmp_path / "data", 6)
    changes = nested("optimisation", steps=2) | {"data": {"name": "theirs", "folds": 3}}
    recipe = write_recipe(tmp_path / "r.yaml", unnamed_structures(**changes))
    command = ["train", str(recipe), "--dataset", str(data), "--cpu", "--cache", str(tmp_path / "cache")]
    assert main([*command, "--fold", "2", "--output", str(tmp_path / "run")]) == 0
    assert read_recipe(tmp_path / "run" / "recipe.yaml").data == Data(name="data", folds=3, fold=2)
    assert "fold 2 of 3 held back" in (tmp_path / "run/bundle/docs/README.md").read_text()
    capsys.readouterr()
    others = write_recipe(tmp_path / "o.yaml", recipe_data(data={"folds": 3}))
    for arguments, words in (
        (
            [str(others)],
            "is for grey ball (1), white ball (5); the data set 'data' shows structure 1 (1), structure 5 (5)",
        ),
        ([str(recipe), "--network", "unet", "--dims", "2"], "The recipe says already what --network and --dims would."),
        (
            [str(recipe), "--set", "medseg.channels=[a, b]", "--set", "medseg.network.in_channels=2"],
            "is for 2 images a case",
        ),
    ):
        rest = ["--dataset", str(data), "--cpu", "--output", str(tmp_path / "other")]
        assert main(["train", *arguments, *rest]) == 2
        assert words in capsys.readouterr().err


def unnamed_structures(**changes) -> dict:
    """A recipe for cases of which only the values are known."""
    labels = [label | {"name": f"structure {label['value']}"} for label in recipe_data()["medseg"]["labels"]]
    return recipe_data(**nested("medseg", labels=labels), **{"data": {"folds": 3}} | changes)


def measure_and_train_again(command, data, run, capsys) -> None:
    """What was measured of a model stays with it."""
    judged = ["--bundle", str(run / "bundle"), "--split", str(run / "splits.json"), "--device", "cpu"]
    assert main(["evaluate", str(data), *judged, "--record"]) == 0
    assert "Recorded in" in capsys.readouterr().out
    assert main(command) == 0
    results = Bundle.load(run / "bundle").spec.results
    assert results["cases"] == 2 and f"{results['mean_dice']:.4f} |" in (run / "bundle/docs/README.md").read_text()
    capsys.readouterr()


def test_a_bundle_of_another_dimension_is_refused(exported):
    """Though biases and norms would fit."""
    recipe = tiny_recipe(medseg=for_slices(features=[4, 8, 8]))
    with pytest.raises(ModelError, match="No weights of 'balls'"):
        load_initial(fresh(recipe).network, recipe.spec, exported.folder)


def test_the_command_line_says_what_is_missing_in_one_line(tmp_path, capsys):
    path = write_recipe(tmp_path / "r.yaml", recipe_data())
    for arguments, words in (
        ([str(path)], "The recipe 'balls' reads cases from a folder. Name it with --data."),
        ([], "It is not said what to train on."),
        (["--dataset", "x"], "It is not said what to train. Name a network"),
        ([str(path), "--data", str(tmp_path / "no"), "--cpu"], "holds no cases. It needs a folder 'images'"),
    ):
        runs = ["--runs", str(tmp_path / "runs")]
        assert main(["train", *arguments, *runs, "--output", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1


def test_an_interrupted_training_says_so(tmp_path, capsys):
    (tmp_path / "status.json").write_text('{"state": "training", "pid": 999999999, "host": "x", "step": 3, "steps": 9}')
    assert main(["status", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert (
        "interrupted while training; start it again by its first command, and it goes on" in out
        and "Step 3 of 9" in out
    )
