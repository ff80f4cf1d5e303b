"""Every sentence of the effect's panel."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import MedSegError
from .effect_run import Written
from .measures import millilitres_text, seconds_text
from .progress_wording import Counted, progress_text

Translate = Callable[[str], str]


class EffectWording:
    """The effect's texts in the user's language.

    Args:
        translate: Slicer's `tr`, or nothing for English. It is called `_` below, so that Slicer's tools find the texts.
    """

    def __init__(self, translate: Translate = str):
        self._translate = translate

    # The first line: what the mouse does now

    def hint_click(self) -> str:
        _ = self._translate
        return _("Click a structure. Ctrl+click: not this. Drag: stroke. Shift+drag: box.")

    def hint_refine(self) -> str:
        _ = self._translate
        return _("Enter keeps, Esc discards. More clicks refine; click a point to remove it.")

    def hint_include(self) -> str:
        _ = self._translate
        return _("Now click what belongs to the structure.")

    def hint_running(self) -> str:
        _ = self._translate
        return _("A model is segmenting. Cancel stops it.")

    def hint_stopping(self) -> str:
        _ = self._translate
        return _("Stopping.")

    def hint_restart(self) -> str:
        _ = self._translate
        return _("The next click starts the worker anew.")

    # The status line: what is being done

    def starting(self, seconds: float) -> str:
        _ = self._translate
        return self._with_time(_("Starting the worker"), seconds)

    def loading_prompter(self, seconds: float) -> str:
        _ = self._translate
        return self._with_time(_("Loading the model"), seconds)

    def looking(self, seconds: float) -> str:
        _ = self._translate
        return self._with_time(_("Looking at the image"), seconds)

    def segmenting(self, seconds: float) -> str:
        _ = self._translate
        return self._with_time(_("Segmenting"), seconds)

    def checking_installation(self) -> str:
        _ = self._translate
        return _("Checking the installation")

    def loading(self, title: str, seconds: float) -> str:
        _ = self._translate
        return self._with_time(_("Loading {model}").format(model=title), seconds)

    def windows(self, counted: Counted) -> str:
        return progress_text(counted, self._translate)

    def ready(self, device: str, seconds: float | None) -> str:
        _ = self._translate
        parts = [_("Ready."), f"{device}." if device else ""]
        if seconds is not None:
            parts.append(_("Last click {time}.").format(time=seconds_text(seconds)))
        return " ".join(part for part in parts if part)

    # What happened

    def kept(self, volume_ml: float) -> str:
        _ = self._translate
        return _("Kept {volume}.").format(volume=millilitres_text(volume_ml))

    def kept_when_done(self) -> str:
        _ = self._translate
        return _("It is kept as soon as it is there.")

    def nothing_to_keep(self) -> str:
        _ = self._translate
        return _("There is nothing to keep yet. Click a structure first.")

    def nothing_found(self) -> str:
        _ = self._translate
        return _("Nothing was found there. Click nearer to the middle of the structure, or draw a stroke in it.")

    def outside(self) -> str:
        _ = self._translate
        return _("That is outside the volume. Click on the image.")

    def busy(self) -> str:
        _ = self._translate
        return _("A model is segmenting. Wait for it, or cancel it first.")

    def dropped_volume_changed(self) -> str:
        _ = self._translate
        return _("The volume or the segmentation was changed, so the points were dropped.")

    def dropped_nodes_gone(self) -> str:
        _ = self._translate
        return _("The volume or the segmentation is no longer there, so the points were dropped.")

    def stopped(self) -> str:
        _ = self._translate
        return _("Stopped. The segmentation is as it was.")

    def stopped_volume_changed(self) -> str:
        _ = self._translate
        return _("Stopped: the volume or the segmentation was changed or removed meanwhile.")

    def segmented(self, written: Written) -> str:
        """'Anterior 1.62 ml, Posterior 1.48 ml. Not found: none. 4.1 s on NVIDIA RTX 4090.'"""
        _ = self._translate
        found = ", ".join(f"{name} {millilitres_text(volume)}" for name, volume in written.found)
        sentences = [f"{found}." if found else ""]
        sentences.append(_("Not found: {names}.").format(names=", ".join(written.missing) or _("none")))
        sentences.append(_("{time} on {device}.").format(time=seconds_text(written.seconds), device=written.device))
        return " ".join(sentence for sentence in sentences if sentence)

    def unforeseen(self) -> str:
        _ = self._translate
        return _("An error that nobody foresaw. Try again; if it comes back, report it with this line's tooltip.")

    def failure(self, error: MedSegError) -> str:
        """In English whatever the language: the engine, the command line and the log have the same words."""
        return str(error)

    # Segment everything

    def run(self) -> str:
        _ = self._translate
        return _("Segment")

    def cancel(self) -> str:
        _ = self._translate
        return _("Cancel")

    def run_tip(self) -> str:
        _ = self._translate
        return _("Segment the ticked structures with the model, each into a segment of its own.")

    def cancel_tip(self) -> str:
        _ = self._translate
        return _("Stop the model. The segmentation stays as it is.")

    def preview_first(self) -> str:
        _ = self._translate
        return _("Keep or discard the preview first.")

    def several_images(self, channels: tuple[str, ...]) -> str:
        _ = self._translate
        text = _("This model takes {count} images at once ({channels}): run it in the module MedSegDL.")
        return text.format(count=len(channels), channels=", ".join(channels))

    def choose_model(self) -> str:
        _ = self._translate
        return _("Choose a model.")

    def no_structure(self) -> str:
        _ = self._translate
        return _("Tick at least one structure.")

    def counts(self, included: int, excluded: int) -> str:
        return f"{included} + / {excluded} -"

    def _with_time(self, text: str, seconds: float) -> str:
        """Seconds only once they are worth counting."""
        return text if seconds < 1 else f"{text}, {seconds:.0f} s"
