"""The models that are installed, as a person chooses among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ..bundle import Bundle
from ..errors import ModelError
from ..models import installed_models

PICTURE = Path("docs/example.png")


@dataclass(frozen=True)
class ModelEntry:
    """A row of the model list.

    Args:
        name: the model's folder, by which scripts call it.
        bundle: None for a model that cannot be used.
        problem: why that is so, '' for one that can be used.
    """

    name: str
    folder: Path
    bundle: Bundle | None = None
    problem: str = ""

    @property
    def title(self) -> str:
        return self.bundle.metadata.get("title", self.name) if self.bundle else self.name

    @property
    def description(self) -> str:
        return self.bundle.metadata.get("description", "") if self.bundle else self.problem

    @property
    def limits(self) -> str:
        return self.bundle.metadata.get("limits", "") if self.bundle else ""

    @property
    def modality(self) -> tuple[str, ...]:
        return self.bundle.spec.modality if self.bundle else ()

    @property
    def structures(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.bundle.spec.labels) if self.bundle else ()

    @property
    def channels(self) -> tuple[str, ...]:
        """The images that it takes at once; one for most models."""
        return self.bundle.spec.channels if self.bundle else ()

    @property
    def is_prompter(self) -> bool:
        """Whether it turns clicks into a structure, and does nothing without them."""
        return bool(self.bundle and self.bundle.spec.prompts)

    @property
    def picture(self) -> Path | None:
        """A picture of an example, where the model brings one."""
        path = self.folder / PICTURE
        return path if path.is_file() else None

    def fits(self, modality: str) -> bool:
        """Whether the model is for images of this modality, or that cannot be told."""
        return not modality or not self.modality or modality in self.modality

    def matches(self, text: str) -> bool:
        """Whether every word of the search occurs in what is known of the model, in any case."""
        known = " ".join((self.title, self.name, self.description, *self.modality, *self.structures)).casefold()
        return all(word in known for word in text.casefold().split())


def read_catalogue(installed: Callable[[], dict[str, Path]] = installed_models) -> tuple[ModelEntry, ...]:
    """Every installed model, usable or not, by title."""
    entries = [_entry(name, folder) for name, folder in installed().items()]
    return tuple(sorted(entries, key=lambda entry: (bool(entry.problem), entry.title.casefold())))


def selection(entries: Iterable[ModelEntry], search: str = "", modality: str = "") -> tuple[ModelEntry, ...]:
    """The entries that match a search, those for the image's modality first."""
    found = [entry for entry in entries if entry.matches(search)]
    return tuple(sorted(found, key=lambda entry: not entry.fits(modality)))


def _entry(name: str, folder: Path) -> ModelEntry:
    try:
        return ModelEntry(name, folder, Bundle.load(folder))
    except ModelError as error:
        return ModelEntry(name, folder, problem=str(error))
