"""What is measured: up to ten clicks on every target, each where the error of the answer before is largest."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from .peers import PEERS, Segment
from .robot import dice, next_click
from .targets import Target

CLICKS = 10
GOAL = 0.85


@dataclass(frozen=True)
class Course:
    """How one target went with one peer.

    Attributes:
        dice: after each click; 1 after what needed no more.
        seconds: of each click that was made.
        tuned_on: whether this prompter's parameters were chosen with a look at this target.
    """

    peer: str
    kind: str
    name: str
    tuned_on: bool
    dice: tuple[float, ...]
    seconds: tuple[float, ...]

    @property
    def clicks_to_goal(self) -> int:
        """One more than all of them where the goal was not reached."""
        return next((number for number, value in enumerate(self.dice, 1) if value >= GOAL), CLICKS + 1)


def measure(targets: Iterable[Target], peers: Iterable[str], known: Iterable[Course] = ()) -> Iterator[Course]:
    """Every target with every peer; what is known already is taken from there."""
    courses = {(course.peer, course.kind, course.name): course for course in known}
    for number, target in enumerate(targets):
        for peer in peers:
            course = courses.get((peer, target.kind, target.name))
            if course is None:
                scores, seconds = _clicked(target, PEERS[peer](target.image))
                course = Course(peer, target.kind, target.name, _tuned_on(number, target), scores, seconds)
            yield course


def _tuned_on(number: int, target: Target) -> bool:
    """Every other one, and both of the kinds that have only one."""
    return number % 2 == 1 or target.kind == "spinal cord MR"


def _clicked(target: Target, segment: Segment) -> tuple[tuple[float, ...], tuple[float, ...]]:
    mask = np.zeros(target.mask.shape, bool)
    points, scores, seconds = [], [], []
    for _ in range(CLICKS):
        click = next_click(target.mask, mask, target.image.grid)
        if click is None:
            scores.append(1.0)
            continue
        points.append(click)
        start = time.perf_counter()
        mask = segment(points)
        seconds.append(time.perf_counter() - start)
        scores.append(dice(mask, target.mask))
    return tuple(scores), tuple(seconds)
