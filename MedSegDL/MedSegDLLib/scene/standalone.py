"""Slicer's own Python without the application, where `slicer` knows nodes but no logics of modules."""

from __future__ import annotations

import sys

import slicer
import slicer.util

_MODULES = ("Segmentations", "Terminologies")


def complete_slicer() -> None:
    """Give `slicer` the logics that `headless` needs; in the application and with slicer-core they are there already.

    They lie on PythonSlicer's path, from which the application takes them in the same way when it loads its modules.
    """
    if hasattr(slicer, "vtkSlicerSegmentationsModuleLogic"):
        return
    for folder in [folder for folder in sys.path if "qt-loadable-modules" in folder]:
        for module in _MODULES:
            pattern = f"vtkSlicer{module}ModuleLogicPython.*"
            slicer.util.importVTKClassesFromDirectory(folder, "slicer", filematch=pattern)
