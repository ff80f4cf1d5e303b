"""The module's list of models, with its search and what is known of the chosen one."""

from __future__ import annotations

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from ..interaction.catalogue import ModelEntry
from ..interaction.model_info import ModelInfo
from ..interaction.module import ModulePresenter
from ..interaction.module_wording import ModuleWording
from .lists import silent


class ModelList:
    """A row for each model, the chosen one selected.

    Args:
        ui: the widgets of MedSegDL.ui by name.
        wording: for a list that is empty.
        onChosen: called with the name of the model that the user chose.
    """

    def __init__(self, ui, wording: ModuleWording, onChosen: Callable[[str], None]):
        self.ui = ui
        self._wording = wording
        self._onChosen = onChosen
        self._info = ModelInfo(_)
        self._presenter: ModulePresenter | None = None
        self._entries: tuple[ModelEntry, ...] = ()
        self._rows: tuple[tuple[str, ...], ...] = ()
        self._items: list = []
        ui.modelSearchEdit.connect("textChanged(QString)", self._onSearch)
        ui.modelTree.connect("itemSelectionChanged()", self._onSelected)
        ui.modelInfoButton.connect("toggled(bool)", self._onInfo)

    def show(self, presenter: ModulePresenter) -> None:
        """List what the presenter offers, as the search says."""
        self._presenter = presenter
        listed = presenter.listed_models(self.ui.modelSearchEdit.text)
        rows = tuple(self._info.row(entry, seconds) for entry, seconds in listed)
        names = [entry.name for entry, _seconds in listed]
        tree = self.ui.modelTree
        with silent(tree):
            if rows != self._rows or names != [entry.name for entry in self._entries]:
                self._fill(listed, rows)
            chosen = presenter.choices.model
            if chosen in names:
                tree.setCurrentItem(self._items[names.index(chosen)])
            else:
                tree.clearSelection()
        self._showInfo()

    def _fill(self, listed: tuple[tuple[ModelEntry, float | None], ...], rows: tuple[tuple[str, ...], ...]) -> None:
        tree = self.ui.modelTree
        self._rows, self._entries = rows, tuple(entry for entry, _seconds in listed)
        tree.clear()
        self._items = [self._item(entry, seconds, row) for (entry, seconds), row in zip(listed, rows)]
        for item in self._items:
            tree.addTopLevelItem(item)
        for column in range(len(rows[0]) if rows else 0):
            tree.resizeColumnToContents(column)

    def _item(self, entry: ModelEntry, seconds: float | None, row: tuple[str, ...]):
        item = qt.QTreeWidgetItem()
        for column, text in enumerate(row):
            item.setText(column, text)
            item.setToolTip(column, self._info.page(entry, seconds))
        return item

    def _showInfo(self) -> None:
        presenter, entry = self._presenter, self._presenter.entry
        self.ui.modelInfoButton.enabled = entry is not None
        if entry is None:
            text = _("No model matches the search.") if presenter.models else self._wording.no_model_installed()
            self.ui.modelInfoLabel.text = self._wording.choose_model() if self._entries else text
        elif self.ui.modelInfoButton.checked:
            self.ui.modelInfoLabel.text = self._info.page(entry, presenter.expected_seconds(entry))
        else:
            self.ui.modelInfoLabel.text = self._info.purpose(entry)

    def _onSearch(self, _text: str = "") -> None:
        self.show(self._presenter)

    def _onInfo(self, _checked: bool = False) -> None:
        self._showInfo()

    def _onSelected(self) -> None:
        selected = self.ui.modelTree.selectedItems()  # with the arrow keys, Qt changes the current item only after this
        if selected:
            self._onChosen(self._entries[self.ui.modelTree.indexOfTopLevelItem(selected[0])].name)
