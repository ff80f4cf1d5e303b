"""Trainings: a tiny network that learns, what it is judged by between the epochs, and how it is put together."""

from __future__ import annotations

import math
import os
import signal
import sys
import time

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from MedSegDLLib.errors import DeviceError, InputError
from MedSegTrainLib.data.case import IGNORE
from MedSegTrainLib.training import journal
from MedSegTrainLib.training import machine as machine_module
from MedSegTrainLib.training.averaging import Averaging
from MedSegTrainLib.training.checkpoints import LAST, PREVIOUS, read_checkpoint, trained_weights
from MedSegTrainLib.training.facts import read_facts
from MedSegTrainLib.training.machine import Machine
from MedSegTrainLib.training.module import SegmentationModule, told_at_once
from MedSegTrainLib.training.pace import Pace
from MedSegTrainLib.training.recipe import Optimisation, Recipe
from MedSegTrainLib.training.run_folder import RunFolder
from MedSegTrainLib.training.schedule import Schedule, rate_factor
from MedSegTrainLib.training.train import train
from MedSegTrainLib.training.validation import Scores, logits_of_case, overlaps
from network_makers import SMALL
from training_makers import recipe_data
from training_run_cases import samples, tiny_recipe, training_process


def network(name: str, head: str, dims: int = 3, **arguments) -> dict:
    """Changes of a recipe's `medseg` for another network."""
    described = recipe_data()["medseg"]["network"] | {"name": name, "head": head, "spatial_dims": dims}
    patch = [16, 16, 16] if dims == 3 else [20, 16, 1]
    return {"network": described | {"arguments": SMALL[name] | arguments}, "patch": patch}


DETECTOR = network("mask-rcnn", "box_head.classes.weight", 2)


def batch_of(recipe: Recipe, **changes) -> dict:
    dims = recipe.spec.network.spatial_dims
    shape = recipe.spec.patch_kji[-dims:]
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, recipe.spec.network.in_channels, *shape, generator=generator)
    return {"image": image, "label": torch.randint(0, 3, (2, 1, *shape), generator=generator)} | changes


# Length and learning rate


def plan(**values) -> Optimisation:
    return Optimisation(**{"batch": 4, "learning_rate": 1} | values)


def test_an_epoch_has_as_many_patches_as_there_are_cases():
    assert Schedule.of(plan(epochs=3), cases=10) == Schedule(9, 3)
    assert Schedule.of(plan(epochs=3, steps_per_epoch=7), cases=10) == Schedule(21, 7)
    assert Schedule.of(plan(steps=1000), cases=10) == Schedule(1000, 250)
    assert Schedule.of(plan(steps=30), cases=10) == Schedule(30, 30)


def test_the_last_epoch_may_be_shorter_and_is_validated_all_the_same():
    schedule = Schedule(60, 25, epochs_per_validation=2)
    assert schedule.epochs == 3 and [schedule.epoch_at(step) for step in (1, 25, 26, 60)] == [1, 1, 2, 3]
    assert [step for step in range(1, 61) if schedule.ends_epoch(step)] == [25, 50, 60]
    assert [step for step in range(1, 61) if schedule.validates(step)] == [50, 60]
    assert not any(Schedule(60, 25).validates(step) for step in range(1, 61))


@pytest.mark.parametrize(
    ("schedule", "halfway", "end"),
    [("constant", 1, 1), ("polynomial", 0.5**0.9, 0), ("exponential", 0.1, 0.01), ("cosine", 0.5, 0)],
)
def test_learning_rates(schedule, halfway, end):
    how = plan(steps=100, schedule=schedule, warmup_steps=3)
    assert [rate_factor(how, step, 100) for step in (50, 100)] == pytest.approx([halfway, end])
    assert rate_factor(how, 0, 100) == 0.25


def test_how_many_validations_are_left():
    schedule = Schedule(60, 25, epochs_per_validation=1)
    assert [schedule.validations_after(step) for step in (0, 24, 25, 49, 59, 60)] == [3, 3, 2, 2, 1, 0]
    assert Schedule(60, 25).validations_after(0) == 0


# Remaining time


