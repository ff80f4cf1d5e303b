"""A worker whose every model is a threshold: for self-tests in a Slicer that has neither PyTorch nor OpenVINO.

Started in the place of the true one, by `python -m MedSegDLLib.engine.practice`. The first structure of whatever model
it loads is all that is brighter than the mean of the image. It counts five windows, each of which takes as long as the
environment variable MEDSEG_PRACTICE_SECONDS says.
"""

from __future__ import annotations

import os
import time

import numpy as np

from ..errors import CancelledError
from ..volume import as_volumes
from .report import MemoryUse, Report
from .session import Engine
from .worker import main

SECONDS_VARIABLE = "MEDSEG_PRACTICE_SECONDS"
WINDOWS = 5


class ThresholdPredictor:
    """Takes the place of `Predictor`."""

    def __init__(self, seconds_per_window: float):
        self.device = "cpu: practice"
        self.messages: tuple[str, ...] = ()
        self.report = Report("practice", self.device, "f32")
        self._seconds_per_window = seconds_per_window

    def memory_use(self) -> MemoryUse:
        return MemoryUse(1, 1)

    def segment(self, volumes, region=None, progress=None, cancelled=None, keep_largest=None):
        volume = as_volumes(volumes)[0]
        self.report = Report("practice", self.device, "f32")
        with self.report.step("windows"):
            for window in range(WINDOWS):
                if cancelled():
                    raise CancelledError("The run was stopped.")
                progress(window, WINDOWS, "Segmenting")
                time.sleep(self._seconds_per_window)
        labels = np.zeros(volume.array.shape, np.uint8)
        where = region or (slice(None),) * 3
        labels[where] = volume.array[where] > volume.array.mean()
        return volume.with_array(labels)


class PracticeEngine(Engine):
    """The true one but for the models."""

    def devices(self) -> list[dict]:
        return [{"name": "cpu", "description": "practice", "memory_bytes": 1, "free_bytes": 1, "note": ""}]

    def predictor(self, folder: str, device: str, options: dict) -> ThresholdPredictor:
        return ThresholdPredictor(float(os.environ.get(SECONDS_VARIABLE, 0)))


if __name__ == "__main__":
    main(PracticeEngine())
