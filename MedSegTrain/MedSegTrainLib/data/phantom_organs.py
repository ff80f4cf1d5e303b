"""The organs of the thorax phantom, each painted over what was there before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from .phantom_anatomy import (
    LEVELS,
    Anatomy,
    cage_section,
    level_at,
    level_height_mm,
    level_middle_mm,
    trunk_section,
)
from .phantom_canvas import UPRIGHT, Canvas, ellipsoid, smooth_union, smoothstep, superellipse

BODY, LEFT_LUNG, RIGHT_LUNG, HEART, TRACHEA, OESOPHAGUS, VERTEBRAE, SPINAL_CORD, RIBS = range(1, 10)

AIR_HU, FAT_HU, MUSCLE_HU, SKIN_HU = -1000, -105, 55, 30
_EVERYWHERE = (slice(None),) * 3
_BLEND_REACH_MM = 14.0  # how far a tube of the mediastinum is felt in the union of all
_SPINE_Y, _CANAL_Y = -51.0, -74.0
_RIB_END = np.array([2.2, 2.2, 2.25, 2.3, 2.3, 2.3, 2.25, 2.2, 2.1, 1.95, 1.45, 1.05])  # angle from the spine, radians
_CARTILAGE_END = np.array([3.2] * 7 + [2.75, 2.5, 2.2, 0, 0])


@dataclass
class Fields:
    """Distances (k, j, i) in mm that several organs share, all negative inside."""

    cage: np.ndarray  # inner face of the rib cage
    angle: np.ndarray  # around the cage, 0 at the spine, pi at the sternum
    diaphragm: np.ndarray  # negative above
    body: np.ndarray


def draw_organs(canvas: Canvas, anatomy: Anatomy) -> None:
    """Paint a whole patient, from the skin inwards."""
    fields = _fields(canvas, anatomy)
    _draw_wall(canvas, anatomy, fields)
    _draw_shoulder_blades(canvas, anatomy, fields)
    _draw_ribs(canvas, anatomy, fields)
    _draw_sternum(canvas, anatomy, fields)
    _draw_abdomen(canvas, anatomy, fields)
    heart = _heart(canvas, anatomy, fields)
    blood = canvas.tubes(_great_vessels(anatomy), _BLEND_REACH_MM)
    airway = canvas.tubes(_airways(anatomy), _BLEND_REACH_MM)
    oesophagus = canvas.tubes(_oesophagus(anatomy), _BLEND_REACH_MM)
    mediastinum = _mediastinum(canvas, heart, blood, airway, oesophagus)
    _draw_lungs(canvas, anatomy, fields, mediastinum)
    canvas.paint(_EVERYWHERE, blood, anatomy.blood_hu)
    _draw_heart(canvas, anatomy, heart)
    canvas.paint(_EVERYWHERE, oesophagus, 38, OESOPHAGUS)
    canvas.paint(_EVERYWHERE, airway - 1.5, 35, BODY)
    canvas.paint(_EVERYWHERE, airway, AIR_HU, TRACHEA)
    _draw_spine(canvas, anatomy)


def _fields(canvas: Canvas, anatomy: Anatomy) -> Fields:
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


def _draw_wall(canvas: Canvas, anatomy: Anatomy, fields: Fields) -> None:
    """Skin, fat, muscle in two layers, and the fat that fills the cage."""
    x, y, z = canvas.position
    canvas.paint(_EVERYWHERE, fields.body, SKIN_HU, BODY)
    canvas.paint(_EVERYWHERE, fields.body + 1.8, FAT_HU)
    width, depth, middle = trunk_section(z)
    muscle = superellipse(x, y - middle, width, depth, 2.45)
    canvas.paint(_EVERYWHERE, np.maximum(muscle, fields.body + 3), MUSCLE_HU)
    ripple = 4 * np.sin(fields.angle * 5) + 3 * np.sin(z / 17)
    planes = np.minimum(np.abs(fields.cage - 15 - ripple), np.abs(fields.cage - 38 + ripple)) - 1.2
    canvas.paint(_EVERYWHERE, np.maximum.reduce([planes, muscle + 4, z - 125]), FAT_HU, opacity=0.7)
    for side in (-1, 1):
        axilla = ellipsoid(canvas.position, (side * 118, 8, 92), (20, 34, 38))
        canvas.paint(_EVERYWHERE, np.maximum(axilla, 13 - fields.cage), FAT_HU, opacity=0.9)
    canvas.paint(_EVERYWHERE, fields.cage, FAT_HU + 15)


def _paint_bone(canvas: Canvas, where, distance, anatomy: Anatomy, label: int | None, shell_mm: float = 1.5) -> None:
    """A hard shell around a spongy core."""
    canvas.paint(where, distance, 620 * anatomy.bone_hu, label)
    canvas.paint(where, distance + shell_mm, 190 * anatomy.bone_hu)


def _draw_shoulder_blades(canvas: Canvas, anatomy: Anatomy, fields: Fields) -> None:
    where = np.nonzero(np.abs(fields.cage - 20) < 12)
    z, angle = canvas.at(where)[2], fields.angle[where]
    plate = np.abs(fields.cage[where] - 20 - 4 * np.cos(angle * 6)) - 2.5
    lower = (30 + 70 * (np.abs(angle - 0.75) / 0.4) - z) * 0.6
    blade = np.maximum.reduce([plate, (np.abs(angle - 0.8) - 0.38) * 100, lower, z - 118])
    _paint_bone(canvas, where, blade, anatomy, None)
    clavicles = [
        _curve([(s * 20, 50, 100), (s * 60, 44, 112), (s * 100, 20, 122), (s * 128, 8, 124)], (6, 5.5, 5, 6))
        for s in (-1, 1)
    ]
    _paint_bone(canvas, _EVERYWHERE, canvas.tubes(clavicles), anatomy, None)


def _draw_ribs(canvas: Canvas, anatomy: Anatomy, fields: Fields) -> None:
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


def _draw_sternum(canvas: Canvas, anatomy: Anatomy, fields: Fields) -> None:
    where = np.nonzero((np.abs(fields.cage - 5) < 12) & (fields.angle > 2.2))
    x, _, z = canvas.at(where)
    half_width = 14 + 13 * smoothstep(z, 50, 85)
    plate = superellipse(x, fields.cage[where] - 5, half_width, 5.0, 3)
    _paint_bone(canvas, where, np.maximum(plate, np.abs(z - 22) - 78), anatomy, None, shell_mm=1.2)


def _draw_abdomen(canvas: Canvas, anatomy: Anatomy, fields: Fields) -> None:
    """Diaphragm, liver, spleen, and a stomach with the gas in front, where it gathers in a patient on the back."""
    position = canvas.position
    x, y, _ = position
    below = np.maximum(2.5 - fields.diaphragm, fields.cage + 4)
    canvas.paint(_EVERYWHERE, np.maximum(np.abs(fields.diaphragm) - 1.6, fields.cage), MUSCLE_HU)
    enhanced = 0.45 * (anatomy.blood_hu - 45)
    liver = np.maximum(below, (-35 - x - 0.35 * y) * 0.9)
    canvas.paint(_EVERYWHERE, liver, 58 + enhanced)
    spleen = np.maximum(below, ellipsoid(position, (-92, -42, -128), (34, 42, 44)))
    canvas.paint(_EVERYWHERE, spleen, 50 + enhanced)
    stomach = np.maximum(below, ellipsoid(position, (-66, 22, -134), (46, 48, 46)))
    canvas.paint(_EVERYWHERE, stomach, MUSCLE_HU)
    lumen = stomach + 4
    canvas.paint(_EVERYWHERE, lumen, 18)
    canvas.paint(_EVERYWHERE, np.maximum(lumen, 70 - 70 * anatomy.stomach_gas - y), AIR_HU)


def _heart(canvas: Canvas, anatomy: Anatomy, fields: Fields) -> np.ndarray:
    """Distance to the outside of the heart: ventricles pointing to the left and the front, and atria."""
    shift, size = anatomy.heart_shift_mm, anatomy.heart_scale
    ventricles = ellipsoid(canvas.position, (-26, 30, -56) + shift, np.array([60, 42, 40]) * size, _HEART_AXES)
    atria = ellipsoid(canvas.position, (10, 12, -26) + shift, np.array([40, 32, 36]) * size)
    return np.maximum(smooth_union(ventricles, atria, 18), fields.cage + 7)


def _frame(axis) -> np.ndarray:
    """Rows: the axis and two unit vectors across it."""
    first = np.asarray(axis, float) / np.linalg.norm(axis)
    second = np.cross(first, (0, 0, 1))
    second /= np.linalg.norm(second)
    return np.array([first, second, np.cross(first, second)])


_HEART_AXES = _frame((-0.72, 0.52, -0.42))


def _draw_heart(canvas: Canvas, anatomy: Anatomy, heart: np.ndarray) -> None:
    """Muscle and four chambers, which stand out as far as there is contrast medium in the blood."""
    shift, size = anatomy.heart_shift_mm, anatomy.heart_scale
    canvas.paint(_EVERYWHERE, heart, 48 + 0.35 * (anatomy.blood_hu - 45), HEART)
    chambers = (
        ((-42, 18, -62), (38, 17, 19), _HEART_AXES),
        ((-18, 47, -54), (38, 12, 24), _HEART_AXES),
        ((-2, -4, -22), (28, 13, 18), UPRIGHT),
        ((34, 18, -34), (15, 20, 26), UPRIGHT),
    )
    for center, radii, axes in chambers:
        chamber = ellipsoid(canvas.position, np.add(center, shift), np.multiply(radii, size), axes)
        canvas.paint(_EVERYWHERE, np.maximum(chamber, heart + 3), anatomy.blood_hu)


def _curve(points, radii, pieces: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """A smooth tube through a few points (mm) with the radii (mm) there, as short straight pieces."""
    points = np.asarray(points, float)
    steps = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    fine = np.linspace(0, steps[-1], pieces + 1)
    return CubicSpline(steps, points)(fine), np.interp(fine, steps, np.broadcast_to(radii, len(points)))


def _great_vessels(anatomy: Anatomy) -> list[tuple[np.ndarray, np.ndarray]]:
    wide = anatomy.aorta_mm
    arch = [(2, 22, -20), (10, 30, 10), (8, 26, 40), (-6, 6, 58), (-22, -20, 54), (-29, -38, 30), (-29, -42, -20)]
    return [
        _curve([*arch, (-24, -44, -80), (-14, -42, -130), (-8, -38, -200)], [1.2 * wide] * 3 + [wide] * 7, 48),
        _curve([(28, 16, -25), (26, 18, 20), (24, 18, 62), (22, 16, 90), (32, 10, 150)], (10, 9, 9, 7, 6)),
        _curve([(24, 18, 78), (0, 32, 82), (-28, 20, 96), (-34, 8, 150)], (7, 6.5, 6, 5.5)),
        _curve([(24, 6, -45), (24, 0, -90), (22, -8, -200)], (12, 11, 12)),
        _curve([(-16, 38, -25), (-20, 30, 5), (-20, 14, 18)], (14, 14, 13)),
        _curve([(-20, 14, 18), (2, 8, 12), (26, 2, 8), (44, -4, 2)], (11, 11, 10.5, 8)),
        _curve([(-20, 14, 18), (-34, -2, 20), (-46, -12, 12)], (11, 10, 8)),
        _curve([(2, 14, 58), (14, 10, 85), (22, -4, 150)], (6.5, 6, 4.5)),
        _curve([(-8, 8, 60), (-12, 2, 90), (-20, -6, 150)], (4.5, 4.2, 3.8)),
        _curve([(-18, -8, 60), (-24, -12, 95), (-32, -14, 150)], (5.5, 5, 4)),
    ]


def _airways(anatomy: Anatomy) -> list[tuple[np.ndarray, np.ndarray]]:
    """Trachea, main bronchi (the right one short and steep) and a first branch of each."""
    wide = anatomy.trachea_mm
    carina = (3, -14, 26)
    right, left = (28, -18, 2), (-38, -20, -2)
    return [
        _curve([(0, -2, 240), (0, -4, 150), (1, -8, 80), carina], wide),
        _curve([carina, (14, -16, 14), right], (0.85 * wide, 0.8 * wide, 0.75 * wide), 8),
        _curve([carina, (-16, -16, 14), left], (0.8 * wide, 0.7 * wide, 0.65 * wide), 8),
        _curve([right, (38, -24, -22), (42, -30, -42)], (0.7 * wide, 0.5 * wide, 0.35 * wide), 8),
        _curve([left, (-46, -28, -22), (-50, -34, -38)], (0.6 * wide, 0.45 * wide, 0.3 * wide), 8),
    ]


def _oesophagus(anatomy: Anatomy) -> list[tuple[np.ndarray, np.ndarray]]:
    wide = anatomy.oesophagus_mm
    path = [(-2, -20, 240), (-3, -22, 150), (-5, -28, 80), (-6, -31, 26), (-5, -31, -20), (-8, -29, -60)]
    return [_curve([*path, (-18, -20, -100), (-36, -6, -122)], wide, 40)]


def _mediastinum(
    canvas: Canvas, heart: np.ndarray, blood: np.ndarray, airway: np.ndarray, oesophagus: np.ndarray
) -> np.ndarray:
    """Distance to what lies between the lungs: organs in their fat, and a septum in front of and behind them."""
    x, y, z = canvas.position
    core = canvas.tubes(
        [_curve([(0, 2, 200), (0, 6, 130), (1, 12, 70), (2, 6, 20)], (24, 23, 25, 20))], _BLEND_REACH_MM
    )
    spine = superellipse(x, y + 60, 20, 26) - 3
    septum = np.abs(x) - 3.5 - 14 * smoothstep(y, 55, 92)
    behind = np.maximum(np.abs(x) - 14, y + 30)
    union = smooth_union(heart - 4, blood - 2.5, 10)
    for part in (airway - 2.5, oesophagus - 2.5, core, spine, septum, behind):
        union = smooth_union(union, part, 8)
    return union


def _draw_lungs(canvas: Canvas, anatomy: Anatomy, fields: Fields, mediastinum: np.ndarray) -> None:
    """Two lungs, darker in front than behind as gravity has it, with their vessels."""
    x, y, z = canvas.position
    apex = z - 137 + np.minimum(((np.abs(x) - 34) ** 2 + (y + 22) ** 2) / 80, 45)
    lungs = np.maximum.reduce([fields.cage + 2, -mediastinum, fields.diaphragm + 1, apex * np.float32(0.7)])
    hu = np.float32(anatomy.lung_hu) - np.float32(0.35) * y
    canvas.paint(_EVERYWHERE, lungs, hu)
    for side, label in ((1, RIGHT_LUNG), (-1, LEFT_LUNG)):
        canvas.truth[(lungs < 0) & (side * x > 0)] = label
    vessels = canvas.tubes(_lung_vessels(anatomy))
    canvas.paint(_EVERYWHERE, np.maximum(vessels, lungs + 2), max(30, 0.6 * anatomy.blood_hu), opacity=0.9)


def _lung_vessels(anatomy: Anatomy) -> list[tuple[np.ndarray, np.ndarray]]:
    """Two trees that leave the hila; the same for the same anatomy."""
    rng = np.random.default_rng(anatomy.vessel_seed)
    hila = (np.array((40.0, -8, 4)), (1, 0, 0)), (np.array((-44.0, -12, 10)), (-1, 0, 0))
    segments: list = []
    for hilum, outward in hila:
        for _ in range(7):
            direction = np.array(outward) + rng.normal(0, (0.3, 0.8, 1.2))
            _grow(segments, rng, hilum, direction, radius=rng.uniform(2.8, 4.2), depth=4)
    return segments


def _grow(segments: list, rng: np.random.Generator, start, direction, radius: float, depth: int) -> None:
    direction = direction / np.linalg.norm(direction)
    end = start + direction * rng.uniform(8.5, 14.0) * radius**0.75
    segments.append((np.array([start, end]), np.array([radius, 0.8 * radius])))
    for _ in range(2 if depth else 0):
        _grow(segments, rng, end, direction + rng.normal(0, 0.45, 3), radius * rng.uniform(0.62, 0.8), depth - 1)


def _draw_spine(canvas: Canvas, anatomy: Anatomy) -> None:
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
