"""The effect's drawings in all slice views."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer

from ..prompts import Prompts
from ..volume import Volume
from .preview import PreviewMask, SlicePreview


@dataclass
class _Drawn:
    """A slice view that is drawn in; the renderer outlives its widget, so that nothing is left in it."""

    sliceWidget: object
    renderer: object
    preview: SlicePreview


class SlicePreviews:
    """Draws the same preview and prompts in every slice view that shows the segmentation.

    Args:
        scriptedEffect: knows the views' renderers.
    """

    def __init__(self, scriptedEffect):
        self._effect = scriptedEffect
        self._views: dict[str, _Drawn] = {}
        self._source: Volume | None = None
        self._mask: PreviewMask | None = None
        self._rgb = (1.0, 1.0, 0.0)
        self._prompts = Prompts()

    def draw(self, mask: Volume | None, prompts: Prompts, rgb) -> None:
        """Show these in place of what was shown before."""
        if mask is not self._source:
            self._source, self._mask = mask, PreviewMask(mask) if mask is not None else None
        self._prompts, self._rgb = prompts, rgb
        if mask is None and not prompts:
            self.clear()
            return
        self._findViews()
        for view in self._views.values():
            self._fill(view)
            _place(view)

    def clear(self) -> None:
        """Take everything out of the views."""
        self._source, self._mask, self._prompts = None, None, Prompts()
        for name in list(self._views):
            self._remove(name)

    def layoutChanged(self) -> None:
        """Views came or went."""
        if self._source is not None or self._prompts:
            self.draw(self._source, self._prompts, self._rgb)

    def follow(self, sliceWidget) -> None:
        """A slice was moved or zoomed."""
        if sliceWidget.mrmlSliceNode().GetID() in self._views and (view := self._viewOf(sliceWidget)):
            _place(view)

    def drawDraft(self, sliceWidget, lines: list[np.ndarray], include: bool) -> None:
        """Show a drag that has not ended, in its own view."""
        view = self._viewOf(sliceWidget)
        if view:
            view.preview.set_draft(lines, include)
            _place(view)

    def _findViews(self) -> None:
        present = {}
        layoutManager = slicer.app.layoutManager()
        for name in layoutManager.sliceViewNames() if layoutManager else ():
            sliceWidget = layoutManager.sliceWidget(name)
            if sliceWidget and self._effect.segmentationDisplayableInView(sliceWidget.mrmlSliceNode()):
                present[sliceWidget.mrmlSliceNode().GetID()] = sliceWidget
        for identifier in set(self._views) - set(present):
            self._remove(identifier)
        for sliceWidget in present.values():
            self._viewOf(sliceWidget)

    def _viewOf(self, sliceWidget) -> _Drawn | None:
        identifier = sliceWidget.mrmlSliceNode().GetID()
        renderer = self._effect.renderer(sliceWidget)
        if renderer is None:  # the application is closing
            return None
        view = self._views.get(identifier)
        if view and view.renderer is not renderer:  # another layout made the view anew
            self._remove(identifier)
            view = None
        if view is None:
            view = self._views[identifier] = _Drawn(sliceWidget, renderer, SlicePreview())
            for actor in view.preview.actors:
                renderer.AddViewProp(actor)
            self._fill(view)
        return view

    def _fill(self, view: _Drawn) -> None:
        view.preview.set_mask(self._mask, self._rgb)
        view.preview.set_prompts(self._prompts)

    def _remove(self, identifier: str) -> None:
        view = self._views.pop(identifier)
        for actor in view.preview.actors:
            view.renderer.RemoveViewProp(actor)
        _render(view)


def _place(view: _Drawn) -> None:
    node = view.sliceWidget.mrmlSliceNode()
    view.preview.place(slicer.util.arrayFromVTKMatrix(node.GetXYToRAS()), node.GetDimensions()[:2])
    _render(view)


def _render(view: _Drawn) -> None:
    try:
        view.sliceWidget.sliceView().scheduleRender()
    except (ValueError, RuntimeError):  # PythonQt's, for a widget that the layout has destroyed
        pass
