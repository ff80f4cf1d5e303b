"""What MedSegTrain's window has of Qt and Slicer beyond `fake_qt` and `fake_slicer`: tables, paths, ticked trees."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import slicer

import fake_qt
import fake_slicer
from fake_qt import CHECKED, UNCHECKED, LineEdit, List, SpinBox, Tree, Widget

RESOURCES = Path(__file__).resolve().parents[2] / "MedSegTrain" / "Resources"

_VIEW = dict.fromkeys(("editTriggers", "selectionBehavior", "selectionMode"))
_PROPERTIES = {
    "QPlainTextEdit": {"readOnly": False, "plainText": "", "placeholderText": ""},
    "QTableWidget": _VIEW,
    "ctkCollapsibleGroupBox": {"title": "", "collapsed": False},
    "ctkPathLineEdit": {"currentPath": "", "filters": None, "settingKey": ""},
}


class PathEdit(Widget):
    """Setting the path tells of it, as Qt's properties do."""

    history: list = []

    def __setattr__(self, name, value):
        changes = name == "currentPath" and value != self.currentPath
        super().__setattr__(name, value)
        if changes:
            self.send("currentPathChanged", value)

    def addCurrentPathToHistory(self):
        """As CTK's: it takes the path out of its list, and what is in the field with it, before it puts it on top."""
        path = self.currentPath
        self.history.append(path)
        self.currentPath = ""
        self.currentPath = path


class CheckBox(fake_qt.Button):
    def __setattr__(self, name, value):
        changes = name == "checked" and value != self.checked
        super().__setattr__(name, value)
        if changes:
            self.send("toggled", value)


class PlainText(Widget):
    def setPlainText(self, text):
        self.plainText = text
        self.send("textChanged")


class TableItem:
    def __init__(self, text=""):
        self._table, self._row, self._column = None, -1, -1
        self._text, self._tip, self._state, self._flags = text, "", UNCHECKED, 0

    def row(self):
        return self._row

    def column(self):
        return self._column

    def text(self):
        return self._text

    def checkState(self):
        return self._state

    def flags(self):
        return self._flags

    def setToolTip(self, tip):
        self._tip = tip

    def toolTip(self):
        return self._tip

    def setFlags(self, flags):
        self._flags = flags

    def setText(self, text):
        self._text = text
        self._changed()

    def setCheckState(self, state):
        self._state = state
        self._changed()

    def _changed(self):
        if self._table is not None:
            self._table.send("itemChanged", self)


class Table(Widget):
    """Items are owned by the table; those of rows that go are gone."""

    kind = "QTableWidget"

    def __init__(self, kind=None, **properties):
        super().__init__(kind, **properties)
        for name, value in {"_cells": {}, "rowCount": 0, "columnCount": 0, "heads": (), "_current": (-1, -1)}.items():
            object.__setattr__(self, name, value)

    def setRowCount(self, count):
        object.__setattr__(self, "rowCount", count)
        object.__setattr__(self, "_cells", {place: item for place, item in self._cells.items() if place[0] < count})

    def setColumnCount(self, count):
        object.__setattr__(self, "columnCount", count)

    def setHorizontalHeaderLabels(self, heads):
        object.__setattr__(self, "heads", tuple(heads))

    def item(self, row, column):
        return self._cells.get((row, column))

    def setItem(self, row, column, item):
        item._table, item._row, item._column = self, row, column
        self._cells[row, column] = item
        self.send("itemChanged", item)

    def setCurrentCell(self, row, column):
        former = self._current
        object.__setattr__(self, "_current", (row, column))
        if former != (row, column):
            self.send("currentCellChanged", row, column, *former)
            self.send("itemSelectionChanged")

    def currentColumn(self):
        return self._current[1]

    def selectedItems(self):
        return [item for (row, _column), item in sorted(self._cells.items()) if row == self._current[0]]

    def texts(self):
        return [
            [self.item(row, column).text() for column in range(9) if self.item(row, column)]
            for row in range(self.rowCount)
        ]


class Label(Widget):
    def setPixmap(self, pixmap):
        object.__setattr__(self, "pixmap", pixmap)


