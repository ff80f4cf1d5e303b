"""The panels' .ui files: Slicer reads them only when a panel opens, and says little of what it does not know."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from run import ROOT
from update_cmake import MODULES

UI_FILES = sorted(path for module in MODULES for path in (ROOT / module / "Resources" / "UI").glob("*.ui"))
SOURCES = sorted(
    path for module in MODULES for path in (ROOT / module).rglob("*.py") if "__pycache__" not in path.parts
)

# Classes and what is theirs, read in the headers of Qt 5.15, CTK and Slicer 5.13; add to them from there only.
_WIDGET = {"enabled", "geometry", "maximumSize", "minimumSize", "sizePolicy", "toolTip", "windowTitle", "visible"}
_BUTTON = {"autoExclusive", "checkable", "checked", "icon", "shortcut", "text"}
_FRAME = {"frameShadow", "frameShape", "lineWidth"}
_VIEW = _FRAME | {
    "alternatingRowColors",
    "editTriggers",
    "horizontalScrollBarPolicy",
    "iconSize",
    "selectionBehavior",
    "selectionMode",
    "sizeAdjustPolicy",
    "sortingEnabled",
    "verticalScrollBarPolicy",
}
_SPIN = {"alignment", "buttonSymbols", "keyboardTracking", "prefix", "readOnly", "specialValueText", "suffix"}
_RANGE = {"maximum", "minimum", "singleStep", "value"}
_TREE = {
    "allColumnsShowFocus",
    "columnCount",
    "expandsOnDoubleClick",
    "headerHidden",
    "indentation",
    "itemsExpandable",
    "rootIsDecorated",
    "uniformRowHeights",
    "wordWrap",
}
PROPERTIES = {
    "QCheckBox": _BUTTON | {"tristate"},
    "QComboBox": {"currentIndex", "editable", "insertPolicy", "sizeAdjustPolicy", "minimumContentsLength"},
    "QDoubleSpinBox": _SPIN | _RANGE | {"decimals"},
    "QFrame": _FRAME,
    "QGroupBox": {"checkable", "checked", "flat", "title"},
    "QLabel": _FRAME
    | {"alignment", "indent", "openExternalLinks", "pixmap", "text", "textFormat", "textInteractionFlags", "wordWrap"},
    "QLineEdit": {"clearButtonEnabled", "placeholderText", "readOnly", "text"},
    "QListWidget": _VIEW | {"wordWrap"},
    "QPlainTextEdit": _VIEW | {"lineWrapMode", "maximumBlockCount", "plainText", "readOnly", "placeholderText"},
    "QProgressBar": {"alignment", "format", "maximum", "minimum", "textVisible", "value"},
    "QPushButton": _BUTTON | {"autoDefault", "default", "flat"},
    "QRadioButton": _BUTTON,
    "QSpinBox": _SPIN | _RANGE,
    "QTableWidget": _VIEW | {"columnCount", "rowCount", "showGrid", "wordWrap"},
    "QTextBrowser": _VIEW | {"openExternalLinks"},
    "QToolButton": _BUTTON | {"autoRaise", "toolButtonStyle"},
    "QTreeWidget": _VIEW | _TREE,
    "QWidget": set(),
    "ctkCheckableComboBox": {"defaultText"},
    "ctkCollapsibleButton": {"checked", "collapsed", "collapsedHeight", "contentsFrameShape", "flat", "text"},
    "ctkCollapsibleGroupBox": {"collapsed", "title"},
    "ctkDirectoryButton": {"directory", "text"},
    "ctkPathLineEdit": {"currentPath", "filters", "nameFilters", "settingKey", "showHistoryButton"},
    "ctkSliderWidget": _RANGE | {"decimals", "pageStep", "spinBoxVisible", "suffix", "prefix"},
    "qMRMLCheckableNodeComboBox": {"nodeTypes", "noneEnabled", "addEnabled", "removeEnabled"},
    "qMRMLCollapsibleButton": {"checked", "collapsed", "text"},
    "qMRMLNodeComboBox": {
        "addEnabled",
        "baseName",
        "editEnabled",
        "hideChildNodeTypes",
        "interactionNodeSingletonTag",
        "nodeTypes",
        "noneDisplay",
        "noneEnabled",
        "removeEnabled",
        "renameEnabled",
        "selectNodeUponCreation",
        "showChildNodeTypes",
        "showHidden",
        "sizeAdjustPolicy",
    },
    "qMRMLSegmentationShow3DButton": _BUTTON | {"locked"},
    "qMRMLSpinBox": _SPIN | _RANGE | {"decimals", "quantity"},
    "qMRMLWidget": set(),
}
LAYOUTS = {"QFormLayout", "QGridLayout", "QHBoxLayout", "QVBoxLayout"}
OWN_PROPERTIES = {"SlicerParameterName"}

_CLICKS = {"clicked()", "clicked(bool)", "toggled(bool)", "pressed()", "released()"}
_ITEMS = {"itemChanged", "itemClicked", "itemDoubleClicked"}
SIGNALS = {
    "QCheckBox": _CLICKS | {"stateChanged(int)"},
    "QComboBox": {"activated(int)", "currentIndexChanged(int)", "currentTextChanged(QString)"},
    "QDoubleSpinBox": {"valueChanged(double)", "editingFinished()"},
    "QLabel": {"linkActivated(QString)"},
    "QLineEdit": {"textChanged(QString)", "textEdited(QString)", "editingFinished()", "returnPressed()"},
    "QListWidget": {f"{name}(QListWidgetItem*)" for name in _ITEMS} | {"currentRowChanged(int)"},
    "QPlainTextEdit": {"textChanged()"},
    "QPushButton": _CLICKS,
    "QSpinBox": {"valueChanged(int)", "editingFinished()"},
    "QTableWidget": {f"{name}(QTableWidgetItem*)" for name in _ITEMS}
    | {"cellDoubleClicked(int,int)", "currentCellChanged(int,int,int,int)", "itemSelectionChanged()"},
    "QToolButton": _CLICKS,
    "QTreeWidget": {f"{name}(QTreeWidgetItem*,int)" for name in _ITEMS} | {"itemSelectionChanged()"},
    "ctkCollapsibleButton": {"contentsCollapsed(bool)", "toggled(bool)"},
    "ctkDirectoryButton": {"directoryChanged(QString)"},
    "ctkPathLineEdit": {"currentPathChanged(QString)", "validInputChanged(bool)"},
    "qMRMLNodeComboBox": {"currentNodeChanged(vtkMRMLNode*)", "nodeAddedByUser(vtkMRMLNode*)"},
    "qMRMLSegmentationShow3DButton": _CLICKS,
}
EXPLAINED = {"QLabel", "QFrame", "QWidget", "qMRMLWidget", "QGroupBox"}  # these need no tooltip

pytestmark = pytest.mark.parametrize("path", UI_FILES, ids=lambda path: path.name)


def root_of(path: Path) -> ElementTree.Element:
    return ElementTree.parse(path).getroot()


def widgets_of(path: Path) -> dict[str, ElementTree.Element]:
    return {widget.get("name"): widget for widget in root_of(path).iter("widget")}


def users_of(path: Path) -> list[Path]:
    """The files that say which .ui file their `ui` is from."""
    return [source for source in SOURCES if path.name in _words(source.read_text(encoding="utf-8"))]


def _words(text: str) -> set[str]:
    return {word.strip(".,;:()'\"`") for word in text.replace("/", " ").replace('"', " ").split()}


def uses(source: Path) -> list[tuple[str, str]]:
    """(widget, signal or '') for each `ui.widget` in the code, also in `self.ui.widget`, however it is connected."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    found = [(node.attr, "") for node in ast.walk(tree) if _is_of_ui(node)]
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = getattr(call.func, "attr", "") or getattr(call.func, "id", "")
        if name == "connect" and isinstance(call.func, ast.Attribute) and _is_of_ui(call.func.value):
            found.append((call.func.value.attr, _text(call.args[0])))
        elif name in ("connect", "_connect") and len(call.args) > 1 and _is_of_ui(call.args[0]):
            found.append((call.args[0].attr, _text(call.args[1])))
    return found


