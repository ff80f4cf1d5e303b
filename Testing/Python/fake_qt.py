"""Stand-ins for Qt, CTK and the qMRML widgets, so that the code of the windows runs without them.

They know widgets by their .ui file and refuse properties that a class does not have: a mistyped name fails here. What
they show is that the code runs and what it shows; that Qt has what it calls is for a real Slicer.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import MagicMock
from xml.etree import ElementTree

CHECKED, UNCHECKED = 2, 0
TOOL_TIP_ROLE, USER_ROLE = 3, 256
DISABLED_ROLE = USER_ROLE - 1

_COMMON = {
    "enabled": True,
    "visible": True,
    "toolTip": "",
    "minimumSize": None,
    "maximumSize": None,
    "sizePolicy": None,
}
_TEXT = {"text": "", "wordWrap": False, "textInteractionFlags": None, "textFormat": None}
_BUTTON = {"text": "", "checkable": False, "checked": False, "autoExclusive": False}
_SPIN = {"value": 0, "minimum": 0, "maximum": 99, "suffix": "", "specialValueText": "", "decimals": 1, "singleStep": 1}
_NODES = dict.fromkeys(
    ("nodeTypes", "showChildNodeTypes", "noneEnabled", "noneDisplay", "addEnabled", "removeEnabled", "renameEnabled")
)
_TREE = dict.fromkeys(("rootIsDecorated", "uniformRowHeights", "allColumnsShowFocus"))
PROPERTIES = {
    "QCheckBox": _BUTTON,
    "QComboBox": {"currentIndex": -1, "sizeAdjustPolicy": None, "minimumContentsLength": 0},
    "QDoubleSpinBox": _SPIN,
    "QFrame": {},
    "QLabel": _TEXT,
    "QLineEdit": {"text": "", "placeholderText": "", "clearButtonEnabled": False},
    "QListWidget": {},
    "QPlainTextEdit": {"readOnly": False},
    "QProgressBar": {"minimum": 0, "maximum": 100, "value": 0},
    "QPushButton": _BUTTON,
    "QSpinBox": _SPIN,
    "QToolButton": _BUTTON,
    "QTreeWidget": _TREE,
    "QWidget": {},
    "ctkCollapsibleButton": {"text": "", "collapsed": False},
    "ctkPathLineEdit": {"currentPath": ""},
    "qMRMLNodeComboBox": _NODES,
    "qMRMLSegmentationShow3DButton": _BUTTON,
    "qMRMLWidget": {},
}


class Sender:
    """Signals as PythonQt connects them."""

    def __init__(self):
        object.__setattr__(self, "slots", [])
        object.__setattr__(self, "blocked", False)

    def connect(self, signal, slot):
        self.slots.append((signal, slot))

    def disconnect(self, signal, slot):
        self.slots.remove((signal, slot))

    def blockSignals(self, blocked):
        was = self.blocked
        object.__setattr__(self, "blocked", blocked)
        return was

    def send(self, signal, *values):
        """As the user, or the widget itself, does it; a slot of a signal without arguments gets none."""
        for name, slot in () if self.blocked else list(self.slots):
            title, _, arguments = name.partition("(")
            if title == signal:
                slot(*(values if arguments != ")" else ()))


class Timer(Sender):
    """Runs when a test calls `turn`, which is what the event loop does once in a while."""

    timers: list = []

    def __init__(self, parent=None):
        super().__init__()
        self.active = False
        self.timers.append(self)

    def setInterval(self, milliseconds):
        self.interval = milliseconds

    def start(self):
        self.active = True

    def stop(self):
        self.active = False

    @classmethod
    def turn(cls):
        for timer in list(cls.timers):
            if timer.active:
                timer.send("timeout")


class Layout:
    def __init__(self, owner=None):
        self.widgets = []
        if owner is not None:
            object.__setattr__(owner, "_layout", self)

    def addWidget(self, widget):
        self.widgets.append(widget)

    def addRow(self, title, widget):
        self.widgets.append((title, widget))

    def setContentsMargins(self, *margins):
        pass


class Widget(Sender):
    """Only properties that its class has can be set."""

    kind = "QWidget"

    def __init__(self, kind=None, **properties):
        super().__init__()
        kind = kind or self.kind
        parameter = properties.pop("SlicerParameterName", None)
        known = {**_COMMON, **PROPERTIES[kind]}
        unknown = properties.keys() - known.keys()
        assert not unknown, f"a {kind} has no {unknown}"
        values = {"kind": kind, "_parameter": parameter, "_layout": Layout(), "isDeleted": False}
        for name, value in {**values, **known, **properties}.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_known", set(known))

    def __setattr__(self, name, value):
        assert name in self._known, f"a {self.kind} has no property '{name}'"
        object.__setattr__(self, name, value)

    def property(self, name):
        return self._parameter if name == "SlicerParameterName" else getattr(self, name, None)

    def layout(self):
        return self._layout

    def setMRMLScene(self, scene):
        object.__setattr__(self, "scene", scene)

    def deleteLater(self):
        object.__setattr__(self, "isDeleted", True)


class Button(Widget):
    def click(self):
        """By the user: a grey one does nothing."""
        if self.enabled:
            if self.checkable or self.kind == "QCheckBox":
                self.setChecked(not self.checked)
            self.send("clicked", self.checked)

    def setChecked(self, checked):
        self.checked = checked
        self.send("toggled", checked)


class SpinBox(Widget):
    def setValue(self, value):
        self.value = value
        self.send("valueChanged", value)


class LineEdit(Widget):
    def type(self, text):
        """By the user."""
        self.text = text
        self.send("textChanged", text)


class PlainText(Widget):
    def setPlainText(self, text):
        object.__setattr__(self, "plainText", text)


class Combo(Widget):
    def __init__(self, kind=None, **properties):
        super().__init__(kind, **properties)
        object.__setattr__(self, "rows", [])

    @property
    def texts(self):
        return [row[0] for row in self.rows]

    def addItem(self, text, data=None):
        self.rows.append((text, data, {}))
        if self.currentIndex < 0:
            self.setCurrentIndex(0)

    def clear(self):
        self.rows.clear()
        self.currentIndex = -1

    def itemData(self, row):
        return self.rows[row][1] if 0 <= row < len(self.rows) else None

    def setItemData(self, row, value, role):
        self.rows[row][2][role] = value

    def dataOf(self, row, role):
        return self.rows[row][2].get(role)

    def findData(self, data):
        return next((number for number, row in enumerate(self.rows) if row[1] == data), -1)

    def setCurrentIndex(self, row):
        if row != self.currentIndex and row < len(self.rows):
            self.currentIndex = row
            self.send("currentIndexChanged", row)

    def pick(self, data):
        """By the user; a grey row cannot be picked."""
        row = self.findData(data)
        assert row >= 0 and self.dataOf(row, DISABLED_ROLE) is None
        self.setCurrentIndex(row)


class Item:
    """A row of a list or a tree."""

    def __init__(self, text="", owner=None):
        self.owner, self.texts, self.tips, self.state = owner, {0: text}, {}, None

    def text(self):
        return self.texts[0]

    def setText(self, column, text):
        self.texts[column] = text

    def setToolTip(self, column, text):
        self.tips[column] = text

    def setIcon(self, column, icon):
        pass

    def checkState(self):
        return self.state

    def setCheckState(self, state):
        self.state = state
        if self.owner:
            self.owner.send("itemChanged", self)


class List(Widget):
    def __init__(self, kind=None, **properties):
        super().__init__(kind, **properties)
        object.__setattr__(self, "items", [])

    @property
    def count(self):
        return len(self.items)

    def clear(self):
        self.items.clear()

    def addItem(self, text):
        self.items.append(Item(text, self))

    def addItems(self, texts):
        for text in texts:
            self.addItem(text)

    def item(self, row):
        return self.items[row]


class Tree(Widget):
    def __init__(self, kind=None, **properties):
        super().__init__(kind, **properties)
        object.__setattr__(self, "items", [])
        object.__setattr__(self, "_selected", None)

    @property
    def topLevelItemCount(self):
        return len(self.items)

    def clear(self):
        self.items.clear()
        self.clearSelection()

    def addTopLevelItem(self, item):
        self.items.append(item)

    def selectedItems(self):
        return (self._selected,) if self._selected else ()

    def clearSelection(self):
        object.__setattr__(self, "_selected", None)

    def setCurrentItem(self, item):
        if item is not self._selected:
            object.__setattr__(self, "_selected", item)
            self.send("itemSelectionChanged")

    def indexOfTopLevelItem(self, item):
        return self.items.index(item) if item in self.items else -1

    def resizeColumnToContents(self, column):
        pass


class NodeCombo(Widget):
    kind = "qMRMLNodeComboBox"

    def __init__(self, kind=None, **properties):
        super().__init__(kind, **properties)
        object.__setattr__(self, "node", None)

    def currentNode(self):
        return self.node

    def setCurrentNode(self, node):
        if node is not self.node:
            object.__setattr__(self, "node", node)
            self.send("currentNodeChanged", node)


class Show3D(Button):
    def setSegmentationNode(self, node):
        object.__setattr__(self, "node", node)


_CLASSES = {
    "QCheckBox": Button,
    "QComboBox": Combo,
    "QDoubleSpinBox": SpinBox,
    "QLineEdit": LineEdit,
    "QListWidget": List,
    "QPlainTextEdit": PlainText,
    "QPushButton": Button,
    "QSpinBox": SpinBox,
    "QToolButton": Button,
    "QTreeWidget": Tree,
    "qMRMLNodeComboBox": NodeCombo,
    "qMRMLSegmentationShow3DButton": Show3D,
}


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


def widgets_of(path: Path | str) -> SimpleNamespace:
    """The named widgets of a .ui file, each with what is set there."""
    found = {}
    for element in ElementTree.parse(path).iter("widget"):
        kind = element.get("class")
        found[element.get("name")] = _CLASSES.get(kind, Widget)(kind, **_properties(element))
    return SimpleNamespace(**found)


def _properties(element) -> dict:
    return {entry.get("name"): _value(entry[0]) for entry in element.findall("property")}


def _value(element):
    if element.tag == "bool":
        return element.text == "true"
    if element.tag in ("number", "double"):
        return float(element.text) if element.tag == "double" else int(element.text)
    return element.text or ""


def module() -> ModuleType:
    """What `import qt` finds."""
    qt = ModuleType("qt")
    qt.QTimer, qt.QObject, qt.QTreeWidgetItem = Timer, QObject, Item
    qt.QWidget, qt.QFormLayout, qt.QSize = Widget, Layout, lambda *size: size
    qt.QPixmap = qt.QColor = qt.QSettings = qt.QUrl = qt.QFileDialog = qt.QDesktopServices = MagicMock()
    qt.QIcon = qt.QCursor = lambda *arguments: SimpleNamespace(pixmap=lambda *size: size, arguments=arguments)
    qt.Qt = SimpleNamespace(
        Checked=CHECKED, Unchecked=UNCHECKED, CrossCursor=2, UserRole=USER_ROLE, ToolTipRole=TOOL_TIP_ROLE
    )
    qt.QEvent = SimpleNamespace(Shortcut=117)
    return qt
