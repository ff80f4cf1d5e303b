"""Every sentence of the panel of the result."""

from __future__ import annotations

from collections.abc import Callable

Translate = Callable[[str], str]


class ResultWording:
    """The texts in the user's language.

    Args:
        translate: Slicer's `tr`, or nothing for English. It is called `_` below, so that Slicer's tools find the texts.
    """

    def __init__(self, translate: Translate = str):
        self._translate = translate

    def nothing(self) -> str:
        _ = self._translate
        return _("No run is done yet.")

    def make_report(self) -> str:
        _ = self._translate
        return _("Make the report to see the ranking.")

    def report_tip(self) -> str:
        _ = self._translate
        return _("Tables, figures and tests of all that is done, beside the runs. It takes a minute.")

    def checking(self) -> str:
        _ = self._translate
        return _("Checking the packages that training needs")

    def reporting(self) -> str:
        _ = self._translate
        return _("Writing the report")

    def busy(self) -> str:
        _ = self._translate
        return _("Wait until it is done.")

    def ranked(self, count: int) -> str:
        _ = self._translate
        return _("{count} methods by their mean Dice. The report says how sure that is.").format(count=count)

    def select(self) -> str:
        _ = self._translate
        return _("Select a method in the ranking.")

    def use_tip(self, title: str) -> str:
        _ = self._translate
        return _("Install the model of {method} and choose it in MedSegDL.").format(method=title)

    def no_bundle(self, title: str) -> str:
        _ = self._translate
        return _("{method} made no model that MedSegDL could use.").format(method=title)

    def copying(self) -> str:
        _ = self._translate
        return _("Copying the model")

    def confirm_replacement(self, name: str) -> str:
        _ = self._translate
        return _("A model '{model}' is installed already. Replace it?").format(model=name)

    def not_replaced(self, name: str) -> str:
        _ = self._translate
        return _("The model '{model}' that is installed stays.").format(model=name)

    def used(self, name: str) -> str:
        _ = self._translate
        return _("MedSegDL now offers the model '{model}'.").format(model=name)
