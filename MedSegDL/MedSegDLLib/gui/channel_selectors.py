"""Volume selectors for the further images of a model that takes several at once."""

from __future__ import annotations

from collections.abc import Callable

import qt
import slicer
from slicer.i18n import tr as _

from .lists import silent


class ChannelSelectors:
    """One selector for each channel after the first; made anew when a model with other channels is chosen.

    Args:
        frame: has a layout that they are put into.
        firstLabel: of the selector of the first image, which is always there.
        onChosen: called with the chosen nodes, None where none is.
    """

    def __init__(self, frame, firstLabel, onChosen: Callable[[tuple], None]):
        self._frame = frame
        self._firstLabel = firstLabel
        self._onChosen = onChosen
        self._form = None
        self._channels: tuple[str, ...] = ()
        self.selectors: list = []
        frame.visible = False

    def show(self, channels: tuple[str, ...], nodes: tuple) -> None:
        """Show what is chosen.

        Args:
            channels: all of the model's; none or one for a model that takes one image.
            nodes: for those after the first; there may be fewer, or more.
        """
        if channels != self._channels:
            self._build(channels)
        for number, selector in enumerate(self.selectors):
            with silent(selector):
                selector.setCurrentNode(nodes[number] if number < len(nodes) else None)

    def close(self) -> None:
        """Let go of the scene."""
        self._build(())

    def _build(self, channels: tuple[str, ...]) -> None:
        self._channels, several = channels, len(channels) > 1
        self._firstLabel.text = f"{channels[0]}:" if several else _("Volume:")
        self._remove()
        self._frame.visible = several
        if several:
            self._form = qt.QWidget()
            layout = qt.QFormLayout(self._form)
            layout.setContentsMargins(0, 0, 0, 0)
            self.selectors = [self._selector(layout, channel) for channel in channels[1:]]
            self._frame.layout().addWidget(self._form)

    def _remove(self) -> None:
        for selector in self.selectors:
            selector.disconnect("currentNodeChanged(vtkMRMLNode*)", self._tell)
            selector.setMRMLScene(None)
        self.selectors = []
        if self._form:
            self._form.visible = False
            self._form.deleteLater()
            self._form = None

    def _selector(self, layout, channel: str):
        selector = slicer.qMRMLNodeComboBox()
        selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        selector.showChildNodeTypes = False
        selector.noneEnabled = True
        selector.addEnabled = False
        selector.removeEnabled = False
        selector.toolTip = _("The image that the model takes as {channel}.").format(channel=channel)
        selector.setMRMLScene(slicer.mrmlScene)
        selector.connect("currentNodeChanged(vtkMRMLNode*)", self._tell)
        layout.addRow(f"{channel}:", selector)
        return selector

    def _tell(self, _node=None) -> None:
        self._onChosen(tuple(selector.currentNode() for selector in self.selectors))
