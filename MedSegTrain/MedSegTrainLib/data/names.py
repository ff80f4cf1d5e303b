"""Names of structures as people write them, made comparable."""

from __future__ import annotations

import re

from .layouts import modality_of

_SIDES = {"l": "left", "lt": "left", "left": "left", "r": "right", "rt": "right", "right": "right"}
_BETWEEN = re.compile(r"[\s_\-.,;:/~^]+|(?<=[a-z])(?=[A-Z])")
_NUMBERED = re.compile(r"([A-Za-z]{2,})\d+")  # not the levels of the spine, such as L5


def normalised(name: str) -> str:
    """The same for 'Lung_L', 'left lung' and 'LungLeft', and another for the right one."""
    words = [word.casefold() for word in _words(name)]
    sides = [_SIDES[word] for word in words if word in _SIDES]
    return " ".join([word for word in words if word not in _SIDES] + sides)


def group_name(name: str) -> str:
    """The name without a running number and without the modality of the image: 'GTV Mass' of 'GTV_Mass_CT'."""
    words = _words(name)
    while len(words) > 1 and (words[-1].isdigit() or modality_of(words[-1])):
        words.pop()
    if words and (match := _NUMBERED.fullmatch(words[-1])):
        words[-1] = match[1]
    return " ".join(words) or name


def _words(name: str) -> list[str]:
    return [word for word in _BETWEEN.split(name.strip()) if word]
