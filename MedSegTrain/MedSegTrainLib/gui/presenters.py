"""The presenters of the module's window, with Slicer's ways to do what they leave to others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from MedSegDLLib.gui.background import Background
from MedSegDLLib.gui.install import SlicerPip, mayInstall

from ..data.found import Findings
from ..interaction.data import DataPresenter
from ..interaction.data_wording import DataWording
from ..interaction.desks import ProcessDesk, ThreadDesk
from ..interaction.packages import Packages, Prepare
from ..interaction.plan import PlanPresenter
from ..interaction.result import ResultPresenter
from ..interaction.result_wording import ResultWording
from ..interaction.runs import RunsPresenter
from ..interaction.runs_wording import RunsWording

Python = Callable[[], str]


def dataPresenter(view, python: Python, onDataset: Callable[[Path | None], None]) -> DataPresenter:
    """Files are read in a process of their own, the scene is copied and read on a thread."""
    return DataPresenter(
        view,
        ProcessDesk(python),
        scene=_findingsOfScene,
        scene_desk=lambda findings: ThreadDesk(findings, Background),
        wording=DataWording(_),
        on_dataset=onDataset,
    )


def planPresenter(
    view, python: Python, prepare: Prepare, onStart: Callable[[Path, Path, bool], None], isRunning: Callable[[], bool]
) -> PlanPresenter:
    return PlanPresenter(view, python, prepare, onStart, isRunning, view.wording)


def runsPresenter(
    view, python: Python, prepare: Prepare, onOpened: Callable[[Path], None], onRest: Callable[[], None]
) -> RunsPresenter:
    return RunsPresenter(view, python, onOpened, onRest, prepare, RunsWording(_))


def resultPresenter(view, python: Python, prepare: Prepare, onUsed: Callable[[str], None]) -> ResultPresenter:
    return ResultPresenter(view, python, Background, on_used=onUsed, wording=ResultWording(_), prepare=prepare)


def trainingPackages(python: Python) -> Packages:
    """Looked at beside the window; what is lacking is installed by Slicer's pip, if the user agrees."""
    return Packages(python, Background, SlicerPip(), lambda *told: mayInstall(*told, title="MedSegTrain"), _)


def _findingsOfScene() -> Findings:
    from ..data.sources.scene import find_in_scene

    return find_in_scene(slicer.mrmlScene)
