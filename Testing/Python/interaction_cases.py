"""A runner whose worker says what the test wants, and a view that remembers what it was told to show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from MedSegDLLib.bundle import Bundle
from MedSegDLLib.client import SegmentResult
from MedSegDLLib.connection import Progress, Request
from MedSegDLLib.errors import CancelledError
from MedSegDLLib.interaction.catalogue import ModelEntry
from MedSegDLLib.interaction.module import ModulePresenter
from MedSegDLLib.interaction.module_ports import Choices
from MedSegDLLib.interaction.timings import Timings
from MedSegDLLib.models import SHIPPED
from MedSegDLLib.scene.headless import new_scene
from MedSegDLLib.scene.module_scene import ModuleScene
from MedSegDLLib.scene.volumes import node_from_volume
from MedSegDLLib.volume import Volume

HIPPOCAMPUS = Bundle.load(SHIPPED / "hippocampus-mr")
ENTRY = ModelEntry("hippocampus-mr", HIPPOCAMPUS.folder, HIPPOCAMPUS)
DEVICE = "cpu: a fake"


class FakeRunner:
    """Keeps the requests until the test answers them: `load_model`, `count`, `answer`, `die`."""

    log_path = Path("worker.log")

    def __init__(self):
        self.loads, self.labels, self.hellos, self.polls = [], [], [], 0
        self.error_at_start = None

    def begin_load(self, bundle, device="auto", **options):
        self.loads.append(Request(1, "load", {"device": device, "options": options}))
        return self.loads[-1]

    def begin_label(self, volumes, bundle, device, region, on_progress, on_done, keep_largest=None, **options):
        if self.error_at_start:
            raise self.error_at_start
        self.volumes = volumes
        params = {"region": region, "keep_largest": keep_largest, "options": options}
        self.labels.append(Request(2, "segment", params, on_progress=on_progress, on_done=on_done))
        return self.labels[-1]

    def begin_hello(self, on_done):
        self.hellos.append(Request(3, "hello", {}, on_done=on_done))
        return self.hellos[-1]

    def cancel(self, request):
        request.conclude(CancelledError("The run was stopped."))

    def poll(self):
        self.polls += 1

    def load_model(self, *messages):
        self.loads[-1].conclude({"device": DEVICE, "seconds": 2.0, "messages": list(messages)})

    @property
    def volume(self):
        """The image whose grid counts."""
        return self.volumes[0]

    def count(self, done, total, memory_bytes=0, device_bytes=0):
        self.labels[-1].advance(Progress(done, total, "Segmenting", memory_bytes, device_bytes))

    def answer(self, array=None, notes=()):
        """Labels on the volume's grid; by default those that lie above the values 0 and 100."""
        request, volume = self.labels[-1], self.volume
        labels = np.digitize(volume.array, (1, 101)).astype(np.uint8) if array is None else array
        report = {"device": DEVICE, "total_seconds": 4.0, "notes": list(notes)}
        request.interpret = lambda _: SegmentResult(volume.with_array(labels), report)
        request.conclude({})

    def die(self, error):
        for request in (*self.loads, *self.labels):
            request.conclude(error)


class Window:
    """A presenter with all that it talks to."""

    def __init__(self, tmp_path, runner=None, models=(ENTRY,), **arguments):
        self.scene = new_scene().mrml
        self.node = node_from_volume(self.scene, head(), "head")
        self.runner = runner or FakeRunner()
        self.view = FakeView()
        self.now = 100.0
        self.presenter = ModulePresenter(
            self.runner,
            ModuleScene(lambda: self.scene),
            self.view,
            timings=Timings(tmp_path / "timings.json"),
            catalogue=lambda: models,
            clock=lambda: self.now,
            **arguments,
        )
        self.presenter.choose(Choices(volume_node=self.node, model=ENTRY.name))

    @property
    def panel(self):
        return self.view.panel

    def choose(self, **changes):
        self.presenter.choose(replace(self.presenter.choices, **changes))

    def node_ids(self):
        return {self.scene.GetNthNode(n).GetID() for n in range(self.scene.GetNumberOfNodes())}

    def segmentations(self):
        return self.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")


class FakeView:
    def __init__(self):
        self.panels = []

    @property
    def panel(self):
        return self.panels[-1]

    @property
    def states(self):
        """Each state once, in the order in which they were shown."""
        states = [panel.state for panel in self.panels]
        return [state for n, state in enumerate(states) if n == 0 or state is not states[n - 1]]

    def show(self, panel):
        self.panels.append(panel)


def head(modality="MR") -> Volume:
    """An image with both structures of the fake: a large box with a smaller one inside, away from the edges."""
    array = np.zeros((20, 24, 28), np.int16)
    array[4:16, 5:19, 6:22] = 50
    array[8:12, 8:12, 8:12] = 200
    return Volume(array, np.diag([1.0, 1.0, 2.0, 1.0]), modality, "head")
