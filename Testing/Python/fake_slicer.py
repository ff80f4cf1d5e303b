"""Stand-ins for what Slicer's application adds to slicer-core: the editor's effects, its views, scripted modules."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from types import ModuleType, SimpleNamespace

import slicer

import fake_qt
from fake_qt import Layout, NodeCombo, Widget

RESOURCES = Path(__file__).resolve().parents[2] / "MedSegDL" / "Resources"


class ScriptedEffect:
    """A qSlicerSegmentEditorScriptedEffect on a `LogicEditor`."""

    def __init__(self, editor=None):
        self.editor = editor
        self.name = self.title = ""
        self.perSegment = self.requireSegments = True
        self.options = []

    def addOptionsWidget(self, widget):
        self.options.append(widget)

    def parameterSetNode(self):
        return self.editor.node if self.editor else None

    def setParameter(self, name, value):
        assert isinstance(value, str)
        self.parameterSetNode().SetAttribute(f"MedSeg.{name}", value)

    def setParameterDefault(self, name, value):
        if not self.parameterDefined(name):
            self.setParameter(name, value)

    def parameterDefined(self, name):
        return bool(self.parameterSetNode() and self.parameterSetNode().GetAttribute(f"MedSeg.{name}"))

    def parameter(self, name):
        return self.parameterSetNode().GetAttribute(f"MedSeg.{name}")

    def nodeReference(self, name):
        return self.parameterSetNode().GetNodeReference(f"MedSeg.{name}")

    def setNodeReference(self, name, node):
        self.parameterSetNode().SetNodeReferenceID(f"MedSeg.{name}", node.GetID() if node else None)

    def saveStateForUndo(self):
        self.editor.save_state()

    def defaultModifierLabelmap(self):
        return self.editor.blank_modifier()

    def modifySegmentByLabelmap(self, segmentationNode, segmentId, modifier, mode):
        assert segmentationNode is self.editor.segmentation_node
        self.editor.modify(segmentId, modifier, ("set", "add", "remove")[mode])

    def confirmCurrentSegmentVisible(self):
        return 1

    def segmentationDisplayableInView(self, node):
        return True

    def renderer(self, viewWidget):
        return viewWidget.renderer


class View:
    """A slice or 3D view with its widget's, its view's and its interactor's methods in one."""

    def __init__(self, className, node, renderer):
        self._className, self._node, self.renderer = className, node, renderer
        self.renders = 0
        self.destroyed = False

    def className(self):
        return self._className

    def mrmlSliceNode(self):
        return self._node

    def sliceView(self):
        return self

    def scheduleRender(self):
        if self.destroyed:
            raise ValueError("Trying to call 'scheduleRender' on a destroyed ctkVTKSliceView object")
        self.renders += 1


class LayoutManager:
    def __init__(self, slices=(), threeD=()):
        self.slices, self.threeD = dict(slices), list(threeD)

    def sliceViewNames(self):
        return tuple(self.slices)

    def sliceWidget(self, name):
        return self.slices[name]

    def threeDWidget(self, number):
        return self.threeD[number]

    @property
    def threeDViewCount(self):
        return len(self.threeD)


class Application(fake_qt.Sender):
    """slicer.app"""

    slicerHome = "/nowhere"

    def __init__(self, layoutManager=None):
        super().__init__()
        self.layoutManager = lambda: layoutManager

    def processEvents(self):
        fake_qt.Timer.turn()

    def translate(self, context, text):
        return text


class AbstractEffect:
    def __init__(self, scriptedEffect):
        self.scriptedEffect = scriptedEffect


