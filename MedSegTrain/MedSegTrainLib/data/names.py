"""Names of structures and modalities as people write them, made comparable."""

from __future__ import annotations

import re

_SIDES = {"l": "left", "lt": "left", "left": "left", "r": "right", "rt": "right", "right": "right"}
_BETWEEN = re.compile(r"[\s_\-.,;:/~^]+|(?<=[a-z])(?=[A-Z])")
_MODALITIES = {
    "PT": r"pet|pt|suv",
    "CT": r"ct|cbct",
    "MR": r"mri?|t[12](w|c|ce|gd|fs|n|f)?|flair|dwi|adc",
    "US": r"us",
}
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


def modality_of(word: str) -> str:
    """DICOM's code for what people call a modality ('MRI', 'T1w', 'MR_T1', 'PET'), '' for other words."""
    for modality, pattern in _MODALITIES.items():
        if any(re.fullmatch(pattern, part, re.I) for part in re.split(r"[-_ ]", word)):
            return modality
    return ""


def _words(name: str) -> list[str]:
    return [word for word in _BETWEEN.split(name.strip()) if word]