def test_the_rest_takes_as_long_as_what_was_done():
    pace = Pace()
    assert pace.remaining_seconds(10, 1) is None
    pace.stepped(4, 2.0)
    assert pace.remaining_seconds(10, 3) == 5  # of validations nothing is known
    pace.validated(20.0)
    assert pace.remaining_seconds(10, 3) == 65
    for seconds in (1.0, 1.0, 1.0, 5.0):  # every fifth step waits for its patches
        pace.stepped(1, seconds)
    assert pace.remaining_seconds(100, 0) == pytest.approx(100 * (0.5 + 1 + 1 + 1 + 3) / 5)


def test_an_hour_in_which_the_computer_slept_is_not_expected_again(tmp_path, monkeypatch):
    class Clock:
        asleep = 0.0

        def monotonic(self):
            return time.monotonic() + self.asleep

    def sleep():
        clock.asleep += 3600
        return sample()

    clock = Clock()
    monkeypatch.setattr(journal, "time", clock)
    (sample,) = samples(tiny_recipe(), range(1))
    plan = {"steps": 24, "steps_per_epoch": 2, "batch": 1}
    calls = iter(range(10**6))
    training = [lambda: sleep() if next(calls) == 12 else sample()]
    _, events = quick(tmp_path, training, optimisation=plan, validation={"patches": 1})
    longest = max(events, key=lambda event: event["seconds"])
    assert longest["seconds"] > 3600 and longest["epoch"] < 10
    assert all(event["remaining_seconds"] < 60 for event in events)


# Devices


