"""Tables of text that are written anew without losing what is selected in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import qt

from MedSegDLLib.gui.lists import silent


@dataclass(frozen=True)
class Cell:
    """What a cell shows.

    Args:
        text: '' for an empty one.
        tip: on hovering; the text where there is none.
        editable: the text can be changed in place.
        checked: the state of its check box; None for a cell without one.
    """

    text: str
    tip: str = ""
    editable: bool = False
    checked: bool | None = None


class TextTable:
    """Fills a QTableWidget; only what has changed is written, and nothing of it counts as done by the user."""

    def __init__(self, table):
        self.table = table
        self._shown: list[tuple[Cell, ...]] = []
        self._heads: tuple[str, ...] = ()

    def setHeads(self, heads: Sequence[str]) -> None:
        """Titles of the columns, where they are not those of the .ui file."""
        if tuple(heads) != self._heads:
            self._heads = tuple(heads)
            with silent(self.table):
                self.table.setColumnCount(len(heads))
                self.table.setHorizontalHeaderLabels(list(heads))

    def show(self, rows: Sequence[tuple[Cell, ...]]) -> None:
        with silent(self.table):
            self.table.setRowCount(len(rows))
            for number, row in enumerate(rows):
                former = self._shown[number] if number < len(self._shown) else ()
                for column, cell in enumerate(row):
                    if column >= len(former) or cell != former[column]:
                        self._write(number, column, cell)
        self._shown = list(rows)

    def forget(self, row: int) -> None:
        """Of a row that the user has changed nobody knows what it shows: it is written anew."""
        if row < len(self._shown):
            self._shown[row] = ()

    def select(self, row: int, column: int | None = None) -> None:
        """Make it the current cell, in the present column unless another is given; row -1 for none.

        A row that stayed selected with nothing to show for it could not be selected anew: Qt tells of changes only.
        """
        if column is None:
            column = max(0, self.table.currentColumn())
        with silent(self.table):
            self.table.setCurrentCell(row, column if row >= 0 else -1)

    def _write(self, row: int, column: int, cell: Cell) -> None:
        item = self.table.item(row, column)
        if item is None:
            item = qt.QTableWidgetItem()
            self.table.setItem(row, column, item)
        item.setText(cell.text)
        item.setToolTip(cell.tip or cell.text)
        flags = qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable
        if cell.editable:
            flags = flags | qt.Qt.ItemIsEditable
        if cell.checked is not None:
            flags = flags | qt.Qt.ItemIsUserCheckable
            item.setCheckState(qt.Qt.Checked if cell.checked else qt.Qt.Unchecked)
        item.setFlags(flags)
