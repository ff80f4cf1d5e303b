"""Every sentence of the batch's panel."""

from __future__ import annotations

from collections.abc import Callable

from .measures import seconds_text

Translate = Callable[[str], str]


class BatchWording:
    """The texts in the user's language.

    Args:
        translate: Slicer's `tr`, or nothing for English. It is called `_` below, so that Slicer's tools find the texts.
    """

    def __init__(self, translate: Translate = str):
        self._translate = translate

    # Buttons

    def start(self) -> str:
        _ = self._translate
        return _("Start")

    def resume(self) -> str:
        _ = self._translate
        return _("Resume")

    def start_tip(self) -> str:
        _ = self._translate
        return _("Segment all images. What is done already is not done again.")

    def resume_tip(self) -> str:
        _ = self._translate
        return _("Go on with the cases that wait.")

    def already_running(self) -> str:
        _ = self._translate
        return _("The batch is running.")

    def choose_images(self) -> str:
        _ = self._translate
        return _("Choose a folder of images, or patients of the DICOM database.")

    def choose_model(self) -> str:
        _ = self._translate
        return _("Choose a model.")

    def choose_output(self) -> str:
        _ = self._translate
        return _("Choose a folder for the results.")

    # The table

    def status(self, kind: str, fraction: float = 0.0) -> str:
        _ = self._translate
        if kind == "running":
            return f"{fraction:.0%}"
        return {
            "waiting": _("waiting"),
            "done": _("done"),
            "failed": _("failed"),
            "left out": _("left out"),
        }[kind]

    def done_before(self) -> str:
        _ = self._translate
        return _("before")

    def seconds(self, seconds: float) -> str:
        return seconds_text(seconds)

    # The status line

    def searching(self) -> str:
        _ = self._translate
        return _("Looking for images")

    def found(self, cases: int, model: str) -> str:
        _ = self._translate
        return _("{count} to segment with {model}. Loading the model").format(count=cases, model=model)

    def running(self, done: int, cases: int, name: str, seconds_left: float | None) -> str:
        _ = self._translate
        text = _("{done} of {total} done, now {name}").format(done=done, total=cases, name=name)
        if seconds_left is None:
            return text
        return _("{progress}, {time} left").format(progress=text, time=seconds_text(max(1.0, seconds_left)))

    def pausing(self) -> str:
        _ = self._translate
        return _("Pausing after the present case")

    def paused(self, done: int, waiting: int) -> str:
        _ = self._translate
        return _("Paused: {done} done, {waiting} waiting.").format(done=done, waiting=waiting)

    def cancelling(self) -> str:
        _ = self._translate
        return _("Cancelling")

    def cancelled(self) -> str:
        _ = self._translate
        return _("Cancelled. What is done stays; Start goes on with the rest.")

    def finished(self, done: int, failed: int, seconds: float, output: str) -> str:
        _ = self._translate
        text = _("{done} done, {failed} failed, in {time}. The results are in {output}.")
        return text.format(done=done, failed=failed, time=seconds_text(seconds), output=output)

    def nothing(self, has_reasons: bool) -> str:
        _ = self._translate
        if has_reasons:
            return _("None of the images can be segmented; the table says why.")
        return _("There is nothing but earlier results. Choose the folder of the images.")

    def died(self, how: str) -> str:
        _ = self._translate
        return _("The batch stopped: its process {how}. Start goes on with the rest.").format(how=how)

    def no_python(self, python: str) -> str:
        _ = self._translate
        return _("The batch could not be started with {python}.").format(python=python)
