"""One picture of a result: three planes with contours, the surfaces, and what was found with its size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..atomic import replacing
from ..labels import Label
from ..volume import Grid, Volume
from .render import draw_surfaces
from .sampling import blurred, corners_ras, sample
from .structures import Structure, find_structures, richest_point

_BACKGROUND, _TEXT, _QUIET_TEXT = "#0b0e13", "#e8ecf1", "#8b95a3"
_BACKGROUND_RGB = tuple(int(_BACKGROUND[n : n + 2], 16) / 255 for n in (1, 3, 5))
_PLANE_PIXELS = 700
_SURFACE_PIXELS = 520
_DOTS_PER_INCH = 100
_LEGEND_SHARE = 0.18  # of the picture's width


@dataclass(frozen=True)
class Plane:
    """A plane as radiologists look at it. Unit vectors in RAS; letters at the left, right, top and bottom edge."""

    name: str
    right: tuple[int, int, int]
    down: tuple[int, int, int]
    letters: str


PLANES = (
    Plane("Axial", (-1, 0, 0), (0, -1, 0), "RLAP"),
    Plane("Coronal", (-1, 0, 0), (0, 0, -1), "RLSI"),
    Plane("Sagittal", (0, -1, 0), (0, 0, -1), "APSI"),
)


def draw_overview(
    path: str | Path, volume: Volume, labelmap: Volume, labels: tuple[Label, ...], title: str = "", footer: str = ""
) -> Path:
    """Draw the overview as PNG, about 1600x1200. Returns the path.

    The planes follow the patient's axes, whatever the grid's, and meet where most structures are seen.
    CT is shown in the soft-tissue window, everything else between its darkest and brightest percent.

    Args:
        volume: the image.
        labelmap: unsigned integers, on the same grid.
        labels: the structures that were looked for; those without a voxel are listed as not found.

    Raises:
        OutputError: the file could not be written.
    """
    path = Path(path)
    with replacing(path) as partial:  # first, so that a folder that takes no file is told at once
        structures = find_structures(labelmap, labels)
        figure = _figure(volume, structures, richest_point(labelmap, structures), labels, title, footer)
        figure.savefig(partial, format="png", facecolor=_BACKGROUND)
    return path


def _figure(volume: Volume, structures, center_ras: np.ndarray, labels, title: str, footer: str):
    from matplotlib.figure import Figure  # not through pyplot: no global state, no window

    widths, heights = _cell_sizes(volume.grid)
    picture_width = widths.sum() / (1 - _LEGEND_SHARE)
    figure = Figure(figsize=(16, 16 * heights.sum() / picture_width + 1.1), dpi=_DOTS_PER_INCH)
    cells = figure.add_gridspec(
        2,
        3,
        width_ratios=(*widths, picture_width * _LEGEND_SHARE),
        height_ratios=heights,
        left=0.012,
        right=0.985,
        bottom=0.045,
        top=0.94,
        wspace=0.02,
        hspace=0.02,
    )
    window = _window(volume)
    for plane, cell in zip(PLANES, (cells[0, 0], cells[1, 0], cells[1, 1])):
        _draw_plane(figure.add_subplot(cell), volume, structures, plane, center_ras, window)
    _draw_surfaces(figure.add_subplot(cells[0, 1]), structures)
    _draw_legend(figure.add_subplot(cells[:, 2]), structures, labels)
    figure.text(0.014, 0.967, title, color=_TEXT, size=19, weight="bold", va="center")
    figure.text(0.014, 0.021, footer, color=_QUIET_TEXT, size=11, va="center")
    return figure


def _cell_sizes(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Widths and heights of the cells: as the patient's in mm, so that the planes share one scale, within reason."""
    extent = np.ptp(corners_ras(grid, margin=0.5), axis=0)
    across, front_to_back, head_to_foot = np.clip(extent / extent.max(), 0.55, 1)
    return np.array([across, front_to_back]), np.array([front_to_back, head_to_foot])


def _window(volume: Volume) -> tuple[float, float]:
    if volume.modality == "CT":
        return 40 - 200, 40 + 200
    step = max(1, round((volume.array.size / 2e6) ** (1 / 3)))
    low, high = np.percentile(volume.array[::step, ::step, ::step], (1, 99))
    return float(low), float(max(high, low + 1e-6))


def _draw_plane(axes, volume: Volume, structures, plane: Plane, center_ras: np.ndarray, window) -> None:
    to_ras, shape, pixel_mm = _lattice(volume.grid, plane, center_ras)
    image = sample(volume.array, np.linalg.inv(volume.ijk_to_ras) @ to_ras, (1, *shape), outside=window[0], cubic=True)
    axes.imshow(image[0], cmap="gray", vmin=window[0], vmax=window[1], interpolation="bilinear")
    for structure in sorted(structures, key=lambda s: s.volume_ml, reverse=True):
        _draw_section(axes, structure, to_ras, shape)
    _annotate(axes, plane, center_ras, pixel_mm)


