"""A worker, a scene and a view for the effect's presenter that do what a test tells them to."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from MedSegDLLib.client import PromptedMask, SegmentResult
from MedSegDLLib.connection import Progress, Request
from MedSegDLLib.errors import CancelledError, InputError, MedSegError, WorkerError
from MedSegDLLib.interaction.effect import EffectPresenter
from MedSegDLLib.interaction.effect_ports import PromptOptions
from MedSegDLLib.labels import Code, Label, Terminology
from MedSegDLLib.volume import Volume

SHAPE = (6, 8, 10)
DIED = WorkerError("The worker crashed (signal 11).", "Restart it.", "the log's end")

_TISSUE = Code("SCT", "85756007", "Tissue")
LABELS = (
    Label(1, "Anterior", (200, 0, 0), Terminology(_TISSUE, _TISSUE)),
    Label(2, "Posterior", (0, 200, 0), Terminology(_TISSUE, _TISSUE)),
)

SPEC = SimpleNamespace(labels=LABELS, channels=("image",))


class Clock:
    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


class FakeWorker:
    """Answers at the next `poll`, in order; only what `holds` does not name.

    Attributes:
        asked: the methods of the requests, in the order in which they were sent.
        prompts: what each prompt request was about.
        asked_with: how each of them was asked.
        warmed: the models that were warmed up.
    """

    def __init__(self):
        self.is_running = False
        self.log_path = "worker.log"
        self.starts = 0
        self.cannot_start: MedSegError | None = None
        self.holds: set[str] = set()
        self.fails: dict[str, MedSegError] = {}
        self.mask = np.ones((2, 2, 2), np.uint8)
        self.asked: list[str] = []
        self.prompts: list = []
        self.asked_with: list[PromptOptions] = []
        self.warmed: list[Path | None] = []
        self.sent_images: list[Volume] = []
        self.runs: list[dict] = []
        self.cancelled: list[Request] = []
        self._pending: list[Request] = []

    # What the presenter calls

    def begin_restart(self):
        if self.cannot_start:
            raise self.cannot_start
        self.is_running = True
        self.starts += 1
        return []

    def begin_hello(self, on_done=None):
        devices = [{"name": "cpu", "description": "Abacus, 16 GB"}, {"name": "cuda:0", "description": "Loom, 24 GB"}]
        return self._begin("hello", {"devices": devices}, on_done)

    def begin_image(self, volume):
        if not self.sent_images or self.sent_images[-1] is not volume:
            self.sent_images.append(volume)
            self._image = self._begin("image", {}, None)
        return self._image

    def begin_warm(self, model=None):
        self.warmed.append(model)
        return self._begin("warm", {}, None)

    def begin_prompt(self, prompts, model=None, on_done=None, smoothing_mm=0.0, islands="all"):
        self.prompts.append(prompts)
        self.asked_with.append(PromptOptions(model, smoothing_mm, islands))
        mask = PromptedMask(self.mask, self.sent_images[-1].ijk_to_ras, seconds=0.1, device="cpu")
        return self._begin("prompt", mask, on_done)

    def begin_load(self, model, device, **options):
        return self._begin("load", {"device": "cuda:0" if device == "auto" else device}, None)

    def begin_label(self, volume, model, device, region, on_progress, on_done, **options):
        labels = np.zeros(volume.array.shape, np.uint8)
        labels[:2] = 1
        self.runs.append({"device": device, "region": region, "options": options})
        report = {"device": "cuda:0", "notes": [], "total_seconds": 2.0}
        self.run_request = self._begin("segment", SegmentResult(volume.with_array(labels), report), on_done)
        self.run_request.on_progress = on_progress
        return self.run_request

    def report_progress(self, done, total, message, memory_bytes=0, device_bytes=0):
        """Of the run, as the true worker does."""
        self.run_request.advance(Progress(done, total, message, memory_bytes, device_bytes))

    def cancel(self, request):
        if not request.done:
            self.cancelled.append(request)
            self._pending.remove(request)
            request.conclude(CancelledError("The run was stopped."))

    def poll(self):
        for request in list(self._pending):
            if request.method not in self.holds and request in self._pending:
                self._answer(request)

    def close(self):
        self.is_running = False

    # What a test does

    @property
    def waiting(self) -> list[str]:
        return [request.method for request in self._pending]

    def answer_now(self, request: Request) -> None:
        """A reply that comes although the request was given up."""
        request.done = False
        self._answer(request)

    def die(self, error: MedSegError = DIED) -> None:
        self.is_running = False
        abandoned, self._pending = self._pending, []
        for request in abandoned:
            request.settle(error)

    def _begin(self, method, result, on_done):
        assert self.is_running, f"'{method}' was sent to a worker that does not run"
        self.asked.append(method)
        request = Request(len(self.asked), method, {}, interpret=lambda _: result, on_done=on_done)
        self._pending.append(request)
        return request

    def _answer(self, request):
        if request in self._pending:
            self._pending.remove(request)
        request.settle(self.fails.get(request.method) or {})


class FakeScene:
    """One image of a given shape, and a list of what was written."""

    def __init__(self):
        self.volume: Volume | None = Volume(np.zeros(SHAPE, np.int16), np.diag([1.0, 1.0, 2.0, 1.0]))
        self.version = 0
        self.regions: dict[str, object] = {"whole": None}
        self.refuses: MedSegError | None = None
        self.written: list[tuple[Volume, str]] = []
        self.structures: list[tuple[tuple[str, ...], str]] = []

    def key(self):
        return None if self.volume is None else (id(self.volume), self.version)

    def image(self):
        if self.volume is None:
            raise InputError("The Segment Editor has no source volume.", "Choose one.")
        return self.volume

    def forget(self):
        pass

    def region(self, where):
        if where not in self.regions:
            raise InputError("No ROI was chosen.", "Choose one.")
        return self.regions[where]

    def write(self, mask, mode):
        if self.refuses:
            raise self.refuses
        self.written.append((mask, mode))
        return int(mask.array.sum())

    def write_structures(self, labelmap, labels, mode):
        if self.refuses:
            raise self.refuses
        self.structures.append((tuple(label.name for label in labels), mode))

    def replace_volume(self):
        self.version += 1


class FakeView:
    def __init__(self):
        self.panel = None
        self.panels = []
        self.preview = None
        self.prompts = ()
        self.is_polling = False

    def show(self, panel):
        self.panel = panel
        self.panels.append(panel)

    def draw(self, preview, prompts):
        self.preview, self.prompts = preview, prompts

    def poll_while(self, wanted):
        self.is_polling = wanted


class FakeTimings:
    """Whose every model takes as long as the last one."""

    seconds = None

    def expected_seconds(self, model, device, spec, grid):
        return self.seconds

    def remember(self, model, device, spec, grid, seconds):
        self.seconds = seconds


class Bench:
    """The presenter among the three."""

    def __init__(self, **arguments):
        self.worker, self.scene, self.view, self.clock = FakeWorker(), FakeScene(), FakeView(), Clock()
        self.timings = FakeTimings()
        self.presenter = EffectPresenter(
            self.worker,
            self.worker,
            self.scene,
            self.view,
            bundle_of=self.bundle_of,
            timings=self.timings,
            clock=self.clock,
            **arguments,
        )
        self.clicks = self.presenter.clicks

    @staticmethod
    def bundle_of(name):
        if name != "hippocampus":
            raise InputError(f"There is no model '{name}'.", "Installed: hippocampus.")
        return SimpleNamespace(name="Hippocampus", folder="hippocampus", spec=SPEC)

    def activate(self) -> Bench:
        """Until the worker is warm."""
        self.presenter.activate()
        self.presenter.poll()
        return self

    def click(self, ras=(4, 4, 4), include=True) -> Bench:
        """A click and its answer."""
        assert self.clicks.add_point(ras, include)
        self.presenter.poll()
        return self

    def outdate(self, how: str) -> None:
        """The volume is "replaced" or "deleted"."""
        if how == "replaced":
            self.scene.replace_volume()
        else:
            self.scene.volume = None
