"""A run of the module: a volume, or every frame of a sequence, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from ..bundle import Bundle
from ..client import SegmentResult
from ..connection import Request
from ..errors import MedSegError
from ..labels import Label
from ..volume import Grid, Volume
from .module_ports import Choices, Region, Runner, Scene
from .outcome import Outcome, absence, coverage_mm, find
from .progress import ProgressClock


@dataclass
class Job:
    """What was chosen when it began, and what is known by now.

    Args:
        nodes: the volume node of each channel.
        versions: of the nodes' voxels and places.
        frames: how many are segmented.
    """

    choices: Choices
    bundle: Bundle
    title: str
    labels: tuple[Label, ...]
    nodes: tuple[Any, ...]
    versions: tuple[Hashable, ...]
    region: Region | None
    frames: int
    started: float
    load: Request | None = None
    request: Request | None = None
    clock: ProgressClock = field(default_factory=ProgressClock)
    results: list[SegmentResult] = field(default_factory=list)

    @property
    def labelmaps(self) -> list[Volume]:
        """One a frame."""
        return [result.labels for result in self.results]

    @property
    def grid(self) -> Grid:
        """Of what was segmented: the volume's, or the region's."""
        grid = self.results[0].labels.grid
        return grid.cropped(self.region) if self.region else grid

    @property
    def notes(self) -> tuple[str, ...]:
        """What the worker said of the model and of each frame, once each."""
        notes = [*self.load.result()["messages"], *(note for result in self.results for note in result.report["notes"])]
        return tuple(dict.fromkeys(notes))

    def outcome(self, segmentation_node: Any, seconds: float) -> Outcome:
        return Outcome(
            find(self.labelmaps, self.labels, self.region),
            coverage_mm(self.grid),
            absence(self.bundle, self.grid, self.region),
            seconds,
            self.results[-1].report["device"],
            self.notes,
            segmentation_node,
        )


class ModuleRun:
    """Has the worker segment one frame after the other; nothing is written here.

    Args:
        on_step: called when a frame begins, and when windows were counted.
        on_done: called with the job when all frames are segmented, while it is still the current one.
        on_failed: called with why it came to nothing; a CancelledError where somebody else has cancelled it.
        clock: seconds.
    """

    def __init__(
        self,
        runner: Runner,
        scene: Scene,
        on_step: Callable[[Job], None],
        on_done: Callable[[Job], None],
        on_failed: Callable[[MedSegError], None],
        clock: Callable[[], float],
    ):
        self._runner = runner
        self._scene = scene
        self._on_step = on_step
        self._on_done = on_done
        self._on_failed = on_failed
        self._clock = clock
        self.job: Job | None = None
        self.devices: tuple[dict, ...] = ()

    def begin(self, choices: Choices, bundle: Bundle, title: str, labels, nodes, region: Region | None) -> None:
        """Returns at once. Raises MedSegError."""
        versions = tuple(self._scene.version(node, choices.all_frames) for node in nodes)
        frames = self._scene.frames(nodes[0]) if choices.all_frames else 1
        self.job = Job(choices, bundle, title, labels, nodes, versions, region, frames, self._clock())
        self._begin_frame(self.job)

    def give_up(self) -> None:
        """At once; what the worker still says of it is of no interest."""
        job, self.job = self.job, None
        if job and job.request:
            self._runner.cancel(job.request)

    @property
    def nodes_are_there(self) -> bool:
        nodes = (*self.job.nodes, self.job.choices.segmentation_node)
        return all(node is None or self._scene.is_present(node) for node in nodes)

    @property
    def volumes_are_the_same(self) -> bool:
        """Whether voxels and places are those that were segmented."""
        job = self.job
        versions = tuple(self._scene.version(node, job.choices.all_frames) for node in job.nodes)
        return versions == job.versions

    def _begin_frame(self, job: Job) -> None:
        choices, options = job.choices, job.choices.options
        volumes = [self._read(node, job) for node in job.nodes]
        job.clock = ProgressClock()
        self._on_step(job)
        job.load = self._runner.begin_load(job.bundle, choices.device, **options)
        if not job.results:
            self._runner.begin_hello(self._take_devices)
        job.request = self._runner.begin_label(
            volumes,
            job.bundle,
            choices.device,
            job.region,
            self._count,
            self._frame_done,
            choices.keep_largest,
            **options,
        )

    def _read(self, node: Any, job: Job) -> Volume:
        """Of a sequence the frame whose turn it is; what is none stays the same."""
        one_of_many = job.frames > 1 and self._scene.frames(node) > 1
        return self._scene.read(node, len(job.results) if one_of_many else None)

    def _count(self, done: int, total: int, message: str) -> None:
        if self.job:
            self.job.clock.count(done, total, message, self._clock())

    def _take_devices(self, greeting: Request) -> None:
        if greeting.error is None:
            self.devices = tuple(greeting.result().get("devices", ()))

    def _frame_done(self, request: Request) -> None:
        """The worker's last word on a frame; of a run that was stopped meanwhile nobody wants to know."""
        job = self.job
        if job is None or (job.request is not None and job.request is not request):
            return
        try:
            job.results.append(request.result())
            if len(job.results) < job.frames:
                job.request = None
                self._begin_frame(job)
            else:
                self._on_done(job)
        except MedSegError as error:
            self._on_failed(error)
