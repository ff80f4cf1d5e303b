"""The one warm worker of the session, which the module and the effect share, and the end of its life."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import slicer

if TYPE_CHECKING:
    from ..interaction.installing import Prepare
    from ..scene.run import Segmenter

WORKER_PYTHON_SETTING = "MedSegDL/WorkerPython"

_segmenter: Segmenter | None = None
_prepare: Prepare | None = None


def nothingToPrepare(_bundle, _device: str, done: Callable[[str], None]) -> None:
    """A `Prepare` for a worker that has all it needs."""
    done("")


def sharedSegmenter() -> Segmenter:
    """Made at the first call; its process starts with the first request."""
    global _segmenter
    if _segmenter is None:
        from ..client import Worker
        from ..scene.run import Segmenter

        _segmenter = Segmenter(Worker(python=chosenPython()))
        _endItInTime()
    return _segmenter


def sharedPreparation() -> Prepare | None:
    """What looks at the packages of a segmenter that came by `useSegmenter`; None for the session's own."""
    return _prepare


def useSegmenter(segmenter: Segmenter, prepare: Prepare = nothingToPrepare) -> None:
    """Let this be the shared one; for the effects that are made from now on."""
    global _segmenter, _prepare
    _segmenter, _prepare = segmenter, prepare
    _endItInTime()


@cache
def _endItInTime() -> None:
    """The worker ends with the scene, whose image it holds, and with Slicer, whoever of its users is there then."""
    if not hasattr(slicer, "app"):
        return
    scene = slicer.mrmlScene
    observation = scene.AddObserver(scene.EndCloseEvent, lambda _scene, _event: closeWorker())

    def onQuit() -> None:
        scene.RemoveObserver(observation)  # its destruction closes it once more, when nobody may look at it
        closeWorker()

    slicer.app.connect("aboutToQuit()", onQuit)


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


def workerPython() -> str:
    """The Python that runs the worker: the user's own, or Slicer's.

    Raises:
        WorkerError: there is none.
    """
    from ..worker_process import find_python

    return find_python(chosenPython())


def _pythonBesideApplication() -> str | None:
    """Slicer's own, where Slicer was not started by its launcher, which would have put it on the path."""
    from ..worker_process import PYTHON_VARIABLE

    if os.environ.get(PYTHON_VARIABLE) or shutil.which("PythonSlicer"):
        return None
    return shutil.which("PythonSlicer", path=os.path.join(slicer.app.slicerHome, "bin"))
