"""A model in a list, and all that is known of it for whoever chooses."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from .catalogue import ModelEntry
from .measures import seconds_text, spacing_text

Translate = Callable[[str], str]

_PICTURE_PIXELS = 320  # as wide as a module's panel allows


class ModelInfo:
    """The texts in the user's language.

    Args:
        translate: Slicer's `tr`, or nothing for English. It is called `_` below, so that Slicer's tools find the texts.
    """

    def __init__(self, translate: Translate = str):
        self._translate = translate

    def row(self, entry: ModelEntry, seconds: float | None) -> tuple[str, ...]:
        """Title, modality, number of structures, resolution, license, and expected time."""
        _ = self._translate
        if entry.bundle is None:
            return (entry.title, "", "", "", "", _("damaged"))
        spec = entry.bundle.spec
        return (
            entry.title,
            self._modality(entry),
            str(len(spec.labels)),
            spacing_text(spec.spacing_mm),
            spec.licence,
            seconds_text(seconds) if seconds else _("not known yet"),
        )

    def line(self, entry: ModelEntry, seconds: float | None) -> str:
        """'MR, 2 structures, 1 mm, CC BY-SA 4.0, 4.1 s'; what is wrong with a model that cannot be used."""
        _ = self._translate
        if entry.bundle is None:
            return entry.problem
        _title, modality, _count, resolution, licence, time = self.row(entry, seconds)
        structures = _("{count} structures").format(count=len(entry.structures))
        parts = [modality, structures, resolution, licence, time if seconds else ""]
        return ", ".join(part for part in parts if part)

    def page(self, entry: ModelEntry, seconds: float | None) -> str:
        """Rich text: the purpose, the facts, and a picture of an example if the model brings one."""
        _ = self._translate
        if entry.bundle is None:
            return _paragraph(entry.problem)
        _title, modality, _count, resolution, licence, time = self.row(entry, seconds)
        facts = (
            (_("Modality"), modality),
            (_("Structures"), ", ".join(entry.structures)),
            (_("Resolution"), resolution),
            (_("License"), licence),
            (_("Time on this device"), time),
        )
        rows = "".join(f"<tr><td>{escape(name)}:&nbsp;</td><td>{escape(text)}</td></tr>" for name, text in facts)
        return f"{self.purpose(entry)}<table>{rows}</table>{_picture(entry)}"

    def purpose(self, entry: ModelEntry) -> str:
        """Rich text: what it is for, and where its limits are."""
        return _paragraph(entry.description) + _paragraph(entry.limits)

    def built_in_prompter(self) -> str:
        """Its title."""
        _ = self._translate
        return _("Any structure (built in)")

    def built_in_page(self) -> str:
        _ = self._translate
        text = _("Compares the image around the clicks with what lies outside. Needs no training, works on any image.")
        return _paragraph(text)

    def _modality(self, entry: ModelEntry) -> str:
        """Of a model that takes several images, each with its name."""
        spec = entry.bundle.spec
        if len(spec.channels) == 1:
            return "/".join(spec.modality)
        named = zip(spec.channels, spec.channel_modalities)
        return " + ".join("/".join(dict.fromkeys((channel, *modalities))) for channel, modalities in named)


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>" if text else ""


def _picture(entry: ModelEntry) -> str:
    return f'<p><img src="{escape(entry.picture.as_posix())}" width="{_PICTURE_PIXELS}"></p>' if entry.picture else ""
