"""Every sentence of the panel of data."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from MedSegDLLib.interaction.measures import spacing_text

from .data_ports import DATABASE, SCENE

Translate = Callable[[str], str]


class DataWording:
    """The texts in the user's language.

    Args:
        translate: Slicer's `tr`, or nothing for English. It is called `_` below, so that Slicer's tools find the texts.
    """

    def __init__(self, translate: Translate = str):
        self._translate = translate

    # Buttons

    def choose_source(self, source: str) -> str:
        _ = self._translate
        if source == DATABASE:
            return _("Tick patients of the DICOM database.")
        return _("Choose the folder of the images and their structures.")

    def look_tip(self, source: str) -> str:
        _ = self._translate
        if source == SCENE:
            return _("See which volumes of the scene have segmentations.")
        return _("See which cases and structures there are. Nothing is changed.")

    def look_first(self) -> str:
        _ = self._translate
        return _("Choose data and look at them first.")

    def choose_output(self) -> str:
        _ = self._translate
        return _("Choose a folder for the data set.")

    def imported_already(self) -> str:
        _ = self._translate
        return _("The data set is there. To change a structure, look at the original data again.")

    def import_tip(self) -> str:
        _ = self._translate
        return _("Write the cases with the structures of this table into the folder. What is there is not done again.")

    def busy(self) -> str:
        _ = self._translate
        return _("Wait, or cancel what is being done.")

    # The status line

    def empty(self) -> str:
        _ = self._translate
        return _("No data yet. Choose where they are, then Look.")

    def looking(self, done: int, total: int, name: str) -> str:
        _ = self._translate
        if not total:
            return _("Looking for cases")
        return _("Looking at {done} of {total}: {name}").format(done=done + 1, total=total, name=name)

    def copying(self, done: int, total: int) -> str:
        _ = self._translate
        return _("Copying case {done} of {total} out of the scene").format(done=done, total=total)

    def importing(self, done: int, total: int, name: str) -> str:
        _ = self._translate
        if not total:
            return _("Importing")
        return _("Importing {done} of {total}: {name}").format(done=done + 1, total=total, name=name)

    def cancelling(self) -> str:
        _ = self._translate
        return _("Cancelling after the present case")

    def cancelled(self) -> str:
        _ = self._translate
        return _("Cancelled. What is imported stays; Import goes on with the rest.")

    def found(self, kind: str, cases: int, left_out: int) -> str:
        _ = self._translate
        text = _("{cases} cases found ({kind}), {left_out} left out. Correct the structures, then Import.")
        return text.format(cases=cases, kind=kind, left_out=left_out)

    def other_data_set(self, name: str, cases: int) -> str:
        _ = self._translate
        text = _(
            "The folder holds the data set '{name}' of {cases} other cases, in whose place this one would come. Choose "
            "another folder, unless that is meant."
        )
        return text.format(name=name, cases=cases)

    def ready(self, name: str, cases: int, structures: int, warnings: tuple[str, ...]) -> str:
        _ = self._translate
        text = _("Data set '{name}': {cases} cases, {structures} structures.")
        return " ".join([text.format(name=name, cases=cases, structures=structures), *warnings])

    def changed(self) -> str:
        _ = self._translate
        return _("The structures were changed. Import again to use them.")

    def source_changed(self) -> str:
        _ = self._translate
        return _("Look at the data that are chosen now.")

    # The tables

    def size(self, shape_kji: list[int] | None, spacing_mm: list[float] | None) -> str:
        if not shape_kji:
            return ""
        voxels = " x ".join(map(str, shape_kji[::-1]))
        return f"{voxels}, {spacing_text(tuple(spacing_mm))}"

    def case_warnings(self, warnings: list[str], not_contoured: list[str]) -> str:
        _ = self._translate
        told = [_("Not contoured: {names}.").format(names=", ".join(not_contoured))] if not_contoured else []
        return " ".join([*told, *warnings])

    def left_out(self) -> str:
        _ = self._translate
        return _("left out")

    def without(self, count: int, absent: bool) -> str:
        _ = self._translate
        if not count:
            return _("in every case")
        if absent:
            return _("absent in {count}").format(count=count)
        return _("not contoured in {count}").format(count=count)

    def no_codes(self) -> str:
        _ = self._translate
        return _("none")

    def codes_tip(self, codes: str) -> str:
        _ = self._translate
        return _("Double-click to choose what it is in a terminology. Now: {codes}").format(codes=codes)

    def channels_tip(self, available: Mapping[str, int]) -> str:
        _ = self._translate
        listed = ", ".join(f"{name} ({count})" for name, count in available.items())
        text = _("Images of each case, separated by commas; the first one's structures and grid count.")
        return " ".join([text, _("There are: {images}.").format(images=listed)]) if listed else text
