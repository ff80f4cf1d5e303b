"""What the module does with its user's choices: a state machine without Qt, slicer or vtk.

    presenter = ModulePresenter(runner, scene, view)
    presenter.choose(Choices(volume_node=node, model="hippocampus-mr"))
    presenter.apply()           # returns at once
    presenter.poll()            # every now and then, while presenter.is_busy

The view is told to `show` a `Panel` after each change; it decides nothing. Nodes are only handed through.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ..bundle import Bundle
from ..client import SegmentResult
from ..connection import Request
from ..errors import CancelledError, MedSegError
from ..labels import Label
from ..volume import Grid, Volume
from .catalogue import ModelEntry, read_catalogue, selection
from .module_ports import Choices, Failure, Panel, Prepare, Region, Runner, Scene, View
from .module_wording import ModuleWording
from .outcome import Outcome, absence, coverage_mm, find
from .progress import ProgressClock
from .states import State
from .timings import Timings


@dataclass
class _Job:
    """A run under way: what was chosen when it began, and what is known by now."""

    choices: Choices
    bundle: Bundle
    title: str
    labels: tuple[Label, ...]
    version: Any
    region: Region | None
    frames: int
    started: float
    load: Request | None = None
    request: Request | None = None
    clock: ProgressClock = field(default_factory=ProgressClock)
    results: list[SegmentResult] = field(default_factory=list)


class ModulePresenter:
    """The module's decisions.

    Args:
        runner: keeps the one warm worker of the session.
        scene: reads volumes and writes segments.
        view: shows the panel.
        wording: the sentences, in the user's language.
        timings: what earlier runs took.
        catalogue: the installed models.
        prepare: asked before each run with the model and the device; sees to what must be installed, and calls what
            it was given with '' or the sentence why the run cannot begin, at once or later.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        runner: Runner,
        scene: Scene,
        view: View,
        wording: ModuleWording | None = None,
        timings: Timings | None = None,
        catalogue: Callable[[], tuple[ModelEntry, ...]] = read_catalogue,
        prepare: Prepare = lambda bundle, device, done: done(""),
        clock: Callable[[], float] = time.monotonic,
    ):
        self._runner = runner
        self._scene = scene
        self._view = view
        self._wording = wording or ModuleWording()
        self._timings = timings or Timings()
        self._read_catalogue = catalogue
        self._prepare = prepare
        self._clock = clock
        self._check: object | None = None  # the look at the installation that is awaited
        self._job: _Job | None = None
        self._status = ""
        self._outcome: Outcome | None = None
        self._failure: Failure | None = None
        self.state = State.IDLE
        self.choices = Choices()
        self.devices: tuple[dict, ...] = ()
        self.models = catalogue()

    # Choosing

    @property
    def is_busy(self) -> bool:
        return self._job is not None or self._check is not None

    @property
    def entry(self) -> ModelEntry | None:
        """The chosen model."""
        return next((entry for entry in self.models if entry.name == self.choices.model), None)

    @property
    def frames(self) -> int:
        """Frames of the sequence that the volume belongs to; 1 for a volume of its own."""
        node = self.choices.volume_node
        return self._scene.frames(node) if node is not None and self._scene.is_present(node) else 1

    def choose(self, choices: Choices) -> None:
        """Take over what the user set; a run under way keeps what it began with."""
        if choices != self.choices:
            self.choices = choices
            self.show()

    def refresh_models(self) -> None:
        """Look for installed models again."""
        self.models = self._read_catalogue()
        self.show()

    def found_models(self, search: str = "") -> tuple[ModelEntry, ...]:
        """The models that match a search, those for the volume's modality first."""
        volume = self._volume()
        return selection(self.models, search, volume.modality if volume else "")

    def listed_models(self, search: str = "") -> tuple[tuple[ModelEntry, float | None], ...]:
        """The same, each with the seconds that it will take; see `expected_seconds`."""
        grid = self._segmented_grid()
        return tuple((entry, self._expected_seconds(entry, grid)) for entry in self.found_models(search))

    def expected_seconds(self, entry: ModelEntry) -> float | None:
        """For the chosen volume, region, frames and device; None where that model never ran."""
        return self._expected_seconds(entry, self._segmented_grid())

    def reason_not_to_apply(self) -> str:
        """A sentence; '' where nothing is in the way."""
        words, choices, entry = self._wording, self.choices, self.entry
        if choices.volume_node is None:
            return words.choose_volume()
        if not self._scene.is_present(choices.volume_node):
            return words.volume_gone()
        if not self.models:
            return words.no_model_installed()
        if entry is None:
            return words.choose_model()
        if entry.problem:
            return entry.problem
        try:
            modality = self._scene.read(choices.volume_node).modality
            self._region(measured=False)
        except MedSegError as error:
            return words.failure(error)
        if not entry.fits(modality) and not choices.allow_other_modality:
            return words.other_modality(entry, modality)
        if not self._wanted_labels(entry.bundle):
            return words.no_structure()
        return ""

    def show(self) -> None:
        """Have the view show how things are."""
        self._view.show(self._busy_panel() if self.is_busy else self._idle_panel())

    # Running

    def press(self) -> None:
        """The button: Apply, or Cancel while it runs."""
        if self.is_busy:
            self.cancel()
        else:
            self.apply()

    def apply(self) -> None:
        """Begin a run; the result comes with `poll`."""
        if self.is_busy or self.reason_not_to_apply():
            self.show()
            return
        self._outcome = self._failure = None
        self._check = check = object()
        self._enter(State.STARTING, self._wording.checking_installation())
        self._prepare(self.entry.bundle, self.choices.device, lambda reason: self._prepared(check, reason))

    def cancel(self) -> None:
        """Give the run up, at once; the scene is as it was."""
        self._stop(self._wording.stopped())

    def poll(self) -> None:
        """Take in what the worker has sent; never blocks."""
        if self._job and not self._nodes_are_there():
            self._stop(self._wording.stopped_node_gone())
        self._runner.poll()
        if self._job:
            self.show()

    def scene_closed(self) -> None:
        """Stop, and forget a result whose nodes are gone."""
        self._stop(self._wording.stopped_node_gone())
        self._outcome = self._failure = None
        self._status = ""
        self.choices = replace(self.choices, volume_node=None, segmentation_node=None, roi_node=None)
        self.show()

    def give_up(self, error: Exception) -> None:
        """End the run after an error that is no MedSegError, so that the window can be used again."""
        details = "".join(traceback.format_exception(error))
        self.close()
        self._fail(MedSegError(self._wording.unforeseen(), details=details))

    def close(self) -> None:
        """Stop without a word to the view, which may be gone already."""
        job, self._job, self._check = self._job, None, None
        if job and job.request:
            self._runner.cancel(job.request)

    # Steps of a run

    def _prepared(self, check: object, reason: str) -> None:
        """What the installation's check came to; the user may have cancelled it, or changed the choices, meanwhile."""
        if check is not self._check:
            return
        self._check = None
        if reason:
            self._failure = Failure(reason)
            self._end(State.FAILED)
        elif self.reason_not_to_apply():
            self._end(State.IDLE)
        else:
            self._begin()

    def _begin(self) -> None:
        try:
            self._job = self._new_job()
            self._begin_frame()
        except MedSegError as error:
            self._fail(error)

    def _new_job(self) -> _Job:
        choices, entry = self.choices, self.entry
        node = choices.volume_node
        return _Job(
            choices,
            entry.bundle,
            entry.title,
            self._wanted_labels(entry.bundle),
            self._scene.version(node, choices.all_frames),
            self._region(),
            self._scene.frames(node) if choices.all_frames else 1,
            self._clock(),
        )

    def _begin_frame(self) -> None:
        job = self._job
        choices, options = job.choices, job.choices.options
        volume = self._scene.read(choices.volume_node, len(job.results) if job.frames > 1 else None)
        job.clock = ProgressClock()
        self._enter(State.RUNNING if job.results else State.STARTING)
        job.load = self._runner.begin_load(job.bundle, choices.device, **options)
        if not job.results:
            self._runner.begin_hello(self._take_devices)
        job.request = self._runner.begin_label(
            volume, job.bundle, choices.device, job.region, self._count, self._frame_done, **options
        )

    def _count(self, done: int, total: int, message: str) -> None:
        if self._job:
            self._job.clock.count(done, total, message, self._clock())
            self.state = State.RUNNING

    def _take_devices(self, greeting: Request) -> None:
        if greeting.error is None:
            self.devices = tuple(greeting.result().get("devices", ()))

    def _frame_done(self, request: Request) -> None:
        """The worker's last word on a frame; of a run that was stopped meanwhile nobody wants to know."""
        job = self._job
        if job is None or (job.request is not None and job.request is not request):
            return
        try:
            job.results.append(request.result())
            if len(job.results) < job.frames:
                job.request = None
                self._begin_frame()
            else:
                self._finish()
        except CancelledError:
            self._end(State.IDLE, self._wording.stopped())
        except MedSegError as error:
            self._fail(error)

    def _finish(self) -> None:
        job = self._job
        choices = job.choices
        if not self._nodes_are_there():
            return self._end(State.IDLE, self._wording.stopped_node_gone())
        if self._scene.version(choices.volume_node, choices.all_frames) != job.version:
            return self._end(State.IDLE, self._wording.stopped_volume_replaced())
        frames = [result.labels for result in job.results]
        segmentation = self._scene.write(
            choices.volume_node, frames, job.labels, choices.segmentation_node, job.bundle.name
        )
        self._remember_time(job)
        self._outcome = self._outcome_of(job, segmentation)
        return self._end(State.IDLE)

    def _outcome_of(self, job: _Job, segmentation: Any) -> Outcome:
        frames = [result.labels for result in job.results]
        grid = frames[0].grid.cropped(job.region) if job.region else frames[0].grid
        notes = [*job.load.result()["messages"], *(note for result in job.results for note in result.report["notes"])]
        return Outcome(
            find(frames, job.labels, job.region),
            coverage_mm(grid),
            absence(job.bundle, grid, job.region),
            self._clock() - job.started,
            job.results[-1].report["device"],
            tuple(dict.fromkeys(notes)),
            segmentation,
        )

    def _remember_time(self, job: _Job) -> None:
        """The worker's own seconds: loading and the installation's check are no measure of the next run."""
        grid = job.results[-1].labels.grid
        grid = grid.cropped(job.region) if job.region else grid
        seconds = job.results[-1].report.get("total_seconds")
        if seconds:
            self._timings.remember(job.choices.model, job.choices.device, job.bundle.spec, grid, seconds)

    def _stop(self, sentence: str) -> None:
        if not self.is_busy:
            return
        self._enter(State.CANCELLING)
        self.close()  # what the worker still says of it is no longer for us
        self._end(State.IDLE, sentence)

    def _fail(self, error: MedSegError) -> None:
        self._failure = Failure(self._wording.failure(error), error.details, str(self._runner.log_path))
        self._end(State.FAILED)

    def _end(self, state: State, status: str = "") -> None:
        self._job = None
        self._enter(state, status)

    def _enter(self, state: State, status: str = "") -> None:
        self.state, self._status = state, status
        self.show()

    # What is known

    def _wanted_labels(self, bundle: Bundle) -> tuple[Label, ...]:
        return tuple(label for label in bundle.spec.labels if label.name not in self.choices.left_out)

    def _region(self, measured: bool = True) -> Region | None:
        choices = self.choices
        return self._scene.region(
            choices.volume_node, choices.where, choices.roi_node, choices.segmentation_node, measured
        )

    def _expected_seconds(self, entry: ModelEntry, grid: Grid | None) -> float | None:
        if grid is None or entry.bundle is None:
            return None
        seconds = self._timings.expected_seconds(entry.name, self.choices.device, entry.bundle.spec, grid)
        return seconds and seconds * (self.frames if self.choices.all_frames else 1)

    def _volume(self) -> Volume | None:
        node = self.choices.volume_node
        if node is None or not self._scene.is_present(node):
            return None
        try:
            return self._scene.read(node)
        except MedSegError:
            return None  # `reason_not_to_apply` says what is wrong with it

    def _segmented_grid(self) -> Grid | None:
        volume = self._volume()
        if volume is None:
            return None
        try:
            region = self._region(measured=False)
        except MedSegError:
            return None  # as above
        return volume.grid.cropped(region) if region else volume.grid

    def _nodes_are_there(self) -> bool:
        choices = self._job.choices
        nodes = (choices.volume_node, choices.segmentation_node)
        return all(node is None or self._scene.is_present(node) for node in nodes)

    def _idle_panel(self) -> Panel:
        reason = self.reason_not_to_apply()
        entry = self.entry
        expected = self.expected_seconds(entry) if entry and not reason else None
        return Panel(
            self.state,
            self._wording.apply(),
            enabled=not reason,
            tip=reason or self._wording.ready(expected),
            status=self._status,
            outcome=self._outcome,
            summary=self._wording.summary(self._outcome) if self._outcome else "",
            failure=self._failure,
        )

    def _busy_panel(self) -> Panel:
        clock = self._job.clock if self._job else ProgressClock()
        progress = (clock.done, clock.total) if clock.total else None
        return Panel(
            self.state,
            self._wording.cancel(),
            enabled=True,
            tip=self._wording.cancel_tip(),
            status=self._busy_status(),
            progress=progress,
        )

    def _busy_status(self) -> str:
        job, words, now = self._job, self._wording, self._clock()
        if job is None:
            return words.checking_installation()
        if job.clock.total:
            device = job.load.result()["device"] if job.load and job.load.done and not job.load.error else ""
            frame = words.frame(len(job.results) + 1, job.frames)
            return words.windows(job.clock.done, job.clock.total, job.clock.seconds_left(now), device, frame)
        if job.load is None or not job.load.done:
            return words.loading(job.title, now - job.started)
        return words.looking()
