"""Numbers on the command line, refused in words where they make no sense."""

from __future__ import annotations

from argparse import ArgumentTypeError


def positive(text: str) -> float:
    """A number above 0, for argparse."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise ArgumentTypeError("must be above 0")
    return number


def at_least_one(text: str) -> int:
    """1, 2, 3, ..., for argparse."""
    return _whole(text, 1)


def at_least_zero(text: str) -> int:
    """0, 1, 2, ..., for argparse."""
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    number = int(text)
    if number < least:
        raise ArgumentTypeError(f"must be {least} or more")
    return number
