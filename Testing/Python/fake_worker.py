"""The true worker around an engine that thresholds: quick to start, and it fails in every way that is asked of it.

Run as a program by the tests of client and worker. The `behaviour` given to `load` says how `segment` goes.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time

import numpy as np

from MedSegDLLib.engine import worker
from MedSegDLLib.engine.report import MemoryUse
from MedSegDLLib.engine.session import Engine
from MedSegDLLib.errors import CancelledError, ModelError

WINDOWS = 5


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


class Report:
    def __init__(self, device):
        self._device = device
        self.keep_largest = None

    def to_dict(self):
        measured = {"seconds": {"network": 0.5}, "device": self._device, "peak_memory_bytes": 1000}
        return {**measured, "notes": ["Größe µ"], "keep_largest": self.keep_largest}


class ThresholdPredictor:
    messages = ("thresholds only",)

    def __init__(self, device, behaviour="threshold", seconds_per_window=0.0):
        self.device = device
        self.report = Report(device)
        self._behave = getattr(self, behaviour)
        self._seconds_per_window = seconds_per_window

    def memory_use(self):
        return MemoryUse(2000, 8000)

    def segment(self, volumes, region=None, progress=None, cancelled=None, keep_largest=None):
        volume, self.report.keep_largest = volumes[0], keep_largest
        for window in range(WINDOWS):
            if cancelled():
                raise CancelledError("The run was stopped.")
            progress(window, WINDOWS, f"window {window}")
            time.sleep(self._seconds_per_window)
        self._behave()
        labels = np.zeros(volume.array.shape, np.uint8)
        window = region or (slice(None),) * 3
        labels[window] = volume.array[window] > 0
        return volume.with_array(labels)

    def threshold(self):
        pass

    def chatter(self):
        print("a library speaks", flush=True)
        os.write(1, b"and so does its C code\n")
        os.system("echo and its child process")
        assert sys.stdin.read() == "", "a library could read the requests"

    def leave_a_child(self):
        subprocess.Popen(["sleep", "120"])

    def crash(self):
        os.abort()

    def run_out_of_memory(self):
        raise MemoryError

    def run_out_of_cuda_memory(self):
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    def divide_by_zero(self):
        return 1 / 0

    def import_what_is_not_there(self):
        import no_such_package  # noqa: F401

    def fill_the_disk(self):
        limit_file_size(2000)


class FakeEngine(Engine):
    """The true one, with its prompter, but for devices and models."""

    def devices(self):
        return [{"name": "cpu", "description": "a fake", "memory_bytes": 1, "free_bytes": 1}]

    def predictor(self, folder, device, options):
        limit_file_size(resource.RLIM_INFINITY)
        if not os.path.isdir(folder):
            raise ModelError(f"There is no model {folder}.", "Choose another one.", "détails")
        return ThresholdPredictor("cpu" if device == "auto" else device, **options)


def limit_file_size(size_bytes):
    """Make the system refuse to write more into any one file, as a full disk does."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


if __name__ == "__main__":
    worker.main(FakeEngine())
