"""Which of the images that were found belong together, for a model that takes several at once.

DICOM series of one study are told apart by their modality, or by the channel's name in the series description. Image
files are told apart by the end of their names: `case_0000.nii.gz`, `case_0001.nii.gz` as nnU-Net numbers the channels,
or `case_CT.nii.gz`, `case_PT.nii.gz`, or `case/CT.nii.gz`, `case/PT.nii.gz`. A pattern for a channel overrides both.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from .bundle import Specification
from .errors import InputError, OtherObjectError
from .files import stem
from .studies import Candidate, LeftOut, safe_name

_NUMBER = re.compile(r"(.*)_(\d{4})")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Matching:
    """How images are matched to channels.

    Args:
        spec: of the model.
        patterns: for some channels, by name, what the series description or the file name looks like ("*t1*"), in any
            case. With one, the image files of a case are those of a folder.
        any_modality: whether DICOM's modality does not matter.
    """

    spec: Specification
    patterns: Mapping[str, str] = field(default_factory=dict)
    any_modality: bool = False

    def __post_init__(self):
        for name in self.patterns:
            if name not in self.spec.channels:
                raise InputError(f"The model has no channel '{name}'.", f"It has {', '.join(self.spec.channels)}.")

    def cases(self, candidates: Iterable[Candidate]) -> tuple[list[Candidate], list[LeftOut]]:
        """One candidate for each complete set of images: that of the first channel, with the `others`.

        What fits no channel is left out, and so is a study or a case in which a channel is missing or not certain.
        """
        studies, files, left_out = defaultdict(list), defaultdict(lambda: defaultdict(list)), []
        for candidate in candidates:
            if candidate.series:
                studies[candidate.series.study_uid].append(candidate)
            elif place := self._place_of_file(candidate):
                files[place.folder, place.case][place.channel].append(candidate)
            else:
                left_out.append(_no_channel(candidate))
        cases = []
        for study in studies.values():
            self._add_study(study, cases, left_out)
        for (_, case), by_channel in files.items():
            self._add_files(case, by_channel, cases, left_out)
        return cases, left_out

    def _add_study(self, study: list[Candidate], cases: list[Candidate], left_out: list[LeftOut]) -> None:
        options = {channel: self._series_for(channel, study) for channel in self.spec.channels}
        if not any(options.values()):
            left_out += map(_no_channel, study)
            return
        try:
            images = [_the_one(channel, found, _SERIES_REMEDY) for channel, found in options.items()]
            _check_different(images, self.spec)
            _check_one_space(images)
        except InputError as reason:
            left_out.append(LeftOut(study[0].name, study[0].source, reason))
            return
        cases.append(replace(images[0], others=tuple(images[1:])))
        left_out += [_no_channel(candidate) for candidate in study if candidate not in images]

    def _series_for(self, channel: str, study: list[Candidate]) -> list[Candidate]:
        """Those that may be meant; several only where nothing tells them apart."""
        fitting = [candidate for candidate in study if self._has_modality(channel, candidate)]
        if channel in self.patterns:
            return [one for one in fitting if self._is_meant(channel, one.series.description)]
        named = [one for one in fitting if _words(channel) <= _words(one.series.description)]
        shared = Counter(self.spec.channel_modalities)[self._modalities(channel)] > 1 or self.any_modality
        if shared or (named and len(fitting) > 1):
            return named
        return fitting

    def _has_modality(self, channel: str, candidate: Candidate) -> bool:
        wanted = self._modalities(channel)
        return self.any_modality or not wanted or not candidate.modality or candidate.modality in wanted

    def _modalities(self, channel: str) -> tuple[str, ...]:
        return self.spec.channel_modalities[self.spec.channels.index(channel)]

    def _is_meant(self, channel: str, text: str) -> bool:
        return fnmatchcase(text.casefold(), self.patterns[channel].casefold())

    def _place_of_file(self, candidate: Candidate) -> _Place | None:
        folder, name = candidate.source.parent, stem(candidate.source)
        above = "_".join(Path(candidate.key).parent.parts) or folder.name
        for channel in self.patterns:
            if self._is_meant(channel, candidate.source.name):
                return _Place(folder, safe_name(above), channel)
        case, channel = self._parted(name)
        if channel is None or channel in self.patterns:
            return None
        if self.patterns or not case:
            return _Place(folder, safe_name(above), channel)
        return _Place(folder, safe_name("_".join((*Path(candidate.key).parent.parts, case))), channel)

    def _parted(self, name: str) -> tuple[str, str | None]:
        """What a file's name says of the case and of the channel; None where it names no channel."""
        numbered = _NUMBER.fullmatch(name)
        if numbered and int(numbered[2]) < len(self.spec.channels):
            return numbered[1], self.spec.channels[int(numbered[2])]
        for channel in self.spec.channels:
            if found := re.fullmatch(rf"(?:(.*)[\W_])?{re.escape(channel)}", name, re.IGNORECASE):
                return found[1] or "", channel
        return name, None

    def _add_files(self, case: str, by_channel, cases: list[Candidate], left_out: list[LeftOut]) -> None:
        try:
            images = [_the_one(channel, by_channel[channel], _FILES_REMEDY) for channel in self.spec.channels]
        except InputError as reason:
            first = next(one for found in by_channel.values() for one in found)
            left_out.append(LeftOut(case, first.source, reason))
            return
        cases.append(replace(images[0], name=case, others=tuple(images[1:])))


@dataclass(frozen=True)
class _Place:
    """The case that an image file belongs to, and the channel that it is for."""

    folder: Path
    case: str
    channel: str


_SERIES_REMEDY = "Say which series it is by its description: --channel '{channel}=PATTERN', such as '*{channel}*'."
_FILES_REMEDY = "Name the file so that it ends in the channel's number (_0000, _0001, ...) or in its name (_{channel})."


def _the_one(channel: str, found: list[Candidate], remedy: str) -> Candidate:
    if not found:
        raise InputError(f"There is no image for the channel '{channel}'.", remedy.format(channel=channel))
    if len(found) > 1:
        names = ", ".join(f"'{one.series.name if one.series else one.source.name}'" for one in found)
        raise InputError(
            f"It is not certain which image the channel '{channel}' is: {names}.", remedy.format(channel=channel)
        )
    return found[0]


def _check_different(images: list[Candidate], spec: Specification) -> None:
    for number, image in enumerate(images):
        if image in images[:number]:
            first, second = spec.channels[images.index(image)], spec.channels[number]
            raise InputError(
                f"The series '{image.series.name}' would be both the channel '{first}' and the channel '{second}'.",
                _SERIES_REMEDY.format(channel=second),
            )


def _check_one_space(images: list[Candidate]) -> None:
    """Positions in different frames of reference have nothing to do with each other."""
    frames = {str(image.series.headers[0].get("FrameOfReferenceUID") or "") for image in images} - {""}
    if len(frames) > 1:
        raise InputError(
            "The series lie in different frames of reference: nothing says how they lie to each other.",
            "Register them, for example in 3D Slicer, and segment the registered images as files.",
        )


def _no_channel(candidate: Candidate) -> LeftOut:
    reason = OtherObjectError("It is none of the images that the model takes together.", "Choose another model for it.")
    return LeftOut(candidate.name, candidate.source, reason)


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))