def _is_of_ui(node: ast.AST) -> bool:
    owner = node.value if isinstance(node, ast.Attribute) else None
    return isinstance(owner, ast.Name) and owner.id == "ui" or isinstance(owner, ast.Attribute) and owner.attr == "ui"


def _text(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) else ""


def test_it_is_a_designer_file(path):
    root = root_of(path)
    assert (root.tag, root.get("version")) == ("ui", "4.0")
    top = root.find("widget")
    assert top.get("class") == "qMRMLWidget" and top.get("name") == root.findtext("class")


def test_every_name_is_there_once(path):
    named = [element.get("name") for tag in ("widget", "layout", "spacer") for element in root_of(path).iter(tag)]
    assert all(named) and max(Counter(named).values()) == 1


def test_every_class_is_known_and_declared(path):
    root = root_of(path)
    used = {widget.get("class") for widget in root.iter("widget")}
    assert used <= set(PROPERTIES)
    assert {layout.get("class") for layout in root.iter("layout")} <= LAYOUTS
    declared = {one.findtext("class"): one for one in root.iter("customwidget")}
    bases = {one.findtext("extends") for one in declared.values()}
    assert {name for name in used | bases if not name.startswith("Q")} == set(declared)
    assert all(one.findtext("header") == f"{name}.h" for name, one in declared.items())


def test_every_property_belongs_to_its_class(path):
    for name, widget in widgets_of(path).items():
        known = _WIDGET | PROPERTIES[widget.get("class")] | OWN_PROPERTIES
        assert {one.get("name") for one in widget.findall("property")} <= known, name


def test_every_control_explains_itself(path):
    for name, widget in widgets_of(path).items():
        tips = [one for one in widget.findall("property") if one.get("name") == "toolTip"]
        inside_collapsible = widget.get("class") == "ctkCollapsibleButton"
        assert tips or widget.get("class") in EXPLAINED or inside_collapsible, name


def test_every_node_selector_follows_the_scene(path):
    widgets = widgets_of(path)
    connections = [tuple(part.text for part in list(one)[:4]) for one in root_of(path).iter("connection")]
    top = root_of(path).find("widget").get("name")
    followers = {name for name, widget in widgets.items() if widget.get("class").endswith("NodeComboBox")}
    expected = {(top, "mrmlSceneChanged(vtkMRMLScene*)", name, "setMRMLScene(vtkMRMLScene*)") for name in followers}
    assert expected <= set(connections)
    assert all(sender in widgets and receiver in widgets for sender, _, receiver, _ in connections)


def test_what_the_code_names_is_there(path):
    users, widgets = users_of(path), widgets_of(path)
    used = {name for source in users for name, _ in uses(source)}
    assert used, f"no file of the code says that it uses {path.name}"
    assert used <= set(widgets)


def test_what_the_code_waits_for_is_said(path):
    widgets = widgets_of(path)
    for source in users_of(path):
        for name, signal in uses(source):
            assert not signal or signal in SIGNALS[widgets[name].get("class")], f"{source.name}: {name}, {signal}"


def test_nothing_is_styled(path):
    assert "styleSheet" not in path.read_text(encoding="utf-8")
