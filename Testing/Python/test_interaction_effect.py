"""The effect's decisions: every state, with a worker that is quick, slow, failing or dying."""

from __future__ import annotations

import numpy as np
import pytest

from effect_cases import DIED, Bench
from MedSegDLLib.errors import InputError, ModelError, OutputError, WorkerError
from MedSegDLLib.interaction.effect import Choices
from MedSegDLLib.interaction.states import State
from MedSegDLLib.interaction.wording import EffectWording
from MedSegDLLib.prompts import Box, Point, Stroke


@pytest.fixture
def bench():
    return Bench().activate()


def status(bench) -> str:
    return bench.view.panel.status


# Start


def test_choosing_the_effect_starts_and_warms_the_worker():
    bench = Bench()
    bench.presenter.activate()
    assert bench.presenter.state is State.STARTING and bench.view.is_polling
    assert bench.worker.starts == 1 and bench.worker.asked == ["hello", "image", "prompt"]
    bench.clock.seconds += 2.2
    bench.worker.holds = {"prompt"}
    bench.presenter.poll()
    assert status(bench) == "Starting the worker, 2 s"
    bench.worker.holds = set()
    bench.presenter.poll()
    assert bench.presenter.state is State.IDLE and not bench.view.is_polling
    assert status(bench) == "Ready. Abacus, 16 GB."
    assert bench.view.preview is None and not bench.view.panel.can_keep


def test_without_a_volume_only_the_worker_starts():
    bench = Bench()
    bench.scene.volume = None
    bench.activate()
    assert bench.worker.asked == ["hello"] and bench.presenter.state is State.IDLE
    assert not bench.presenter.add_point((1, 1, 1))
    assert status(bench).startswith("The Segment Editor has no source volume.")


def test_a_worker_that_is_warm_already_is_not_troubled_again(bench):
    asked = list(bench.worker.asked)
    bench.presenter.deactivate()
    bench.activate()
    assert bench.worker.starts == 1 and bench.worker.asked == asked and bench.presenter.state is State.IDLE
    bench.worker.die()
    bench.presenter.deactivate()
    bench.activate()
    assert bench.worker.starts == 2 and bench.worker.asked[len(asked) :] == ["hello", "prompt"]


def test_a_worker_that_cannot_start_says_so_and_is_tried_again_at_the_next_click():
    bench = Bench()
    bench.worker.cannot_start = WorkerError("The worker could not be started with python.", "Name another one.", "why")
    bench.activate()
    assert bench.presenter.state is State.FAILED and not bench.view.is_polling
    assert status(bench) == "The worker could not be started with python. Name another one."
    assert bench.view.panel.details == "why" and bench.view.panel.hint == "The next click starts the worker anew."
    bench.presenter.add_point((4, 4, 4))
    assert bench.presenter.state is State.FAILED and len(bench.view.prompts) == 1
    bench.worker.cannot_start = None
    bench.click((5, 4, 4))
    assert bench.presenter.state is State.PREVIEWING and len(bench.worker.prompts[-1]) == 2


def test_a_worker_that_dies_while_it_starts():
    bench = Bench()
    bench.presenter.activate()
    bench.worker.die()
    assert bench.presenter.state is State.FAILED and status(bench) == str(DIED)
    bench.presenter.poll()
    assert bench.presenter.state is State.FAILED and not bench.view.is_polling


def test_what_goes_wrong_while_warming_up_shows_only_at_a_click():
    bench = Bench()
    bench.worker.fails["prompt"] = InputError("The volume is empty.", "Choose another one.")
    bench.activate()
    assert bench.presenter.state is State.IDLE and status(bench).startswith("Ready.")
    bench.click()
    assert bench.presenter.state is State.FAILED and status(bench) == "The volume is empty. Choose another one."


def test_a_click_does_not_wait_for_the_warming_up():
    bench = Bench()
    bench.worker.holds = {"prompt"}
    bench.activate()
    bench.presenter.add_point((4, 4, 4))
    assert [request.method for request in bench.worker.cancelled] == ["prompt"]
    assert bench.worker.waiting == ["prompt"] and bench.presenter.state is State.PREVIEWING


