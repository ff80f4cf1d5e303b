"""The models of the effect: which prompting model is meant, which whole models can run, and what they take."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..bundle import Bundle
from ..client import SegmentResult
from ..errors import MedSegError
from ..labels import Label
from .catalogue import ModelEntry, selection
from .effect_ports import Choices, Scene
from .effect_run import Run
from .timings import Timings
from .wording import EffectWording


class EffectModels:
    """Asked for fifty times a second while the panel is shown: what takes a while is remembered.

    Args:
        bundle_of: a model by its name.
        timings: what earlier runs took.
    """

    def __init__(self, scene: Scene, words: EffectWording, bundle_of: Callable[[str], Bundle], timings: Timings):
        self._scene = scene
        self._words = words
        self._bundle_of = bundle_of
        self._timings = timings
        self._bundles: dict[str, Bundle] = {}

    def refresh(self) -> None:
        """Read the models again."""
        self._bundles.clear()

    def bundle(self, name: str) -> Bundle:
        """Raises ModelError."""
        if name not in self._bundles:
            self._bundles[name] = self._bundle_of(name)
        return self._bundles[name]

    @staticmethod
    def wanted_labels(bundle: Bundle, choices: Choices) -> tuple[Label, ...]:
        return tuple(label for label in bundle.spec.labels if label.name not in choices.left_out)

    def reason_not_to_run(self, choices: Choices) -> str:
        """A sentence; '' where nothing is in the way."""
        words = self._words
        if not choices.model:
            return words.choose_model()
        try:
            bundle = self.bundle(choices.model)
            self._scene.image()
        except MedSegError as error:
            return words.failure(error)
        if len(bundle.spec.channels) > 1:
            return words.several_images(bundle.spec.channels)
        return "" if self.wanted_labels(bundle, choices) else words.no_structure()

    def offered_models(self, entries: Iterable[ModelEntry]) -> tuple[ModelEntry, ...]:
        """Those that segment by themselves, for this image's modality first."""
        return selection([entry for entry in entries if not entry.is_prompter], modality=self._modality())

    def offered_prompters(self, entries: Iterable[ModelEntry]) -> tuple[ModelEntry | None, ...]:
        """What clicks can go to, best first: prompting models for this image, the built-in one (None), the others."""
        modality = self._modality()
        prompters = [entry for entry in entries if entry.is_prompter]
        fitting = [entry for entry in prompters if entry.fits(modality)]
        return (*fitting, None, *(entry for entry in prompters if entry not in fitting))

    def expected_seconds(self, entry: ModelEntry, choices: Choices) -> float | None:
        """What a run will take; None where that model never ran on that device, or there is no image."""
        try:
            grid = self._scene.image().grid
        except MedSegError:
            return None  # `reason_not_to_run` says what is wrong with it
        return entry.bundle and self._timings.expected_seconds(entry.name, choices.device, entry.bundle.spec, grid)

    def remember_time(self, run: Run, result: SegmentResult) -> None:
        """Learn from a run what the next one will take."""
        seconds, grid = result.report.get("total_seconds"), result.labels.grid
        if seconds:
            grid = grid.cropped(run.region) if run.region else grid
            self._timings.remember(run.choices.model, run.choices.device, run.bundle.spec, grid, seconds)

    def _modality(self) -> str:
        try:
            return self._scene.image().modality
        except MedSegError:
            return ""
