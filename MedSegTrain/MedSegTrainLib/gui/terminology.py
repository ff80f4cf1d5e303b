"""Choosing in Slicer's terminologies what a structure is."""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _

from MedSegDLLib.labels import Terminology

from ..data.sources.scene import terminology_of


def chosenTerminology(current: Terminology, parent) -> Terminology | None:
    """Ask for codes, beginning with the present ones; None where the user gave up, or nobody is there to ask."""
    if slicer.app.testingEnabled():
        return None
    logic = slicer.modules.terminologies.logic()
    entry = slicer.vtkSlicerTerminologyEntry()
    logic.DeserializeTerminologyEntry(current.to_slicer(), entry)
    dialog = qt.QDialog(parent)
    dialog.windowTitle = _("What the structure is")
    layout = qt.QVBoxLayout(dialog)
    navigator = slicer.qSlicerTerminologyNavigatorWidget()
    navigator.overrideSectionVisible = False
    navigator.setTerminologyEntry(entry)
    layout.addWidget(navigator)
    buttons = qt.QDialogButtonBox()
    buttons.addButton(_("Choose"), qt.QDialogButtonBox.AcceptRole)
    buttons.addButton(_("Cancel"), qt.QDialogButtonBox.RejectRole)
    buttons.connect("accepted()", dialog.accept)
    buttons.connect("rejected()", dialog.reject)
    layout.addWidget(buttons)
    dialog.deleteLater()  # when this call has returned
    if dialog.exec_() != qt.QDialog.Accepted or not navigator.terminologyEntry(entry):
        return None
    return terminology_of(logic.SerializeTerminologyEntry(entry))