def _lattice(grid: Grid, plane: Plane, center_ras: np.ndarray) -> tuple[np.ndarray, tuple[int, int], float]:
    """4x4 from pixels (right, down) to RAS, the number of (rows, columns), and the size of a pixel."""
    right, down = np.array(plane.right), np.array(plane.down)
    corners = corners_ras(grid, margin=0.5)
    low = np.array([(corners @ axis).min() for axis in (right, down)])
    size = np.array([(corners @ axis).max() for axis in (right, down)]) - low
    pixel_mm = float(size.max()) / _PLANE_PIXELS
    columns, rows = np.maximum(np.round(size / pixel_mm), 1).astype(int)
    normal = np.cross(right, down)
    start = right * (low[0] + pixel_mm / 2) + down * (low[1] + pixel_mm / 2) + normal * (center_ras @ normal)
    to_ras = np.eye(4)
    to_ras[:3] = np.column_stack([right * pixel_mm, down * pixel_mm, normal, start])
    return to_ras, (int(rows), int(columns)), pixel_mm


def _draw_section(axes, structure: Structure, to_ras: np.ndarray, shape) -> None:
    to_ijk = np.linalg.inv(structure.grid.ijk_to_ras) @ to_ras
    blur_pixels = 0.7 / np.linalg.norm(to_ijk[:3, :2], axis=0)  # 0.7 voxels: rounds their corners, keeps the outline
    section = blurred(sample(structure.occupancy, to_ijk, (1, *shape)).astype(np.float32), (*blur_pixels, 0))[0] / 255
    if section.max() < 0.5:
        return
    color = structure.rgb
    if not structure.is_envelope:
        axes.contourf(section, levels=(0.5, 2), colors=[color], alpha=0.22)
    axes.contour(section, levels=(0.5,), colors=[color], linewidths=1.0 if structure.is_envelope else 1.7)


def _annotate(axes, plane: Plane, center_ras: np.ndarray, pixel_mm: float) -> None:
    axes.set_facecolor("black")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_frame_on(False)
    for letter, place in zip(plane.letters, ((0.025, 0.5), (0.975, 0.5), (0.5, 0.97), (0.5, 0.03))):
        _write(axes, *place, letter, size=14, weight="bold", ha="center")
    axis = int(np.argmax(np.abs(np.cross(plane.right, plane.down))))
    side = ("LR", "PA", "IS")[axis][int(center_ras[axis] >= 0)]
    caption = f"{plane.name}  {side} {abs(center_ras[axis]):.0f} mm"
    _write(axes, 0.015, 0.97, caption, size=11)
    _draw_scale_bar(axes, pixel_mm)


def _draw_scale_bar(axes, pixel_mm: float) -> None:
    width_mm = np.ptp(axes.get_xlim()) * pixel_mm
    length_mm = max((n for n in (1, 2, 5, 10, 20, 50, 100) if n < 0.3 * width_mm), default=width_mm / 4)
    end = 1 - 0.03
    axes.plot([end - length_mm / width_mm, end], [0.03, 0.03], color=_TEXT, lw=2, transform=axes.transAxes)
    _write(axes, end, 0.055, f"{length_mm:g} mm", size=10, ha="right")


def _write(axes, x: float, y: float, text: str, **style) -> None:
    """Light text with a dark rim, legible on any image; x and y as shares of the axes."""
    from matplotlib.patheffects import withStroke

    rim = [withStroke(linewidth=3, foreground="black")]
    axes.text(x, y, text, color=_TEXT, va="center", transform=axes.transAxes, path_effects=rim, **style)


def _draw_surfaces(axes, structures: tuple[Structure, ...]) -> None:
    axes.set_axis_off()
    if structures:
        axes.imshow(draw_surfaces(structures, _SURFACE_PIXELS, _BACKGROUND_RGB), interpolation="lanczos")


def _draw_legend(axes, structures: tuple[Structure, ...], labels: tuple[Label, ...]) -> None:
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(1, 0)
    found = {structure.label: structure for structure in structures}
    rows = [(label.name, _volume_text(found[label]) if label in found else "not found") for label in labels]
    spacing, size = _legend_type(rows, axes.get_window_extent())
    for n, (label, (name, value)) in enumerate(zip(labels, rows)):
        y = 0.03 + spacing * n
        color = _TEXT if label in found else _QUIET_TEXT
        if label in found:
            axes.scatter([0.05], [y], s=size * 9, marker="s", color=[found[label].rgb], linewidths=0)
        axes.text(0.11, y, name, color=color, size=size, va="center")
        axes.text(0.99, y, value, color=color, size=size, va="center", ha="right")


def _legend_type(rows: list[tuple[str, str]], box) -> tuple[float, float]:
    """Distance of the rows as a share of the height, and the size of type in points that fits the longest row."""
    spacing = min(0.034, 0.95 / max(len(rows), 1))
    longest = max((len(name) + len(value) + 2 for name, value in rows), default=1)
    points_per_pixel = 72 / _DOTS_PER_INCH
    fits_width = 0.88 * box.width * points_per_pixel / (0.6 * longest)  # 0.6: mean width of a letter to its size
    fits_height = 0.7 * spacing * box.height * points_per_pixel
    return spacing, min(13, fits_width, fits_height)


def _volume_text(structure: Structure) -> str:
    return f"{structure.volume_ml:,.0f} ml" if structure.volume_ml >= 100 else f"{structure.volume_ml:.3g} ml"