class TreeItem:
    """With a check box in the first column."""

    def __init__(self):
        self.texts, self.tips, self.tree, self.state, self.isHidden = {}, {}, None, UNCHECKED, False

    def setText(self, column, text):
        self.texts[column] = text

    def setToolTip(self, column, text):
        self.tips[column] = text

    def flags(self):
        return 0

    def setFlags(self, flags):
        pass

    def setHidden(self, hidden):
        self.isHidden = hidden

    def checkState(self, column):
        return self.state

    def setCheckState(self, column, state):
        changes, self.state = state != self.state, state
        if changes and self.tree is not None:
            self.tree.send("itemChanged", self, column)


class CheckTree(Tree):
    def addTopLevelItem(self, item):
        item.tree = self
        super().addTopLevelItem(item)

    def topLevelItem(self, row):
        return self.items[row]


class ListItem(fake_qt.Item):
    def setFlags(self, flags):
        pass


class CheckList(List):
    def addItem(self, text):
        self.items.append(ListItem(text, self))


class Settings:
    """What a user's settings file holds."""

    values: dict = {}

    def setValue(self, key, value):
        self.values[key] = value


_CLASSES = {
    "QCheckBox": CheckBox,
    "QLabel": Label,
    "QLineEdit": LineEdit,
    "QListWidget": CheckList,
    "QPlainTextEdit": PlainText,
    "QSpinBox": SpinBox,
    "QTableWidget": Table,
    "QTreeWidget": CheckTree,
    "ctkPathLineEdit": PathEdit,
}


class SingleShots:
    """What was put off to the next turn of the event loop."""

    waiting: list = []

    @classmethod
    def turn(cls):
        waiting, cls.waiting[:] = list(cls.waiting), []
        for function in waiting:
            function()


class TimerWithSingleShots(fake_qt.Timer):
    @staticmethod
    def singleShot(_milliseconds, slot):
        SingleShots.waiting.append(slot)


def install(monkeypatch, scene, layoutManager=None) -> SimpleNamespace:
    """As `fake_slicer.install`, for this module; returns what a test looks at afterwards."""
    fake_slicer.install(monkeypatch, layoutManager)
    monkeypatch.setattr(fake_slicer, "RESOURCES", RESOURCES)
    for kind, properties in _PROPERTIES.items():
        monkeypatch.setitem(fake_qt.PROPERTIES, kind, properties)
    for kind, cls in _CLASSES.items():
        monkeypatch.setitem(fake_qt._CLASSES, kind, cls)
    qt = sys.modules["qt"]
    monkeypatch.setattr(Settings, "values", {})
    monkeypatch.setattr(SingleShots, "waiting", [])
    monkeypatch.setattr(PathEdit, "history", [])
    timer = type(
        "Timer", (fake_qt.Timer,), {"singleShot": staticmethod(lambda _ms, slot: SingleShots.waiting.append(slot))}
    )
    qt.QTimer, qt.QSettings = timer, Settings
    qt.QTableWidgetItem, qt.QTreeWidgetItem = TableItem, TreeItem
    qt.QPixmap = lambda path: path
    opened = []
    qt.QUrl = SimpleNamespace(fromLocalFile=lambda path: path)
    qt.QDesktopServices = SimpleNamespace(openUrl=opened.append)
    qt.Qt = SimpleNamespace(
        Checked=CHECKED,
        Unchecked=UNCHECKED,
        ItemIsEnabled=32,
        ItemIsSelectable=1,
        ItemIsEditable=2,
        ItemIsUserCheckable=16,
    )
    shown = []
    plots = SimpleNamespace(logic=lambda: SimpleNamespace(ShowChartInLayout=shown.append))
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    monkeypatch.setattr(slicer, "modules", SimpleNamespace(plots=plots), raising=False)
    monkeypatch.setattr(slicer.util, "settingsValue", _setting, raising=False)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda *_, **__: True, raising=False)
    slicer.app.testingEnabled = lambda: True
    return SimpleNamespace(opened=opened, charts=shown)


def _setting(key, default, **_):
    return Settings.values.get(key, default)
