"""What a person may want of a prompted structure beyond its outline: a smoother one, and no stray pieces."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ...errors import InputError
from ...prompts import Prompts
from ...volume import Grid
from .marks import Drawing, draw
from .prompter import Mask
from .pyramid import Level, Window
from .selection import Selection

_SIGMAS = 3.0  # how far the Gaussian reaches
_ISLANDS = ("all", "clicked")


def finished(mask: Mask, grid: Grid, prompts: Prompts, smoothing_mm: float = 0.0, islands: str = "all") -> Mask:
    """The mask with a smoother outline, or without some of its pieces; every prompt is still honoured to the voxel.

    Args:
        mask: what a prompter found.
        grid: the image's.
        prompts: those that it was found for.
        smoothing_mm: standard deviation of a Gaussian, half of whose height is the new outline; 0 leaves the old one.
        islands: "clicked" keeps only the connected pieces (26 neighbours) that hold a prompt which includes.

    Raises:
        InputError: the smoothing is negative, or `islands` is neither "all" nor "clicked".
    """
    if not smoothing_mm >= 0 or islands not in _ISLANDS:
        raise InputError(
            f"A structure cannot be smoothed by {smoothing_mm} mm with the islands '{islands}'.",
            f"Smooth by 0 mm or more; the islands are {' or '.join(_ISLANDS)}.",
        )
    if not mask.array.any() or (smoothing_mm == 0 and islands == "all"):
        return mask
    selection, drawing = _selection(mask, grid), draw(prompts, grid)
    if smoothing_mm > 0:
        selection = _smoothed(selection, smoothing_mm).obeying(drawing)
    if islands == "clicked":
        selection = Selection(selection.window, _clicked(selection, drawing))
    selection = selection.trimmed()
    return Mask(selection.mask, tuple(int(n) for n in selection.window.start))


def _selection(mask: Mask, grid: Grid) -> Selection:
    image = Level(np.broadcast_to(np.False_, grid.shape), np.ones(3, int), grid.spacing_mm[::-1])
    return Selection(Window(image, np.array(mask.start), np.array(mask.array.shape)), mask.array)


def _smoothed(selection: Selection, sigma_mm: float) -> Selection:
    """The outline stays within the mask's box: beyond it, no half of the Gaussian holds anything of the mask."""
    window, level = selection.window, selection.window.level
    sigma = np.where(level.flat, 0.0, sigma_mm / level.spacing_mm)
    margins = np.ceil(_SIGMAS * sigma).astype(int)
    blurred = ndimage.gaussian_filter(_surrounded(selection, margins), sigma, truncate=_SIGMAS)
    inner = tuple(slice(margin, margin + size) for margin, size in zip(margins, window.shape))
    return Selection(window, blurred[inner] > 0.5)


def _surrounded(selection: Selection, margins: np.ndarray) -> np.ndarray:
    """The mask (float32) with nothing around it, but with itself beyond the edges of the image."""
    window = selection.window
    at_edge = np.stack([window.start == 0, window.start + window.shape == window.level.array.shape], axis=1)
    widths = np.repeat(margins[:, None], 2, axis=1)
    mask = np.pad(selection.mask.astype(np.float32), np.where(at_edge, widths, 0), mode="edge")
    return np.pad(mask, np.where(at_edge, 0, widths))


def _clicked(selection: Selection, drawing: Drawing) -> np.ndarray:
    """By scipy, not cc3d: a fresh Slicer brings the one only."""
    inside, _ = drawing.seeds(selection.window, ())
    pieces, count = ndimage.label(selection.mask, np.ones((3, 3, 3)))
    holds_a_prompt = np.zeros(count + 1, dtype=bool)
    holds_a_prompt[pieces[inside & selection.mask]] = True
    return holds_a_prompt[pieces]
