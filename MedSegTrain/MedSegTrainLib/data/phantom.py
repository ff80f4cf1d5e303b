"""A thorax CT that never was: drawn from formulas, so that its truth is exact and no patient is needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from MedSegDLLib.labels import Code, Label, Terminology
from MedSegDLLib.volume import Grid, Volume

from .phantom_anatomy import Anatomy
from .phantom_canvas import Canvas
from .phantom_fields import (
    BODY,
    HEART,
    LEFT_LUNG,
    OESOPHAGUS,
    RIBS,
    RIGHT_LUNG,
    SPINAL_CORD,
    TRACHEA,
    VERTEBRAE,
)
from .phantom_organs import draw_organs

_PSF_MM = 0.6  # sigma of the scanner's blur
_VOXEL_BLUR = 0.35  # sigma, in voxels, of the averaging inside a voxel beyond the antialiased edge
_SLAB_VOXELS = 400_000


def _label(value: int, name: str, color, type_code: str, meaning: str, side: Code | None = None) -> Label:
    anatomy = Code("SCT", "123037004", "Anatomical Structure")
    return Label(value, name, color, Terminology(anatomy, Code("SCT", type_code, meaning), side))


_LEFT, _RIGHT = Code("SCT", "7771000", "Left"), Code("SCT", "24028007", "Right")

LABELS: tuple[Label, ...] = (
    _label(BODY, "body", (177, 122, 101), "51185008", "Thorax"),
    _label(LEFT_LUNG, "left lung", (110, 170, 215), "39607008", "Lung", _LEFT),
    _label(RIGHT_LUNG, "right lung", (80, 130, 190), "39607008", "Lung", _RIGHT),
    _label(HEART, "heart", (206, 110, 84), "80891009", "Heart"),
    _label(TRACHEA, "trachea", (182, 228, 255), "44567001", "Trachea"),
    _label(OESOPHAGUS, "oesophagus", (190, 110, 200), "32849002", "Esophagus"),
    _label(VERTEBRAE, "vertebrae", (226, 202, 134), "122495006", "Thoracic spine"),
    _label(SPINAL_CORD, "spinal cord", (244, 214, 49), "2748008", "Spinal cord"),
    _label(RIBS, "ribs", (253, 232, 158), "113197003", "Rib"),
)


@dataclass(frozen=True)
class Phantom:
    """A synthetic chest CT and its truth, on one grid.

    Args:
        image: int16, HU, modality 'CT'.
        truth: uint8, the values of LABELS; 0 is air and the table.
    """

    image: Volume
    truth: Volume


def draw_thorax(seed: int, spacing_mm=(3.0, 3.0, 3.0), shape: tuple[int, int, int] | None = None) -> Phantom:
    """The patient number `seed`, scanned at a spacing of one's choice.

    Args:
        seed: 0 and up; the same seed is the same patient at every spacing.
        spacing_mm: of i (to the patient's left), j (to the back), k (to the head).
        shape: (k, j, i), centred on the scan's field; by default as many voxels as the field holds.
    """
    anatomy = Anatomy.random(np.random.default_rng([seed, 0]))
    grid = _grid(anatomy, np.asarray(spacing_mm, dtype=float), shape)
    image, truth, noise_hu = (np.concatenate(parts) for parts in zip(*(_drawn(anatomy, slab) for slab in _slabs(grid))))
    image = _scanned(image, noise_hu, grid.spacing_mm, np.random.default_rng([seed, 1]))
    name = f"thorax phantom {seed}"
    return Phantom(Volume(image, grid.ijk_to_ras, "CT", name), Volume(truth, grid.ijk_to_ras, "SEG", f"{name} truth"))


def _grid(anatomy: Anatomy, spacing: np.ndarray, shape: tuple[int, int, int] | None) -> Grid:
    """An axial scan (i to the left, j to the back, k to the head) centred on the field."""
    field = anatomy.field_high_mm - anatomy.field_low_mm
    shape = shape or tuple(int(n) for n in np.round(field / spacing)[::-1])
    matrix = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    center = (anatomy.field_low_mm + anatomy.field_high_mm) / 2
    matrix[:3, 3] = center - matrix[:3, :3] @ ((np.array(shape[::-1]) - 1) / 2)
    return Grid(shape, matrix)


def _slabs(grid: Grid) -> Iterator[Grid]:
    """The grid in layers small enough for the processor's cache; a formula needs no neighbours."""
    layers, rows, columns = grid.shape
    thickness = max(1, _SLAB_VOXELS // (rows * columns))
    for first in range(0, layers, thickness):
        yield grid.cropped((slice(first, min(first + thickness, layers)), slice(0, rows), slice(0, columns)))


def _drawn(anatomy: Anatomy, grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sharp image (HU), truth and noise level (HU) of a slab, each (k, j, i)."""
    canvas = Canvas(anatomy.position(grid), grid.spacing_mm)
    draw_organs(canvas, anatomy)
    if anatomy.table:
        _draw_table(canvas, anatomy, grid)
    return canvas.image, canvas.truth, np.float32(anatomy.noise_hu) * _attenuation(canvas.position)


def _draw_table(canvas: Canvas, anatomy: Anatomy, grid: Grid) -> None:
    """A shallow trough of foam with a thin shell, under the patient and straight in the scanner."""
    _, rows, columns = grid.shape
    x = grid.ras([(i, 0, 0) for i in range(columns)])[:, 0] - anatomy.center_mm[0]
    y = grid.ras([(0, j, 0) for j in range(rows)])[:, None, 1] - anatomy.center_mm[1]
    top = -118 * anatomy.scale[1] - anatomy.fat_mm + (x / 190) ** 2 * 30
    foam = np.abs(y - top + 12) - 11
    empty = (canvas.truth == 0) & (canvas.image < -900)
    for distance, hu in ((foam, -940), (np.abs(foam) - 1.2, -650)):
        coverage = np.clip(0.5 - distance / canvas.softness_mm, 0, 1).astype(np.float32)
        canvas.image += (hu - canvas.image) * coverage * empty


def _scanned(image: np.ndarray, noise_hu: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What the scanner makes of it: blur, then noise whose grain is that of filtered back-projection; int16 HU."""
    sigma = np.maximum(_VOXEL_BLUR, _PSF_MM / spacing_mm)[::-1]
    image = gaussian_filter(image, sigma) + _noise(image.shape, rng) * noise_hu
    return np.clip(np.round(image), -1024, 3071).astype(np.int16)


def _noise(shape, rng: np.random.Generator) -> np.ndarray:
    """Correlated noise of unit variance without its lowest frequencies."""
    white = rng.standard_normal(shape, dtype=np.float32)
    noise = gaussian_filter(white, (0.4, 0.7, 0.7)) - gaussian_filter(white, (0.4, 2.0, 2.0))
    return noise / noise.std()


def _attenuation(position: np.ndarray) -> np.ndarray:
    """Relative noise: most where the fewest photons arrive, in the patient's middle and between the shoulders."""
    x, y, z = position
    depth = np.exp(-((x / 150) ** 2) - (y / 110) ** 2)
    return 0.45 + 0.55 * depth * (1 + 0.5 * np.exp(-(((z - 150) / 40) ** 2)))