def test_another_volume_is_looked_at_before_the_first_click(bench):
    bench.scene.volume = bench.scene.volume.with_array(bench.scene.volume.array + 1)
    bench.presenter.volume_changed()
    assert bench.worker.sent_images[-1] is bench.scene.volume and bench.presenter.state is State.STARTING
    bench.presenter.poll()
    assert bench.presenter.state is State.IDLE
    bench.presenter.deactivate()
    sent = len(bench.worker.asked)
    bench.presenter.volume_changed()
    assert len(bench.worker.asked) == sent


# Prompts


def test_a_click_returns_at_once_and_the_preview_follows(bench):
    bench.worker.holds = {"prompt"}
    assert bench.presenter.add_point((4, 4, 4))
    assert bench.presenter.state is State.PREVIEWING and bench.presenter.is_busy and bench.view.is_polling
    assert bench.view.prompts.points == (Point((4, 4, 4)),) and bench.view.preview is None
    bench.presenter.poll()
    assert status(bench) == "Segmenting"
    bench.clock.seconds += 1.5
    bench.worker.holds = set()
    bench.presenter.poll()
    assert bench.view.preview.array.sum() == 8 and not bench.presenter.is_busy and not bench.view.is_polling
    assert bench.view.panel.can_keep and bench.view.panel.can_discard and bench.view.panel.can_undo
    assert status(bench) == "Ready. Abacus, 16 GB. Last click 1.5 s."
    assert bench.view.panel.counts == "1 + / 0 -"


def test_the_status_says_when_the_image_is_looked_at():
    bench = Bench()
    bench.scene.volume, volume = None, bench.scene.volume
    bench.activate()
    bench.scene.volume = volume
    bench.worker.holds = {"image", "prompt"}
    bench.presenter.add_point((4, 4, 4))
    bench.clock.seconds += 3
    bench.presenter.poll()
    assert status(bench) == "Looking at the image, 3 s"


def test_every_prompt_goes_along_with_the_next(bench):
    bench.click().click((2, 2, 2), include=False)
    assert bench.presenter.add_stroke([(1, 1, 1), (2, 1, 1)], include=True, radius_mm=2.0)
    assert bench.presenter.add_box([(1, 1, 1), (5, 5, 5)])
    sent = bench.worker.prompts[-1]
    assert sent.points == (Point((4, 4, 4)), Point((2, 2, 2), False))
    assert sent.strokes == (Stroke(((1, 1, 1), (2, 1, 1)), True, 2.0),)
    assert sent.boxes == (Box(((1, 1, 1), (5, 5, 5))),)
    assert bench.view.panel.counts == "3 + / 1 -"


def test_the_image_is_sent_once(bench):
    bench.click().click().click()
    assert len(bench.worker.sent_images) == 1


def test_a_newer_click_supersedes_one_that_is_not_answered(bench):
    bench.worker.holds = {"prompt"}
    bench.presenter.add_point((4, 4, 4))
    bench.presenter.add_point((5, 5, 5))
    bench.presenter.add_point((6, 6, 6))
    assert len(bench.worker.cancelled) == 2 and bench.worker.waiting == ["prompt"]
    assert len(bench.worker.prompts[-1]) == 3
    bench.worker.mask = np.zeros((2, 2, 2), np.uint8)
    bench.worker.answer_now(bench.worker.cancelled[0])  # too late: nobody listens
    assert bench.presenter.is_busy and bench.view.preview is None
    bench.worker.holds = set()
    bench.presenter.poll()
    assert bench.view.preview is not None and len(bench.view.prompts) == 3


@pytest.mark.parametrize("ras", [(-2, 4, 4), (4, 4, 40), (10, 4, 4)])
def test_a_point_outside_the_volume_is_refused(bench, ras):
    bench.click()
    sent = len(bench.worker.prompts)
    assert not bench.presenter.add_point(ras)
    assert status(bench) == "That is outside the volume. Click on the image."
    assert len(bench.worker.prompts) == sent and len(bench.presenter.prompts) == 1
    assert bench.presenter.state is State.PREVIEWING and bench.view.panel.can_keep


def test_a_point_in_the_outermost_half_voxel_is_inside(bench):
    assert bench.presenter.add_point((-0.4, 7.4, 10.9))


