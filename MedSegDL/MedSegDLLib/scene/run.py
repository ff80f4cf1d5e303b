"""A volume in, labels or segments out, by a worker that stays warm: the one click, and the heart of every script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import slicer

from ..bundle import Bundle
from ..client import OnDone, Region, SegmentResult, Worker
from ..connection import Request
from ..errors import InputError
from ..models import find_model
from ..volume import Volume
from .headless import require_present
from .segments import write_segmentation
from .volumes import volume_from_node

Progress = Callable[[int, int, str], None]
Cancelled = Callable[[], bool]


class Segmenter:
    """Keeps a worker, and the last model in it, between the runs of a session.

        with Segmenter() as segmenter:
            segmentation_node = segmenter.segment(volume_node, "hippocampus-mr")
            labels = segmenter.label(read_volume("t1.nii.gz"), "hippocampus-mr").labels

    A worker that died is started again by the next run.

    Args:
        worker: the process that runs the models; by default one of its own, started at the first run.
    """

    def __init__(self, worker: Worker | None = None):
        self._worker = worker or Worker()
        self._wanted: tuple | None = None
        self._params: dict = {}  # of the request that loaded it
        self.report: dict = {}

    def __enter__(self) -> Segmenter:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """End the worker; a later run starts a new one."""
        self._worker.close()

    def segment(
        self,
        nodes: slicer.vtkMRMLScalarVolumeNode | Sequence[slicer.vtkMRMLScalarVolumeNode],
        model: str | Bundle,
        device: str = "auto",
        segmentation_node: slicer.vtkMRMLSegmentationNode | None = None,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
        **options,
    ) -> slicer.vtkMRMLSegmentationNode:
        """Segment a volume node and write the segments into its scene; waits. `report` then says how it went.

        Args:
            nodes: the image, with whatever linear transform it is under; for a model of several channels one for each,
                in their order, and the first one's grid is that of the segments.
            segmentation_node: where to write; None makes a new node.
            model, device, progress, cancelled, options: see `label`.

        Raises:
            MedSegError: what happened and what to do; the scene is then as it was.
        """
        nodes = tuple(nodes) if isinstance(nodes, Sequence) else (nodes,)
        for node in nodes:
            if node.GetScene() is None:
                raise InputError(f"The volume '{node.GetName()}' is in no scene.", "Add it to one first.")
        first, scene, bundle = nodes[0], nodes[0].GetScene(), _bundle(model)
        volumes = [volume_from_node(node) for node in nodes]
        labels = self.label(volumes, bundle, device, progress, cancelled, **options).labels
        require_present(scene, first, "volume")  # `progress` and `cancelled` may have let the user delete it
        return write_segmentation(
            scene, labels, bundle.spec.labels, first, segmentation_node, algorithm_name=bundle.name
        )

    def label(
        self,
        volumes: Volume | Sequence[Volume],
        model: str | Bundle,
        device: str = "auto",
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
        keep_largest: bool | None = None,
        **options,
    ) -> SegmentResult:
        """Labels of a volume, on its own grid; needs no scene and waits. `report` then says how it went.

        Args:
            volumes: for a model of several channels one for each, in their order; the first one's grid counts.
            model: a bundle, the name of an installed model, or a model's folder.
            device: "auto", "cpu", "cuda", ...
            progress: called with windows done, their number, and what is being done.
            cancelled: called twenty times a second; when it returns True the run ends with CancelledError.
            keep_largest: whether only the largest connected piece of each structure stays; None: as the model says.
            options: overlap, mirror, precision, threads; see `Predictor`.

        Raises:
            MedSegError: what happened and what to do.
        """
        loaded = self.load(_bundle(model), device, cancelled, **options)
        self._worker.begin_image(volumes)
        result = self._worker.segment(on_progress=progress, cancelled=cancelled, keep_largest=keep_largest)
        self.report = result.report
        self.report["notes"] = [*loaded["messages"], *self.report["notes"]]
        return result

    def load(self, bundle: Bundle, device: str = "auto", cancelled: Cancelled | None = None, **options) -> dict:
        """Have a living worker with the model in it; returns what it said of the model. See `label`."""
        return self._worker.wait(self.begin_load(bundle, device, **options), cancelled=cancelled)

    # The same without waiting, for a window: `poll` calls what was asked for when the time has come.

    @property
    def worker(self) -> Worker:
        """For prompts, which need no model; models are loaded here, where it is known which one the worker has."""
        return self._worker

    @property
    def log_path(self) -> Path:
        return self._worker.log_path

    def begin_load(self, bundle: Bundle, device: str = "auto", **options) -> Request:
        """Begin to have a living worker with the model in it; see `label`."""
        if not self._worker.is_running:
            self._worker.begin_restart()
        wanted, model = (bundle, device, options), self._worker.model
        if model is None or model.error or self._wanted != wanted or model.params != self._params:
            model = self._worker.begin_load(bundle.folder, device, **options)
            self._wanted, self._params = wanted, model.params
        return model

    def begin_label(
        self,
        volumes: Volume | Sequence[Volume],
        bundle: Bundle,
        device: str = "auto",
        region: Region | None = None,
        on_progress: Progress | None = None,
        on_done: OnDone | None = None,
        keep_largest: bool | None = None,
        **options,
    ) -> Request:
        """Begin to label a volume, or a region (slices for k, j, i) of it; the request's result is a `SegmentResult`.

        Args:
            on_done: called with the request once it is done, whatever came of it.
            volumes, bundle, device, on_progress, keep_largest, options: see `label`.

        Raises:
            WorkerError: the worker cannot be started.
            OutputError: no room for the image on the disk.
        """
        self.begin_load(bundle, device, **options)
        self._worker.begin_image(volumes)
        return self._worker.begin_segment(region, on_progress, on_done, keep_largest)

    def begin_hello(self, on_done: OnDone) -> Request:
        """Ask for the devices of a worker that was begun."""
        return self._worker.begin_hello(on_done)

    def cancel(self, request: Request) -> None:
        """Give a request up: it is done at once, and the worker stops at its next window."""
        self._worker.cancel(request)

    def poll(self) -> None:
        """Take in what the worker has sent; never blocks."""
        self._worker.poll()


def segment_node(
    nodes: slicer.vtkMRMLScalarVolumeNode | Sequence[slicer.vtkMRMLScalarVolumeNode], model: str | Bundle, **arguments
) -> slicer.vtkMRMLSegmentationNode:
    """`Segmenter.segment` with a worker that lives for this one run."""
    with Segmenter() as segmenter:
        return segmenter.segment(nodes, model, **arguments)


def _bundle(model: str | Bundle) -> Bundle:
    return model if isinstance(model, Bundle) else find_model(model)
