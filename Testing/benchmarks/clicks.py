#!/usr/bin/env python3
"""Measure how many clicks a structure takes: the prompter that needs no training beside Slicer's Grow from seeds.

    .venv/bin/python Testing/benchmarks/clicks.py --data FOLDER

The folder holds the public data sets of clicking/targets.py. Runs in the project's own environment.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

import environment  # noqa: F401 - finds the libraries
from clicking.peers import PEERS
from clicking.protocol import Course, measure
from clicking.report import read_courses, write_report
from clicking.targets import read_targets

RESULTS = Path(__file__).with_name("results")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument(
        "--peers", nargs="+", choices=list(PEERS), default=list(PEERS)[:2], help="default: the first two"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the results that are there")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the .md and .json (default: results)")
    arguments = parser.parse_args()
    targets = list(read_targets(arguments.data))
    path = arguments.output / "clicks"
    known = read_courses(path) if arguments.resume else []
    courses = []
    for course in tqdm(measure(targets, arguments.peers, known), total=len(targets) * len(arguments.peers)):
        courses.append(course)
        report = write_report([*courses, *missing(known, courses)], path)
    print(report)


def missing(known: list[Course], courses: list[Course]) -> list[Course]:
    """Those of an earlier run that this one has not come to yet, or has no peer for."""
    here = {(course.peer, course.kind, course.name) for course in courses}
    return [course for course in known if (course.peer, course.kind, course.name) not in here]


if __name__ == "__main__":
    main()
