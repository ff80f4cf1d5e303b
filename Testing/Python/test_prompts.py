"""Prompts: values that do not change, and their way through the pipe."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from MedSegDLLib.errors import InputError
from MedSegDLLib.prompts import Box, Point, Prompts, Stroke

CLICK = Point((1.5, -2, 3))
EXCLUDED = Point(np.array([4.0, 5, 6]), include=False)
STROKE = Stroke(np.arange(9).reshape(3, 3), include=False, radius_mm=2.5)
BOX = Box(((0, 0, 0), (10, 20, 0)))
ALL = Prompts((CLICK, STROKE, BOX, EXCLUDED))


def test_each_kind_in_the_order_of_entry():
    assert (ALL.points, ALL.strokes, ALL.boxes) == ((CLICK, EXCLUDED), (STROKE,), (BOX,))
    assert len(ALL) == 4 and ALL.entries[1] is STROKE
    assert ALL.included == Prompts((CLICK, BOX)) and ALL.excluded == Prompts((STROKE, EXCLUDED))


def test_adding_and_taking_back_leave_the_former_prompts_as_they_were():
    more = Prompts().with_prompt(CLICK).with_prompt(STROKE)
    assert more.without_last() == Prompts((CLICK,)) and len(more) == 2
    assert ALL.without(1) == Prompts((CLICK, BOX, EXCLUDED))
    assert ALL.without(3) == ALL.without_last()
    assert Prompts().without_last() == Prompts()


def test_they_are_values():
    assert Point([1.5, -2.0, 3.0]) == CLICK and hash(Point([1.5, -2.0, 3.0])) == hash(CLICK)
    assert Prompts([CLICK]) == Prompts((CLICK,)) and len({Prompts([CLICK]), Prompts((CLICK,))}) == 1
    assert CLICK != Point(CLICK.ras, include=False)
    with pytest.raises(FrozenInstanceError):
        CLICK.include = False


def test_through_json_and_back():
    assert Prompts.from_dict(json.loads(json.dumps(ALL.to_dict()))) == ALL
    assert Prompts.from_dict(Prompts().to_dict()) == Prompts()


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"entries": [{"kind": "lasso", "ras": [0, 0, 0]}]},
        {"entries": [{"kind": "point", "ras": [0, 0]}]},
        {"entries": [{"kind": "point", "ras": [0, 0, 0], "colour": 1}]},
        {"entries": [{"ras": [0, 0, 0]}]},
    ],
)
def test_what_is_no_prompt_is_told_with_a_remedy(data):
    with pytest.raises(InputError) as caught:
        Prompts.from_dict(data)
    assert caught.value.remedy


def test_positions_are_checked_where_they_come_in():
    with pytest.raises(ValueError, match="not a number"):
        Point((0, np.nan, 0))
    with pytest.raises(ValueError, match="two corners"):
        Box(((0, 0, 0), (1, 1, 1), (2, 2, 2)))
    with pytest.raises(ValueError, match="shape"):
        Stroke(())
