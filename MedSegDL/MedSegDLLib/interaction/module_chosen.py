"""What the user's choices in the module come to, in the scene as it is: images, region, time, and what is lacking."""

from __future__ import annotations

from typing import Any

from ..bundle import Bundle
from ..demand import MemoryPlan
from ..errors import MedSegError
from ..labels import Label
from ..volume import Grid, Volume
from .catalogue import ModelEntry
from .module_ports import Choices, Region, Scene
from .module_wording import ModuleWording
from .timings import Timings


class Chosen:
    """The present choices, to be asked about.

    Args:
        scene: where the nodes are.
        words: the sentences, in the user's language.
        timings: what earlier runs took.
    """

    def __init__(self, scene: Scene, words: ModuleWording, timings: Timings):
        self._scene = scene
        self._words = words
        self._timings = timings
        self.choices = Choices()
        self.models: tuple[ModelEntry, ...] = ()

    @property
    def entry(self) -> ModelEntry | None:
        """The chosen model."""
        return next((entry for entry in self.models if entry.name == self.choices.model), None)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the images that the chosen model takes; one, or none, for most models."""
        return self.entry.channels if self.entry else ()

    @property
    def nodes(self) -> tuple[Any, ...]:
        """A volume node for each channel; None where none is chosen."""
        more = max(0, len(self.channels) - 1)
        return (self.choices.volume_node, *(*self.choices.more_volume_nodes, *[None] * more)[:more])

    @property
    def frames(self) -> int:
        """Frames of the sequence that the volume belongs to; 1 for a volume of its own."""
        node = self.choices.volume_node
        return self._scene.frames(node) if node is not None and self._scene.is_present(node) else 1

    @property
    def volume(self) -> Volume | None:
        """The first image, whose grid counts; None where there is none that can be read."""
        node = self.choices.volume_node
        if node is None or not self._scene.is_present(node):
            return None
        try:
            return self._scene.read(node)
        except MedSegError:
            return None  # `reason_not_to_apply` says what is wrong with it

    @property
    def wanted_labels(self) -> tuple[Label, ...]:
        labels = self.entry.bundle.spec.labels
        return tuple(label for label in labels if label.name not in self.choices.left_out)

    def region(self, measured: bool = True) -> Region | None:
        """Slices (k, j, i) of the first image; see `Scene.region`. Raises MedSegError."""
        choices = self.choices
        return self._scene.region(
            choices.volume_node, choices.where, choices.roi_node, choices.segmentation_node, measured
        )

    def segmented_grid(self) -> Grid | None:
        """Of the region, or the whole image; None where that is not known."""
        volume = self.volume
        if volume is None:
            return None
        try:
            region = self.region(measured=False)
        except MedSegError:
            return None  # as above
        return volume.grid.cropped(region) if region else volume.grid

    def expected_seconds(self, entry: ModelEntry, grid: Grid | None) -> float | None:
        """For this grid and the chosen frames and device; None where that model never ran."""
        if grid is None or entry.bundle is None:
            return None
        seconds = self._timings.expected_seconds(entry.name, self.choices.device, entry.bundle.spec, grid)
        return seconds and seconds * (self.frames if self.choices.all_frames else 1)

    def memory_bytes(self, grid: Grid) -> int:
        """What segmenting this grid will take beside the network itself; only where nothing is in Apply's way."""
        others = [self._scene.read(node).grid for node in self.nodes[1:]]
        return MemoryPlan.of(grid, self.entry.bundle.spec, others).total_bytes

    def remember_time(self, bundle: Bundle, choices: Choices, grid: Grid, seconds: float) -> None:
        """Learn from a run."""
        self._timings.remember(choices.model, choices.device, bundle.spec, grid, seconds)

    # Why Apply is grey

    def reason_not_to_apply(self) -> str:
        """A sentence; '' where nothing is in the way."""
        return self._reason_of_volume() or self._reason_of_model() or self._reason_of_images() or self._reason_of_rest()

    def _reason_of_volume(self) -> str:
        node, words = self.choices.volume_node, self._words
        if node is None:
            return words.choose_channel(self.channels[0]) if len(self.channels) > 1 else words.choose_volume()
        return "" if self._scene.is_present(node) else words.volume_gone()

    def _reason_of_model(self) -> str:
        if not self.models:
            return self._words.no_model_installed()
        return self.entry.problem if self.entry else self._words.choose_model()

    def _reason_of_images(self) -> str:
        words, nodes = self._words, self.nodes
        for number, (channel, node) in enumerate(zip(self.channels, nodes)):
            if node is None:
                return words.choose_channel(channel)
            if not self._scene.is_present(node):
                return words.channel_gone(channel)
            if node in nodes[:number]:
                return words.same_volume(self.channels[nodes.index(node)], channel)
            if self.choices.all_frames and self._scene.frames(node) not in (1, self.frames):
                return words.other_frames(channel)
        try:
            return self._reason_of_modalities()
        except MedSegError as error:
            return words.failure(error)

    def _reason_of_modalities(self) -> str:
        words, wanted = self._words, self.entry.bundle.spec.channel_modalities
        found = [self._scene.read(node).modality for node in self.nodes]
        if self.choices.allow_other_modality:
            return ""
        for channel, expected, modality in zip(self.channels, wanted, found):
            if expected and modality and modality not in expected:
                if len(self.channels) == 1:
                    return words.other_modality(expected, modality)
                return words.other_modality_of_channel(channel, expected, modality)
        return ""

    def _reason_of_rest(self) -> str:
        try:
            self.region(measured=False)
        except MedSegError as error:
            return self._words.failure(error)
        return "" if self.wanted_labels else self._words.no_structure()
