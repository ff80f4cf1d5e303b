"""As much of Qt, CTK and Slicer's window as the effect touches, so that its code runs without them.

It knows widgets by their .ui file and refuses what they do not have: a mistyped name fails here.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from xml.etree import ElementTree

import slicer

_COMMON = {"enabled": True, "visible": True, "toolTip": ""}
_STATE = {
    "QLabel": {"text": ""},
    "QPushButton": {"text": "", "checked": False},
    "QToolButton": {"text": "", "checked": False},
    "QCheckBox": {"text": "", "checked": False},
    "QDoubleSpinBox": {"value": 0.0},
    "QProgressBar": {"maximum": 100, "value": 0},
    "QComboBox": {"currentIndex": -1},
    "QListWidget": {},
    "ctkCollapsibleButton": {},
    "qMRMLNodeComboBox": {},
    "qMRMLWidget": {},
}


class Sender:
    """Signals as PythonQt connects them."""

    def __init__(self):
        object.__setattr__(self, "slots", [])

    def connect(self, signal, slot):
        self.slots.append((signal, slot))

    def disconnect(self, signal, slot):
        self.slots.remove((signal, slot))

    def send(self, signal, *values):
        if not getattr(self, "blocked", False):
            for name, slot in list(self.slots):
                if name.split("(")[0] == signal:
                    slot(*values)


class Timer(Sender):
    def __init__(self, parent=None):
        super().__init__()
        self.active = False

    def setInterval(self, milliseconds):
        self.interval = milliseconds

    def start(self):
        self.active = True

    def stop(self):
        self.active = False


class Widget(Sender):
    """One of a .ui file; only properties that its class has can be set."""

    def __init__(self, element):
        super().__init__()
        kind = element.get("class")
        known = {**_COMMON, **_STATE[kind]}
        for name, value in {"kind": kind, "blocked": False, "items": [], "node": None, **known}.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "known", set(known))

    def __setattr__(self, name, value):
        assert name in self.known, f"a {self.kind} has no property '{name}'"
        object.__setattr__(self, name, value)

    def blockSignals(self, blocked):
        was = self.blocked
        object.__setattr__(self, "blocked", blocked)
        return was

    def click(self):
        assert self.kind in ("QPushButton", "QToolButton")
        if self.enabled:
            self.send("clicked")

    def setChecked(self, checked):
        self.checked = checked
        self.send("toggled", checked)

    def setValue(self, value):
        self.value = value
        self.send("valueChanged", value)

    # Lists

    def clear(self):
        self.items.clear()
        if self.kind == "QComboBox":
            self.currentIndex = -1

    def addItem(self, text):
        self.items.append(Item(self, text))
        if self.kind == "QComboBox" and self.currentIndex < 0:
            self.setCurrentIndex(0)

    def setCurrentIndex(self, index):
        assert self.kind == "QComboBox"
        changed = index != self.currentIndex and index < len(self.items)
        if changed:
            self.currentIndex = index
            self.send("currentIndexChanged", index)

    def item(self, row):
        return self.items[row]

    @property
    def count(self):
        return len(self.items)

    # Nodes

    def currentNode(self):
        return self.node

    def setCurrentNode(self, node):
        object.__setattr__(self, "node", node)
        self.send("currentNodeChanged", node)

    def setMRMLScene(self, scene):
        pass


class Item:
    def __init__(self, owner, text):
        self._owner, self._text, self._state = owner, text, None

    def text(self):
        return self._text

    def checkState(self):
        return self._state

    def setCheckState(self, state):
        self._state = state
        self._owner.send("itemChanged", self)


class QObject:
    def __init__(self, *_):
        pass

    def deleteLater(self):
        pass


class Event:
    def __init__(self, kind):
        self._kind = kind

    def type(self):
        return self._kind


class Shortcut:
    """One of the main window's, with its dynamic property."""

    def __init__(self, effectIndex):
        self._effectIndex = effectIndex
        self.filters = []

    def className(self):
        return "QShortcut"

    def property(self, name):
        return self._effectIndex if name == "effectIndex" else None

    def installEventFilter(self, eventFilter):
        self.filters.append(eventFilter)


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


def load_ui(path) -> SimpleNamespace:
    """As slicer.util.loadUI and childWidgetVariables together."""
    elements = ElementTree.parse(path).getroot().iter("widget")
    widgets = {element.get("name"): Widget(element) for element in elements}
    for element in ElementTree.parse(path).getroot().iter("widget"):
        for one in element.findall("property"):
            if one.get("name") == "checked":
                object.__setattr__(widgets[element.get("name")], "checked", one.findtext("bool") == "true")
    return SimpleNamespace(**widgets, setMRMLScene=lambda scene: None)


def install(monkeypatch, layoutManager, shortcuts) -> None:
    """Let `import qt` and what belongs to it find these."""
    qt = ModuleType("qt")
    qt.QTimer, qt.QObject, qt.QSize = Timer, QObject, lambda *size: size
    qt.Qt = SimpleNamespace(Checked=2, Unchecked=0, CrossCursor=2)
    qt.QEvent = SimpleNamespace(Shortcut=117)
    qt.QIcon = qt.QCursor = lambda *arguments: SimpleNamespace(pixmap=lambda *size: size, arguments=arguments)
    effects = ModuleType("SegmentEditorEffects")

    class AbstractScriptedSegmentEditorEffect:
        def __init__(self, scriptedEffect):
            self.scriptedEffect = scriptedEffect

    effects.AbstractScriptedSegmentEditorEffect = AbstractScriptedSegmentEditorEffect
    i18n = ModuleType("slicer.i18n")
    i18n.tr = str
    fakes = {"qt": qt, "ctk": ModuleType("ctk"), "SegmentEditorEffects": effects, "slicer.i18n": i18n}
    for name, module in fakes.items():
        monkeypatch.setitem(sys.modules, name, module)
    modes = SimpleNamespace(ModificationModeSet=0, ModificationModeAdd=1, ModificationModeRemove=2)
    app = SimpleNamespace(
        layoutManager=lambda: layoutManager,
        processEvents=lambda: None,
        translate=lambda context, text: text,
        slicerHome="/nowhere",
    )
    monkeypatch.setattr(slicer, "qSlicerSegmentEditorAbstractEffect", modes, raising=False)
    monkeypatch.setattr(slicer, "app", app, raising=False)
    monkeypatch.setattr(slicer.util, "loadUI", load_ui)
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: SimpleNamespace(children=lambda: shortcuts), raising=False)
    monkeypatch.setattr(slicer.util, "childWidgetVariables", lambda widget: widget)
