"""The courses as Markdown for people and JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean, median

import document

from .protocol import CLICKS, GOAL, Course

PACKAGES = ("SimpleITK", "scipy", "numpy", "slicer-core")
_SHOWN = (1, 3, 5, 10)
_INTRODUCTION = f"""\
A robot clicks at the centre of the largest connected error, up to {CLICKS} times, on structures that people drew.
MedSegDL is the prompter that needs no training, with one set of parameters for all; these were tuned on every other
target, and on the only cord and the only pair of lungs. Slicer's own filter, Grow from seeds, gets
balls of two voxels around the clicks, and the border of a crop of 60 mm around them as background; so do the plain
geodesic fronts where they are shown."""


def write_report(courses: Sequence[Course], path: Path) -> str:
    """Write `path`.md and `path`.json; returns the Markdown."""
    context = document.context(PACKAGES)
    markdown = _markdown(courses, context)
    document.write(path, markdown, {**context, "courses": [asdict(course) for course in courses]})
    return markdown


def read_courses(path: Path) -> list[Course]:
    """What an earlier report holds; nothing where there is none."""
    file = path.with_suffix(".json")
    return [Course(**course) for course in json.loads(file.read_text())["courses"]] if file.exists() else []


def _markdown(courses: Sequence[Course], context: dict) -> str:
    kinds = dict.fromkeys(course.kind for course in courses)
    groups = {
        "all": courses,
        "tuned on": [course for course in courses if course.tuned_on],
        "not tuned on": [course for course in courses if not course.tuned_on],
        **{kind: [course for course in courses if course.kind == kind] for kind in kinds},
    }
    sections = [
        "# Clicks: from a click to a structure",
        _INTRODUCTION,
        *(f"## {title}\n\n{_table(group)}" for title, group in groups.items() if group),
        "## Where and how\n\n" + document.where(context),
    ]
    return "\n\n".join(sections) + "\n"


def _table(courses: Sequence[Course]) -> str:
    header = [
        f"{len({(course.kind, course.name) for course in courses})} targets",
        *(f"Dice at {number}" for number in _SHOWN),
        f"clicks to {GOAL}",
        "never",
        "s a click, median",
        "worst",
    ]
    peers = dict.fromkeys(course.peer for course in courses)
    return document.table(header, [_row(peer, [c for c in courses if c.peer == peer]) for peer in peers])


def _row(peer: str, courses: Sequence[Course]) -> list[str]:
    seconds = [value for course in courses for value in course.seconds]
    return [
        peer,
        *(f"{mean(course.dice[number - 1] for course in courses):.3f}" for number in _SHOWN),
        f"{mean(course.clicks_to_goal for course in courses):.1f}",
        str(sum(course.clicks_to_goal > CLICKS for course in courses)),
        f"{median(seconds):.2f}",
        f"{max(seconds):.2f}",
    ]