def test_strokes_and_boxes_are_cut_to_the_volume(bench):
    assert bench.presenter.add_stroke([(-5, 4, 4), (4, 4, 4), (50, 4, 4)])
    assert bench.presenter.add_box([(-5, -5, 4), (50, 4, 4)])
    assert bench.presenter.prompts.strokes[0].ras == ((4, 4, 4),)
    assert bench.presenter.prompts.boxes[0].ras == ((0, 0, 4), (9, 4, 4))
    assert not bench.presenter.add_stroke([(-5, 4, 4), (50, 4, 4)])
    assert not bench.presenter.add_box([(-5, -5, 4), (-2, 4, 4)])
    assert len(bench.presenter.prompts) == 2


def test_what_only_excludes_waits_for_what_belongs(bench):
    sent = len(bench.worker.prompts)
    assert bench.presenter.add_point((1, 1, 1), include=False)
    assert len(bench.worker.prompts) == sent and not bench.presenter.is_busy
    assert bench.view.panel.hint == "Now click what belongs to the structure."
    assert not bench.view.panel.can_keep and bench.view.panel.can_discard
    bench.click()
    assert len(bench.worker.prompts[-1]) == 2 and bench.view.panel.can_keep


def test_undo_takes_back_one_prompt_at_a_time(bench):
    bench.click().click((2, 2, 2)).click((3, 3, 3))
    bench.presenter.undo_prompt()
    assert len(bench.worker.prompts[-1]) == 2
    bench.presenter.poll()
    bench.presenter.remove_prompt(0)
    assert bench.worker.prompts[-1].points == (Point((2, 2, 2)),)
    bench.presenter.poll()
    bench.presenter.undo_prompt()
    assert bench.presenter.state is State.IDLE and bench.view.preview is None and len(bench.view.prompts) == 0
    bench.presenter.undo_prompt()
    assert bench.presenter.state is State.IDLE


@pytest.mark.parametrize("way", ["discard", "clear"])
def test_discarding_drops_everything_also_what_is_under_way(bench, way):
    bench.click()
    bench.worker.holds = {"prompt"}
    bench.presenter.add_point((2, 2, 2))
    getattr(bench.presenter, way)()
    assert bench.presenter.state is State.IDLE and bench.view.preview is None and len(bench.view.prompts) == 0
    assert bench.worker.waiting == [] and not bench.view.is_polling
    assert bench.scene.written == []


def test_a_structure_that_is_not_found_says_so(bench):
    bench.click()
    bench.worker.mask = np.zeros((2, 2, 2), np.uint8)
    bench.click((1, 1, 1))
    assert status(bench).startswith("Nothing was found there.")
    assert bench.view.preview is None and not bench.view.panel.can_keep


def test_cancelling_a_preview_keeps_the_points(bench):
    bench.click()
    bench.worker.holds = {"prompt"}
    bench.presenter.add_point((2, 2, 2))
    bench.presenter.cancel()
    assert not bench.presenter.is_busy and len(bench.presenter.prompts) == 2 and bench.view.preview is not None


# Keep


@pytest.mark.parametrize("mode", ["add", "remove", "set"])
def test_keeping_writes_what_is_drawn_and_begins_anew(bench, mode):
    bench.click()
    drawn = bench.view.preview
    assert bench.presenter.keep(mode)
    assert bench.scene.written == [(drawn, mode)]
    assert bench.presenter.state is State.IDLE and bench.view.preview is None and len(bench.view.prompts) == 0
    assert status(bench) == "Kept 0.02 ml."
    bench.click((2, 2, 2))
    assert bench.worker.prompts[-1].points == (Point((2, 2, 2)),)


def test_keeping_before_the_answer_waits_for_it(bench):
    bench.worker.holds = {"prompt"}
    bench.presenter.add_point((4, 4, 4))
    assert bench.view.panel.can_keep and bench.presenter.keep()
    assert bench.scene.written == [] and status(bench) == "It is kept as soon as it is there."
    bench.worker.holds = set()
    bench.presenter.poll()
    assert len(bench.scene.written) == 1 and bench.presenter.state is State.IDLE


def test_a_click_after_keeping_too_soon_takes_the_keeping_back(bench):
    bench.worker.holds = {"prompt"}
    bench.presenter.add_point((4, 4, 4))
    bench.presenter.keep()
    bench.presenter.add_point((5, 4, 4))
    bench.worker.holds = set()
    bench.presenter.poll()
    assert bench.scene.written == [] and bench.view.preview is not None


