"""What the effect does with clicks and models: a state machine without Qt, slicer or vtk.

    presenter = EffectPresenter(segmenter.worker, segmenter, scene, view)
    presenter.activate()
    presenter.clicks.add_point(ras)    # returns at once
    presenter.poll()                   # every now and then, while the view was told to
    presenter.clicks.keep()

The view is told to `show` a `Panel` and to `draw` what is in the picture; it decides nothing. A newer prompt takes the
place of an older one that is not answered yet, and what is kept is always what is drawn.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import replace

from ..bundle import Bundle
from ..connection import Request
from ..errors import MedSegError
from ..models import find_model
from .clicks import Clicks
from .effect_models import EffectModels
from .effect_panel import PanelWriter
from .effect_ports import Choices, Runner, Scene, View, Worker
from .effect_run import EffectRun, Run
from .installing import Prepare
from .prompting import Prompting
from .situation import Situation
from .states import State
from .timings import Timings
from .warm_worker import WarmWorker
from .wording import EffectWording


class EffectPresenter:
    """The effect's life, its choices and its whole models; what is drawn is the affair of its `clicks`.

    Args:
        worker: answers prompts; started, and started again, as needed.
        runner: runs whole models in that worker.
        scene: the image, and where results are written.
        view: shows the panel and the preview.
        wording: the sentences, in the user's language.
        bundle_of: a model by its name.
        timings: what earlier runs took.
        prepare: asked before each run of a whole model.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        worker: Worker,
        runner: Runner,
        scene: Scene,
        view: View,
        wording: EffectWording | None = None,
        bundle_of: Callable[[str], Bundle] = find_model,
        timings: Timings | None = None,
        prepare: Prepare = lambda bundle, device, done: done(""),
        clock: Callable[[], float] = time.monotonic,
    ):
        words = self._words = wording or EffectWording()
        self._scene = scene
        self._worker = WarmWorker(worker, clock, self._not_started)
        self._prompting = Prompting(
            self._worker, scene, view.draw, lambda *answer: self.clicks.answered(*answer), clock
        )
        self._run = EffectRun(
            self._worker, runner, scene, self._run_done, self._run_failed, self._run_stopped, prepare, clock
        )
        panels = PanelWriter(words, self._worker, self._prompting, self._run, self.reason_not_to_run, clock)
        self._situation = Situation(view, panels, self._worker, self._prompting, self._run)
        self.models = EffectModels(scene, words, bundle_of, timings or Timings())
        self.choices = Choices()
        self.clicks = Clicks(scene, self._prompting, self._run, self._situation, words, lambda: self.choices.prompting)

    @property
    def state(self) -> State:
        return self._situation.state

    @property
    def error(self) -> MedSegError | None:
        """Why the last attempt failed."""
        return self._situation.error

    @property
    def is_active(self) -> bool:
        return self._situation.is_active

    @property
    def is_busy(self) -> bool:
        """Whether the worker still owes something that was asked for; its warming up does not count."""
        return self._situation.is_busy

    @property
    def is_running(self) -> bool:
        """Whether a whole model segments, or is about to."""
        return self._run.current is not None

    # Life

    def activate(self) -> None:
        """The effect was chosen: start the worker and let it look at the image."""
        self._situation.is_active = True
        self.models.refresh()
        self._situation.begin_anew()
        self._situation.attempt(self._warm_up)
        self._situation.show()

    def deactivate(self) -> None:
        """The effect was left: drop what is drawn and stop what runs; the worker stays warm."""
        self._situation.is_active = False
        self._give_up_all()
        self._situation.begin_anew()
        self._situation.enter(State.IDLE)
        self._scene.forget()

    def close(self) -> None:
        """Give up what is under way, without a word to the view, which may be gone already."""
        self._situation.is_active = False
        self._situation.state = State.IDLE
        self._prompting.cancel()
        self._run.give_up()
        self._worker.stop_warming()

    def give_up(self, error: Exception) -> None:
        """End what is under way after an error that is no MedSegError, so that the effect can be used again."""
        self._give_up_all()
        details = "".join(traceback.format_exception(error))
        self._situation.fail(MedSegError(self._words.unforeseen(), details=details))

    def volume_changed(self) -> None:
        """Another source volume was chosen: what is drawn is of the former, and the worker looks at the new one."""
        if self.is_active:
            self.poll()
            self._warm_up_anew()

    def scene_closed(self) -> None:
        """The nodes are gone; nothing of them is touched any more."""
        if self.is_busy or self.clicks.prompts:
            self._situation.notice = self._words.dropped_nodes_gone()
        self._give_up_all()
        self._situation.enter(State.IDLE)
        self._scene.forget()  # last, as the panel asks for the image

    def poll(self) -> None:
        """Take in what the worker has sent, and notice when the nodes are others; never blocks."""
        if self.is_active:
            if self._run.is_outdated:
                self._stop_run(self._words.stopped_volume_changed())
            self.clicks.drop_if_outdated()
        self._worker.poll()
        if self.state is State.STARTING and not self._worker.warming:
            self._situation.state = self._situation.at_rest
        self._situation.show()

    # Choices, and whole models

    def choose(self, choices: Choices) -> None:
        """Take over what the user set; a run under way keeps what it began with, a preview is made anew."""
        before, self.choices = self.choices.prompting, choices
        if self.is_active and choices.prompting != before:
            if self.clicks.prompts:
                self.clicks.ask_again()
            else:
                self._warm_up_anew()
        self._situation.show()

    def reason_not_to_run(self) -> str:
        """A sentence; '' where nothing is in the way."""
        return self._words.preview_first() if self.clicks.prompts else self.models.reason_not_to_run(self.choices)

    def press_run(self) -> None:
        """The button: Segment, or Cancel while it runs."""
        if self._run.is_busy:
            self.cancel()
        else:
            self.segment_everything()

    def segment_everything(self, model: str = "") -> bool:
        """Run a model (the chosen one by default) and write its structures, in one undo step; returns at once.

        Returns:
            False where it was refused; the status line then says why.
        """
        if model and model != self.choices.model:  # then what was left out of the other does not count
            self.choices = replace(self.choices, model=model, left_out=frozenset())
        self._situation.begin_anew()
        reason = self._words.busy() if self._run.is_busy else self.reason_not_to_run()
        if reason:
            return self._situation.refuse(reason)
        return self._situation.attempt(self._begin_run) and self._run.is_busy

    def cancel(self) -> None:
        """Give up what is under way: a run, or the preview that is being made. What is drawn stays."""
        if self._run.current:
            self._stop_run(self._words.stopped())
        else:
            self._prompting.cancel()
            self._situation.show()

    def _begin_run(self) -> None:
        bundle = self.models.bundle(self.choices.model)
        self._run.begin(bundle, self.models.wanted_labels(bundle, self.choices), self.choices)
        if self._run.is_busy:
            self._situation.enter(State.RUNNING)

    def _run_done(self, run: Run, request: Request) -> None:
        if request.error:
            self._situation.fail(request.error)
            return
        if self._scene.key() != run.key:
            self._situation.notice = self._words.stopped_volume_changed()
        elif not self._situation.attempt(lambda: self._write_run(run, request)):
            return
        self._situation.rest()

    def _run_failed(self, error: MedSegError) -> None:
        self._situation.fail(error)

    def _write_run(self, run: Run, request: Request) -> None:
        result = request.result()
        self._situation.notice = self._words.segmented(self._run.write(run, result))
        self.models.remember_time(run, result)

    def _stop_run(self, sentence: str) -> None:
        self._situation.notice = sentence
        self._run.stop()
        self._situation.rest()

    def _run_stopped(self) -> None:
        self._situation.rest()

    def _give_up_all(self) -> None:
        self._run.give_up()
        self._prompting.drop()
        self._worker.stop_warming()

    # Warming up

    def _warm_up(self) -> None:
        self._worker.warm_up(self._scene.key(), self._scene.image, self.choices.prompting.model)
        if self._worker.warming:
            self._situation.enter(State.STARTING)

    def _warm_up_anew(self) -> None:
        if not (self.is_busy or self.clicks.prompts):
            self._situation.error = None
            self._situation.attempt(self._warm_up)

    def _not_started(self, error: MedSegError) -> None:
        if self.state is State.STARTING:  # else a prompt or a run waits, and fails for the same reason
            self._situation.fail(error)