@pytest.fixture
def gpus(monkeypatch):
    def there_are(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return there_are


def test_nobody_trains_on_a_cpu_by_accident(gpus, tmp_path):
    gpus(0)
    for devices in ("auto", "gpu", 2):
        with pytest.raises(DeviceError, match="no GPU, and on a CPU a training takes very long.* say so: --cpu"):
            Machine.choose(devices)
    recipe = tiny_recipe()
    with pytest.raises(DeviceError, match="no GPU"):
        train(recipe, tmp_path, samples(recipe, (0,)))
    assert RunFolder(tmp_path).status().state == "failed"


def test_devices(gpus):
    gpus(0)
    assert Machine.choose("cpu") == Machine.choose("auto", allow_cpu=True) == Machine("cpu", 1)
    assert Machine.choose("2", allow_cpu=True, nodes=3).processes == 6
    with pytest.raises(DeviceError):
        Machine.choose("gpu", allow_cpu=True)
    gpus(2)
    assert Machine.choose("auto") == Machine("gpu", 1) and Machine.choose(2) == Machine("gpu", 2)
    assert Machine.choose("cpu") == Machine("cpu", 1)
    with pytest.raises(DeviceError, match="3 GPUs were asked for, this computer has 2"):
        Machine.choose(3)
    for wrong in ("many", 0):
        with pytest.raises(InputError, match="is no number of devices. Say auto, cpu, gpu or how many GPUs"):
            Machine.choose(wrong)


@pytest.mark.parametrize(
    ("given", "devices", "nodes", "fits"),
    [
        ({"NNODES": 1, "NTASKS": 1}, 1, 1, True),
        ({"NNODES": 2, "NTASKS": 8, "NTASKS_PER_NODE": 4}, 4, 2, True),
        ({"NNODES": 1, "NTASKS": 8}, 1, 1, False),  # cores were meant, or each would train by itself
        ({"NNODES": 2, "NTASKS": 8, "NTASKS_PER_NODE": 4}, 4, 1, False),
        ({"NNODES": 1, "NTASKS": 2}, 2, 1, False),
        ({"NNODES": 1, "NTASKS": 8, "JOB_NAME": "bash"}, 1, 1, True),  # at somebody's hand
    ],
)
def test_slurm_starts_those_that_train_together(gpus, monkeypatch, given, devices, nodes, fits):
    gpus(4)
    for name, value in given.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    if fits:
        assert Machine.choose(devices, nodes=nodes) == Machine("gpu", devices, nodes)
    else:
        with pytest.raises(InputError, match=f"SLURM starts other.*--nodes={nodes} --ntasks-per-node={devices} and"):
            Machine.choose(devices, nodes=nodes)


def test_a_batch_is_shared_out():
    assert Machine("gpu", 4, 2).batch_of_each(16) == 2
    with pytest.raises(InputError, match="A batch of 6 patches cannot be shared out to 4 processes.*a multiple of 4"):
        Machine("gpu", 4).batch_of_each(6)


def test_precision(monkeypatch):
    for supported, expected in ((True, "bf16"), (False, "f32")):
        monkeypatch.setattr(machine_module, "supports_bf16", lambda supported=supported: supported)
        assert Machine("cpu").precision("auto") == expected
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    assert Machine("gpu").precision("auto") == "f16" and Machine("gpu").precision("f32") == "f32"
    assert Machine("cpu").precision("f16") == "bf16"


# The module


def test_the_loss_of_each_depth_is_weighted_and_falls_to_nothing():
    module = SegmentationModule(tiny_recipe())
    batch = batch_of(module.recipe)
    perfect = torch.nn.functional.one_hot(batch["label"][:, 0], 3).movedim(-1, 1) * 40.0
    assert module._supervised([perfect], batch) < 1e-3
    assert module._supervised([-perfect], batch) > 10


@pytest.mark.parametrize("patch", [[16, 16, 16], [12, 14, 18]])
def test_coarse_depths_see_the_label_where_it_is(patch):
    """Also where the network pads its input, so that the coarse logits reach further than the label."""
    described = network("nnunet", "decoder.heads.2.weight", features=[2, 2, 2, 2], deep_supervision=True)
    module = SegmentationModule(tiny_recipe(medseg=described | {"patch": patch}))
    label = torch.zeros(1, 1, *patch[::-1], dtype=torch.long)
    label[..., :8, :8, :8] = 1
    fine, middle, coarse = module.network(torch.randn(label.shape))
    one_hot = torch.zeros_like(middle)
    one_hot[:, 0] = 40
    one_hot[:, 0, :4, :4, :4], one_hot[:, 1, :4, :4, :4] = 0, 40
    exact = torch.nn.functional.one_hot(label[:, 0], 3).movedim(-1, 1) * 40.0
    assert module._supervised([exact, one_hot, coarse], {"label": label}) < 1e-3


def test_a_network_with_a_loss_of_its_own_is_trained_by_it():
    module = SegmentationModule(tiny_recipe(medseg=DETECTOR))
    batch = batch_of(module.recipe)
    batch["instances"] = batch["label"] * torch.tensor([1, 2]).view(2, 1, 1, 1)
    torch.manual_seed(0)
    loss = module.training_loss(batch)
    torch.manual_seed(0)
    expected = module.network.training_loss(batch["image"], batch["label"][:, 0], batch["instances"][:, 0])
    assert torch.equal(loss, expected)
    loss.backward()
    assert all(parameter.grad is not None for parameter in module.network.parameters())


def test_a_detector_does_not_see_what_nobody_annotated():
    module = SegmentationModule(tiny_recipe(medseg=DETECTOR))
    batch = batch_of(module.recipe)
    batch["label"][..., 8:] = IGNORE
    changed = batch | {"image": torch.where(batch["label"] == IGNORE, 50.0, batch["image"])}
    losses = []
    for each in (batch, changed):
        torch.manual_seed(0)
        losses.append(module.eval().training_loss(each))
    assert torch.equal(*losses)


def test_every_head_of_a_supervised_network_counts():
    module = SegmentationModule(tiny_recipe(medseg=network("pspnet", "head.3.weight", 2, auxiliary=True)))
    module.training_loss(batch_of(module.recipe)).backward()
    assert all(parameter.grad is not None for parameter in module.network.parameters())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"head": "decoder.heads.2.weight"}, "no tensor 'decoder.heads.2.weight' for 3 classes"),
        ({"head": "encoder.0.0.0.weight"}, "no tensor 'encoder.0.0.0.weight' for 3 classes"),
        ({"name": "u-mamba"}, "no possible network. .*there is no network 'u-mamba'"),
        ({"arguments": {"width": 3}}, "no possible network. .*width"),
    ],
)
def test_a_network_that_cannot_be_is_refused(changes, words):
    with pytest.raises(InputError, match=words):
        SegmentationModule(tiny_recipe(medseg={"network": recipe_data()["medseg"]["network"] | changes}))