def test_nothing_is_kept_where_nothing_was_found_in_the_end(bench):
    bench.worker.mask = np.zeros((2, 2, 2), np.uint8)
    bench.presenter.add_point((4, 4, 4))
    bench.presenter.keep()
    bench.presenter.poll()
    assert bench.scene.written == [] and status(bench).startswith("Nothing was found")


def test_there_may_be_nothing_to_keep(bench):
    assert not bench.presenter.keep()
    assert status(bench) == "There is nothing to keep yet. Click a structure first."


def test_a_result_that_cannot_be_written_stays_drawn(bench):
    bench.click()
    bench.scene.refuses = OutputError("The segmentation is locked.", "Unlock it.")
    assert not bench.presenter.keep()
    assert bench.presenter.state is State.FAILED and status(bench) == "The segmentation is locked. Unlock it."
    assert bench.view.preview is not None
    bench.scene.refuses = None
    assert bench.presenter.keep() and bench.presenter.state is State.IDLE


# Failures


def test_the_death_of_the_worker_is_told_and_the_next_click_starts_it_anew(bench):
    bench.click()
    bench.worker.holds = {"prompt"}
    bench.presenter.add_point((2, 2, 2))
    bench.worker.die()
    assert bench.presenter.state is State.FAILED and status(bench) == str(DIED)
    assert bench.view.panel.details == "the log's end" and not bench.view.is_polling
    assert bench.view.panel.hint == "The next click starts the worker anew."
    assert bench.view.panel.can_keep, "what is drawn is still good"
    bench.worker.holds = set()
    bench.click((3, 3, 3))
    assert bench.worker.starts == 2 and bench.presenter.state is State.PREVIEWING
    assert len(bench.worker.prompts[-1]) == 3 and bench.presenter.error is None


def test_a_worker_that_died_unnoticed_is_started_by_the_click(bench):
    bench.click()
    bench.worker.die()
    bench.click((2, 2, 2))
    assert bench.worker.starts == 2 and bench.view.preview is not None


def test_a_preview_outlives_the_worker(bench):
    bench.click()
    bench.worker.die()
    assert bench.presenter.keep() and len(bench.scene.written) == 1


def test_a_request_that_fails_leaves_the_points_to_try_again(bench):
    bench.worker.fails["prompt"] = InputError("The points contradict each other.", "Remove one.")
    bench.click()
    assert bench.presenter.state is State.FAILED and len(bench.view.prompts) == 1
    assert status(bench) == "The points contradict each other. Remove one."
    assert bench.view.panel.hint.startswith("Enter keeps")
    bench.worker.fails.clear()
    bench.click((2, 2, 2))
    assert bench.presenter.state is State.PREVIEWING and bench.presenter.error is None


def test_discarding_ends_a_failure(bench):
    bench.worker.fails["prompt"] = InputError("The points contradict each other.")
    bench.click()
    bench.presenter.discard()
    assert bench.presenter.state is State.IDLE and status(bench).startswith("Ready.")


# Other nodes in the middle


def outdated(bench, how):
    if how == "replaced":
        bench.scene.replace_volume()
    else:
        bench.scene.volume = None


@pytest.mark.parametrize("how", ["replaced", "deleted"])
def test_points_of_another_volume_are_dropped_when_the_answer_is_awaited(bench, how):
    bench.worker.holds = {"prompt"}
    bench.presenter.add_point((4, 4, 4))
    outdated(bench, how)
    bench.presenter.poll()
    assert bench.presenter.state is State.IDLE and len(bench.view.prompts) == 0 and not bench.presenter.is_busy
    assert "the points were dropped" in status(bench)


@pytest.mark.parametrize("how", ["replaced", "deleted"])
def test_a_preview_of_another_volume_is_not_kept(bench, how):
    bench.click()
    outdated(bench, how)
    assert not bench.presenter.keep()
    assert bench.scene.written == [] and bench.view.preview is None


def test_a_click_on_the_new_volume_counts_alone(bench):
    bench.click().click((2, 2, 2))
    bench.scene.replace_volume()
    bench.click((3, 3, 3))
    assert bench.worker.prompts[-1].points == (Point((3, 3, 3)),)
    assert bench.presenter.keep()


