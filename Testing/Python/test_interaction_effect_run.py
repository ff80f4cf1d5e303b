"""The effect's whole models: why one cannot run, its progress, what is written, and what ends it in the middle."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from effect_cases import DIED, LABELS, Bench
from interaction_cases import ENTRY
from MedSegDLLib.errors import ModelError
from MedSegDLLib.interaction.catalogue import ModelEntry
from MedSegDLLib.interaction.effect_ports import Choices
from MedSegDLLib.interaction.states import State
from MedSegDLLib.volume import Volume


@pytest.fixture
def bench():
    return Bench().activate()


def status(bench) -> str:
    return bench.view.panel.status


@pytest.fixture
def running(bench):
    bench.worker.holds = {"segment"}
    bench.presenter.choose(Choices(model="hippocampus"))
    bench.presenter.press_run()
    bench.presenter.poll()
    return bench


def test_a_run_counts_its_windows_and_writes_its_structures(running):
    assert running.presenter.state is State.RUNNING and running.view.is_polling
    assert (running.view.panel.run_button, running.view.panel.can_run) == ("Cancel", True)
    assert status(running) == "Looking at the image" and running.view.panel.progress is None
    for done in (0, 1, 34):
        running.clock.seconds += 1
        running.worker.report_progress(done, 96, "windows")
    running.presenter.poll()
    assert status(running).startswith("34 of 96 windows, ") and status(running).endswith(" left on Loom, 24 GB")
    assert running.view.panel.progress == (34, 96)
    running.worker.holds = set()
    running.presenter.poll()
    assert running.scene.structures == [(("Anterior", "Posterior"), "set")]
    assert running.presenter.state is State.IDLE and not running.view.is_polling
    assert status(running) == "Anterior 0.32 ml. Not found: Posterior. 3.0 s on Loom, 24 GB."
    assert running.view.panel.run_button == "Segment" and running.view.panel.progress is None


def test_a_run_gets_what_was_chosen(bench):
    region = (slice(0, 2), slice(1, 5), slice(2, 9))
    bench.scene.regions["roi"] = region
    choices = Choices("hippocampus", frozenset({"Anterior"}), "roi", "cuda:0", {"mirror": True})
    bench.presenter.choose(choices)
    bench.presenter.segment_everything()
    bench.presenter.poll()
    assert bench.worker.runs == [{"device": "cuda:0", "region": region, "options": {"mirror": True}}]
    assert bench.scene.structures == [(("Posterior",), "add")], "outside the region the segments keep what they have"


def test_a_script_names_the_model(bench):
    bench.presenter.choose(Choices("another", frozenset({"Anterior"})))
    assert bench.presenter.segment_everything("hippocampus")
    assert not bench.presenter.segment_everything("hippocampus"), "one at a time"
    bench.presenter.poll()
    assert bench.scene.structures == [(("Anterior", "Posterior"), "set")]


@pytest.mark.parametrize(
    "choices, sentence",
    [
        (Choices(), "Choose a model."),
        (Choices("nonsense"), "There is no model 'nonsense'. Installed: hippocampus."),
        (Choices("hippocampus", frozenset({"Anterior", "Posterior"})), "Tick at least one structure."),
    ],
)
def test_why_a_run_cannot_begin(bench, choices, sentence):
    bench.presenter.choose(choices)
    assert (bench.view.panel.can_run, bench.view.panel.run_tip) == (False, sentence)
    assert not bench.presenter.segment_everything()
    assert status(bench) == sentence and bench.worker.runs == []


def test_a_region_that_is_missing_is_told(bench):
    bench.presenter.choose(Choices("hippocampus", where="roi"))
    assert not bench.presenter.segment_everything()
    assert bench.presenter.state is State.FAILED and status(bench) == "No ROI was chosen. Choose one."


def test_a_preview_is_not_lost_to_a_run(bench):
    bench.presenter.choose(Choices("hippocampus"))
    bench.click()
    assert bench.view.panel.run_tip == "Keep or discard the preview first."
    assert not bench.presenter.segment_everything()
    assert bench.view.preview is not None


def test_clicks_wait_for_the_run(running):
    assert not running.clicks.add_point((4, 4, 4))
    assert len(running.clicks.prompts) == 0 and running.presenter.state is State.RUNNING


def test_cancel_gives_the_run_up_at_once(running):
    running.worker.holds = {"segment", "hello"}
    running.presenter.press_run()
    assert running.presenter.state is State.CANCELLING and running.view.is_polling
    assert [request.method for request in running.worker.cancelled] == ["segment"]
    assert status(running) == "Stopped. The segmentation is as it was."
    assert (running.view.panel.can_run, running.view.panel.run_tip) == (False, "Stopping.")
    assert not running.clicks.add_point((4, 4, 4))
    running.worker.holds = set()
    running.presenter.poll()
    assert running.presenter.state is State.IDLE and not running.view.is_polling
    assert running.scene.structures == []


def test_the_worker_dies_while_a_run_is_given_up(running):
    running.worker.holds = {"segment", "hello"}
    running.presenter.cancel()
    running.worker.die()
    assert running.presenter.state is State.IDLE and not running.presenter.is_busy
    running.worker.holds = set()
    running.click()
    assert running.worker.starts == 2


def test_the_worker_dies_in_a_run(running):
    running.worker.die()
    assert running.presenter.state is State.FAILED and status(running) == str(DIED)
    assert not running.view.is_polling and running.scene.structures == []
    running.worker.holds = set()
    assert running.presenter.segment_everything()
    running.presenter.poll()
    assert running.worker.starts == 2 and len(running.scene.structures) == 1


def test_a_model_that_cannot_be_loaded(bench):
    bench.worker.fails["segment"] = ModelError("The weights are damaged.", "Install the model again.")
    bench.presenter.segment_everything("hippocampus")
    bench.presenter.poll()
    assert bench.presenter.state is State.FAILED and status(bench).startswith("The weights are damaged.")


@pytest.mark.parametrize("how", ["replaced", "deleted"])
def test_a_run_on_another_volume_is_stopped(running, how):
    running.outdate(how)
    running.presenter.poll()
    assert running.scene.structures == [] and running.worker.cancelled
    assert "changed or removed meanwhile" in status(running)
    assert running.presenter.state is State.IDLE


def test_the_scene_is_closed_in_a_run(running):
    running.scene.volume = None
    running.presenter.scene_closed()
    running.worker.holds = set()
    running.presenter.poll()
    assert running.presenter.state is State.IDLE and running.scene.structures == []


def test_leaving_the_effect_stops_the_run(running):
    running.presenter.deactivate()
    assert [request.method for request in running.worker.cancelled] == ["segment"]
    running.worker.holds = set()
    running.presenter.poll()
    assert running.scene.structures == [] and not running.view.is_polling


def test_the_progress_says_what_the_worker_occupies(running):
    running.worker.report_progress(3, 9, "windows", int(3.1 * 2**30), 24 * 2**30)
    running.presenter.poll()
    assert status(running) == "3 of 9 windows on Loom, 24 GB (uses 3.1 of 24 GB)"


def test_a_model_that_takes_several_images_says_where_it_can_run(bench):
    several = SimpleNamespace(labels=LABELS, channels=("T1", "T2"))
    bench.presenter.models._bundle_of = lambda name: SimpleNamespace(name=name, folder=name, spec=several)
    bench.presenter.choose(Choices("brain"))
    reason = "This model takes 2 images at once (T1, T2): run it in the module MedSegDL."
    assert (bench.view.panel.can_run, bench.view.panel.run_tip) == (False, reason)
    assert not bench.presenter.segment_everything() and bench.worker.runs == []


def test_the_time_of_a_run_is_the_estimate_of_the_next(bench):
    models, choices = bench.presenter.models, Choices("hippocampus")
    assert models.expected_seconds(ENTRY, choices) is None
    assert bench.presenter.segment_everything("hippocampus")
    bench.presenter.poll()
    assert models.expected_seconds(ENTRY, choices) == 2.0
    bench.scene.volume = None
    assert models.expected_seconds(ENTRY, choices) is None


def test_prompting_models_for_the_image_come_first(bench):
    def prompter(name, *modality):
        spec = SimpleNamespace(labels=LABELS, channels=("image",), prompts=("point",), modality=modality)
        return ModelEntry(name, name, SimpleNamespace(spec=spec, metadata={}))

    mr, ct = prompter("mr", "MR"), prompter("ct", "CT")
    offered = bench.presenter.models.offered_prompters
    assert offered([ENTRY, ct, mr]) == (ct, mr, None), "any may fit an image of no modality"
    bench.scene.volume = Volume(bench.scene.volume.array, modality="MR")
    assert offered([ENTRY, ct, mr]) == (mr, None, ct)
    bench.scene.volume = None
    assert offered([ENTRY]) == (None,)


# The look at the packages before a run


@pytest.fixture
def checking():
    """A run whose packages are being looked at; `asked` holds what for, and whom to tell."""
    asked = []
    bench = Bench(prepare=lambda bundle, device, done: asked.append((bundle.name, device, done))).activate()
    bench.asked = asked
    bench.presenter.choose(Choices(model="hippocampus", device="cpu"))
    bench.presenter.press_run()
    return bench


def test_the_packages_are_looked_at_before_a_run(checking):
    (name, device, done) = checking.asked[0]
    assert (name, device) == ("Hippocampus", "cpu") and not checking.worker.runs
    assert status(checking) == "Checking the installation" and checking.view.panel.run_button == "Cancel"
    assert checking.presenter.is_running and not checking.clicks.add_point((4, 4, 4))
    done("")
    checking.presenter.poll()
    assert checking.scene.structures == [(("Anterior", "Posterior"), "set")]


def test_a_run_that_lacks_packages_says_so(checking):
    checking.asked[0][2]("The package openvino is missing.")
    assert checking.presenter.state is State.FAILED and not checking.worker.runs
    assert status(checking) == "The package openvino is missing." and not checking.presenter.is_running


def test_a_refusal_that_comes_at_once_is_no_beginning():
    bench = Bench(prepare=lambda bundle, device, done: done("It was declined.")).activate()
    assert not bench.presenter.segment_everything("hippocampus")
    assert bench.presenter.state is State.FAILED and status(bench) == "It was declined."


@pytest.mark.parametrize("end", ["cancel", "deactivate", "scene_closed"])
def test_who_gave_up_meanwhile_hears_no_more_of_it(checking, end):
    getattr(checking.presenter, end)()
    assert not checking.presenter.is_busy, "the worker has nothing to finish"
    checking.asked[0][2]("")
    checking.presenter.poll()
    assert not checking.worker.runs and checking.presenter.state is State.IDLE


def test_an_image_that_was_replaced_meanwhile_is_not_segmented(checking):
    checking.outdate("replaced")
    checking.presenter.poll()
    checking.asked[0][2]("")
    assert not checking.worker.runs and "changed or removed" in status(checking)


def test_a_worker_that_cannot_start_after_the_look(checking):
    checking.worker.is_running, checking.worker.cannot_start = False, DIED  # installing has ended it
    checking.asked[0][2]("")
    assert checking.presenter.error is DIED and not checking.presenter.is_running
