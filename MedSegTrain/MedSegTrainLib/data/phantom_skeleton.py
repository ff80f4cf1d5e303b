"""The bones of the thorax phantom."""

from __future__ import annotations

import numpy as np

from .phantom_anatomy import LEVELS, Anatomy, level_at, level_height_mm, level_middle_mm
from .phantom_canvas import EVERYWHERE, Canvas, curve, smoothstep, superellipse
from .phantom_fields import BODY, RIBS, SPINAL_CORD, VERTEBRAE, Fields

_SPINE_Y, _CANAL_Y = -51.0, -74.0
_RIB_END = np.array([2.2, 2.2, 2.25, 2.3, 2.3, 2.3, 2.25, 2.2, 2.1, 1.95, 1.45, 1.05])  # angle from the spine, radians
_CARTILAGE_END = np.array([3.2] * 7 + [2.75, 2.5, 2.2, 0, 0])


def draw_shoulder_blades(canvas: Canvas, anatomy: Anatomy, fields: Fields) -> None:
    where = np.nonzero(np.abs(fields.cage - 20) < 12)
    z, angle = canvas.at(where)[2], fields.angle[where]
    plate = np.abs(fields.cage[where] - 20 - 4 * np.cos(angle * 6)) - 2.5
    lower = (30 + 70 * (np.abs(angle - 0.75) / 0.4) - z) * 0.6
    blade = np.maximum.reduce([plate, (np.abs(angle - 0.8) - 0.38) * 100, lower, z - 118])
    _paint_bone(canvas, where, blade, anatomy, None)
    clavicles = [
        curve([(s * 20, 50, 100), (s * 60, 44, 112), (s * 100, 20, 122), (s * 128, 8, 124)], (6, 5.5, 5, 6))
        for s in (-1, 1)
    ]
    _paint_bone(canvas, EVERYWHERE, canvas.tubes(clavicles), anatomy, None)


def draw_ribs(canvas: Canvas, anatomy: Anatomy, fields: Fields) -> None:
    """Twelve pairs in the wall of the cage, sloping down to the front, then cartilage rising to the sternum."""
    where = np.nonzero(np.abs(fields.cage - 4.5) < 12)
    x, _, z = canvas.at(where)
    angle = fields.angle[where]
    drop = anatomy.rib_drop_mm * (0.35 + 0.65 * smoothstep(-z, -130, 0)) * (1 - np.cos(angle / 0.72)) / 2
    level = level_at(z + drop.astype(np.float32)) + 0.05
    number = np.clip(np.round(level), 0, 11).astype(np.int64)
    across = (level - number) * level_height_mm(number).astype(np.float32) * 0.85
    size = np.float32(anatomy.rib_mm)
    tube = superellipse(fields.cage[where] - 4.5, across, 3.4 * size, 6.2 * size)
    arc_mm = np.float32(100)
    bony = np.maximum.reduce([tube, (angle - _RIB_END.astype(np.float32)[number]) * arc_mm, 15 - np.abs(x)])
    cartilage = np.maximum(tube, (angle - _CARTILAGE_END.astype(np.float32)[number]) * arc_mm)
    canvas.paint(where, np.maximum(cartilage, 15 - np.abs(x)), 105)
    _paint_bone(canvas, where, bony, anatomy, RIBS, shell_mm=1.6)


def draw_sternum(canvas: Canvas, anatomy: Anatomy, fields: Fields) -> None:
    where = np.nonzero((np.abs(fields.cage - 5) < 12) & (fields.angle > 2.2))
    x, _, z = canvas.at(where)
    half_width = 14 + 13 * smoothstep(z, 50, 85)
    plate = superellipse(x, fields.cage[where] - 5, half_width, 5.0, 3)
    _paint_bone(canvas, where, np.maximum(plate, np.abs(z - 22) - 78), anatomy, None, shell_mm=1.2)


def draw_spine(canvas: Canvas, anatomy: Anatomy) -> None:
    """Vertebrae, the discs between them, and the canal with the cord."""
    where = canvas.window((-42, -112, -400), (42, -25, 400))
    x, y, z = canvas.at(where)
    level = level_at(z)
    height = level_height_mm(np.floor(level)).astype(np.float32)
    along = np.abs(level - np.floor(level) - np.float32(0.5)) * height
    growth = 1 + np.float32(0.028) * np.clip(level, -3, 14)
    waist = growth * (1 - np.float32(0.09) * (1 - (2 * along / height) ** 2))
    column = superellipse(x, y - _SPINE_Y, 14 * waist, 11.5 * waist, 2.3)
    half = height / 2 - np.float32(anatomy.disc_mm / 2)
    canvas.paint(where, np.maximum(column, half - along), 85, BODY)
    canal_y = np.float32(_CANAL_Y)
    canal = superellipse(x, y - canal_y, 9.5, 8.0)
    arch = np.maximum.reduce([superellipse(x, y - canal_y, 15, 13), along - 0.36 * height, y - _SPINE_Y])
    processes = canvas.tubes([tube for n in LEVELS for tube in _processes(n)])[where]
    vertebra = np.minimum.reduce([np.maximum(column, along - half), arch, processes])
    vertebra = np.maximum(vertebra, -canal)
    _paint_bone(canvas, where, vertebra, anatomy, VERTEBRAE, shell_mm=1.7)
    canvas.paint(where, canal, 8, BODY)
    canvas.paint(where, superellipse(x, y - canal_y, 5.4, 4.6), 40, SPINAL_CORD)


def _processes(level: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The spinous and the two transverse processes of one vertebra."""
    z = level_middle_mm(level)
    back = np.array([(0, _CANAL_Y - 10, z), (0, _CANAL_Y - 20, z - 7), (0, _CANAL_Y - 31, z - 15)])
    sides = [np.array([(s * 10, _CANAL_Y, z + 2), (s * 30, _CANAL_Y - 11, z + 5)]) for s in (-1, 1)]
    return [(back, np.array([3.6, 2.8, 3.6])), *((side, np.array([4.2, 4.0])) for side in sides)]


def _paint_bone(canvas: Canvas, where, distance, anatomy: Anatomy, label: int | None, shell_mm: float = 1.5) -> None:
    """A hard shell around a spongy core."""
    canvas.paint(where, distance, 620 * anatomy.bone_hu, label)
    canvas.paint(where, distance + shell_mm, 190 * anatomy.bone_hu)
