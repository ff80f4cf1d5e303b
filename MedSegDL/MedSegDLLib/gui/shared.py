"""The one warm worker of the session, which the module and the effect share."""

from __future__ import annotations

import os
import shutil
from functools import cache
from typing import TYPE_CHECKING

import slicer

if TYPE_CHECKING:
    from ..scene.run import Segmenter

WORKER_PYTHON_SETTING = "MedSegDL/WorkerPython"

_segmenter: Segmenter | None = None


def sharedSegmenter() -> Segmenter:
    """Made at the first call; its process starts with the first request."""
    global _segmenter
    if _segmenter is None:
        from ..client import Worker
        from ..scene.run import Segmenter

        _segmenter = Segmenter(Worker(python=chosenPython()))
    return _segmenter


def useSegmenter(segmenter: Segmenter) -> None:
    """Let this be the shared one; for the effects that are made from now on."""
    global _segmenter
    _segmenter = segmenter


def closeWorker() -> None:
    """End the process, if there is one; the next request starts another."""
    if _segmenter is not None:
        _segmenter.close()


@cache
def chosenPython() -> str | None:
    """The worker's Python as it was set under Advanced when Slicer started, for whoever starts a worker or looks at its
    packages; None for what `find_python` finds by itself."""
    if not hasattr(slicer, "app"):
        return None
    return slicer.util.settingsValue(WORKER_PYTHON_SETTING, "") or _pythonBesideApplication()


def _pythonBesideApplication() -> str | None:
    """Slicer's own, where Slicer was not started by its launcher, which would have put it on the path."""
    from ..worker_process import PYTHON_VARIABLE

    if os.environ.get(PYTHON_VARIABLE) or shutil.which("PythonSlicer"):
        return None
    return shutil.which("PythonSlicer", path=os.path.join(slicer.app.slicerHome, "bin"))
