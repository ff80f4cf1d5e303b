"""Training: recipes that say what is wrong, splits without leaks, a tiny network that learns, stops and goes on."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from MedSegDLLib.bundle import METADATA, Bundle
from MedSegDLLib.engine.predictor import Predictor
from MedSegDLLib.engine.torch_runtime import load_network
from MedSegDLLib.errors import InputError
from MedSegDLLib.files import write_volume
from MedSegDLLib.volume import Volume
from MedSegTrainLib.cli import main
from MedSegTrainLib.data.cases import find_cases, prepare_sample, split
from MedSegTrainLib.training import train as train_module
from MedSegTrainLib.training.augmentation import augmentation, cut_patch
from MedSegTrainLib.training.export import export_bundle, trained_weights
from MedSegTrainLib.training.module import SegmentationModule
from MedSegTrainLib.training.patches import Patches
from MedSegTrainLib.training.recipe import Augmentation, Recipe, read_recipe
from MedSegTrainLib.training.train import phantom_seeds, train
from network_makers import SMALL
from training_makers import balls, recipe_data, write_cases, write_recipe


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return write_cases(tmp_path_factory.mktemp("data"), 4)


def nested(key: str, **changes) -> dict:
    """Changes of one part of the recipe."""
    return {key: recipe_data()[key] | changes}


def network(**changes) -> dict:
    return nested("medseg", network=recipe_data()["medseg"]["network"] | changes)


def recipe(**changes) -> Recipe:
    return Recipe(**recipe_data(**changes))


def for_slices(**changes) -> dict:
    """Changes of the recipe for a network of two dimensions."""
    return {"medseg": network(spatial_dims=2, **changes)["medseg"] | {"patch": [20, 16, 1]}}


# Recipes


def test_a_recipe_is_read(tmp_path):
    read = read_recipe(write_recipe(tmp_path / "r.yaml", recipe_data()))
    assert read.spec.patch_kji == (16, 16, 16) and read.data.folds == 2
    assert read.licence_path.read_text().lstrip().startswith("Apache License")


def without(data: dict, key: str) -> dict:
    return {name: value for name, value in data.items() if name != key}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (without(recipe_data(), "optimisation"), "optimisation: Field required"),
        (recipe_data(epochs=3), "epochs: Extra inputs are not permitted"),
        (recipe_data(**nested("optimisation", steps=0)), "optimisation.steps: Input should be greater than 0"),
        (recipe_data(**nested("data", fold=2)), "data: .*fold 2 does not exist; 2 folds are counted from 0"),
        (recipe_data(data={"source": "thorax-phantom"}), "phantoms need the numbers 'cases' and 'held_back'"),
        (recipe_data(data={"source": "web"}), "data.source: Input should be 'folder' or 'thorax-phantom'"),
        (recipe_data(augmentation={"scale": 1.5}), "augmentation.scale: Input should be less than 1"),
        (recipe_data(description={"name": "x"}), "description: .*lacks version, title, task"),
        (recipe_data(**nested("medseg", orientation="XYZ")), "orientation 'XYZ'"),
        (recipe_data(**network(out_channels=4)), "4 classes for 2 structures"),
        (recipe_data(**nested("medseg", licence="Mine")), "text of the licence 'Mine' is not at hand"),
        (recipe_data(**network(spatial_dims=2)), "patch is .16, 16, 16.; a network for slices takes one at a time"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_said_at_once(tmp_path, data, words):
    with pytest.raises(InputError, match=f"The recipe 'r.yaml' is wrong: .*{words}") as caught:
        read_recipe(write_recipe(tmp_path / "r.yaml", data))
    assert "\n" not in str(caught.value) and caught.value.remedy == "Correct it."


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "\tx"])
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


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"head": "decoder.heads.2.weight"}, "no tensor 'decoder.heads.2.weight' for 3 classes"),
        ({"head": "encoder.0.0.0.weight"}, "no tensor 'encoder.0.0.0.weight' for 3 classes"),
        ({"name": "u-mamba"}, "no possible network: there is no network 'u-mamba'"),
        ({"arguments": {"width": 3}}, "no possible network: .*width"),
    ],
)
def test_a_network_that_cannot_be_is_refused_before_the_cases_are_read(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        train(recipe(**network(**changes)), tmp_path, tmp_path / "no data")


def test_the_command_line_says_it_in_one_line(tmp_path, capsys):
    path = write_recipe(tmp_path / "r.yaml", recipe_data())
    assert main(["train", str(path), "--output", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "medseg: The recipe 'balls' reads cases from a folder. Name it with --data.\n"
    assert main(["train", str(path), "--data", str(tmp_path / "no"), "--output", str(tmp_path)]) == 2
    assert "holds no cases. It needs a folder 'images'" in capsys.readouterr().err


# Cases


def test_cases_are_pairs_by_name(cases, tmp_path):
    found = find_cases(cases)
    assert [case.name for case in found] == ["case_00", "case_01", "case_02", "case_03"]
    image, label = found[1].load()
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


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (Volume(np.ones((20, 22, 23)), np.diag([-1.0, 1, 1, 1])), "lie on different grids"),
        (Volume(np.ones((20, 22, 24)), np.diag([-1.0, 1, 1.01, 1])), "lie on different grids"),
        (Volume(np.full((20, 22, 24), 256, np.int16), np.diag([-1.0, 1, 1, 1])), "not all from 0 to 255"),
        (Volume(np.full((20, 22, 24), -1, np.int16), np.diag([-1.0, 1, 1, 1])), "not all from 0 to 255"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path, label, words):
    folder = write_cases(tmp_path / "d", 1)
    write_volume(label, folder / "labels" / "case_00.nii.gz")
    (case,) = find_cases(folder)
    with pytest.raises(InputError, match=words):
        case.load()


def test_labels_kept_as_floats_are_rounded_not_cut(tmp_path):
    folder = write_cases(tmp_path / "d", 1)
    label = balls(0)[1]
    write_volume(label.with_array((label.array * 0.99999).astype(np.float32)), folder / "labels" / "case_00.nii.gz")
    (case,) = find_cases(folder)
    assert np.array_equal(case.load()[1].array, label.array)


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


def test_phantoms_to_judge_on_are_not_those_trained_on():
    training, held_back = phantom_seeds(recipe(data={"source": "thorax-phantom", "cases": 100, "held_back": 10}))
    assert (len(training), len(held_back)) == (100, 10) and not set(training) & set(held_back)


def test_a_sample_is_what_the_predictor_would_see():
    image, label = balls(0)
    sample = prepare_sample(image, label, recipe().spec)
    turned = label.reoriented("LPS").array
    assert sample.image.dtype == np.float32 and sample.classes.dtype == np.uint8
    assert np.array_equal(sample.classes, np.select([turned == 1, turned == 5], [1, 2], 0))
    assert abs(sample.image.mean()) < 1e-3
    inside = [sample.image[sample.classes == n].mean() for n in range(3)]
    assert inside == sorted(inside)


@pytest.mark.parametrize("spacing_mm", [[2.0, 2.0, 2.0], [0.6, 0.7, 0.8]])
def test_labels_follow_the_image_through_resampling(spacing_mm):
    image, label = balls(0)
    sample = prepare_sample(image, label, recipe(**nested("medseg", spacing_mm=spacing_mm)).spec)
    assert sample.image.shape == sample.classes.shape
    assert np.mean((sample.image > 1.5) == (sample.classes > 0)) > 0.97
    volume_ml = (sample.classes == 2).sum() / sample.classes.size
    assert volume_ml == pytest.approx((label.array == 5).mean(), rel=0.15)


# Patches


@pytest.mark.parametrize("center", [(0, 0, 0), (5, 6, 7), (9, 0, 13), (30, 30, 30)])
def test_a_patch_is_cut_around_its_centre(center):
    array = np.random.default_rng(0).random((10, 12, 14)) + 1
    patch = cut_patch(array, np.array(center), (8, 5, 20))
    for index in np.ndindex(patch.shape):
        source = np.array(index) + center - np.array([4, 2, 10])
        inside = ((source >= 0) & (source < array.shape)).all()
        assert patch[index] == (array[tuple(source)] if inside else 0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rotation_degrees": 180, "scale": 0.9, "affine_probability": 1},
        {
            "noise_probability": 1,
            "blur_probability": 1,
            "intensity_probability": 1,
            "low_resolution_probability": 1,
        },
        {"affine_probability": 0, "mirror": (False, False, False)},
    ],
)
def test_augmented_patches_keep_shape_and_classes(options):
    made = stream(augmentation=options)
    for patch in islice(made, 6):
        assert patch["image"].shape == patch["label"].shape == (1, 16, 16, 16)
        assert patch["image"].dtype == torch.float32 and patch["image"].isfinite().all()
        assert patch["label"].dtype == torch.int64 and set(patch["label"].unique().tolist()) <= {0, 1, 2}
        assert type(patch["image"]) is type(patch["label"]) is torch.Tensor


def stream(offset=0, seed=0, **changes):
    samples = [lambda n=n: prepare_sample(*balls(n), recipe().spec) for n in range(3)]
    optimisation = nested("optimisation", seed=seed, foreground_share=0.5)
    return iter(Patches(samples, recipe(**optimisation, **changes), seed_offset=offset))


def test_image_and_label_turn_together():
    transform = augmentation(Augmentation(affine_probability=1), (16, 16, 16), 3).set_random_state(0)
    label = torch.zeros(3, 16, 16, 16)
    label[0], label[1, 2:6, 3:12, 9:14] = 1, 1
    label[0] -= label[1]
    spatial = [t for t in transform.transforms if "Affine" in type(t).__name__ or "Flip" in type(t).__name__]
    for _ in range(5):
        turned = {"image": label[1:2].clone(), "label": label.clone()}
        for step in spatial:
            turned = step(turned)
        assert torch.equal(torch.as_tensor(turned["image"] > 0.5), torch.as_tensor(turned["label"][1:2] > 0.5))


def test_mirroring_is_along_the_axes_that_the_recipe_allows():
    off = {"affine_probability": 0, "noise_probability": 0, "blur_probability": 0, "intensity_probability": 0}
    options = off | {"low_resolution_probability": 0, "mirror": (True, False, False)}
    transform = augmentation(Augmentation(**options), (2, 3, 4), 2).set_random_state(0)
    image = torch.arange(24.0).reshape(1, 2, 3, 4)
    seen = {
        tuple(transform({"image": image.clone(), "label": torch.zeros(2, 2, 3, 4)})["image"].ravel().tolist())
        for _ in range(20)
    }
    assert seen == {tuple(image.ravel().tolist()), tuple(image.flip(3).ravel().tolist())}  # i is the last axis


def test_a_network_for_slices_gets_slices():
    made = list(islice(stream(**for_slices(), augmentation={"affine_probability": 1, "blur_probability": 1}), 20))
    for patch in made:
        assert patch["image"].shape == patch["label"].shape == (1, 16, 20)
        assert patch["image"].isfinite().all()
    assert {n for patch in made for n in patch["label"].unique().tolist()} == {0, 1, 2}


def test_slices_are_cut_and_mirrored_as_they_lie():
    off = {name: 0 for name in Augmentation.model_fields if name.endswith("probability")}
    sample = prepare_sample(*balls(0), recipe().spec)
    changes = for_slices() | {"augmentation": off | {"mirror": (True, False, True)}}
    patches = Patches([lambda: sample], recipe(**changes))
    assert patches._recipe.spec.inference.mirror_axes == (True, False, False)
    patches._center = lambda classes, rng: np.array([11, 9, 12])
    window = torch.from_numpy(sample.image[11, 1:17, 2:22].copy())
    seen = [patch["image"][0] for patch in islice(patches, 10)]
    straight, mirrored = ([torch.equal(each, given) for each in seen] for given in (window, window.flip(1)))
    assert any(straight) and any(mirrored) and all(map(sum, zip(straight, mirrored)))


def test_a_seed_repeats_the_patches_and_a_resumed_training_gets_others():
    first, again, later = (next(islice(stream(offset), 3, None))["image"] for offset in (0, 0, 250))
    assert torch.equal(first, again) and not torch.equal(first, later)


def test_structures_are_looked_for_as_often_as_the_recipe_says():
    image, label = balls(0, shape=(60, 60, 60))
    sample = prepare_sample(image, label, recipe().spec)
    counts = {}
    for share in (0.0, 1.0):
        patches = Patches([lambda: sample], recipe(**nested("optimisation", foreground_share=share)))
        rng = np.random.default_rng(0)
        centers = [tuple(patches._center(sample.classes, rng)) for _ in range(60)]
        counts[share] = sum(sample.classes[center] > 0 for center in centers)
        if share == 0:
            assert all(8 <= c <= 52 for center in centers for c in center)  # the patch stays inside
    assert counts[1.0] == 60 and counts[0.0] < 30


# Loss


def test_the_loss_of_each_depth_is_weighted_and_falls_to_nothing():
    module = SegmentationModule(recipe())
    label = torch.randint(0, 3, (2, 1, 16, 16, 16))
    perfect = torch.nn.functional.one_hot(label[:, 0], 3).movedim(-1, 1) * 40.0
    assert module._supervised([perfect], label) < 1e-3
    assert module._supervised([-perfect], label) > 10


@pytest.mark.parametrize("patch", [[16, 16, 16], [12, 14, 18]])
def test_coarse_depths_see_the_label_where_it_is(patch):
    """Also where the network pads its input, so that the coarse logits reach further than the label."""
    arguments = {"features": [2, 2, 2, 2], "deep_supervision": True}
    described = network(arguments=arguments, head="decoder.heads.2.weight")["medseg"] | {"patch": patch}
    module = SegmentationModule(recipe(medseg=described))
    label = torch.zeros(1, 1, *patch[::-1], dtype=torch.long)
    label[..., :8, :8, :8] = 1
    fine, middle, coarse = module.network(torch.randn(label.shape))
    one_hot = torch.zeros_like(middle)
    one_hot[:, 0] = 40
    one_hot[:, 0, :4, :4, :4], one_hot[:, 1, :4, :4, :4] = 0, 40
    exact = torch.nn.functional.one_hot(label[:, 0], 3).movedim(-1, 1) * 40.0
    assert module._supervised([exact, one_hot, coarse], label) < 1e-3


def test_a_network_with_a_loss_of_its_own_is_trained_by_it():
    changes = for_slices(name="mask-rcnn", head="box_head.classes.weight", arguments=SMALL["mask-rcnn"])
    module = SegmentationModule(recipe(**changes))
    batch = next(iter(DataLoader(Patches([lambda: prepare_sample(*balls(0), recipe().spec)], recipe(**changes)), 2)))
    torch.manual_seed(0)
    loss = module._loss(batch["image"], batch["label"])
    torch.manual_seed(0)
    assert torch.equal(loss, module.network.training_loss(batch["image"], batch["label"][:, 0]))
    loss.backward()
    assert all(parameter.grad is not None for parameter in module.network.parameters())


def test_every_head_of_a_supervised_network_counts():
    changes = for_slices(name="pspnet", head="head.3.weight", arguments=SMALL["pspnet"] | {"auxiliary": True})
    module = SegmentationModule(recipe(**changes))
    module._loss(torch.randn(2, 1, 16, 20), torch.randint(0, 3, (2, 1, 16, 20))).backward()
    assert all(parameter.grad is not None for parameter in module.network.parameters())


# A training


@pytest.fixture(scope="module")
def trained(tmp_path_factory, cases):
    """Interrupted after its first checkpoint, then finished: the recipe, the folder and the last checkpoint."""
    folder = tmp_path_factory.mktemp("run")

    class Interrupted(Patches):
        def __iter__(self):
            yield from islice(super().__iter__(), 2 * 14)
            raise RuntimeError("the power failed")

    steps = nested("optimisation", steps=60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_module, "STEPS_PER_CHECKPOINT", 10)
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(train_module, "Patches", Interrupted)
            with pytest.raises(RuntimeError, match="the power failed"):
                train(recipe(**steps), folder, cases)
        interrupted = torch.load(folder / "last.ckpt", weights_only=True)
        offsets = []
        patch.setattr(
            train_module, "Patches", lambda *a, seed_offset: offsets.append(seed_offset) or Patches(*a, seed_offset)
        )
        last = train(recipe(**steps), folder, cases)
    return recipe(**steps), interrupted, offsets, last


def loss_of(recipe: Recipe, weights: dict | None) -> float:
    torch.manual_seed(0)
    module = SegmentationModule(recipe).eval()
    if weights:
        module.network.load_state_dict(weights)
    sample = prepare_sample(*balls(0), recipe.spec)
    image, label = (torch.from_numpy(a[:16, :16, :16].copy())[None, None] for a in (sample.image, sample.classes))
    with torch.no_grad():
        return float(module._supervised([module.network(image)], label.long()))


def test_an_interrupted_training_goes_on_where_it_stopped(trained):
    recipe, interrupted, offsets, last = trained
    assert interrupted["global_step"] == 10 and offsets == [10]
    finished = torch.load(last, weights_only=True)
    assert finished["global_step"] == 60
    (state,) = finished["optimizer_states"]
    assert {int(s["step"]) for s in state["state"].values()} == {60}


def test_training_lowers_the_loss(trained):
    recipe, interrupted, _, last = trained
    assert loss_of(recipe, trained_weights(last)) < 0.5 * loss_of(recipe, None)


def test_weights_are_the_average_not_the_last(trained):
    _, interrupted, _, _ = trained
    key = "network.decoder.heads.1.weight"
    assert not torch.equal(interrupted["state_dict"][key], interrupted["current_model_state"][key])


def test_a_finished_training_is_not_trained_again(trained, cases):
    recipe, _, _, last = trained
    before = trained_weights(last)
    train(recipe, last.parent, cases)
    after = trained_weights(last)
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory) -> Bundle:
    return export_bundle(trained[0], trained[3], tmp_path_factory.mktemp("models") / "balls")


def test_the_bundle_is_whole_and_half_as_large(exported, trained):
    exported.verify()
    assert {"models/model.safetensors", "models/model.xml", "models/model.bin"} == set(exported.checksums)
    assert (exported.folder / "LICENSE").read_text().lstrip().startswith("Apache License")
    weights = trained_weights(trained[3])
    network = load_network(exported)
    for name, value in network.state_dict().items():
        assert torch.allclose(value, weights[name], rtol=1e-3, atol=1e-6)
        assert torch.equal(value.half().float(), value)


def test_the_model_card_says_what_it_is(exported):
    card = (exported.folder / "docs" / "README.md").read_text()
    for words in ("# Test", "| 5 | white ball |", "Modality MR", "60 steps of 2 windows", "Not measured yet", "Apache"):
        assert words in card


def test_both_runtimes_segment_an_unseen_case_alike_and_well(exported, tmp_path, monkeypatch):
    image, label = balls(99)
    fast = Predictor(exported, "cpu", threads=1).segment(image).array
    monkeypatch.setattr(Bundle, "graph_path", None)
    slow = Predictor(exported, "cpu", threads=1).segment(image).array
    assert np.mean(fast != slow) < 1e-3
    for value in (1, 5):
        found, true = fast == value, label.array == value
        assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.8


def test_a_network_for_slices_is_trained_and_segments_a_volume(tmp_path, cases):
    changes = for_slices(arguments={"features": [8, 16, 16]})
    changes |= nested("optimisation", steps=70, batch=8, learning_rate=0.02, foreground_share=0.7)
    last = train(recipe(**changes), tmp_path, cases)
    bundle = export_bundle(recipe(**changes), last, tmp_path / "balls")
    image, label = balls(99)
    predictor = Predictor(bundle, "cpu", threads=1)
    found = predictor.segment(image).array
    assert predictor.report.windows == 2 * 2 * len(found)  # each slice by itself
    for value in (1, 5):
        ours, true = found == value, label.array == value
        assert 2 * (ours & true).sum() / (ours.sum() + true.sum()) > 0.8


def test_a_network_that_finds_instances_is_exported_without_a_graph(tmp_path):
    changes = for_slices(name="mask-rcnn", head="box_head.classes.weight", arguments=SMALL["mask-rcnn"])
    state = SegmentationModule(recipe(**changes)).state_dict()
    torch.save({"state_dict": state}, tmp_path / "last.ckpt")
    bundle = export_bundle(recipe(**changes), tmp_path / "last.ckpt", tmp_path / "balls")
    assert set(bundle.checksums) == {"models/model.safetensors"}
    assert Predictor(bundle, "cpu", threads=1).segment(balls(99, shape=(3, 22, 24))[0]).array.shape == (3, 22, 24)


def test_exporting_again_replaces_the_bundle(exported, trained):
    again = export_bundle(trained[0], trained[3], exported.folder)
    assert again.checksums["models/model.safetensors"] == exported.checksums["models/model.safetensors"]
    assert (again.folder / METADATA).is_file()


def test_inference_mirrors_only_where_training_did():
    mirrored = recipe(augmentation={"mirror": (True, False, False)}, **nested("medseg", inference={"mirror": True}))
    assert mirrored.spec.inference.mirrored_kji == (False, False, True)