def test_a_batch_says_at_once_what_a_gpu_need_not_be_asked():
    batch = batch_of(tiny_recipe(), annotated=torch.ones(2, 3, dtype=torch.bool))
    told = told_at_once(batch)
    assert told["sparse"] is False and "annotated" not in told
    batch["label"][0, 0, 0, 0, 0], batch["annotated"][1, 2] = IGNORE, False
    told = told_at_once(batch)
    assert told["sparse"] is True and "annotated" in told


@pytest.mark.parametrize(("name", "kind"), [("adam", "Adam"), ("adamw", "AdamW"), ("sgd", "SGD")])
def test_optimisers(name, kind):
    module = SegmentationModule(tiny_recipe(optimisation={"optimiser": name}), steps=10)
    optimiser = module.configure_optimizers()["optimizer"]
    assert type(optimiser).__name__ == kind and optimiser.defaults["weight_decay"] == 3e-5
    assert optimiser.defaults.get("nesterov", True) is True


def test_an_average_forgets_the_beginning():
    average, current = [torch.zeros(2)], [torch.ones(2)]
    averaging = Averaging(0.999)
    for step in range(20):
        assert averaging.should_update(step_idx=step)
        averaging._average(average, current, None)
    assert average[0][0] > 0.99
    averaging.should_update(step_idx=10**6)
    averaging._average(average, [torch.full((2,), 1001.0)], None)
    assert average[0][0] == pytest.approx(2, abs=0.1)


# Validation


def test_overlaps_by_hand():
    found = torch.tensor([[1, 1, 2, 0, 1], [1, 2, 2, 0, 0]])
    label = torch.tensor([[1, 2, 2, 1, IGNORE], [1, 1, 2, 2, 0]])
    annotated = torch.tensor([[True, True, True], [True, True, False]])
    counts = overlaps(found, label, annotated)
    assert counts[0].tolist() == [[1, 1], [2, 1], [2, 2]]  # in both, found, true; for each structure
    assert counts[1].tolist() == [[1, 0], [1, 0], [2, 0]]


@pytest.mark.parametrize(
    ("each", "dice"),
    [(False, [2 * 2 / (4 + 3)]), (True, [(2 * 1 / (3 + 1) + 2 * 1 / (1 + 2)) / 2])],
)
def test_patches_are_counted_together_and_cases_one_by_one(each, dice):
    scores = Scores(1, each)
    everything = torch.ones(1, 2, dtype=torch.bool)
    for found, true in (([1, 1, 1, 0], [1, 0, 0, 0]), ([0, 1, 0, 0], [0, 1, 1, 0]), ([0] * 4, [0] * 4)):
        logits = torch.nn.functional.one_hot(torch.tensor([found]), 2).movedim(-1, 1).float()
        scores.add(logits, torch.tensor([[true]]), everything, torch.tensor(0.5))
    result = scores.result(lambda sums: sums)
    assert result["dice"] == pytest.approx(dice) and result["loss"] == 0.5
    assert result["miou"][0] < result["dice"][0]


def test_what_is_nowhere_has_no_score():
    scores = Scores(2, True)
    logits = torch.zeros(1, 3, 4)
    logits[:, 1] = 1
    scores.add(logits, torch.ones(1, 1, 4), torch.ones(1, 3, dtype=torch.bool), torch.tensor(1.0))
    result = scores.result(lambda sums: sums)
    assert result["dice"][0] == 1 and math.isnan(result["dice"][1]) and math.isnan(result["miou"][1])


@pytest.mark.parametrize("dims", [2, 3])
def test_a_whole_case_is_seen_as_its_parts_are(dims):
    recipe = tiny_recipe(medseg=network("nnunet", "decoder.heads.1.weight", dims))
    image = torch.randn(1, 1, 7, 18, 20)
    lifted = logits_of_case(lambda x: torch.cat([x, 2 * x, -x], 1), image, recipe, batch=2)
    assert torch.allclose(lifted, torch.cat([image, 2 * image, -image], 1), atol=1e-5)


