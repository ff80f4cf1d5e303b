"""Filling and setting widgets without their telling of it, as of something that the user did."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import contextmanager


@contextmanager
def silent(widget):
    """Let the widget say nothing."""
    wasBlocked = widget.blockSignals(True)
    try:
        yield widget
    finally:
        widget.blockSignals(wasBlocked)


def fill(comboBox, rows: Iterable[tuple[str, str]]) -> None:
    """Rows of (value, text) in place of those there."""
    with silent(comboBox):
        comboBox.clear()
        for value, text in rows:
            comboBox.addItem(text, value)


def chosen(comboBox) -> str:
    """The value of the row that is chosen; '' without one."""
    return comboBox.itemData(comboBox.currentIndex) or ""


def remember(pathEdit) -> None:
    """Offer its path again another time.

    Without `silent` a ctkPathLineEdit would tell of another path in between: it takes the path out of its list, which
    changes what is in the field, before it puts it on top.
    """
    with silent(pathEdit):
        pathEdit.addCurrentPathToHistory()


def choose(comboBox, value: str) -> None:
    """Choose the row of this value; the first where there is none."""
    with silent(comboBox):
        comboBox.setCurrentIndex(max(0, comboBox.findData(value)))
