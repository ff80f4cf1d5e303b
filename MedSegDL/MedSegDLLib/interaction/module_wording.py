"""Every sentence of the module's panel."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import MedSegError
from .measures import bytes_text, millilitres_text, seconds_text
from .outcome import Absence, Finding, Outcome
from .progress_wording import Counted, progress_text

Translate = Callable[[str], str]


class ModuleWording:
    """The module's texts in the user's language.

    Args:
        translate: Slicer's `tr`, or nothing for English. It is called `_` below, so that Slicer's tools find the texts.
    """

    def __init__(self, translate: Translate = str):
        self._translate = translate

    # Why Apply is grey

    def choose_volume(self) -> str:
        _ = self._translate
        return _("Choose a volume.")

    def choose_channel(self, channel: str) -> str:
        _ = self._translate
        return _("Choose a volume for {channel}.").format(channel=channel)

    def channel_gone(self, channel: str) -> str:
        _ = self._translate
        return _("The volume for {channel} is no longer in the scene. Choose another one.").format(channel=channel)

    def same_volume(self, first: str, second: str) -> str:
        _ = self._translate
        text = _("{first} and {second} are the same volume. Choose one for each.")
        return text.format(first=first, second=second)

    def other_frames(self, channel: str) -> str:
        _ = self._translate
        text = _("The sequence for {channel} has another number of frames. Choose another one, or one frame only.")
        return text.format(channel=channel)

    def volume_gone(self) -> str:
        _ = self._translate
        return _("The volume is no longer in the scene. Choose another one.")

    def no_model_installed(self) -> str:
        _ = self._translate
        return _("No model is installed. Add one under Models.")

    def choose_model(self) -> str:
        _ = self._translate
        return _("Choose a model.")

    def other_modality(self, expected: tuple[str, ...], modality: str) -> str:
        _ = self._translate
        text = _("The model is for {expected}, this volume is {found}: allow it in Advanced.")
        return text.format(expected=", ".join(expected), found=modality)

    def other_modality_of_channel(self, channel: str, expected: tuple[str, ...], modality: str) -> str:
        _ = self._translate
        text = _("For {channel} the model takes {expected}, the volume chosen for it is {found}: allow it in Advanced.")
        return text.format(channel=channel, expected=", ".join(expected), found=modality)

    def no_structure(self) -> str:
        _ = self._translate
        return _("Tick at least one structure.")

    def ready(self, expected_seconds: float | None, memory_bytes: int) -> str:
        _ = self._translate
        if expected_seconds is None:
            sentence = _("Segment the volume. The time is known after the first run of this model on this device.")
        else:
            sentence = _("Segment the volume. It takes about {time}.").format(time=seconds_text(expected_seconds))
        memory = _("Images and result need about {size} of memory.").format(size=bytes_text(memory_bytes))
        return f"{sentence} {memory}"

    # Buttons

    def apply(self) -> str:
        _ = self._translate
        return _("Apply")

    def cancel(self) -> str:
        _ = self._translate
        return _("Cancel")

    def cancel_tip(self) -> str:
        _ = self._translate
        return _("Stop the run. The scene stays as it is.")

    # While it runs

    def checking_installation(self) -> str:
        _ = self._translate
        return _("Checking the installation")

    def loading(self, title: str, seconds: float) -> str:
        _ = self._translate
        if seconds < 1:
            return _("Loading {model}").format(model=title)
        return _("Loading {model}, {time}").format(model=title, time=seconds_text(seconds))

    def looking(self) -> str:
        _ = self._translate
        return _("Looking at the image")

    def windows(self, counted: Counted, frame: str = "") -> str:
        return progress_text(counted, self._translate, frame)

    def frame(self, number: int, frames: int) -> str:
        _ = self._translate
        return _("frame {number} of {frames}").format(number=number, frames=frames) if frames > 1 else ""

    # How it ended

    def stopped(self) -> str:
        _ = self._translate
        return _("Stopped. The scene is as it was.")

    def stopped_node_gone(self) -> str:
        _ = self._translate
        return _("Stopped: the volume or the segmentation was removed from the scene.")

    def stopped_volume_replaced(self) -> str:
        _ = self._translate
        return _("Stopped: the volume was changed meanwhile. Apply again to segment it as it is now.")

    def unforeseen(self) -> str:
        _ = self._translate
        return _("An error that nobody foresaw ended the run. Try again; if it comes back, report it with the details.")

    def failure(self, error: MedSegError) -> str:
        """In English whatever the language: the engine, the command line and the log have the same words."""
        return str(error)

    # The result

    def volume_ml(self, finding: Finding) -> str:
        """'1.62 ml'; over several frames the range."""
        _ = self._translate
        smallest, largest = min(finding.volumes_ml), max(finding.volumes_ml)
        if len(finding.volumes_ml) == 1:
            return millilitres_text(largest)
        text = _("{smallest} to {largest} in {frames} frames")
        return text.format(
            smallest=millilitres_text(smallest), largest=millilitres_text(largest), frames=len(finding.volumes_ml)
        )

    def summary(self, outcome: Outcome) -> str:
        """'Not found: none. 4.1 s on NVIDIA RTX 4090.', with why something may be missing, and what else is odd."""
        _ = self._translate
        sentences = [self._missing(outcome), self._cut(outcome)]
        sentences.append(_("{time} on {device}.").format(time=seconds_text(outcome.seconds), device=outcome.device))
        return " ".join(sentence for sentence in [*sentences, *outcome.notes] if sentence)

    def _missing(self, outcome: Outcome) -> str:
        _ = self._translate
        if not outcome.missing:
            return _("Not found: none.")
        names = _names(outcome.missing)
        if outcome.absence is Absence.REGION:
            return _("Not found: {names}. They may lie outside the region.").format(names=names)
        if outcome.absence is Absence.FIELD_OF_VIEW:
            text = _("Not found: {names}. The image may not reach them: it covers {size} of the body.")
            return text.format(names=names, size=_size(outcome.coverage_mm))
        return _("Not found: {names}. The model saw nothing like them in this image.").format(names=names)

    def _cut(self, outcome: Outcome) -> str:
        _ = self._translate
        if not outcome.cut:
            return ""
        text = _("Cut off at the edge of what was segmented, so the volume may be too small: {names}.")
        return text.format(names=_names(outcome.cut))


def _names(findings: tuple[Finding, ...]) -> str:
    return ", ".join(finding.name for finding in findings)


def _size(coverage_mm: tuple[float, float, float]) -> str:
    return " x ".join(f"{length:.0f}" for length in coverage_mm) + " mm"