# A training


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    recipe = tiny_recipe()
    kept = train(recipe, folder, samples(recipe, range(3)), samples(recipe, (7, 8)), devices="cpu")
    return folder, kept


def test_a_network_learns(trained):
    events = RunFolder(trained[0]).events()
    assert [(event["epoch"], event["step"]) for event in events] == [(1, 25), (2, 50), (3, 60)]
    assert events[-1]["loss"] < 0.5 * events[0]["loss"] and events[-1]["dice"] > 0.85
    assert events[-1]["dice_of"].keys() == {"grey ball", "white ball"}
    assert events[0]["remaining_seconds"] > 0 and events[-1]["remaining_seconds"] == 0


def test_the_weights_are_the_average_not_the_last(trained):
    state, key = read_checkpoint(trained[0] / PREVIOUS), "network.decoder.heads.1.weight"
    assert not torch.equal(state["state_dict"][key], state["current_model_state"][key])


def test_the_best_weights_are_the_result(trained):
    folder, kept = trained
    events = RunFolder(folder).events()
    best = max(events, key=lambda event: event["dice"])
    assert kept == folder / "best.ckpt" and read_checkpoint(kept)["global_step"] == best["step"]
    assert read_facts(folder)["best"]["epoch"] == best["epoch"]


def test_curves_for_tensorboard_and_for_tables(trained):
    log = EventAccumulator(str(trained[0] / "tensorboard")).Reload()
    assert {"loss", "validation_loss", "dice", "miou", "learning_rate", "dice/grey ball"} <= set(log.Tags()["scalars"])
    assert [point.step for point in log.Scalars("dice")] == [25, 50, 60]
    assert (trained[0] / "curves.csv").read_text().count("\n") == 4


def test_facts_say_how_it_went(trained):
    facts = read_facts(trained[0])
    assert facts["cases"] == {"training": 3, "validation": 2} and facts["steps"] == 60
    assert {"torch", "lightning", "Python"} <= facts["versions"].keys() and facts["precision"] == "f32"


def quick(tmp_path, training=None, looked_at=(7,), **changes):
    recipe = tiny_recipe(**{"optimisation": {"steps": 4, "steps_per_epoch": 2}} | changes)
    held = samples(recipe, looked_at)
    kept = train(recipe, tmp_path, training or samples(recipe, range(2)), held, devices="cpu")
    return kept, RunFolder(tmp_path).events()


def test_without_validation_the_last_weights_are_the_result(tmp_path):
    kept, events = quick(tmp_path, looked_at=())
    assert kept.name == LAST and [event["dice"] for event in events] == [None, None]
    assert events[0]["loss"] > 0


def test_whole_cases_can_be_validated_on(tmp_path):
    _, events = quick(tmp_path, validation={"on": "cases"})
    assert all(0 <= event["dice"] <= 1 and event["validation_loss"] > 0 for event in events)


def test_validation_every_other_epoch(tmp_path):
    optimisation = {"steps": 6, "steps_per_epoch": 2}
    _, events = quick(tmp_path, optimisation=optimisation, validation={"every_epochs": 2})
    assert [event["dice"] is None for event in events] == [True, False, False]  # and in the end


def test_a_training_that_gets_no_better_ends_early(tmp_path):
    optimisation = {"steps": 40, "steps_per_epoch": 2, "learning_rate": 1e-12, "early_stop_epochs": 2}
    _, events = quick(tmp_path, optimisation=optimisation)
    assert len(events) == 3 and read_facts(tmp_path)["steps"] == 6
    quick(tmp_path, optimisation=optimisation)
    assert len(RunFolder(tmp_path).events()) == 3  # it is finished


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "tversky", "boundary"])
def test_every_loss_trains(tmp_path, name):
    loss = {"name": name, "class_weights": "inverse_frequency"}
    _, events = quick(tmp_path, loss=loss)
    assert np.isfinite([event["loss"] for event in events]).all()


