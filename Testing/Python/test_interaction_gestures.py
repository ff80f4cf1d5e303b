"""What the mouse means, and where it points in the patient."""

from __future__ import annotations

import numpy as np
import pytest

from MedSegDLLib.interaction.gestures import (
    Drag,
    Gesture,
    Kind,
    behind_surface,
    gesture_marks,
    marks,
    point_at,
    to_ras,
)
from MedSegDLLib.prompts import Box, Point, Prompts, Stroke
from scene_cases import placed, rotation

VIEW = placed(rotation(20, -35, 50), (0.5, 0.5, 3.0))  # oblique, half a millimetre a pixel, slices of 3 mm


def dragged(*positions, **keys) -> Gesture:
    drag = Drag(positions[0], **keys)
    for position in positions[1:]:
        drag.move(position)
    return drag.gesture


def test_a_trembling_hand_clicks():
    assert dragged((10, 10), (12, 11), (11, 9)) == Gesture(Kind.CLICK, ((10, 10),))


def test_a_drag_is_a_stroke_even_where_it_returns():
    assert dragged((10, 10), (20, 10), (10, 10)) == Gesture(Kind.STROKE, ((10, 10), (20, 10), (10, 10)))


def test_shift_makes_a_box_and_control_inverts():
    assert dragged((10, 10), (15, 12), (30, 25), boxed=True) == Gesture(Kind.BOX, ((10, 10), (30, 25)))
    assert dragged((10, 10), boxed=True, inverted=True) == Gesture(Kind.CLICK, ((10, 10),), True)


def test_positions_lie_on_the_slice():
    ras = to_ras([(0, 0), (10, 20)], VIEW)
    assert np.allclose(ras[0], VIEW[:3, 3])
    assert np.allclose(ras[1], VIEW[:3, 3] + 10 * VIEW[:3, 0] + 20 * VIEW[:3, 1])


@pytest.mark.parametrize("picked", [[(0, 0, 10)], [(0, 0, -30), (0, 0, 10), (0, 0, -10)]])
def test_the_surface_that_is_seen_is_entered(picked):
    assert np.allclose(behind_surface(picked, (0, 0, 110), 1.5), (0, 0, 8.5))


def prompts_in_view(*slices) -> Prompts:
    """A point at (40, 30) pixels in each of these slices."""
    positions = [(VIEW @ (40, 30, place, 1))[:3] for place in slices]
    return Prompts(Point(tuple(ras)) for ras in positions)


def test_a_drawn_point_is_hit_only_where_it_shows():
    prompts = prompts_in_view(2.0, 0.4, 0.0)
    assert point_at(prompts, (42, 31), VIEW) == 1
    assert point_at(prompts, (52, 31), VIEW) is None
    assert point_at(prompts_in_view(2.0, -0.6), (40, 30), VIEW) is None
    assert point_at(Prompts(), (40, 30), VIEW) is None


def test_the_nearest_point_is_hit_and_strokes_are_none():
    line = to_ras([(41, 30), (60, 30)], VIEW)
    near = to_ras([(46, 30)], VIEW)[0]
    prompts = Prompts([Stroke(line), *prompts_in_view(0.0).entries, Point(tuple(near))])
    assert point_at(prompts, (41, 30), VIEW) == 1
    assert point_at(prompts, (45, 30), VIEW) == 2


def test_points_are_plus_and_minus():
    ras = tuple(to_ras([(40, 30)], VIEW)[0])
    prompts = Prompts([Point(ras), Point(ras, include=False)])
    across, upright = marks(prompts, VIEW, include=True)
    assert np.allclose(across, [(34, 30), (46, 30)]) and np.allclose(upright, [(40, 24), (40, 36)])
    (minus,) = marks(prompts, VIEW, include=False)
    assert np.allclose(minus, [(34, 30), (46, 30)])


def test_strokes_and_boxes_show_on_their_slices():
    stroke = Stroke(to_ras([(10, 10), (20, 15), (30, 10)], VIEW))
    corners = [(VIEW @ (10, 10, -2, 1))[:3], (VIEW @ (30, 20, 3, 1))[:3]]
    prompts = Prompts([stroke, Box(corners)])
    line, rectangle = marks(prompts, VIEW, include=True)
    assert np.allclose(line, [(10, 10), (20, 15), (30, 10)])
    assert np.allclose(rectangle, [(10, 10), (30, 10), (30, 20), (10, 20), (10, 10)])
    beyond = VIEW.copy()
    beyond[:3, 3] += 5 * VIEW[:3, 2]
    assert marks(prompts, beyond, include=True) == []


def test_a_drag_shows_while_it_lasts():
    assert gesture_marks(dragged((10, 10))) == []
    assert np.allclose(gesture_marks(dragged((10, 10), (30, 10)))[0], [(10, 10), (30, 10)])
    assert gesture_marks(dragged((10, 10), (30, 20), boxed=True))[0].shape == (5, 2)
