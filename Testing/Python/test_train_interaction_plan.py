"""Networks and recipe: the list, the plan that is written, the estimate, and the packages that training needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import update_networks
from MedSegDLLib.dependencies import Requirement
from MedSegDLLib.errors import DeviceError, InputError, WorkerError
from MedSegTrainLib.benchmark.estimate import estimate_plan
from MedSegTrainLib.benchmark.plan import parse_plan, read_plan
from MedSegTrainLib.interaction.methods import (
    LIST,
    PROPOSED,
    all_methods,
    check_methods,
    chosen_methods,
    preset_names,
)
from MedSegTrainLib.interaction.packages import REQUIREMENTS, PackageCheck, Packages, required_for_training
from MedSegTrainLib.interaction.plan import PlanPresenter
from MedSegTrainLib.interaction.plan_ports import PlanState
from MedSegTrainLib.interaction.planning import ASKED, PlanChoices, parsed_overrides, plan_of
from MedSegTrainLib.interaction.python_process import training_environment
from MedSegTrainLib.training.recipe import preset_names as presets_there_are
from MedSegTrainLib.training.recipe import recipe_from
from train_window_cases import FakeView, Later, Transports, wait_until
from training_makers import recipe_data, write_cases

PACKAGE = LIST.parents[1] / "MedSegTrainLib"
ESTIMATE = {
    "event": "estimate",
    "device": "NVIDIA RTX 4090",
    "seconds": 32400.0,
    "disk_bytes": 14_000_000_000,
    "free_disk_bytes": 120_000_000_000,
    "networks": [{"method": "unet-2d", "memory_bytes": 6_200_000_000, "problem": ""}],
    "runs": 15,
}


# The list


@pytest.mark.slow
def test_the_list_is_that_of_the_registries():
    assert json.loads(LIST.read_text(encoding="utf-8")) == update_networks.listed(), "run: Testing/update_networks.py"


def test_every_method_has_a_key_of_its_own_and_a_line():
    methods = all_methods()
    assert len({method.key for method in methods}) == len(methods) > 40
    assert all(method.source and method.parameters > 10_000 for method in methods if method.is_network)
    assert {method.key for method in chosen_methods(PROPOSED)} == set(PROPOSED)
    assert set(preset_names()) == set(presets_there_are()) and preset_names()[0] == "papers"


# The plan


def choices(tmp_path, **more) -> PlanChoices:
    return PlanChoices(**{"dataset": tmp_path / "heart CT", "methods": ("unet-2d", "threshold")} | more)


def test_what_is_chosen_is_a_plan_of_the_benchmark(tmp_path):
    data = plan_of(choices(tmp_path, folds=4, folds_to_run=2, epochs=30), "my runs")
    plan = parse_plan(data)
    assert plan.name == "my-runs" and plan.folds_to_run == (0, 1) and plan.folds == 4
    assert [method.name for method in plan.methods] == ["unet-2d", "threshold"]
    assert plan.networks[0].label == "U-Net, 2D" and plan.data_sets[0].name == "heart-CT"
    assert Path(plan.data_sets[0].path) == tmp_path / "heart CT"
    assert plan.recipe.overrides == {"optimisation": {"epochs": 30}} and plan.recipe.preset == "papers"


def test_every_method_can_be_planned(tmp_path):
    keys = tuple(method.key for method in all_methods())
    assert len(parse_plan(plan_of(choices(tmp_path, methods=keys), "all")).methods) == len(keys)


@pytest.mark.parametrize("name", ["session", "report", "cache"])
def test_a_data_set_does_not_get_the_folder_of_something_else(name, tmp_path):
    plan = plan_of(choices(tmp_path, dataset=tmp_path / name), "runs")
    assert plan["data_sets"][0]["name"] == f"data-{name}"


def test_overrides_reach_recipe_data_and_methods(tmp_path):
    text = """
    # smaller
    optimisation.batch = 4
    loss.name = focal
    data.spacing_mm = [1, 1, 2]
    methods.unet-2d.arguments = {"features": [4, 8]}
    """
    plan = parse_plan(plan_of(choices(tmp_path, overrides=text, epochs=7), "runs"))
    assert plan.recipe.overrides == {"optimisation": {"batch": 4, "epochs": 7}, "loss": {"name": "focal"}}
    assert plan.data_sets[0].spacing_mm == (1, 1, 2) and plan.networks[0].arguments == {"features": [4, 8]}
    recipe_from({"preset": "papers", **_without_optimisation(recipe_data())} | plan.recipe.overrides, "recipe")


def _without_optimisation(data):
    return {key: value for key, value in data.items() if key != "optimisation"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimisation.batch 4", "is no setting. Write it as optimisation.batch = 4"),
        ("batch = 4", "what it is an entry of"),
        ("optimisation.batch = 4\noptimisation.batch.size = 2", "is no setting"),
    ],
)
def test_an_override_that_cannot_be_read_is_named(text, message):
    with pytest.raises(InputError, match=message):
        parsed_overrides(text)


def test_an_override_of_a_whole_method_is_refused(tmp_path):
    with pytest.raises(InputError, match="'methods.unet-2d' does not say which entry"):
        plan_of(choices(tmp_path, overrides="methods.unet-2d = 3"), "runs")


def test_a_script_hears_of_methods_that_there_are_not():
    check_methods(PROPOSED)
    with pytest.raises(InputError, match="no network or baseline 'unet2d'.*unet-2d"):
        check_methods(["unet-3d-3d", "unet2d"])
    with pytest.raises(InputError, match="nothing to train"):
        check_methods([])


def test_an_override_of_a_method_that_is_not_chosen_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no such method. Chosen are unet-2d, threshold"):
        plan_of(choices(tmp_path, overrides="methods.vnet-3d.arguments = {}"), "runs")


# The panel


@pytest.fixture
def plan(tmp_path):
    """A presenter with all chosen, and a process of our making."""
    transports, started = Transports(), []
    presenter = PlanPresenter(
        FakeView(), lambda: "python", on_start=lambda *what: started.append(what), make_transport=transports
    )
    presenter.transports, presenter.started = transports, started
    (tmp_path / "heart CT").mkdir()
    presenter.choose(choices(tmp_path), tmp_path / "runs")
    yield presenter
    presenter.close()


def panel(plan):
    return plan._view.panel


def test_a_data_set_whose_disk_is_gone_is_named(plan, tmp_path):
    plan.press()
    plan.transports.last.say(**ESTIMATE)
    plan.poll()
    (tmp_path / "heart CT").rmdir()
    plan.press()
    assert not plan.started and not panel(plan).enabled
    assert panel(plan).tip.startswith(f"The data set '{tmp_path / 'heart CT'}' is not there. Connect its disk")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dataset": None}, "Import data first, or open a data set."),
        ({"methods": ()}, "Tick at least one network or baseline."),
        ({"overrides": "batch"}, "'batch' does not say what it is an entry of."),
    ],
)
def test_the_button_says_why_it_is_grey(changes, reason, plan, tmp_path):
    plan.choose(choices(tmp_path, **changes), tmp_path / "runs")
    assert not panel(plan).enabled and panel(plan).tip.startswith(reason)
    plan.press()
    assert plan.state is PlanState.CHOOSING


def test_the_button_wants_a_folder_for_the_runs_and_no_other_run(plan, tmp_path):
    plan.choose(choices(tmp_path), None)
    assert panel(plan).tip == "Choose a folder for the runs."
    plan._is_running = lambda: True
    plan.choose(choices(tmp_path), tmp_path)
    assert panel(plan).tip.startswith("A benchmark is running.")


def test_from_plan_to_start(plan, tmp_path):
    assert (panel(plan).button, panel(plan).enabled) == ("Plan", True)
    plan.press()
    assert (panel(plan).button, panel(plan).is_busy) == ("Cancel", True)
    asked = tmp_path / "runs" / ASKED
    command = ["python", "-m", "MedSegTrainLib.watched", "estimate", str(asked)]
    wanted = [*command, "--output", str(tmp_path / "runs"), "--json"]
    assert plan.transports.last.command == wanted and read_plan(asked).name == "runs"
    plan.transports.last.say(event="progress", done=0, total=1, name="U-Net, 2D")
    plan.poll()
    assert panel(plan).estimate == "Trying network 1 of 1: U-Net, 2D" and panel(plan).progress == (0, 1)
    plan.transports.last.say(**ESTIMATE)
    plan.poll()
    assert panel(plan).estimate == (
        "About 9.0 h on NVIDIA RTX 4090, at least 6.2 GB of memory, 14.0 GB of disk, for 15 runs."
    )
    assert (panel(plan).button, panel(plan).problem) == ("Start", False) and plan.transports.last.was_killed
    plan.press()
    assert plan.started == [(asked, tmp_path / "runs", False)] and panel(plan).button == "Plan"


def test_other_choices_want_another_estimate(plan, tmp_path):
    plan.press()
    plan.transports.last.say(**ESTIMATE)
    plan.poll()
    plan.tick("vnet-3d", True)
    assert panel(plan).button == "Plan" and panel(plan).estimate == ""
    assert plan.choices.methods == ("unet-2d", "vnet-3d", "threshold")  # in the order of the list
    plan.tick("unet-2d", False)
    assert [row.key for row in panel(plan).methods if row.is_ticked] == ["vnet-3d", "threshold"]


def test_what_stands_in_the_way_is_said(plan):
    plan.press()
    problem = {
        "method": "unet-2d",
        "memory_bytes": 0,
        "problem": "The training needs at least 30 GB of memory, 8 GB are free.",
    }
    plan.transports.last.say(**ESTIMATE | {"networks": [problem], "free_disk_bytes": 1_000_000_000})
    plan.poll()
    assert panel(plan).problem and "The disk has only 1.0 GB free" in panel(plan).estimate
    assert "1 of the networks cannot be trained here" in panel(plan).estimate
    assert next(row.problem for row in panel(plan).methods if row.key == "unet-2d").startswith("The training needs")


def test_the_processor_is_never_used_by_accident(plan, tmp_path):
    plan.press()
    plan.transports.last.end(2, "a warning\nmedseg: There is no GPU. To train on the CPU all the same, say so.\n")
    plan.poll()
    assert panel(plan).problem and panel(plan).estimate.startswith("There is no GPU.")
    plan.choose(choices(tmp_path, cpu=True), tmp_path / "runs")
    plan.press()
    assert plan.transports.last.command[-1] == "--cpu"


def test_baselines_alone_need_no_gpu(plan, tmp_path):
    plan.choose(choices(tmp_path, methods=("threshold",)), tmp_path / "runs")
    plan.press()
    assert plan.transports.last.command[-1] == "--cpu"
    plan.transports.last.say(**ESTIMATE | {"networks": []})
    plan.poll()
    assert panel(plan).estimate.startswith("Only baselines")


def test_planning_is_cancelled_at_once(plan):
    plan.press()
    plan.press()
    assert plan.transports.last.was_killed and (panel(plan).button, panel(plan).estimate) == ("Plan", "Cancelled.")


def test_nothing_is_planned_without_the_packages(plan):
    asked = []
    plan._check = PackageCheck(lambda *question: asked.append(question))
    plan.press()
    assert asked[0][0] is True and asked[0][2]() and panel(plan).estimate == "Checking the packages that training needs"
    asked[0][1]("Not installed yet: torch>=2.8.")
    assert panel(plan).problem and panel(plan).estimate == "Not installed yet: torch>=2.8."
    plan.press()
    plan.press()  # given up
    assert not asked[1][2]()
    asked[1][1]("")
    assert plan.state is PlanState.CHOOSING and not plan.transports.made


def test_a_folder_that_takes_no_plan_is_said(plan, tmp_path):
    (tmp_path / "file").write_text("")
    plan.choose(choices(tmp_path), tmp_path / "file" / "runs")
    plan.press()
    assert panel(plan).problem and "could not be written" in panel(plan).estimate


# The packages


class FakePip:
    def __init__(self):
        self.calls = []

    def uninstall(self, names):
        self.calls.append(("uninstall", names))

    def install(self, requirements):
        self.calls.append(("install", requirements))

    def reinstall(self, requirements):
        self.calls.append(("reinstall", requirements))

    def install_torch(self, requirement):
        self.calls.append(("torch", requirement))


@pytest.fixture
def packages():
    """Of a PythonSlicer in which everything but torch and lightning is well."""
    made = Packages(
        lambda: "PythonSlicer", Later, FakePip(), lambda *question: made.agrees, probe=lambda *_: made.found
    )
    made.agrees, made.answers = True, []
    made.found = _reports("torch", "lightning")
    yield made
    Later.waiting.clear()


def _reports(*missing):
    names = [requirement.name for requirement in required_for_training()]
    absent = {name: Requirement(name).module for name in missing}
    return {
        name: {"name": name, "version": "", "error": "No module", "absent": absent[name]}
        if name in missing
        else {"name": name, "version": "9999"}
        for name in names
    }


def test_training_needs_this_modules_packages_and_pytorch():
    names = [requirement.name for requirement in required_for_training()]
    assert {"torch", "lightning", "scikit-learn", "numpy", "pydantic"} <= set(names) and len(set(names)) == len(names)
    ours = [line for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert all(line.partition(">=")[0] in names and ">=" in line for line in ours)


def test_what_is_lacking_is_installed_if_the_user_agrees(packages):
    packages.prepare(False, packages.answers.append)
    Later.happen()
    kinds = [call[0] for call in packages._pip.calls]
    assert kinds == ["torch", "install"] and packages._pip.calls[1][1] == ["lightning>=2.6"]
    packages.found = _reports()
    Later.happen()
    assert packages.answers == [""]
    packages.prepare(False, packages.answers.append)  # not looked at again
    assert packages.answers == ["", ""] and not Later.waiting


def test_nothing_is_installed_unasked(packages):
    packages.agrees = False
    packages.prepare(False, packages.answers.append)
    Later.happen()
    assert not packages._pip.calls and packages.answers[0].startswith("Not installed yet: torch")


def test_what_still_does_not_work_is_not_installed_for_ever(packages):
    packages.prepare(False, packages.answers.append)
    Later.happen()
    Later.happen()
    assert packages.answers[0].startswith("It was installed, but still does not work.") and not Later.waiting


def test_a_python_that_cannot_be_found_or_started(packages):
    def nothing():
        raise WorkerError("No Python was found.")

    packages._python = nothing
    packages.prepare(True, packages.answers.append)
    packages._python = lambda: "PythonSlicer"
    packages._probe = lambda *_: nothing()
    packages.prepare(True, packages.answers.append)
    Later.happen()
    assert packages.answers == ["No Python was found.", "No Python was found."]


def test_several_askers_are_served_one_after_the_other(packages):
    packages.found = _reports()
    packages.prepare(True, packages.answers.append)
    packages.prepare(False, lambda reason: packages.answers.append(f"second {reason}"))
    assert len(Later.waiting) == 1
    Later.happen()
    assert sorted(packages.answers) == ["", "second "] and not Later.waiting  # a GPU that works will do for the second


def test_who_has_given_up_is_not_asked_to_install_anything(packages):
    questions = []
    packages._confirm = lambda *question: questions.append(question) or True
    check = PackageCheck(packages.prepare)
    check.begin(False, packages.answers.append)
    check.give_up()
    Later.happen()
    assert not questions and not packages._pip.calls and not packages.answers and not check.is_awaited
    packages.found = _reports()
    check.begin(False, packages.answers.append)
    Later.happen()
    assert packages.answers == [""] and not check.is_awaited


def test_a_look_that_was_given_up_is_not_heard(packages):
    packages.prepare(False, packages.answers.append)
    packages.close()
    Later.happen()
    assert not packages.answers and not packages._pip.calls


# What Slicer's process must be able to import, and the estimate itself


def test_the_window_needs_none_of_the_packages_of_training():
    files = [path for part in ("interaction", "scene") for path in (PACKAGE / part).glob("*.py")]
    names = [f"MedSegTrainLib.{path.parent.name}.{path.stem}" for path in files if path.stem != "__init__"]
    lacking = [
        "torch",
        "monai",
        "lightning",
        "pydantic",
        "yaml",
        "sklearn",
        "filelock",
        "matplotlib",
        "jinja2",
        "openvino",
    ]
    code = f"import sys; sys.modules.update(dict.fromkeys({lacking})); [__import__(name) for name in {names}]"
    assert len(names) > 20
    subprocess.run([sys.executable, "-c", code], env=training_environment(sys.executable), check=True)


def test_without_a_gpu_the_estimate_stops(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    plan = parse_plan(plan_of(choices(tmp_path), "runs"))
    with pytest.raises(DeviceError, match="There is no GPU"):
        estimate_plan(plan, tmp_path / "runs", tmp_path)


@pytest.mark.slow
def test_the_true_estimate(tmp_path):
    """Of a tiny network on the processor, by the command line in a process of its own."""
    write_cases(tmp_path / "data", 4)
    presenter = PlanPresenter(FakeView(), lambda: sys.executable)
    text = 'methods.unet-2d.arguments = {"features": [4, 8]}\ndata.patch_2d = [16, 16]'
    chosen = PlanChoices(tmp_path / "data", ("unet-2d",), folds=2, epochs=2, overrides=text, cpu=True)
    presenter.choose(chosen, tmp_path / "runs")
    presenter.press()
    wait_until(lambda: not presenter.is_busy, presenter.poll)
    assert presenter.state is PlanState.ESTIMATED, presenter._view.panel
    assert presenter._view.panel.estimate.endswith("of disk, for 2 runs.")
