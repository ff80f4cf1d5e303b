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
from dataclasses import replace

from ..errors import CancelledError, MedSegError
from .catalogue import ModelEntry, read_catalogue, selection
from .installing import Prepare
from .module_chosen import Chosen
from .module_panel import PanelWriter
from .module_ports import Choices, Failure, Runner, Scene, View
from .module_run import Job, ModuleRun
from .module_wording import ModuleWording
from .outcome import Outcome
from .states import State
from .timings import Timings


class ModulePresenter:
    """The module's decisions.

    Args:
        runner: keeps the one warm worker of the session.
        scene: reads volumes and writes segments.
        view: shows the panel.
        wording: the sentences, in the user's language.
        timings: what earlier runs took.
        catalogue: the installed models.
        prepare: asked before each run.
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
        self._words = wording or ModuleWording()
        self._read_catalogue = catalogue
        self._prepare = prepare
        self._clock = clock
        self._chosen = Chosen(scene, self._words, timings or Timings())
        self._panels = PanelWriter(self._words, self._chosen, clock)
        self._run = ModuleRun(runner, scene, self._step, self._finish, self._failed, clock)
        self._check: object | None = None  # the look at the installation that is awaited
        self._status = ""
        self._outcome: Outcome | None = None
        self._failure: Failure | None = None
        self.state = State.IDLE
        self._take_models()

    # Choosing

    @property
    def is_busy(self) -> bool:
        return self._run.job is not None or self._check is not None

    @property
    def choices(self) -> Choices:
        return self._chosen.choices

    @property
    def models(self) -> tuple[ModelEntry, ...]:
        """The installed ones that segment by themselves."""
        return self._chosen.models

    @property
    def entry(self) -> ModelEntry | None:
        """The chosen model."""
        return self._chosen.entry

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the images that the chosen model takes at once."""
        return self._chosen.channels

    @property
    def frames(self) -> int:
        """Frames of the sequence that the volume belongs to; 1 for a volume of its own."""
        return self._chosen.frames

    @property
    def devices(self) -> tuple[dict, ...]:
        """Those that the worker has told of; none before the first run."""
        return self._run.devices

    def choose(self, choices: Choices) -> None:
        """Take over what the user set; a run under way keeps what it began with."""
        if choices != self.choices:
            self._chosen.choices = choices
            self.show()

    def refresh_models(self) -> None:
        """Look for installed models again."""
        self._take_models()
        self.show()

    def found_models(self, search: str = "") -> tuple[ModelEntry, ...]:
        """The models that match a search, those for the volume's modality first."""
        volume = self._chosen.volume
        return selection(self.models, search, volume.modality if volume else "")

    def listed_models(self, search: str = "") -> tuple[tuple[ModelEntry, float | None], ...]:
        """The same, each with the seconds that it will take; see `expected_seconds`."""
        grid = self._chosen.segmented_grid()
        return tuple((entry, self._chosen.expected_seconds(entry, grid)) for entry in self.found_models(search))

    def expected_seconds(self, entry: ModelEntry) -> float | None:
        """For the chosen volume, region, frames and device; None where that model never ran."""
        return self._chosen.expected_seconds(entry, self._chosen.segmented_grid())

    def reason_not_to_apply(self) -> str:
        """A sentence; '' where nothing is in the way."""
        return self._chosen.reason_not_to_apply()

    def show(self) -> None:
        """Have the view show how things are."""
        if self.is_busy:
            self._view.show(self._panels.busy(self.state, self._run.job))
        else:
            self._view.show(self._panels.idle(self.state, self._status, self._outcome, self._failure))

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
        self._enter(State.STARTING)
        self._prepare(self.entry.bundle, self.choices.device, lambda reason: self._prepared(check, reason))

    def cancel(self) -> None:
        """Give the run up, at once; the scene is as it was."""
        self._stop(self._words.stopped())

    def poll(self) -> None:
        """Take in what the worker has sent; never blocks."""
        if self._run.job and not self._run.nodes_are_there:
            self._stop(self._words.stopped_node_gone())
        self._runner.poll()
        if self._run.job:
            if self._run.job.clock.total:
                self.state = State.RUNNING
            self.show()

    def scene_closed(self) -> None:
        """Stop, and forget a result whose nodes are gone."""
        self._stop(self._words.stopped_node_gone())
        self._outcome = self._failure = None
        self._status = ""
        self._chosen.choices = replace(
            self.choices, volume_node=None, segmentation_node=None, roi_node=None, more_volume_nodes=()
        )
        self.show()

    def give_up(self, error: Exception) -> None:
        """End the run after an error that is no MedSegError, so that the window can be used again."""
        details = "".join(traceback.format_exception(error))
        self.close()
        self._fail(MedSegError(self._words.unforeseen(), details=details))

    def close(self) -> None:
        """Stop without a word to the view, which may be gone already."""
        self._check = None
        self._run.give_up()

    # Steps of a run

    def _prepared(self, check: object, reason: str) -> None:
        """What the installation's check came to; the user may have cancelled it, or changed the choices, meanwhile."""
        if check is not self._check:
            return
        self._check = None
        if reason:
            self._failure = Failure(reason)
            self._enter(State.FAILED)
        elif self.reason_not_to_apply():
            self._enter(State.IDLE)
        else:
            self._begin()

    def _begin(self) -> None:
        chosen, entry = self._chosen, self.entry
        try:
            region = chosen.region()
            self._run.begin(self.choices, entry.bundle, entry.title, chosen.wanted_labels, chosen.nodes, region)
        except MedSegError as error:
            self._fail(error)

    def _step(self, job: Job) -> None:
        self._enter(State.RUNNING if job.results else State.STARTING)

    def _finish(self, job: Job) -> None:
        if not self._run.nodes_are_there:
            self._end(self._words.stopped_node_gone())
        elif not self._run.volumes_are_the_same:
            self._end(self._words.stopped_volume_replaced())
        else:
            node, choices = job.nodes[0], job.choices
            written = self._scene.write(node, job.labelmaps, job.labels, choices.segmentation_node, job.bundle.name)
            self._remember_time(job)
            self._outcome = job.outcome(written, self._clock() - job.started)
            self._end()

    def _remember_time(self, job: Job) -> None:
        """The worker's own seconds: loading and the installation's check are no measure of the next run."""
        seconds = job.results[-1].report.get("total_seconds")
        if seconds:
            self._chosen.remember_time(job.bundle, job.choices, job.grid, seconds)

    def _failed(self, error: MedSegError) -> None:
        if isinstance(error, CancelledError):
            self._end(self._words.stopped())
        else:
            self._fail(error)

    def _stop(self, sentence: str) -> None:
        if self.is_busy:
            self._enter(State.CANCELLING)
            self.close()  # what the worker still says of it is no longer for us
            self._end(sentence)

    def _fail(self, error: MedSegError) -> None:
        self._run.job = None
        self._failure = Failure(self._words.failure(error), error.details, str(self._runner.log_path))
        self._enter(State.FAILED)

    def _end(self, status: str = "") -> None:
        self._run.job = None
        self._enter(State.IDLE, status)

    def _enter(self, state: State, status: str = "") -> None:
        self.state, self._status = state, status
        self.show()

    def _take_models(self) -> None:
        """A model that only answers clicks is for the Segment Editor."""
        self._chosen.models = tuple(entry for entry in self._read_catalogue() if not entry.is_prompter)
