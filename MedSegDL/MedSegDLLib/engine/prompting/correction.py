"""A later click: it says that the outline is wrong here, so the outline changes here and stays elsewhere.

People click into the middle of what is wrong. The distance from there to the outline is therefore the measure of the
correction: some of that distance around the click is trusted outright, and some multiples of it are tried as the
reach within which fronts may move the outline.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import numpy as np

from .appearance import Appearance
from .fronts import race
from .fusion import Hypothesis, membership
from .marks import Drawing, Mark
from .parallel import in_parallel
from .parameters import Parameters
from .pyramid import Pyramid, Window
from .selection import Selection
from .shapes import distance_mm, filled

_MARGIN = 1.15
_LOOK_VOXELS = 12  # how far the outline is looked for on each level


def correct(
    selection: Selection,
    drawing: Drawing,
    radii_mm: tuple[float, ...],
    distance: float,
    pyramid: Pyramid,
    parameters: Parameters,
    check: Callable[[], None],
) -> Selection:
    """The selection after the drawing's last mark, whose distance from the outline is given; `radii_mm` are trusted."""
    mark = drawing.marks[-1]
    distance = max(distance, parameters.shortest_reach_voxels * pyramid.image.voxel_mm)
    _window_around(mark, parameters.reaches[-1] * distance, pyramid, parameters)  # makes levels, as threads must not

    def look(reach: float) -> list[Hypothesis]:
        check()
        return _within_reach(reach * distance, mark, selection, drawing, radii_mm, pyramid, parameters)

    hypotheses = sum(in_parallel(look, parameters.reaches), [])
    middle = hypotheses[len(hypotheses) // 2].window.level
    low = np.min([hypothesis.window.low for hypothesis in hypotheses], axis=0)
    high = np.max([hypothesis.window.high for hypothesis in hypotheses], axis=0)
    window = pyramid.window_of_at_most(parameters.fused_voxels, middle, low, high - 1)
    before = selection.on(window)
    after = before + membership(hypotheses, window) > 0.5
    outside = drawing.seeds(window, radii_mm)[1]
    return selection.changed(window, before > 0.5, filled(after, outside) & ~outside)


def distance_to_correct(mark: Mark, selection: Selection, pyramid: Pyramid) -> float:
    """From the farthest wrong voxel of a mark to what is selected as the mark says, in mm; 0 where nothing is wrong.

    Looked for nearby on the image itself, then farther and farther on coarser levels.
    """
    for number in count():
        level = pyramid.level(number)
        reach = _LOOK_VOXELS * level.factor
        window = level.window(mark.low.min(axis=0) - reach, mark.high.max(axis=0) + reach)
        selected = selection.on(window) > 0.5
        right = selected if mark.include else ~selected
        wrong = mark.painted(window) & ~right
        if number == 0 and not wrong.any():
            return 0.0
        whole = (window.shape == level.array.shape).all() or level is pyramid.level(number + 1)
        if right.any() or whole:
            farthest = distance_mm(right, level.spacing_mm)[wrong].max(initial=0.0)
            return float(farthest) if np.isfinite(farthest) else float(np.linalg.norm(window.shape * level.spacing_mm))
    raise AssertionError("a pyramid has a last level")


def _within_reach(
    reach: float,
    mark: Mark,
    selection: Selection,
    drawing: Drawing,
    radii_mm: tuple[float, ...],
    pyramid: Pyramid,
    parameters: Parameters,
) -> list[Hypothesis]:
    """What changes if the outline is wrong this far from the mark: once by edges alone, once by grey values too."""
    window = _window_around(mark, reach, pyramid, parameters)
    spacing = window.level.spacing_mm
    selected = selection.on(window) > 0.5
    far = distance_mm(mark.painted(window), spacing) > reach
    inside, outside = drawing.seeds(window, radii_mm)
    inside |= far & selected & ~outside
    outside |= far & ~selected & ~inside
    if not outside.any():  # the window holds the whole image
        outside = window.border() & ~selected & ~inside
    look = Appearance(pyramid, window, parameters, equally_full=True)
    by_edges = race(look.edges, look.edges, inside, outside, spacing)
    evidence = parameters.correction_appearance_cost * look.evidence(by_edges)
    costs = (look.edges + np.maximum(sign * evidence, 0) for sign in (-1, 1))
    by_grey_values = race(*costs, inside, outside, spacing)
    return [Hypothesis(window, mask.astype(np.float32) - selected) for mask in (by_edges, by_grey_values)]


def _window_around(mark: Mark, reach: float, pyramid: Pyramid, parameters: Parameters) -> Window:
    """Somewhat farther than the reach, so that what stays is seen too."""
    margin = _MARGIN * reach / pyramid.image.spacing_mm
    low, high = mark.low.min(axis=0) - margin, mark.high.max(axis=0) + margin
    return pyramid.window_of_at_most(parameters.corrected_voxels, pyramid.image, low, high)
