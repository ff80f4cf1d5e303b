"""python -m MedSegTrainLib: from data to a trained and judged model. The verbs are in `commands`, a file a subject.

Where the package is installed, `medseg` offers the same verbs.
"""

from __future__ import annotations

import argparse
from importlib import import_module

from MedSegDLLib.cli import obey

_SUBJECTS = ("data", "plan", "train", "evaluate", "compare", "estimate", "benchmark")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m MedSegTrainLib", description=__doc__)
    add_commands(parser.add_subparsers(required=True, metavar="COMMAND", title="commands"))
    return obey(parser, arguments)


def add_commands(commands) -> None:
    """Add every verb to the sub-commands of a parser; imports nothing heavy."""
    for subject in _SUBJECTS:
        import_module(f".commands.{subject}", __package__).add_to(commands)
