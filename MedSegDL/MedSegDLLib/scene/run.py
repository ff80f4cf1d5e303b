"""A volume node in, a segmentation node out: the one click."""

from __future__ import annotations

from collections.abc import Callable

import slicer

from ..client import Worker
from ..models import find_model
from .headless import require_present
from .segments import write_segmentation
from .volumes import volume_from_node


class Segmenter:
    """Keeps a warm worker, and the last model in it, between the runs of a session.

    Args:
        worker: the process that runs the models; by default one of its own, started at the first run.
    """

    def __init__(self, worker: Worker | None = None):
        self._worker = worker or Worker()
        self._loaded = None
        self.report: dict = {}

    def segment(
        self,
        node: slicer.vtkMRMLScalarVolumeNode,
        model: str,
        device: str = "auto",
        segmentation_node: slicer.vtkMRMLSegmentationNode | None = None,
        progress: Callable[[int, int, str], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        **options,
    ) -> slicer.vtkMRMLSegmentationNode:
        """Segment a volume node and write the segments; waits. `report` then says how it went.

        Args:
            node: the image, with whatever linear transform it is under.
            model: name of an installed model, or a model's folder.
            device: "auto", "cpu", "cuda", ...
            segmentation_node: where to write; None makes a new node.
            progress, cancelled, options: see `Predictor`.

        Raises:
            MedSegError: what happened and what to do; the scene is then as it was.
        """
        bundle = find_model(model)
        volume = volume_from_node(node)
        self._load(bundle, device, options)
        self._worker.set_image(volume)
        result = self._worker.segment(on_progress=progress, cancelled=cancelled)
        self.report = result.report
        scene = slicer.mrmlScene
        require_present(scene, node, "volume")
        return write_segmentation(
            scene, result.labels, bundle.spec.labels, node, segmentation_node, algorithm_name=bundle.name
        )

    def close(self) -> None:
        """End the worker."""
        self._worker.close()
        self._loaded = None

    def _load(self, bundle, device: str, options: dict) -> None:
        wanted = (bundle.folder, device, options)
        if not self._worker.is_running and self._loaded:
            self._worker.restart()
        if self._loaded != wanted:
            self._loaded = None
            self._worker.load(bundle.folder, device, **options)
            self._loaded = wanted


def segment_node(node: slicer.vtkMRMLScalarVolumeNode, model: str, **arguments) -> slicer.vtkMRMLSegmentationNode:
    """`Segmenter.segment` with a worker that lives for this one run."""
    segmenter = Segmenter()
    try:
        return segmenter.segment(node, model, **arguments)
    finally:
        segmenter.close()