def test_sparse_annotation_and_a_structure_missing_in_half_the_cases(tmp_path):
    recipe = tiny_recipe()
    first, second = (sample() for sample in samples(recipe, range(2)))
    first.classes[::3] = IGNORE
    second.classes[second.classes == 2] = 0
    second.annotated[2] = False
    optimisation = {"steps": 160, "steps_per_epoch": 160, "foreground_share": 0.67}
    _, events = quick(tmp_path, [lambda: first, lambda: second], optimisation=optimisation)
    assert min(events[0]["dice_of"].values()) > 0.8


def test_a_detector_learns_from_completely_annotated_cases_alone(tmp_path):
    recipe = tiny_recipe(medseg=DETECTOR)
    first, second = (sample() for sample in samples(recipe, range(2)))
    second.annotated[2] = False
    _, events = quick(tmp_path, [lambda: first, lambda: second], medseg=DETECTOR)
    assert read_facts(tmp_path)["cases"]["training"] == 1 and events
    with pytest.raises(InputError, match="learns only from cases in which every structure was looked for"):
        quick(tmp_path / "none", [lambda: second], medseg=DETECTOR)


def test_several_channels(tmp_path):
    two = {"network": recipe_data()["medseg"]["network"] | {"in_channels": 2}, "channels": ["CT", "PET"]}
    recipe = tiny_recipe(medseg=two)
    (plain,) = (sample() for sample in samples(tiny_recipe(), range(1)))
    both = type(plain)(np.concatenate([plain.image, -plain.image]), plain.classes, plain.annotated, plain.places)
    kept = train(recipe, tmp_path, [lambda: both], devices="cpu")
    assert trained_weights(kept)["encoder.0.0.0.weight"].shape[1] == 2


def test_nothing_to_train_on(tmp_path):
    with pytest.raises(InputError, match="There is no case to train on. Add cases"):
        train(tiny_recipe(), tmp_path, [], devices="cpu")
    recipe = tiny_recipe(optimisation={"early_stop_epochs": 3})
    with pytest.raises(InputError, match="Without cases to validate on no training can stop early"):
        train(recipe, tmp_path, samples(recipe, (0,)), devices="cpu")


@pytest.fixture(scope="module")
def by_two(tmp_path_factory):
    """The folder of a training by two processes, which its first one started."""
    folder = tmp_path_factory.mktemp("by_two")
    process = training_process(folder, "--devices", "2")
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    return folder


@pytest.mark.slow
def test_two_processes_train_as_one_does(by_two, trained):
    ours, theirs = RunFolder(by_two).events(), RunFolder(trained[0]).events()
    assert [event["epoch"] for event in ours] == [1, 2, 3]
    assert ours[0]["dice"] == pytest.approx(theirs[0]["dice"], abs=0.15)
    assert ours[-1]["dice"] > 0.8 and read_facts(by_two)["hardware"].startswith("2 x ")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills by a signal")
def test_two_processes_of_slurm_are_killed_and_train_on_as_if_they_had_not_been(tmp_path, by_two):
    assert processes_of_slurm(tmp_path, "--kill-at", "37") == [-signal.SIGKILL] * 2
    assert read_checkpoint(tmp_path / LAST)["global_step"] == 30
    assert processes_of_slurm(tmp_path) == [0, 0]
    ours, theirs = RunFolder(tmp_path).events(), RunFolder(by_two).events()
    assert [event["step"] for event in ours] == [25, 50, 60]
    for name in ("loss", "validation_loss", "dice", "learning_rate"):
        assert [event[name] for event in ours] == pytest.approx([event[name] for event in theirs], rel=1e-4)


def processes_of_slurm(folder, *arguments) -> list[int]:
    """How the two processes end that SLURM starts on one computer."""
    job = {"JOB_ID": os.getpid(), "JOB_NAME": "train", "NODELIST": "127.0.0.1", "NODEID": 0}
    job |= {"NNODES": 1, "NTASKS": 2, "NTASKS_PER_NODE": 2}
    processes = [
        training_process(
            folder,
            *("--devices", "2", *arguments),
            **{f"SLURM_{name}": str(value) for name, value in (job | {"PROCID": n, "LOCALID": n}).items()},
        )
        for n in range(2)
    ]
    outputs = [process.communicate(timeout=240)[0] for process in processes]
    codes = [process.returncode for process in processes]
    assert set(codes) <= {0, -signal.SIGKILL}, outputs
    return codes
