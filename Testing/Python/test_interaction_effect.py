"""The effect's decisions on clicks: every state, with a worker that is quick, slow, failing or dying."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from effect_cases import DIED, Bench
from MedSegDLLib.errors import InputError, OutputError, WorkerError
from MedSegDLLib.interaction.effect_ports import Choices, PromptOptions
from MedSegDLLib.interaction.effect_run import Written
from MedSegDLLib.interaction.progress_wording import Counted
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
    assert bench.worker.starts == 1 and bench.worker.asked == ["hello", "image", "warm"]
    bench.clock.seconds += 2.2
    bench.worker.holds = {"hello", "image", "warm"}
    bench.presenter.poll()
    assert status(bench) == "Starting the worker, 2 s" and bench.view.panel.devices == ()
    bench.worker.holds = {"warm"}
    bench.presenter.poll()
    assert status(bench) == "Looking at the image, 2 s"
    assert [device["name"] for device in bench.view.panel.devices] == ["cpu", "cuda:0"]
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
    assert not bench.clicks.add_point((1, 1, 1))
    assert status(bench).startswith("The Segment Editor has no source volume.")


def test_a_worker_that_is_warm_already_is_not_troubled_again(bench):
    asked = list(bench.worker.asked)
    bench.presenter.deactivate()
    bench.activate()
    assert bench.worker.starts == 1 and bench.worker.asked == asked and bench.presenter.state is State.IDLE
    bench.worker.die()
    bench.presenter.deactivate()
    bench.activate()
    assert bench.worker.starts == 2 and bench.worker.asked[len(asked) :] == ["hello", "warm"]


def test_a_worker_that_cannot_start_says_so_and_is_tried_again_at_the_next_click():
    bench = Bench()
    bench.worker.cannot_start = WorkerError("The worker could not be started with python.", "Name another one.", "why")
    bench.activate()
    assert bench.presenter.state is State.FAILED and not bench.view.is_polling
    assert status(bench) == "The worker could not be started with python. Name another one."
    assert bench.view.panel.details == "why" and bench.view.panel.hint == "The next click starts the worker anew."
    bench.clicks.add_point((4, 4, 4))
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
    bench.worker.fails = dict.fromkeys(("warm", "prompt"), InputError("The volume is empty.", "Choose another one."))
    bench.activate()
    assert bench.presenter.state is State.IDLE and status(bench).startswith("Ready.")
    bench.click()
    assert bench.presenter.state is State.FAILED and status(bench) == "The volume is empty. Choose another one."


def test_a_click_needs_what_the_warming_up_computes():
    bench = Bench()
    bench.worker.holds = {"warm", "prompt"}
    bench.activate()
    bench.clicks.add_point((4, 4, 4))
    assert bench.worker.cancelled == [] and bench.worker.waiting == ["warm", "prompt"]
    assert bench.presenter.state is State.PREVIEWING and status(bench) == "Looking at the image"
    bench.worker.holds = {"prompt"}
    bench.presenter.poll()
    assert status(bench) == "Segmenting"


def test_leaving_the_effect_stops_the_warming_up_and_coming_back_begins_it_anew():
    bench = Bench()
    bench.worker.holds = {"warm"}
    bench.activate()
    bench.presenter.deactivate()
    assert [request.method for request in bench.worker.cancelled] == ["warm"]
    bench.activate()
    assert bench.worker.waiting == ["warm"] and bench.worker.starts == 1


def test_a_prompting_model_is_loaded_before_the_first_click(bench):
    bench.worker.holds = {"warm"}
    bench.presenter.choose(Choices(prompting=PromptOptions(model=Path("/models/any"))))
    bench.clock.seconds += 2
    bench.presenter.poll()
    assert bench.worker.warmed == [None, Path("/models/any")] and status(bench) == "Loading the model, 2 s"
    bench.worker.holds = set()
    bench.click()
    assert bench.worker.asked_with == [PromptOptions(Path("/models/any"))]


def test_other_options_make_the_preview_anew(bench):
    bench.presenter.choose(Choices(prompting=PromptOptions(smoothing_mm=1.5)))
    bench.click()
    bench.presenter.choose(Choices(prompting=PromptOptions(smoothing_mm=1.5, islands="clicked")))
    assert bench.presenter.is_busy and len(bench.worker.prompts) == 2
    bench.presenter.choose(Choices("hippocampus", prompting=PromptOptions(smoothing_mm=1.5, islands="clicked")))
    assert len(bench.worker.prompts) == 2, "the other choices are none of its business"
    bench.presenter.poll()
    assert [one.islands for one in bench.worker.asked_with] == ["all", "clicked"]
    assert {one.smoothing_mm for one in bench.worker.asked_with} == {1.5} and bench.worker.warmed == [None]


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
    assert bench.clicks.add_point((4, 4, 4))
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
    bench.clicks.add_point((4, 4, 4))
    bench.clock.seconds += 3
    bench.presenter.poll()
    assert status(bench) == "Looking at the image, 3 s"


def test_every_prompt_goes_along_with_the_next(bench):
    bench.click().click((2, 2, 2), include=False)
    assert bench.clicks.add_stroke([(1, 1, 1), (2, 1, 1)], include=True, radius_mm=2.0)
    assert bench.clicks.add_box([(1, 1, 1), (5, 5, 5)])
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
    bench.clicks.add_point((4, 4, 4))
    bench.clicks.add_point((5, 5, 5))
    bench.clicks.add_point((6, 6, 6))
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
    assert not bench.clicks.add_point(ras)
    assert status(bench) == "That is outside the volume. Click on the image."
    assert len(bench.worker.prompts) == sent and len(bench.clicks.prompts) == 1
    assert bench.presenter.state is State.PREVIEWING and bench.view.panel.can_keep


def test_a_point_in_the_outermost_half_voxel_is_inside(bench):
    assert bench.clicks.add_point((-0.4, 7.4, 10.9))


def test_strokes_and_boxes_are_cut_to_the_volume(bench):
    assert bench.clicks.add_stroke([(-5, 4, 4), (4, 4, 4), (50, 4, 4)])
    assert bench.clicks.add_box([(-5, -5, 4), (50, 4, 4)])
    assert bench.clicks.prompts.strokes[0].ras == ((4, 4, 4),)
    assert bench.clicks.prompts.boxes[0].ras == ((0, 0, 4), (9, 4, 4))
    assert not bench.clicks.add_stroke([(-5, 4, 4), (50, 4, 4)])
    assert not bench.clicks.add_box([(-5, -5, 4), (-2, 4, 4)])
    assert len(bench.clicks.prompts) == 2


def test_what_only_excludes_waits_for_what_belongs(bench):
    sent = len(bench.worker.prompts)
    assert bench.clicks.add_point((1, 1, 1), include=False)
    assert len(bench.worker.prompts) == sent and not bench.presenter.is_busy
    assert bench.view.panel.hint == "Now click what belongs to the structure."
    assert not bench.view.panel.can_keep and bench.view.panel.can_discard
    bench.click()
    assert len(bench.worker.prompts[-1]) == 2 and bench.view.panel.can_keep


def test_undo_takes_back_one_prompt_at_a_time(bench):
    bench.click().click((2, 2, 2)).click((3, 3, 3))
    bench.clicks.undo()
    assert len(bench.worker.prompts[-1]) == 2
    bench.presenter.poll()
    bench.clicks.remove(0)
    assert bench.worker.prompts[-1].points == (Point((2, 2, 2)),)
    bench.presenter.poll()
    bench.clicks.undo()
    assert bench.presenter.state is State.IDLE and bench.view.preview is None and len(bench.view.prompts) == 0
    bench.clicks.undo()
    assert bench.presenter.state is State.IDLE


def test_discarding_drops_everything_also_what_is_under_way(bench):
    bench.click()
    bench.worker.holds = {"prompt"}
    bench.clicks.add_point((2, 2, 2))
    bench.clicks.discard()
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
    bench.clicks.add_point((2, 2, 2))
    bench.presenter.cancel()
    assert not bench.presenter.is_busy and len(bench.clicks.prompts) == 2 and bench.view.preview is not None


# Keep


@pytest.mark.parametrize("mode", ["add", "remove", "set"])
def test_keeping_writes_what_is_drawn_and_begins_anew(bench, mode):
    bench.click()
    drawn = bench.view.preview
    assert bench.clicks.keep(mode)
    assert bench.scene.written == [(drawn, mode)]
    assert bench.presenter.state is State.IDLE and bench.view.preview is None and len(bench.view.prompts) == 0
    assert status(bench) == "Kept 0.02 ml."
    bench.click((2, 2, 2))
    assert bench.worker.prompts[-1].points == (Point((2, 2, 2)),)


def test_keeping_before_the_answer_waits_for_it(bench):
    bench.worker.holds = {"prompt"}
    bench.clicks.add_point((4, 4, 4))
    assert bench.view.panel.can_keep and bench.clicks.keep()
    assert bench.scene.written == [] and status(bench) == "It is kept as soon as it is there."
    bench.worker.holds = set()
    bench.presenter.poll()
    assert len(bench.scene.written) == 1 and bench.presenter.state is State.IDLE


def test_a_click_after_keeping_too_soon_takes_the_keeping_back(bench):
    bench.worker.holds = {"prompt"}
    bench.clicks.add_point((4, 4, 4))
    bench.clicks.keep()
    bench.clicks.add_point((5, 4, 4))
    bench.worker.holds = set()
    bench.presenter.poll()
    assert bench.scene.written == [] and bench.view.preview is not None


def test_nothing_is_kept_where_nothing_was_found_in_the_end(bench):
    bench.worker.mask = np.zeros((2, 2, 2), np.uint8)
    bench.clicks.add_point((4, 4, 4))
    bench.clicks.keep()
    bench.presenter.poll()
    assert bench.scene.written == [] and status(bench).startswith("Nothing was found")


def test_there_may_be_nothing_to_keep(bench):
    assert not bench.clicks.keep()
    assert status(bench) == "There is nothing to keep yet. Click a structure first."


def test_a_result_that_cannot_be_written_stays_drawn(bench):
    bench.click()
    bench.scene.refuses = OutputError("The segmentation is locked.", "Unlock it.")
    assert not bench.clicks.keep()
    assert bench.presenter.state is State.FAILED and status(bench) == "The segmentation is locked. Unlock it."
    assert bench.view.preview is not None
    bench.scene.refuses = None
    assert bench.clicks.keep() and bench.presenter.state is State.IDLE


# Failures


def test_the_death_of_the_worker_is_told_and_the_next_click_starts_it_anew(bench):
    bench.click()
    bench.worker.holds = {"prompt"}
    bench.clicks.add_point((2, 2, 2))
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
    assert bench.clicks.keep() and len(bench.scene.written) == 1


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
    bench.clicks.discard()
    assert bench.presenter.state is State.IDLE and status(bench).startswith("Ready.")


# Other nodes in the middle


@pytest.mark.parametrize("how", ["replaced", "deleted"])
def test_points_of_another_volume_are_dropped_when_the_answer_is_awaited(bench, how):
    bench.worker.holds = {"prompt"}
    bench.clicks.add_point((4, 4, 4))
    bench.outdate(how)
    bench.presenter.poll()
    assert bench.presenter.state is State.IDLE and len(bench.view.prompts) == 0 and not bench.presenter.is_busy
    assert "the points were dropped" in status(bench)


@pytest.mark.parametrize("how", ["replaced", "deleted"])
def test_a_preview_of_another_volume_is_not_kept(bench, how):
    bench.click()
    bench.outdate(how)
    assert not bench.clicks.keep()
    assert bench.scene.written == [] and bench.view.preview is None


def test_a_click_on_the_new_volume_counts_alone(bench):
    bench.click().click((2, 2, 2))
    bench.scene.replace_volume()
    bench.click((3, 3, 3))
    assert bench.worker.prompts[-1].points == (Point((3, 3, 3)),)
    assert bench.clicks.keep()


def test_an_answer_that_was_asked_to_be_kept_is_not_written_into_another_volume(bench):
    bench.worker.holds = {"prompt"}
    bench.clicks.add_point((4, 4, 4))
    bench.clicks.keep()
    bench.scene.replace_volume()
    bench.worker.holds = set()
    bench.presenter.poll()
    assert bench.scene.written == []


def test_an_answer_that_someone_else_let_in_is_not_written_into_another_volume(bench):
    """The module shares the worker, and its polling delivers our answers too."""
    bench.clicks.add_point((4, 4, 4))
    bench.clicks.keep()
    bench.scene.replace_volume()
    bench.worker.poll()
    assert bench.scene.written == [] and bench.view.preview is None and len(bench.view.prompts) == 0


def test_undo_after_the_volume_is_gone(bench):
    bench.click().click()
    bench.scene.volume = None
    bench.clicks.undo()
    assert bench.presenter.state is State.IDLE and len(bench.clicks.prompts) == 0


def test_the_scene_is_closed_in_the_middle(bench):
    bench.worker.holds = {"prompt"}
    bench.clicks.add_point((4, 4, 4))
    bench.scene.volume = None
    bench.presenter.scene_closed()
    assert bench.presenter.state is State.IDLE and not bench.view.is_polling and bench.view.preview is None
    assert bench.worker.waiting == []


def test_leaving_the_effect_drops_what_is_drawn_and_keeps_the_worker(bench):
    bench.click()
    bench.worker.holds = {"prompt"}
    bench.clicks.add_point((2, 2, 2))
    bench.presenter.deactivate()
    assert bench.view.preview is None and bench.worker.waiting == [] and not bench.view.is_polling
    assert bench.worker.is_running and bench.presenter.state is State.IDLE


@pytest.mark.parametrize("what", ["warming", "prompt", "run"])
def test_closing_says_nothing_to_the_view(what):
    bench = Bench()
    everything = {"hello", "image", "warm", "prompt", "load", "segment"}
    bench.worker.holds = everything if what == "warming" else set()
    bench.activate()
    bench.worker.holds = everything
    if what == "prompt":
        bench.clicks.add_point((4, 4, 4))
    if what == "run":
        bench.presenter.segment_everything("hippocampus")
    shown = len(bench.view.panels)
    bench.presenter.close()
    assert len(bench.view.panels) == shown and not bench.presenter.is_busy
    assert not {"warm", "prompt", "segment"} & set(bench.worker.waiting) and bench.worker.cancelled


# Wording


def test_every_sentence_can_be_translated():
    words = EffectWording(lambda text: f"<{text}>")
    assert words.hint_click().startswith("<Click")
    assert words.ready("cpu", 0.08) == "<Ready.> cpu. <Last click 0.08 s.>"
    assert words.segmented(Written([], ["A"], 1.0, "cpu")) == "<Not found: A.> <1.0 s on cpu.>"
    assert words.windows(Counted(1, 2, 3.0, "cpu", 1 << 30, 1 << 34)) == (
        "<<<1 of 2 windows>, <3.0 s left> on cpu> (uses 1.0 of 16 GB)>"
    )


def test_the_hint_changes_with_the_state(bench):
    hints = {bench.view.panel.hint}
    bench.clicks.add_point((1, 1, 1), include=False)
    hints.add(bench.view.panel.hint)
    bench.click()
    hints.add(bench.view.panel.hint)
    bench.clicks.discard()
    bench.worker.holds = {"segment", "hello"}
    bench.presenter.segment_everything("hippocampus")
    hints.add(bench.view.panel.hint)
    bench.presenter.cancel()
    hints.add(bench.view.panel.hint)
    assert len(hints) == 5
