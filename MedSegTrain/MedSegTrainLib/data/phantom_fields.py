"""What the parts of the thorax phantom share: numbers of its labels, grey values, and distances to its large shapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .phantom_anatomy import Anatomy, cage_section, trunk_section
from .phantom_canvas import Canvas, ellipsoid, smooth_union, smoothstep, superellipse

BODY, LEFT_LUNG, RIGHT_LUNG, HEART, TRACHEA, OESOPHAGUS, VERTEBRAE, SPINAL_CORD, RIBS = range(1, 10)

AIR_HU, FAT_HU, MUSCLE_HU, SKIN_HU = -1000, -105, 55, 30


@dataclass
class Fields:
    """Distances (k, j, i) in mm that several organs share, all negative inside."""

    cage: np.ndarray  # inner face of the rib cage
    angle: np.ndarray  # around the cage, 0 at the spine, pi at the sternum
    diaphragm: np.ndarray  # negative above
    body: np.ndarray


def fields_of(canvas: Canvas, anatomy: Anatomy) -> Fields:
    x, y, z = canvas.position
    width, depth, middle = cage_section(z)
    angle = np.arctan2(np.abs(x), middle - y)
    notch = 1 + np.float32(0.17) * np.exp(-((angle / np.float32(0.36)) ** 2))  # the cage gives way to the spine
    cage = superellipse(x * notch, (y - middle) * notch, width, depth, 2.3)
    return Fields(cage, angle, _diaphragm(anatomy, x, y, z), _body(canvas, anatomy, angle))


def _diaphragm(anatomy: Anatomy, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Distance to the space above the two domes."""
    to_left = smoothstep(-x, -40, 40)
    top = np.float32(anatomy.diaphragm_mm - 58) - np.float32(anatomy.diaphragm_tilt_mm) * to_left
    radius = ((np.abs(x) - 62) / 80) ** 2 + ((y - 8) / 88) ** 2
    return (top - 52 * radius - z) * np.float32(0.72)


def _body(canvas: Canvas, anatomy: Anatomy, angle: np.ndarray) -> np.ndarray:
    x, y, z = canvas.position
    width, depth, middle = trunk_section(z)
    muscle = superellipse(x, y - middle, width, depth, 2.45)
    fat_mm = np.float32(anatomy.fat_mm) * (1 - np.float32(0.3) * np.sin(angle) ** 2)
    body = muscle - fat_mm
    for side in (-1, 1):
        if anatomy.breast_mm:
            center, radii = (side * 72, 88 + anatomy.fat_mm, -12), (56, anatomy.breast_mm, 52)
            body = smooth_union(body, ellipsoid(canvas.position, center, radii), 22)
    return body
