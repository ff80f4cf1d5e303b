"""The panel of installed models: shows what `ModelsPresenter` says, and hands on what the user does."""

from __future__ import annotations

from collections.abc import Callable

import qt
import slicer
from slicer.i18n import tr as _

from ..interaction.models import Licence, ModelRow, ModelsPanel, ModelsPresenter
from ..interaction.models_wording import ModelsWording
from ..model_store import ModelStore
from .background import Background


class ModelsView:
    """A table of the installed models; adding, downloading and removing them.

    Args:
        store: the models.
        onChanged: called when a model was added or removed.
    """

    def __init__(self, store: ModelStore, onChanged: Callable[[], None] = lambda: None):
        self._rows: tuple[ModelRow, ...] = ()
        self._build()
        self.presenter = ModelsPresenter(store, self, Background, ModelsWording(_), onChanged)
        self._connect()
        self.presenter.refresh()

    def close(self) -> None:
        """Give up what is being done."""
        self.presenter.cancel()

    # Built

    def _build(self) -> None:
        self.widget = qt.QWidget()
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        self._buildTable(layout)
        self._buildButtons(layout)
        self._buildDownload(layout)
        self.progressBar = qt.QProgressBar()
        self.progressBar.visible = False
        layout.addWidget(self.progressBar)
        self.statusLabel = qt.QLabel()
        self.statusLabel.wordWrap = True
        layout.addWidget(self.statusLabel)

    def _buildTable(self, layout) -> None:
        headers = [_("Model"), _("Modality"), _("Structures"), _("License"), _("Size"), _("Where")]
        self.table = qt.QTableWidget()
        self.table.setColumnCount(len(headers))
        self.table.setHorizontalHeaderLabels(headers)
        self.table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        self.table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        self.table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        self.table.verticalHeader().setVisible(False)
        self.table.horizontalHeader().setStretchLastSection(True)
        self.table.setMinimumHeight(120)
        self.table.toolTip = _("The models that are installed, with the license and the place of each.")
        layout.addWidget(self.table)

    def _buildButtons(self, layout) -> None:
        buttons = qt.QHBoxLayout()
        layout.addLayout(buttons)
        self.fileButton = self._button(_("Add from file..."), _("Install a model from its zip file."))
        self.folderButton = self._button(_("Add from folder..."), _("Install a model from its folder."))
        self.downloadButton = self._button(_("Download..."), _("Install a model from the address of its zip file."))
        self.downloadButton.checkable = True
        self.removeButton = self._button(_("Remove"), _("Select a model that you installed."))
        self.removeButton.enabled = False
        self.cancelButton = self._button(_("Cancel"), _("Give up what is being done."))
        self.cancelButton.visible = False
        self._addButtons = (self.fileButton, self.folderButton, self.downloadButton)
        for button in (*self._addButtons, self.removeButton, self.cancelButton):
            buttons.addWidget(button)

    def _buildDownload(self, layout) -> None:
        self.downloadFrame = qt.QWidget()
        self.downloadFrame.visible = False
        form = qt.QFormLayout(self.downloadFrame)
        form.setContentsMargins(0, 0, 0, 0)
        self.urlEdit = qt.QLineEdit()
        self.urlEdit.placeholderText = "https://"
        self.urlEdit.toolTip = _("Address of the model's zip file. Nothing of yours is sent there.")
        form.addRow(_("Address:"), self.urlEdit)
        self.checksumEdit = qt.QLineEdit()
        self.checksumEdit.placeholderText = _("SHA-256, optional")
        self.checksumEdit.toolTip = _(
            "The checksum that whoever offers the model names, to be sure that it is the one."
        )
        form.addRow(_("Checksum:"), self.checksumEdit)
        self.fetchButton = self._button(_("Download"), _("Fetch it, check it, and ask for the license."))
        form.addRow("", self.fetchButton)
        layout.addWidget(self.downloadFrame)

    @staticmethod
    def _button(text: str, toolTip: str):
        button = qt.QPushButton(text)
        button.toolTip = toolTip
        return button

    def _connect(self) -> None:
        self.fileButton.connect("clicked(bool)", self.onFile)
        self.folderButton.connect("clicked(bool)", self.onFolder)
        self.downloadButton.connect("toggled(bool)", self.downloadFrame.setVisible)
        self.fetchButton.connect("clicked(bool)", self.onFetch)
        self.removeButton.connect("clicked(bool)", self.onRemove)
        self.cancelButton.connect("clicked(bool)", self.onCancel)
        self.table.connect("itemSelectionChanged()", self._showRemovable)

    # What the user does

    def onFile(self, _checked: bool = False) -> None:
        path = qt.QFileDialog.getOpenFileName(
            self.widget, _("Add a model"), "", _("Model of MedSegDL ({pattern})").format(pattern="*.zip")
        )
        if path:
            self.presenter.add(path)

    def onFolder(self, _checked: bool = False) -> None:
        path = qt.QFileDialog.getExistingDirectory(self.widget, _("Add a model"))
        if path:
            self.presenter.add(path)

    def onFetch(self, _checked: bool = False) -> None:
        url = self.urlEdit.text.strip()
        if "://" not in url:
            self.statusLabel.text = _("Enter the address of the model's zip file; it starts with https://.")
            return
        self.presenter.add(url, self.checksumEdit.text)

    def onRemove(self, _checked: bool = False) -> None:
        row = self._selected()
        if row:
            self.presenter.remove(row.name)

    def onCancel(self, _checked: bool = False) -> None:
        self.presenter.cancel()

    def accepts(self, licence: Licence) -> bool:
        """Show the whole licence and ask; in a test, which nobody watches, the answer is no."""
        if slicer.app.testingEnabled():
            return False
        dialog = qt.QDialog(slicer.util.mainWindow())
        dialog.windowTitle = _("License")
        layout = qt.QVBoxLayout(dialog)
        question = qt.QLabel(licence.question)
        question.wordWrap = True
        layout.addWidget(question)
        text = qt.QPlainTextEdit(licence.text or _("The model brings no text of its license."))
        text.readOnly = True
        text.setMinimumSize(500, 300)
        layout.addWidget(text)
        buttons = qt.QDialogButtonBox()
        buttons.addButton(_("Accept"), qt.QDialogButtonBox.AcceptRole)
        buttons.addButton(_("Decline"), qt.QDialogButtonBox.RejectRole)
        buttons.connect("accepted()", dialog.accept)
        buttons.connect("rejected()", dialog.reject)
        layout.addWidget(buttons)
        dialog.deleteLater()  # when this call has returned
        return dialog.exec_() == qt.QDialog.Accepted

    def confirms(self, question: str) -> bool:
        return slicer.util.confirmOkCancelDisplay(question, "MedSegDL")

    # Shown

    def show(self, panel: ModelsPanel) -> None:
        """See `interaction.models.View`."""
        if panel.rows != self._rows:
            self._showRows(panel.rows)
        for button in (*self._addButtons, self.fetchButton):
            button.enabled = not panel.is_busy
        self.cancelButton.visible = self.progressBar.visible = panel.is_busy
        done, total = panel.progress or (0, 0)
        self.progressBar.maximum = 100 if total else 0  # 0 lets the bar move to and fro; bytes could be too many
        self.progressBar.value = 100 * done // total if total else 0
        self.statusLabel.text = panel.status
        self.statusLabel.toolTip = panel.details
        self._showRemovable()

    def _showRows(self, rows: tuple[ModelRow, ...]) -> None:
        self._rows = rows
        self.table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            texts = (row.title, row.modality, row.problem or row.structures, row.licence, row.size, row.where)
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(row.problem or f"{text}\n{row.folder}")
                self.table.setItem(number, column, item)
        self.table.clearSelection()

    def _showRemovable(self) -> None:
        row = self._selected()
        self.removeButton.enabled = row is not None and row.can_remove
        if row and not row.can_remove:
            self.removeButton.toolTip = _("This model came with the extension and stays.")
        else:
            self.removeButton.toolTip = (
                _("Delete the selected model.") if row else _("Select a model that you installed.")
            )

    def _selected(self) -> ModelRow | None:
        items = self.table.selectedItems()
        return self._rows[items[0].row()] if items else None