def parameter_node_wrapper(cls):
    """Slicer's decorator, as far as the module needs it: typed members, and an event when one changes."""
    defaults = {}
    for name, kind in cls.__annotations__.items():
        defaults[name] = getattr(cls, name, [] if getattr(kind, "__origin__", None) is list else None)

    class Wrapper:
        def __init__(self, node):
            vars(self)["node"] = node
            if not hasattr(node, "values"):
                node.values, node.observers = dict(defaults), {}

        def __getattr__(self, name):
            return vars(self)["node"].values[name]

        def __setattr__(self, name, value):
            assert name in defaults, f"the parameter node has no '{name}'"
            if self.node.values[name] != value:
                self.node.values[name] = value
                for callback in list(self.node.observers.values()):
                    callback(self, "ModifiedEvent")

        def connectGui(self, ui):
            connected = {widget.property("SlicerParameterName") for widget in vars(ui).values()} - {None}
            assert connected <= defaults.keys(), connected - defaults.keys()
            return 0

        def disconnectGui(self, tag):
            pass

        def AddObserver(self, event, callback, priority=0.0):
            self.node.observers[id(callback)] = callback
            return id(callback)

        def RemoveObserver(self, tag):
            self.node.observers.pop(tag, None)

        def StartModify(self):
            return 0

        def EndModify(self, was):
            pass

    return Wrapper


class _ModuleBase:
    def __init__(self, parent):
        self.parent = parent


class _LogicBase:
    """Its parameter node lasts as long as the logic: a test has one scene."""

    def getParameterNode(self):
        return self.__dict__.setdefault("_node", SimpleNamespace())


class _WidgetBase:
    def __init__(self, parent=None):
        self.parent = parent or SimpleNamespace(isEntered=True)
        self.layout = Layout()

    def setup(self):
        pass

    def resourcePath(self, name):
        return str(RESOURCES / name)


def load_ui(path):
    """As slicer.util.loadUI."""
    loaded = Widget("qMRMLWidget")
    object.__setattr__(loaded, "widgets", fake_qt.widgets_of(path))
    return loaded


def install(monkeypatch, layoutManager=None, shortcuts=()) -> None:
    """Let the files of a window find all of this in place of Qt and of the application."""
    for name, module in _modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    modes = SimpleNamespace(ModificationModeSet=0, ModificationModeAdd=1, ModificationModeRemove=2)
    app = Application(layoutManager)
    window = SimpleNamespace(children=lambda: shortcuts) if shortcuts else None
    monkeypatch.setattr(fake_qt.Timer, "timers", [])
    monkeypatch.setattr(slicer, "app", app, raising=False)
    monkeypatch.setattr(slicer, "qSlicerSegmentEditorAbstractEffect", modes, raising=False)
    monkeypatch.setattr(slicer, "qMRMLNodeComboBox", NodeCombo, raising=False)
    monkeypatch.setattr(slicer.util, "loadUI", load_ui, raising=False)
    monkeypatch.setattr(slicer.util, "childWidgetVariables", lambda ui: ui.widgets, raising=False)
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: window, raising=False)
    monkeypatch.setattr(slicer.util, "settingsValue", lambda key, default, **_: default, raising=False)
    monkeypatch.setattr(slicer.util, "showStatusMessage", lambda *_: None, raising=False)


def _modules() -> dict[str, types.ModuleType]:
    names = ("ctk", "slicer.i18n", "slicer.packaging", "slicer.ScriptedLoadableModule", "slicer.parameterNodeWrapper")
    found = {name: ModuleType(name) for name in (*names, "SegmentEditorEffects")} | {"qt": fake_qt.module()}
    found["SegmentEditorEffects"].AbstractScriptedSegmentEditorEffect = AbstractEffect
    found["slicer.i18n"].tr = str
    found["slicer.i18n"].translate = lambda context, text: text
    wrapper = found["slicer.parameterNodeWrapper"]
    wrapper.parameterNodeWrapper, wrapper.WithinRange = parameter_node_wrapper, lambda low, high: None
    bases = {"": _ModuleBase, "Logic": _LogicBase, "Widget": _WidgetBase, "Test": object}
    for kind, base in bases.items():
        setattr(found["slicer.ScriptedLoadableModule"], f"ScriptedLoadableModule{kind}", base)
    return found
