"""A module's parameter node, joined with the widgets of its panel."""

from __future__ import annotations

from collections.abc import Callable

import vtk
from slicer.util import VTKObservationMixin


class ParameterLink(VTKObservationMixin):
    """Keeps panel and parameter node in step while they are joined.

    Args:
        ui: the widgets by name; those with a SlicerParameterName follow their parameter by themselves.
        onModified: called when a node was joined, and after each change of it.
    """

    def __init__(self, ui, onModified: Callable[[], None]):
        super().__init__()
        self.node = None
        self._ui, self._onModified = ui, onModified
        self._tag = None

    def join(self, node) -> None:
        """Follow this node, in the place of an earlier one."""
        self.part()
        self.node = node
        self._tag = node.connectGui(self._ui)
        self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._modified)
        self._onModified()

    def part(self) -> None:
        """Follow none: the module was left, the scene is closed, or a hidden window would go on to follow it."""
        if self.node is not None:
            self.node.disconnectGui(self._tag)
            self.removeObservers()
            self.node = None

    def _modified(self, _caller, _event) -> None:
        self._onModified()
