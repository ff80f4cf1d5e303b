"""Which images of a patient become the channels of a case."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from MedSegDLLib.errors import InputError

from .case import Channel
from .dataset import Skipped
from .found import Drawing, Findings, FoundCase, FoundImage
from .names import modality_of, normalised


@dataclass(frozen=True)
class Assembled:
    """A case to be: one image for each channel, and what was drawn on the image of the reference channel."""

    name: str
    patient: str
    images: tuple[FoundImage, ...]
    reference: FoundImage
    drawings: tuple[Drawing, ...]
    found: FoundCase


def proposed_channels(findings: Findings) -> tuple[str, ...]:
    """As the source says; else the modality that most cases have structures on."""
    if findings.channels:
        return findings.channels
    drawn = Counter()
    for case in findings.cases:
        drawn.update({image.modality or image.name for image in case.images if case.drawn_on(image)})
    most = max(drawn.values(), default=0)
    return tuple(sorted(name for name, count in drawn.items() if count == most)[:1])


def available_channels(findings: Findings) -> dict[str, int]:
    """Modalities of the images, and in how many cases each occurs."""
    names = (dict.fromkeys(image.modality or image.name for image in case.images) for case in findings.cases)
    return dict(Counter(chain.from_iterable(names)))


def check_channels(names: Sequence[str], reference: str, findings: Findings) -> None:
    """Raise InputError for a name that no image has, or that is there twice, and for a reference that is no channel."""
    for n, name in enumerate(names):
        if name.casefold() in (other.casefold() for other in names[:n]):
            raise InputError(f"The channel '{name}' is named twice.", "Name each image once.")
        if not any(_candidates(name, case) for case in findings.cases):
            there = ", ".join(available_channels(findings))
            raise InputError(f"No case has an image for the channel '{name}'. There are: {there}.", "Correct its name.")
    if reference not in names:
        raise InputError(f"The reference '{reference}' is none of the channels {', '.join(names)}.", "Correct it.")


def channels_of(names: Sequence[str], findings: Findings) -> tuple[Channel, ...]:
    """The channels with the modality that their images have."""
    channels = []
    for name in names:
        found = (image.modality for case in findings.cases for image in _candidates(name, case))
        channels.append(Channel(name, next(filter(None, found), modality_of(name))))
    return tuple(channels)


def assemble(case: FoundCase, channels: Sequence[str], reference: str) -> tuple[list[Assembled], list[Skipped]]:
    """A case for each image of the reference channel that was drawn on; several where a patient has several.

    An image belongs to a channel whose name is in its own, else to one whose name says its modality.
    """
    drawn = [image for image in _candidates(reference, case) if case.drawn_on(image)]
    if not drawn:
        return [], [Skipped(case.name, f"No structures were drawn on an image of the channel '{reference}'.")]
    assembled, skipped = [], []
    for image in drawn:
        name = case.name if len(drawn) == 1 else f"{case.name}-{hashlib.sha256(image.key.encode()).hexdigest()[:6]}"
        try:
            images = tuple(image if channel == reference else _only(channel, case) for channel in channels)
        except InputError as reason:
            skipped.append(Skipped(name, str(reason)))
            continue
        assembled.append(Assembled(name, case.patient, images, image, case.drawn_on(image), case))
    return assembled, skipped


def _only(channel: str, case: FoundCase) -> FoundImage:
    found = _candidates(channel, case)
    if not found:
        raise InputError(f"It has no image for the channel '{channel}'.")
    if len(found) > 1:
        names = ", ".join(f"'{image.name}'" for image in found)
        raise InputError(
            f"{len(found)} images fit the channel '{channel}': {names}.",
            "Name the channel as in the one that is meant.",
        )
    return found[0]


def _candidates(channel: str, case: FoundCase) -> list[FoundImage]:
    wanted = f" {normalised(channel)} "
    exact = [image for image in case.images if f" {normalised(image.name)} " == wanted]
    named = [image for image in case.images if wanted in f" {normalised(image.name)} "]
    modality = modality_of(channel)
    return exact or named or [image for image in case.images if modality and image.modality == modality]
