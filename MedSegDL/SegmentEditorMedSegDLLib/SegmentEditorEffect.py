import os
import time

import qt
import slicer
import vtk
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect
from slicer.i18n import tr as _

from MedSegDLLib.gui.effect_view import EffectView
from MedSegDLLib.gui.install import Installation
from MedSegDLLib.gui.scripted_editor import ScriptedEditor
from MedSegDLLib.gui.shared import sharedPreparation, sharedSegmenter
from MedSegDLLib.interaction.effect import EffectPresenter
from MedSegDLLib.interaction.gestures import Drag, Kind, behind_surface, gesture_marks, point_at, to_ras
from MedSegDLLib.interaction.wording import EffectWording
from MedSegDLLib.scene.edited import EditedScene

RESOURCES = os.path.join(os.path.dirname(os.path.dirname(__file__)), "Resources")
SECONDS_BETWEEN_LOOKS = 0.005


class SegmentEditorEffect(AbstractScriptedSegmentEditorEffect):
    """Click a structure, and it becomes the current segment."""

    def __init__(self, scriptedEffect):
        scriptedEffect.name = "MedSeg"  # not translated: scripts find the effect by it
        scriptedEffect.title = _("MedSeg")
        scriptedEffect.perSegment = False  # segments can be made, so none need be selected
        scriptedEffect.requireSegments = False
        AbstractScriptedSegmentEditorEffect.__init__(self, scriptedEffect)
        self.presenter = None  # the effect that is only registered has none: it has no options
        self.view = None
        self._installation = None
        self._drag = None
        self._pressedIn3D = None
        self._sliceNode = None
        self._observations = []
        self._escapeFilter = None

    # What Slicer asks

    def clone(self):
        import qSlicerSegmentationsEditorEffectsPythonQt as effects

        clonedEffect = effects.qSlicerSegmentEditorScriptedEffect(None)
        clonedEffect.setPythonSource(__file__.replace("\\", "/"))
        return clonedEffect

    def icon(self):
        icon = qt.QIcon(os.path.join(RESOURCES, "Icons", "MedSegDL.svg"))
        return qt.QIcon(icon.pixmap(qt.QSize(64, 64)))  # of a size: the cursor of the base class asks for the first one

    def helpText(self):
        return "<html>" + _("""Segment a structure with a few clicks<br>.
<p><ul style="margin: 0">
<li><b>Left click:</b> the structure at this point, in a slice view or on a surface in a 3D view.
<li><b>Ctrl + left click:</b> not this.
<li><b>Left drag:</b> a stroke inside the structure. <b>Shift + left drag:</b> a box around it.
<li><b>Click on a drawn point:</b> remove it.
<li><b>Enter:</b> keep the preview in the selected segment. <b>Esc:</b> discard it.
</ul><p>
"Segment everything" runs a model over the whole volume. The image never leaves this computer.""")

    def createCursor(self, _viewWidget):
        return qt.QCursor(qt.Qt.CrossCursor)

    def setupOptionsFrame(self):
        self.view = EffectView(self.scriptedEffect, os.path.join(RESOURCES, "UI", "SegmentEditorMedSeg.ui"))
        scene = EditedScene(ScriptedEditor(self.scriptedEffect), self._currentSliceNode, lambda: self.view.roiNode)
        segmenter = sharedSegmenter()
        self._installation = Installation(isWanted=lambda: self.presenter.is_running)
        self.presenter = EffectPresenter(
            segmenter.worker,
            segmenter,
            scene,
            self.view,
            EffectWording(_),
            prepare=sharedPreparation() or self._installation.prepare,
        )
        self.view.start(self.presenter)

    def activate(self):
        self.view.refreshModels()
        self._observeScene()
        self._guardEscape()
        self.presenter.activate()

    def deactivate(self):
        self._drag = self._pressedIn3D = None
        self._unguardEscape()
        self._unobserveScene()
        self.presenter.deactivate()
        self.view.previews.clear()  # also a drag that has not ended

    def cleanup(self):
        self._unguardEscape()
        self._unobserveScene()
        if self.presenter:
            self._installation.close()
            self.presenter.close()
            self.view.close()

    def setMRMLDefaults(self):
        self.scriptedEffect.setParameterDefault("Where", "whole")
        self.scriptedEffect.setParameterDefault("Device", "auto")

    def updateGUIFromMRML(self):
        self.view.readOptions()

    def sourceVolumeNodeChanged(self):
        if self.presenter and self.presenter.is_active:
            self.view.refreshModels()
            self.presenter.volume_changed()

    def layoutChanged(self):
        if self.presenter and self.presenter.is_active:
            self.view.previews.layoutChanged()

    def processViewNodeEvents(self, callerViewNode, _eventId, viewWidget):
        if callerViewNode and callerViewNode.IsA("vtkMRMLSliceNode"):
            self.view.previews.follow(viewWidget)

    def processInteractionEvents(self, callerInteractor, eventId, viewWidget):
        if eventId == vtk.vtkCommand.KeyPressEvent:
            return self._onKey(callerInteractor.GetKeySym())
        if viewWidget.className() == "qMRMLSliceWidget":
            return self._onSliceEvent(callerInteractor, eventId, viewWidget)
        if viewWidget.className() == "qMRMLThreeDWidget":
            self._onThreeDEvent(callerInteractor, eventId, viewWidget)
        return False  # a 3D view turns as ever: a click there is a press and a release in one place

    # For scripts and tests: the same that the mouse and the keys do

    def addPoint(self, ras, include=True):
        """Click at a position; returns at once. False where it was refused."""
        return self.presenter.clicks.add_point(tuple(float(x) for x in ras), include)

    def addStroke(self, ras, include=True, radiusMm=0.0):
        """Draw through positions (n, 3)."""
        return self.presenter.clicks.add_stroke(ras, include, radiusMm)

    def addBox(self, ras, include=True):
        """Draw a box between two opposite corners (2, 3)."""
        return self.presenter.clicks.add_box(ras, include)

    def undoPoint(self):
        """Take back what was drawn last."""
        self.presenter.clicks.undo()

    def waitUntilIdle(self, seconds=60.0):
        """Wait for what was asked for.

        :raises MedSegDLLib.errors.MedSegError: what failed.
        :raises TimeoutError: it is not there in time.
        """
        deadline = time.monotonic() + seconds
        while self.presenter.is_busy:
            slicer.app.processEvents()
            self.presenter.poll()
            if time.monotonic() > deadline:
                raise TimeoutError(f"MedSeg is not done after {seconds:g} s: {self.view.panel.status}")
            time.sleep(SECONDS_BETWEEN_LOOKS)
        self._raiseFailure()

    def keep(self):
        """Write the preview into the selected segment; returns whether there was one.

        :raises MedSegDLLib.errors.MedSegError: why it could not be written.
        """
        kept = self.presenter.clicks.keep()
        self._raiseFailure()
        return kept

    def discard(self):
        """Drop the preview and its points."""
        self.presenter.clicks.discard()

    def segmentEverything(self, modelName):
        """Begin to run a model over the region that is set; `waitUntilIdle` waits for it. False: it was refused."""
        return self.presenter.segment_everything(modelName)

    def _raiseFailure(self):
        if self.presenter.error:
            raise self.presenter.error

    # Mouse

    def _onSliceEvent(self, interactor, eventId, sliceWidget):
        """Returns whether the view must not see the event."""
        self._sliceNode = sliceWidget.mrmlSliceNode()
        if eventId in (vtk.vtkCommand.LeftButtonPressEvent, vtk.vtkCommand.LeftButtonDoubleClickEvent):
            # the second of two quick clicks is a double click, which would otherwise enlarge the view
            if interactor.GetAltKey():
                return False
            position = interactor.GetEventPosition()
            if eventId == vtk.vtkCommand.LeftButtonDoubleClickEvent and self._pointAt(position, sliceWidget):
                return True  # it would take back what the first click drew
            self._drag = Drag(position, bool(interactor.GetControlKey()), bool(interactor.GetShiftKey()))
            return True
        if self._drag is None:
            return False
        if eventId == vtk.vtkCommand.MouseMoveEvent:
            self._drag.move(interactor.GetEventPosition())
            self._drawDrag(sliceWidget)
            return True
        if eventId == vtk.vtkCommand.LeftButtonReleaseEvent:
            self._drag.move(interactor.GetEventPosition())
            gesture, self._drag = self._drag.gesture, None
            self.view.previews.drawDraft(sliceWidget, [], True)
            self._onGesture(gesture, _xyToRas(sliceWidget))
            return True
        return False

    def _drawDrag(self, sliceWidget):
        gesture = self._drag.gesture
        self.view.previews.drawDraft(sliceWidget, gesture_marks(gesture), self.view.includes != gesture.inverted)

    def _pointAt(self, xy, sliceWidget):
        return point_at(self.presenter.clicks.prompts, xy, _xyToRas(sliceWidget)) is not None

    def _onGesture(self, gesture, xyToRas):
        ras, include = to_ras(gesture.path, xyToRas), self.view.includes != gesture.inverted
        if gesture.kind is Kind.STROKE:
            self.presenter.clicks.add_stroke(ras, include, self.view.strokeRadiusMm)
        elif gesture.kind is Kind.BOX:
            self.presenter.clicks.add_box(ras, include)
        else:
            drawn = point_at(self.presenter.clicks.prompts, gesture.path[0], xyToRas)
            if drawn is None:
                self.presenter.clicks.add_point(tuple(ras[0]), include)
            else:
                self.presenter.clicks.remove(drawn)

    def _onThreeDEvent(self, interactor, eventId, viewWidget):
        if eventId == vtk.vtkCommand.LeftButtonPressEvent:
            shifted = interactor.GetShiftKey() or interactor.GetAltKey()
            self._pressedIn3D = (
                None if shifted else Drag(interactor.GetEventPosition(), bool(interactor.GetControlKey()))
            )
        elif eventId == vtk.vtkCommand.MouseMoveEvent and self._pressedIn3D:
            self._pressedIn3D.move(interactor.GetEventPosition())
        elif eventId == vtk.vtkCommand.LeftButtonReleaseEvent and self._pressedIn3D:
            gesture, self._pressedIn3D = self._pressedIn3D.gesture, None
            if gesture.kind is Kind.CLICK:
                self._clickSurface(gesture, viewWidget)

    def _clickSurface(self, gesture, viewWidget):
        renderer = self.scriptedEffect.renderer(viewWidget)
        picker = vtk.vtkCellPicker()
        picker.SetTolerance(0.005)
        x, y = gesture.path[0]
        volumeNode = self.scriptedEffect.parameterSetNode().GetSourceVolumeNode()
        if volumeNode is None or renderer is None or not picker.Pick(x, y, 0, renderer):
            return
        positions = picker.GetPickedPositions()
        picked = [positions.GetPoint(n) for n in range(positions.GetNumberOfPoints())]
        if picked:
            depth = min(volumeNode.GetSpacing())
            ras = behind_surface(picked, renderer.GetActiveCamera().GetPosition(), depth)
            self.presenter.clicks.add_point(tuple(ras), self.view.includes != gesture.inverted)

    def _currentSliceNode(self):
        """Of the view where the mouse was last."""
        if self._sliceNode is None or not slicer.mrmlScene.IsNodePresent(self._sliceNode):
            layoutManager = slicer.app.layoutManager()
            names = layoutManager.sliceViewNames() if layoutManager else ()
            self._sliceNode = layoutManager.sliceWidget(names[0]).mrmlSliceNode() if names else None
        return self._sliceNode

    # Keys

    def _onKey(self, key):
        """Enter and Esc only where they mean something; all other keys go to whom they belong."""
        panel = self.view.panel
        if key in ("Return", "KP_Enter", "Enter") and panel.can_keep:
            self.view.onKeep()
            return True
        if key == "Escape" and panel.can_discard:
            self.presenter.clicks.discard()
            return True
        return False

    def _guardEscape(self):
        """Esc leaves the effect, by a shortcut of the Segment Editor; while a preview is drawn it discards that."""
        self._unguardEscape()
        self._escapeFilter = EscapeFilter()
        self._escapeFilter.isWanted = lambda: bool(self.view.panel and self.view.panel.can_discard)
        self._escapeFilter.onEscape = self.presenter.clicks.discard
        for shortcut in _shortcutsThatLeaveTheEffect():
            shortcut.installEventFilter(self._escapeFilter)

    def _unguardEscape(self):
        if self._escapeFilter is not None:
            self._escapeFilter.isWanted = self._escapeFilter.onEscape = None
            self._escapeFilter.deleteLater()  # Qt takes it out of what it filters
            self._escapeFilter = None

    # Scene

    def _observeScene(self):
        self._unobserveScene()
        scene = slicer.mrmlScene
        for event, callback in (
            (scene.StartCloseEvent, self._onSceneClosing),
            (scene.NodeRemovedEvent, self._onNodeRemoved),
        ):
            self._observations.append((scene, scene.AddObserver(event, callback)))

    def _unobserveScene(self):
        for scene, tag in self._observations:
            scene.RemoveObserver(tag)
        self._observations = []

    def _onSceneClosing(self, _scene, _event):
        self.presenter.scene_closed()

    def _onNodeRemoved(self, _scene, _event):
        self.view.lookAgain()


class EscapeFilter(qt.QObject):
    """Sees a shortcut before it acts."""

    def __init__(self, *args, **kwargs):
        qt.QObject.__init__(self, *args, **kwargs)
        self.isWanted = None
        self.onEscape = None

    def eventFilter(self, _object, event):
        if event.type() != qt.QEvent.Shortcut or self.isWanted is None or not self.isWanted():
            return False
        self.onEscape()
        return True


def _shortcutsThatLeaveTheEffect():
    """qMRMLSegmentEditorWidget marks its shortcuts by the number of the effect that they choose; 0 is none."""
    mainWindow = slicer.util.mainWindow()
    children = mainWindow.children() if mainWindow else []
    return [child for child in children if child.className() == "QShortcut" and child.property("effectIndex") == 0]


def _xyToRas(sliceWidget):
    return slicer.util.arrayFromVTKMatrix(sliceWidget.mrmlSliceNode().GetXYToRAS())
