"""The structure at the first click, whose size nobody has said yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from .appearance import Appearance
from .fronts import race
from .fusion import Hypothesis, membership, threshold_of_best_dice, weights
from .marks import Drawing
from .parallel import in_parallel
from .parameters import Parameters
from .pyramid import Level, Pyramid, Window, resampled
from .shapes import connected, core_of, distance_mm, filled, radius_mm, surroundings

_LEAST_VOXELS = 3  # of a hypothesis
_RING_VOXELS = 3
_NEGLIGIBLE = 0.01  # weight


def first_guess(
    pyramid: Pyramid, drawing: Drawing, parameters: Parameters, check: Callable[[], None]
) -> tuple[Window, np.ndarray]:
    """The mask and the window it lies on; `check` is called now and then, and may raise."""
    radii = list(supposed_radii(pyramid, drawing, parameters))
    pyramid.level_for(radii[-1], parameters.most_radius_voxels)  # made now, as threads would each make it

    def look(radius: float) -> list[Hypothesis]:
        check()
        return suppose(radius, pyramid, drawing, parameters)

    hypotheses = sum(in_parallel(look, radii), [])
    window = _common_window(pyramid, hypotheses, parameters)
    shares = membership(hypotheses, window)
    mask = shares >= threshold_of_best_dice(shares)
    check()
    return refined(mask, window, pyramid, drawing, parameters)


def supposed_radii(pyramid: Pyramid, drawing: Drawing, parameters: Parameters) -> Iterator[float]:
    """From a few voxels to the whole image, or to the box that was drawn; in mm."""
    image = pyramid.image
    extent = (np.array(image.array.shape) * image.spacing_mm)[~image.flat]
    largest = min(parameters.largest_radius_mm, 0.75 * float(np.linalg.norm(extent)))
    for limit in drawing.limits:
        largest = min(largest, limit.half_diagonal_mm(image.spacing_mm))
    radius = parameters.smallest_radius_voxels * image.voxel_mm
    yield radius
    while radius < largest:
        radius *= parameters.radius_ratio
        yield radius


def suppose(radius: float, pyramid: Pyramid, drawing: Drawing, parameters: Parameters) -> list[Hypothesis]:
    """The structure if it lies within this radius of the clicks: once by edges alone, once by grey values too."""
    window = _window_around(pyramid.level_for(radius, parameters.most_radius_voxels), drawing, radius, parameters)
    spacing = window.level.spacing_mm
    core = parameters.core * radius
    inside, outside = drawing.seeds(window, tuple(core for _ in drawing.marks))
    beyond = (distance_mm(inside, spacing) > radius - core) | window.border()
    outside |= beyond & ~inside
    look = Appearance(pyramid, window, parameters)
    hypotheses = []
    cost_inside = cost_outside = look.edges
    for _ in range(2):
        mask = connected(race(cost_inside, cost_outside, inside, outside, spacing), inside)
        mask = filled(mask, outside) & ~outside
        ring = surroundings(mask, _RING_VOXELS)
        if mask.sum() < _LEAST_VOXELS or not ring.any():
            break
        log_weight = -parameters.separation * look.likeness(mask, ring)
        log_weight -= parameters.slimness * np.log(radius_mm(mask, spacing))
        hypotheses.append(Hypothesis(window, mask, log_weight))
        evidence = parameters.appearance_cost * look.evidence(mask, core_of(mask))
        cost_inside, cost_outside = look.edges + np.maximum(-evidence, 0), look.edges + np.maximum(evidence, 0)
    return hypotheses


def refined(
    mask: np.ndarray, window: Window, pyramid: Pyramid, drawing: Drawing, parameters: Parameters
) -> tuple[Window, np.ndarray]:
    """The outline moved to the edges near it, as finely as the image and the time allow."""
    around = window.within(mask)
    margin = 3 * window.level.factor
    fine = _finest_window(pyramid, window.level, around.low - margin, around.high + margin - 1, parameters)
    spacing = fine.level.spacing_mm
    mask = resampled(mask, window, fine) > 0.5
    band = parameters.refined_band_voxels * max(window.level.voxel_mm, fine.level.voxel_mm)
    depth = distance_mm(~mask, spacing)
    inside, outside = drawing.seeds(fine, ())
    inside |= (depth > min(band, 0.7 * depth[mask].max(initial=0.0))) & mask & ~outside
    outside |= (distance_mm(mask, spacing) > band) & ~inside
    look = Appearance(pyramid, fine, parameters)
    evidence = parameters.appearance_cost * look.evidence(mask)
    costs = (look.edges + np.maximum(sign * evidence, 0) for sign in (-1, 1))
    return fine, filled(race(*costs, inside, outside, spacing), outside) & ~outside


def _window_around(level: Level, drawing: Drawing, radius: float, parameters: Parameters) -> Window:
    low = np.min([mark.low.min(axis=0) for mark in drawing.marks if mark.include], axis=0)
    high = np.max([mark.high.max(axis=0) for mark in drawing.marks if mark.include], axis=0)
    reach = parameters.margin * radius / level.spacing_mm * level.factor
    return level.window(low - reach, high + reach)


def _common_window(pyramid: Pyramid, hypotheses: list[Hypothesis], parameters: Parameters) -> Window:
    """Around all that has weight, on the level that suits the likely size."""
    shares = weights(hypotheses)
    sizes = [radius_mm(hypothesis.mask, hypothesis.window.level.spacing_mm) for hypothesis in hypotheses]
    level = pyramid.level_for(float(np.exp(shares @ np.log(sizes))), parameters.fused_radius_voxels)
    likely = [
        hypothesis.window.within(hypothesis.mask)
        for share, hypothesis in zip(shares, hypotheses)
        if share >= min(_NEGLIGIBLE, shares.max())
    ]
    low, high = np.min([part.low for part in likely], axis=0), np.max([part.high for part in likely], axis=0)
    return pyramid.window_of_at_most(parameters.fused_voxels, level, low - level.factor, high - 1 + level.factor)


def _finest_window(pyramid: Pyramid, level: Level, low, high, parameters: Parameters) -> Window:
    window = level.window(low, high)
    while finer := pyramid.finer(window.level):
        finer_window = finer.window(low, high)
        if finer_window.size > parameters.refined_voxels:
            break
        window = finer_window
    return window