def test_an_answer_that_was_asked_to_be_kept_is_not_written_into_another_volume(bench):
    bench.worker.holds = {"prompt"}
    bench.presenter.add_point((4, 4, 4))
    bench.presenter.keep()
    bench.scene.replace_volume()
    bench.worker.holds = set()
    bench.presenter.poll()
    assert bench.scene.written == []


def test_an_answer_that_someone_else_let_in_is_not_written_into_another_volume(bench):
    """The module shares the worker, and its polling delivers our answers too."""
    bench.presenter.add_point((4, 4, 4))
    bench.presenter.keep()
    bench.scene.replace_volume()
    bench.worker.poll()
    assert bench.scene.written == [] and bench.view.preview is None and len(bench.view.prompts) == 0


def test_undo_after_the_volume_is_gone(bench):
    bench.click().click()
    bench.scene.volume = None
    bench.presenter.undo_prompt()
    assert bench.presenter.state is State.IDLE and len(bench.presenter.prompts) == 0


def test_the_scene_is_closed_in_the_middle(bench):
    bench.worker.holds = {"prompt"}
    bench.presenter.add_point((4, 4, 4))
    bench.scene.volume = None
    bench.presenter.scene_closed()
    assert bench.presenter.state is State.IDLE and not bench.view.is_polling and bench.view.preview is None
    assert bench.worker.waiting == []


def test_leaving_the_effect_drops_what_is_drawn_and_keeps_the_worker(bench):
    bench.click()
    bench.worker.holds = {"prompt"}
    bench.presenter.add_point((2, 2, 2))
    bench.presenter.deactivate()
    assert bench.view.preview is None and bench.worker.waiting == [] and not bench.view.is_polling
    assert bench.worker.is_running and bench.presenter.state is State.IDLE


@pytest.mark.parametrize("what", ["warming", "prompt", "run"])
def test_closing_says_nothing_to_the_view(what):
    bench = Bench()
    bench.worker.holds = {"hello", "image", "prompt", "segment"} if what == "warming" else set()
    bench.activate()
    bench.worker.holds = {"hello", "image", "prompt", "segment"}
    if what == "prompt":
        bench.presenter.add_point((4, 4, 4))
    if what == "run":
        bench.presenter.segment_everything("hippocampus")
    shown = len(bench.view.panels)
    bench.presenter.close()
    assert len(bench.view.panels) == shown and not bench.presenter.is_busy
    assert not {"prompt", "segment"} & set(bench.worker.waiting) and bench.worker.cancelled


# Everything at once


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
    assert status(running) == "Loading Hippocampus" and running.view.panel.progress is None
    for done in (0, 1, 34):
        running.clock.seconds += 1
        running.worker.report_progress(done, 96, "windows")
    running.presenter.poll()
    assert status(running).startswith("34 of 96 windows, ") and status(running).endswith(" left")
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
    assert not running.presenter.add_point((4, 4, 4))
    assert len(running.presenter.prompts) == 0 and running.presenter.state is State.RUNNING


def test_cancel_gives_the_run_up_at_once(running):
    running.worker.holds = {"segment", "hello"}
    running.presenter.press_run()
    assert running.presenter.state is State.CANCELLING and running.view.is_polling
    assert [request.method for request in running.worker.cancelled] == ["segment"]
    assert status(running) == "Stopped. The segmentation is as it was."
    assert (running.view.panel.can_run, running.view.panel.run_tip) == (False, "Stopping.")
    assert not running.presenter.add_point((4, 4, 4))
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
    outdated(running, how)
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


# Wording


def test_every_sentence_can_be_translated():
    words = EffectWording(lambda text: f"<{text}>")
    assert words.hint_click().startswith("<Click")
    assert words.ready("cpu", 0.08) == "<Ready.> cpu. <Last click 0.08 s.>"
    assert words.segmented([], ["A"], 1.0, "cpu") == "<Not found: A.> <1.0 s on cpu.>"


def test_the_hint_changes_with_the_state(bench):
    hints = {bench.view.panel.hint}
    bench.presenter.add_point((1, 1, 1), include=False)
    hints.add(bench.view.panel.hint)
    bench.click()
    hints.add(bench.view.panel.hint)
    bench.presenter.discard()
    bench.worker.holds = {"segment", "hello"}
    bench.presenter.segment_everything("hippocampus")
    hints.add(bench.view.panel.hint)
    bench.presenter.cancel()
    hints.add(bench.view.panel.hint)
    assert len(hints) == 5
