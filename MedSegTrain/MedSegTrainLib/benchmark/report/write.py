"""A document as files: report.html (whole in itself), report.md with figures/ beside it, a CSV file for each table."""

from __future__ import annotations

import base64
import csv
import io
import re
import shutil
from pathlib import Path

import jinja2

from MedSegDLLib.atomic import output_errors, replacing

from .document import Code, Document, Figure, Section, Table

_TEMPLATES = Path(__file__).resolve().parents[3] / "Resources" / "Report"
_DOTS_AN_INCH = 110
_NUMBER = re.compile(r"[-+=<]?\s?<?\d.*|-")


def write(document: Document, folder: Path) -> list[Path]:
    """Write all files of a report, and return report.html and report.md. Raises OutputError."""
    pictures = {figure.name: _png(figure) for figure in document.figures}
    with output_errors(folder):
        for part in ("figures", "tables"):
            shutil.rmtree(folder / part, ignore_errors=True)  # of an earlier report, which had other ones
            (folder / part).mkdir(parents=True)
    for name, picture in pictures.items():
        _write(folder / "figures" / f"{name}.png", picture)
    for table in document.tables:
        _write(folder / "tables" / f"{table.name}.csv", _csv(table).encode())
    written = [folder / "report.html", folder / "report.md"]
    _write(written[0], _html(document, pictures).encode())
    _write(written[1], markdown(document).encode())
    return written


def markdown(document: Document) -> str:
    """The document with its figures as files in figures/."""
    return "\n\n".join([f"# {document.title}", *(_section(section) for section in document.sections)]) + "\n"


def _section(section: Section) -> str:
    heading = f"{'#' * section.level} {section.title}"
    return "\n\n".join([heading, *section.paragraphs, *(_part(part) for part in section.parts)])


def _part(part: Table | Figure | Code) -> str:
    if isinstance(part, Code):
        return f"```\n{part.text}\n```"
    if isinstance(part, Figure):
        return f"![{part.caption}](figures/{part.name}.png)\n\n*{part.caption}*"
    rule = ["---" if left else "---:" for left in _left_aligned(part)]
    lines = [part.heads, rule, *part.rows]
    text = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in lines)
    return "\n\n".join(filter(None, [f"**{part.title}**", text, part.note]))


def _html(document: Document, pictures: dict[str, bytes]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    embedded = {name: base64.b64encode(picture).decode() for name, picture in pictures.items()}
    template = environment.get_template("report.html.jinja")
    return template.render(document=document, pictures=embedded, left_aligned=_left_aligned)


def _left_aligned(table: Table) -> list[bool]:
    """Whether each column holds words, as the first always does; numbers stand to the right."""
    columns = list(zip(*table.rows)) if table.rows else [()] * len(table.heads)
    return [not n or not all(_NUMBER.fullmatch(cell) for cell in column) for n, column in enumerate(columns)]


def _csv(table: Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.heads)
    writer.writerows(table.rows)
    return text.getvalue()


def _png(figure: Figure) -> bytes:
    data = io.BytesIO()
    figure.drawing.savefig(data, format="png", dpi=_DOTS_AN_INCH, metadata={"Software": None})
    return data.getvalue()


def _write(path: Path, data: bytes) -> None:
    with replacing(path) as partial:
        partial.write_bytes(data)
