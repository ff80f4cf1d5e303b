"""Every sentence of the panel of installed models."""

from __future__ import annotations

from collections.abc import Callable

Translate = Callable[[str], str]


class ModelsWording:
    """The texts in the user's language.

    Args:
        translate: Slicer's `tr`, or nothing for English. It is called `_` below, so that Slicer's tools find the texts.
    """

    def __init__(self, translate: Translate = str):
        self._translate = translate

    def empty(self) -> str:
        _ = self._translate
        return _("No model is installed. Add one from a file or a folder.")

    def shipped(self) -> str:
        _ = self._translate
        return _("came with the extension")

    # What is being done

    def fetching(self) -> str:
        _ = self._translate
        return _("Connecting")

    def copying(self) -> str:
        _ = self._translate
        return _("Reading the model")

    def progress(self, what: str, done: str, total: str) -> str:
        _ = self._translate
        words = {"Downloading": _("Downloading"), "Copying": _("Copying"), "Checking": _("Checking the model")}
        text = words[what]
        if what == "Checking":
            return text
        if not total:
            return _("{what}: {done}").format(what=text, done=done)
        return _("{what}: {done} of {total}").format(what=text, done=done, total=total)

    # Questions

    def accept(self, title: str, licence: str, size: str) -> str:
        _ = self._translate
        text = _("'{model}' ({size}) is under the licence {licence}. Do you accept it?")
        return text.format(model=title, size=size, licence=licence)

    def confirm_replacement(self, title: str, is_shipped: bool) -> str:
        _ = self._translate
        if is_shipped:
            text = _("A model of the name of '{model}' came with the extension. Use this one in its place?")
        else:
            text = _("A model of the name of '{model}' is installed already. Replace it?")
        return text.format(model=title)

    def confirm_removal(self, title: str) -> str:
        _ = self._translate
        return _("Delete the model '{model}' from this computer?").format(model=title)

    # What came of it

    def installed(self, title: str) -> str:
        _ = self._translate
        return _("'{model}' is installed.").format(model=title)

    def removed(self, title: str, size: str) -> str:
        _ = self._translate
        return _("'{model}' was removed; {size} are free again.").format(model=title, size=size)

    def cancelled(self) -> str:
        _ = self._translate
        return _("Cancelled. What was downloaded is kept, and the next download goes on from there.")

    def not_accepted(self, title: str) -> str:
        _ = self._translate
        return _("'{model}' was not installed: its licence was not accepted.").format(model=title)

    def not_replaced(self, title: str) -> str:
        _ = self._translate
        return _("'{model}' was not installed: the one that is there stays.").format(model=title)

    def unforeseen(self, error: Exception) -> str:
        _ = self._translate
        text = _("The model was not installed, because of an error that nobody foresaw: {error}.")
        return text.format(error=f"{type(error).__name__}: {error}")
