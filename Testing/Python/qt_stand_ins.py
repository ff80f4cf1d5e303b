"""Enough of Qt and Slicer to run the module's widget: the widgets of a .ui file, which keep what they are told.

They show that the code runs and what it shows, not that Qt has what it calls; that is for a real Slicer.
"""

from __future__ import annotations

import types
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock
from xml.etree import ElementTree


class Widget:
    """Takes any property; `emit` stands for the user."""

    def __init__(self, properties=()):
        self.__dict__.update(properties)
        self._parameter = self.__dict__.pop("SlicerParameterName", None)
        self._slots = defaultdict(list)
        self._blocked = False
        self._layout = Layout()

    def connect(self, signal, slot):
        self._slots[signal].append(slot)

    def emit(self, signal, *arguments):
        for slot in () if self._blocked else list(self._slots[signal]):
            slot(*arguments)

    def blockSignals(self, blocked):
        before, self._blocked = self._blocked, blocked
        return before

    def property(self, name):
        return self._parameter if name == "SlicerParameterName" else getattr(self, name, None)

    def layout(self):
        return self._layout

    def setMRMLScene(self, scene):
        self.scene = scene

    def click(self):
        if self.enabled:
            self.emit("clicked(bool)", False)


class Layout:
    def __init__(self):
        self.widgets = []

    def addWidget(self, widget):
        self.widgets.append(widget)


class Combo(Widget):
    def __init__(self, properties=()):
        super().__init__(properties)
        self._items, self.currentIndex = [], -1

    def addItem(self, text, data):
        self._items.append((text, data))
        if self.currentIndex < 0:
            self.setCurrentIndex(0)

    def clear(self):
        self._items, self.currentIndex = [], -1

    def itemData(self, row):
        return self._items[row][1] if 0 <= row < len(self._items) else None

    def findData(self, data):
        return next((row for row, item in enumerate(self._items) if item[1] == data), -1)

    def setCurrentIndex(self, row):
        if row != self.currentIndex:
            self.currentIndex = row
            self.emit("currentIndexChanged(int)", row)


class Item:
    def __init__(self, text=""):
        self.texts, self.tips, self.state = {0: text}, {}, None

    def setText(self, column, text):
        self.texts[column] = text

    def text(self):
        return self.texts[0]

    def setToolTip(self, column, text):
        self.tips[column] = text

    def setIcon(self, column, icon):
        pass

    def flags(self):
        return 0

    def setFlags(self, flags):
        pass

    def checkState(self):
        return self.state

    def setCheckState(self, state):
        self.state = state


class Tree(Widget):
    def __init__(self, properties=()):
        super().__init__(properties)
        self.items, self._current = [], None

    @property
    def topLevelItemCount(self):
        return len(self.items)

    def clear(self):
        self.items, self._current = [], None

    def addTopLevelItem(self, item):
        self.items.append(item)

    def currentItem(self):
        return self._current

    def setCurrentItem(self, item):
        if item is not self._current:
            self._current = item
            self.emit("itemSelectionChanged()")

    def indexOfTopLevelItem(self, item):
        return self.items.index(item) if item in self.items else -1

    def resizeColumnToContents(self, column):
        pass


class List(Widget):
    def __init__(self, properties=()):
        super().__init__(properties)
        self.items = []

    @property
    def count(self):
        return len(self.items)

    def clear(self):
        self.items = []

    def addItems(self, texts):
        self.items += [Item(text) for text in texts]

    def item(self, row):
        return self.items[row]

    def tick(self, row, state):
        self.items[row].state = state
        self.emit("itemChanged(QListWidgetItem*)", self.items[row])


class Text(Widget):
    def setPlainText(self, text):
        self.text = text


class Show3D(Widget):
    def setSegmentationNode(self, node):
        self.node = node


class Timer:
    """Runs when the test calls `MainLoop.turn`."""

    timers: list = []

    def __init__(self):
        self.active, self._slot = False, None
        self.timers.append(self)

    def setInterval(self, milliseconds):
        pass

    def connect(self, signal, slot):
        self._slot = slot

    def start(self):
        self.active = True

    def stop(self):
        self.active = False

    @classmethod
    def turn(cls):
        """What the event loop does once in a while."""
        for timer in cls.timers:
            if timer.active:
                timer._slot()


_CLASSES = {
    "QComboBox": Combo,
    "QTreeWidget": Tree,
    "QListWidget": List,
    "QPlainTextEdit": Text,
    "qMRMLSegmentationShow3DButton": Show3D,
}


def widgets_of(path: Path) -> SimpleNamespace:
    """The named widgets of a .ui file, each with the texts and flags that it has there."""
    found = {}
    for element in ElementTree.parse(path).iter("widget"):
        cls = _CLASSES.get(element.get("class"), Widget)
        found[element.get("name")] = cls({"enabled": True, "text": "", "checked": False} | _properties(element))
    return SimpleNamespace(**found)


def _properties(element) -> dict:
    properties = {}
    for entry in element.findall("property"):
        value = entry[0]
        text = value.text or ""
        properties[entry.get("name")] = text == "true" if value.tag == "bool" else text
    return properties


def parameter_node_wrapper(cls):
    """Slicer's decorator, as far as the module needs it: typed members, and an event when one changes."""
    defaults = {}
    for name, kind in cls.__annotations__.items():
        defaults[name] = getattr(cls, name, [] if kind == list[str] else None)

    class Wrapper:
        def __init__(self, node):
            vars(self)["node"] = node
            if not hasattr(node, "values"):
                node.values, node.observers = dict(defaults), {}

        def __getattr__(self, name):
            return vars(self)["node"].values[name]

        def __setattr__(self, name, value):
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


def modules() -> dict[str, types.ModuleType]:
    """What the module's files import from the application, to be put into `sys.modules`."""
    names = (
        "qt",
        "ctk",
        "slicer.i18n",
        "slicer.packaging",
        "slicer.ScriptedLoadableModule",
        "slicer.parameterNodeWrapper",
    )
    found = {name: types.ModuleType(name) for name in names}
    qt = found["qt"]
    qt.QTimer, qt.QTreeWidgetItem = Timer, Item
    qt.QPixmap = qt.QColor = qt.QIcon = qt.QSettings = qt.QUrl = qt.QFileDialog = qt.QDesktopServices = MagicMock()
    qt.Qt = SimpleNamespace(Checked=2, Unchecked=0, ItemIsUserCheckable=16)
    found["slicer.i18n"].tr = str
    found["slicer.i18n"].translate = lambda context, text: text
    wrapper = found["slicer.parameterNodeWrapper"]
    wrapper.parameterNodeWrapper, wrapper.WithinRange = parameter_node_wrapper, lambda low, high: None
    for kind in ("", "Logic", "Widget", "Test"):
        setattr(found["slicer.ScriptedLoadableModule"], f"ScriptedLoadableModule{kind}", _bases[kind])
    return found


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
        return str(Path(__file__).resolve().parents[2] / "MedSegDL" / "Resources" / name)


_bases = {"": _ModuleBase, "Logic": _LogicBase, "Widget": _WidgetBase, "Test": object}
