"""What a report consists of, before it is HTML, Markdown or CSV."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.figure import Figure as Drawing


@dataclass(frozen=True)
class Table:
    """Cells as text. `name` becomes that of its CSV file, and is unique in a document."""

    name: str
    title: str
    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """A drawing with a caption that says what is seen. `name` becomes that of its file."""

    name: str
    caption: str
    drawing: Drawing


@dataclass(frozen=True)
class Code:
    """Lines to be copied."""

    text: str


@dataclass(frozen=True)
class Section:
    """Paragraphs, then tables and figures as they come."""

    title: str
    paragraphs: tuple[str, ...] = ()
    parts: tuple[Table | Figure | Code, ...] = ()
    level: int = 2

    @property
    def anchor(self) -> str:
        return "-".join("".join(c if c.isalnum() else " " for c in self.title.lower()).split())


@dataclass(frozen=True)
class Document:
    title: str
    sections: tuple[Section, ...]

    @property
    def tables(self) -> list[Table]:
        return [part for section in self.sections for part in section.parts if isinstance(part, Table)]

    @property
    def figures(self) -> list[Figure]:
        return [part for section in self.sections for part in section.parts if isinstance(part, Figure)]
