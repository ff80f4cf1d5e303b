"""What the effect does with clicks: a state machine without Qt, slicer or vtk.

    presenter = EffectPresenter(segmenter.worker, segmenter, scene, view)
    presenter.activate()
    presenter.add_point(ras)    # returns at once
    presenter.poll()            # every now and then, while the view was told to
    presenter.keep()

The view is told to `show` a `Panel` and to `draw` what is in the picture; it decides nothing. A newer prompt takes the
place of an older one that is not answered yet, and what is kept is always what is drawn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..bundle import Bundle
from ..client import PromptedMask, SegmentResult
from ..connection import Request
from ..errors import MedSegError, WorkerError
from ..labels import Label
from ..models import find_model
from ..prompts import Prompt, Prompts
from ..volume import Grid
from .effect_ports import Panel, Region, Runner, Scene, View, Worker
from .limits import box_within, point_within, stroke_within
from .progress import ProgressClock
from .states import State
from .warm_worker import WarmWorker
from .wording import EffectWording


@dataclass(frozen=True)
class Choices:
    """What is set below "Segment everything", and which model prompts go to.

    Args:
        model: name of an installed model, or its folder.
        left_out: structures of the model that are not wanted.
        where: "whole", "view", "roi" or "segments".
        options: overlap, mirror, ...; see `Predictor`.
        prompt_model: folder of a prompting model; None for the prompter that needs no training.
    """

    model: str = ""
    left_out: frozenset[str] = frozenset()
    where: str = "whole"
    device: str = "auto"
    options: dict = field(default_factory=dict)
    prompt_model: Path | None = None


@dataclass
class _Run:
    """A model at work on the whole image, or on a region."""

    bundle: Bundle
    labels: tuple[Label, ...]
    region: Region | None
    started: float
    request: Request | None = None
    clock: ProgressClock = field(default_factory=ProgressClock)


class EffectPresenter:
    """The effect's decisions.

    Args:
        worker: answers prompts; started, and started again, as needed.
        runner: runs whole models in that worker.
        scene: the image, and where results are written.
        view: shows the panel and the preview.
        wording: the sentences, in the user's language.
        bundle_of: a model by its name.
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
        clock: Callable[[], float] = time.monotonic,
    ):
        self._worker = WarmWorker(worker, clock, self._not_started)
        self._runner = runner
        self._scene = scene
        self._view = view
        self._words = wording or EffectWording()
        self._bundle_of = bundle_of
        self._clock = clock

        self.state = State.IDLE
        self.choices = Choices()
        self.prompts = Prompts()
        self.preview: PromptedMask | None = None
        self.error: MedSegError | None = None  # of the last attempt
        self.is_active = False
        self._key: Hashable | None = None  # of the scene when the first prompt was drawn, or the run began
        self._sent: Request | None = None  # a prompt that is not answered yet
        self._sent_at = 0.0
        self._keep_mode = ""  # "" unless the answer is to be kept at once
        self._stopping: Request | None = None
        self._run: _Run | None = None
        self._bundles: dict[str, Bundle] = {}  # read once: the panel asks fifty times a second
        self._device = "cpu"
        self._click_seconds: float | None = None
        self._notice = ""

    # Life

    def activate(self) -> None:
        """The effect was chosen: start the worker and let it look at the image."""
        self.is_active = True
        self._bundles.clear()
        self._forget_failure()
        self._attempt(self._warm_up)
        self._show()

    def deactivate(self) -> None:
        """The effect was left: drop what is drawn and stop what runs; the worker stays warm."""
        self.is_active = False
        self._give_up_all()
        self._forget_failure()
        self._notice = ""
        self._enter(State.IDLE)
        self._scene.forget()

    def close(self) -> None:
        """Give up what is under way, without a word to the view, which may be gone already."""
        self.is_active = False
        self.state = State.IDLE
        pending = (self._sent, self._run and self._run.request)
        self._sent = self._run = self._stopping = None  # so that their last words are of no interest
        for request in filter(None, pending):
            self._worker.cancel(request)
        self._worker.stop_warming()

    def volume_changed(self) -> None:
        """Another source volume was chosen: what is drawn is of the former, and the worker looks at the new one."""
        if self.is_active:
            self.poll()
            if not (self.is_busy or self.prompts):
                self._forget_failure()
                self._attempt(self._warm_up)

    def scene_closed(self) -> None:
        """The nodes are gone; nothing of them is touched any more."""
        if self.is_busy or self.prompts:
            self._notice = self._words.dropped_nodes_gone()
        self._give_up_all()
        self._enter(State.IDLE)
        self._scene.forget()  # last, as the panel asks for the image

    @property
    def is_busy(self) -> bool:
        """Whether the worker still owes something that was asked for; its warming up does not count."""
        return bool(self._sent or self._run or self._stopping)

    def poll(self) -> None:
        """Take in what the worker has sent, and notice when the nodes are others; never blocks."""
        if self.is_active and (self.prompts or self._run) and self._scene.key() != self._key:
            self._drop_for_other_nodes()
        self._worker.poll()
        if self.state is State.STARTING and not self._worker.is_warming:
            self.state = self._state_at_rest()
        self._show()

    # Prompts

    def add_point(self, ras, include: bool = True) -> bool:
        """A click. Returns False where it was refused; the status line then says why."""
        return self._add(lambda grid: point_within(grid, ras, include))

    def add_stroke(self, ras, include: bool = True, radius_mm: float = 0.0) -> bool:
        """A drag through these positions (n, 3); those outside the volume are left out."""
        return self._add(lambda grid: stroke_within(grid, ras, include, radius_mm))

    def add_box(self, ras, include: bool = True) -> bool:
        """A box between two opposite corners (2, 3), cut to the volume."""
        return self._add(lambda grid: box_within(grid, ras, include))

    def undo_prompt(self) -> None:
        """Take back what was drawn last."""
        self._change(self.prompts.without_last())

    def remove_prompt(self, index: int) -> None:
        """Take back one of the prompts, by its place."""
        self._change(self.prompts.without(index))

    def clear(self) -> None:
        """Take back everything that was drawn, and what was made of it."""
        self._forget_failure()
        self._notice = ""
        self._drop_prompts()
        self._enter(self._state_at_rest())

    def discard(self) -> None:
        """The same: without its prompts a preview is of no use."""
        self.clear()

    def keep(self, mode: str = "add") -> bool:
        """Write the preview into the selected segment, in one undo step; one that is not there yet when it is.

        Args:
            mode: "add", "remove" or "set".

        Returns:
            False where there is nothing to keep, or it could not be written; the status line then says why.
        """
        self._notice = ""
        if self._is_outdated():
            return False
        if self._sent:
            self._keep_mode = mode
            self._notice = self._words.kept_when_done()
            self._show()
            return True
        if self.preview is None:
            return self._refuse(self._words.nothing_to_keep())
        return self._write(mode)

    # Everything at once

    def choose(self, choices: Choices) -> None:
        """Take over what the user set; a run under way keeps what it began with."""
        self.choices = choices
        self._show()

    def reason_not_to_run(self) -> str:
        """A sentence; '' where nothing is in the way."""
        words = self._words
        if self.prompts:
            return words.preview_first()
        if not self.choices.model:
            return words.choose_model()
        try:
            if not self._wanted_labels(self._bundle(self.choices.model)):
                return words.no_structure()
            self._scene.image()
        except MedSegError as error:
            return words.failure(error)
        return ""

    def press_run(self) -> None:
        """The button: Segment, or Cancel while it runs."""
        if self._run or self._stopping:
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
        self._forget_failure()
        self._notice = ""
        reason = self._words.busy() if self._run or self._stopping else self.reason_not_to_run()
        return self._refuse(reason) if reason else self._attempt(self._begin_run)

    def cancel(self) -> None:
        """Give up what is under way: a run, or the preview that is being made. What is drawn stays."""
        if self._run:
            self._stop_run(self._words.stopped())
        elif self._sent:
            self._cancel_sent()
        self._show()

    # The worker

    def _warm_up(self) -> None:
        self._worker.warm_up(self._scene.key(), self._scene.image, self.choices.prompt_model)
        if self._worker.is_warming:
            self._enter(State.STARTING)

    def _not_started(self, error: MedSegError) -> None:
        if self.state is State.STARTING:  # else a prompt or a run waits, and fails for the same reason
            self._fail(error)

    def _attempt(self, step: Callable[[], None]) -> bool:
        try:
            step()
        except MedSegError as error:
            self._fail(error)
            return False
        return True

    # Steps of a prompt

    def _add(self, make: Callable[[Grid], Prompt | None]) -> bool:
        """Add what `make` makes of it, on the grid of the image; None is outside."""
        self._notice = ""
        if self._run or self._stopping:
            return self._refuse(self._words.busy())
        self._is_outdated()  # then the click counts for what is there now
        try:
            prompt = make(self._scene.image().grid)
        except MedSegError as error:
            self._fail(error)
            return False
        if prompt is None:
            return self._refuse(self._words.outside())
        if not self.prompts:
            self._key = self._scene.key()
        self._forget_failure()
        return self._attempt(lambda: self._send(self.prompts.with_prompt(prompt)))

    def _refuse(self, sentence: str) -> bool:
        self._notice = sentence
        self._show()
        return False

    def _change(self, prompts: Prompts) -> None:
        self._notice = ""
        self._forget_failure()
        if not self._is_outdated():
            self._attempt(lambda: self._send(prompts))

    def _send(self, prompts: Prompts) -> None:
        """Ask for the preview of these prompts, in place of what was asked before."""
        self._cancel_sent()
        self.prompts = prompts
        if not prompts.included:
            self.preview = None
        self._draw()
        if prompts.included:
            self._sent_at = self._clock()
            image, model = self._scene.image(), self.choices.prompt_model
            self._sent = self._worker.ask(image, prompts, model, self._answered)
        self._enter(self._state_at_rest())

    def _answered(self, request: Request) -> None:
        if request is not self._sent:
            return  # superseded
        self._sent = None
        keep_mode, self._keep_mode = self._keep_mode, ""
        if self._is_outdated():
            return
        if request.error:
            self._fail(request.error)
            return
        self._show_answer(request.result())
        if keep_mode and self.preview:
            self._write(keep_mode)

    def _show_answer(self, mask: PromptedMask) -> None:
        found = bool(mask.array.any())
        self._click_seconds = self._clock() - self._sent_at
        self._device = mask.device or self._device
        self._notice = "" if found else self._words.nothing_found()
        self.preview = mask if found else None
        self._draw()
        self._enter(State.PREVIEWING)

    def _write(self, mode: str) -> bool:
        mask = self.preview

        def write() -> None:
            self._scene.write(mask, mode)
            self._drop_prompts()
            volume_ml = float(np.count_nonzero(mask.array)) * mask.grid.voxel_volume_ml
            self._notice = self._words.kept(volume_ml)
            self._enter(self._state_at_rest())

        self._forget_failure()
        return self._attempt(write)

    def _is_outdated(self) -> bool:
        """Whether what is drawn is of other nodes than those there now; it is dropped then."""
        outdated = bool(self.prompts) and self._scene.key() != self._key
        if outdated:
            self._drop_for_other_nodes()
        return outdated

    def _drop_for_other_nodes(self) -> None:
        gone = self._scene.key() is None
        if self._run:
            self._stop_run(self._words.stopped_volume_changed())
        if self.prompts:
            self._notice = self._words.dropped_nodes_gone() if gone else self._words.dropped_volume_changed()
        self._drop_prompts()
        self._enter(self._state_at_rest())

    def _drop_prompts(self) -> None:
        self._cancel_sent()
        if self.prompts or self.preview:
            self.prompts, self.preview = Prompts(), None
            self._draw()

    def _cancel_sent(self) -> None:
        sent, self._sent = self._sent, None  # so that its last word is of no interest
        self._keep_mode = ""
        if sent:
            self._worker.cancel(sent)

    # Steps of a run

    def _begin_run(self) -> None:
        choices, image = self.choices, self._scene.image()
        bundle = self._bundle(choices.model)
        run = _Run(bundle, self._wanted_labels(bundle), self._scene.region(choices.where), self._clock())
        self._worker.stop_warming()
        self._worker.ensure()
        self._key = self._scene.key()
        self._run = run
        try:
            run.request = self._runner.begin_label(
                image, bundle, choices.device, run.region, self._count, self._run_done, **choices.options
            )
        except MedSegError:
            self._run = None
            raise
        self._enter(State.RUNNING)

    def _count(self, done: int, total: int, message: str) -> None:
        if self._run:
            self._run.clock.count(done, total, message, self._clock())

    def _run_done(self, request: Request) -> None:
        run = self._run
        if run is None or (run.request is not None and request is not run.request):
            return  # it was given up
        self._run = None
        if request.error:
            self._fail(request.error)
        elif self._scene.key() != self._key:
            self._notice = self._words.stopped_volume_changed()
            self._enter(State.IDLE)
        else:
            self._attempt(lambda: self._write_run(run, request.result()))

    def _write_run(self, run: _Run, result: SegmentResult) -> None:
        """A region says nothing of what lies outside it, so there the segments keep what they have."""
        self._scene.write_structures(result.labels, run.labels, "add" if run.region else "set")
        voxel_ml = result.labels.grid.voxel_volume_ml
        counts = {label.name: int(np.count_nonzero(result.labels.array == label.value)) for label in run.labels}
        found = [(name, count * voxel_ml) for name, count in counts.items() if count]
        missing = [name for name, count in counts.items() if not count]
        device = self._worker.describe(result.report.get("device", ""))
        self._notice = self._words.segmented(found, missing, self._clock() - run.started, device)
        self._enter(State.IDLE)

    def _stop_run(self, sentence: str) -> None:
        """The run is given up at once; the worker stops at its next window and then answers the greeting."""
        run, self._run = self._run, None
        self._notice = sentence
        if run.request:
            self._worker.cancel(run.request)
        if self._worker.is_running:
            self._stopping = self._worker.when_free(self._stopped)
            self._enter(State.CANCELLING)
        else:
            self._enter(State.IDLE)

    def _stopped(self, greeting: Request) -> None:
        if greeting is self._stopping:
            self._stopping = None
            self._enter(self._state_at_rest())

    def _bundle(self, name: str) -> Bundle:
        if name not in self._bundles:
            self._bundles[name] = self._bundle_of(name)
        return self._bundles[name]

    def _wanted_labels(self, bundle: Bundle) -> tuple[Label, ...]:
        return tuple(label for label in bundle.spec.labels if label.name not in self.choices.left_out)

    def _give_up_all(self) -> None:
        run, self._run = self._run, None
        if run and run.request:
            self._worker.cancel(run.request)
        self._stopping = None
        self._drop_prompts()
        self._worker.stop_warming()

    # What is shown

    def _fail(self, error: MedSegError) -> None:
        self.error = error
        self._enter(State.FAILED)

    def _forget_failure(self) -> None:
        self.error = None
        if self.state is State.FAILED:
            self.state = self._state_at_rest()

    def _state_at_rest(self) -> State:
        if self._run:
            return State.RUNNING
        if self._stopping:
            return State.CANCELLING
        return State.PREVIEWING if self.prompts else State.IDLE

    def _enter(self, state: State) -> None:
        self.state = state
        self._show()

    def _draw(self) -> None:
        self._view.draw(self.preview, self.prompts)

    def _show(self) -> None:
        self._view.show(self._panel())
        self._view.poll_while(self.is_active and (self.is_busy or self._worker.is_warming))

    def _panel(self) -> Panel:
        running, stopping, clock = self._run is not None, self._stopping is not None, self._run and self._run.clock
        reason = "" if running else self._words.hint_stopping() if stopping else self.reason_not_to_run()
        words = self._words
        return Panel(
            state=self.state,
            hint=self._hint(),
            status=self._status(),
            counts=words.counts(len(self.prompts.included), len(self.prompts.excluded)),
            can_keep=self.preview is not None or self._sent is not None,
            can_discard=bool(self.prompts),
            can_undo=bool(self.prompts),
            run_button=words.cancel() if running else words.run(),
            can_run=running or not reason,
            run_tip=words.cancel_tip() if running else reason or words.run_tip(),
            progress=(clock.done, clock.total) if clock and clock.total else None,
            details=self.error.details if self.error else "",
        )

    def _hint(self) -> str:
        words = self._words
        if isinstance(self.error, WorkerError) and not self._worker.is_running:
            return words.hint_restart()
        if self._run:
            return words.hint_running()
        if self._stopping:
            return words.hint_stopping()
        if not self.prompts:
            return words.hint_click()
        return words.hint_refine() if self.prompts.included else words.hint_include()

    def _status(self) -> str:
        words, now = self._words, self._clock()
        if self.error:
            return words.failure(self.error)
        if self._run:
            return self._run_status(self._run, now)
        if self._notice:
            return self._notice
        if self._sent:
            return (words.looking if self._worker.is_looking else words.segmenting)(now - self._sent_at)
        if self.state is State.STARTING:
            return words.starting(self._worker.seconds_since_start)
        return words.ready(self._worker.describe(self._device), self._click_seconds)

    def _run_status(self, run: _Run, now: float) -> str:
        if run.clock.total:
            return self._words.windows(run.clock.done, run.clock.total, run.clock.seconds_left(now))
        return self._words.loading(run.bundle.name, now - run.started)
