"""The organs of the thorax phantom, each painted over what was there before."""

from __future__ import annotations

import numpy as np

from .phantom_anatomy import Anatomy, trunk_section
from .phantom_canvas import EVERYWHERE, UPRIGHT, Canvas, curve, ellipsoid, smooth_union, smoothstep, superellipse
from .phantom_fields import (
    AIR_HU,
    BODY,
    FAT_HU,
    HEART,
    LEFT_LUNG,
    MUSCLE_HU,
    OESOPHAGUS,
    RIGHT_LUNG,
    SKIN_HU,
    TRACHEA,
    Fields,
    fields_of,
)
from .phantom_skeleton import draw_ribs, draw_shoulder_blades, draw_spine, draw_sternum

_BLEND_REACH_MM = 14.0  # how far a tube of the mediastinum is felt in the union of all


def draw_organs(canvas: Canvas, anatomy: Anatomy) -> None:
    """Paint a whole patient, from the skin inwards."""
    fields = fields_of(canvas, anatomy)
    _draw_wall(canvas, anatomy, fields)
    draw_shoulder_blades(canvas, anatomy, fields)
    draw_ribs(canvas, anatomy, fields)
    draw_sternum(canvas, anatomy, fields)
    _draw_abdomen(canvas, anatomy, fields)
    heart = _heart(canvas, anatomy, fields)
    blood = canvas.tubes(_great_vessels(anatomy), _BLEND_REACH_MM)
    airway = canvas.tubes(_airways(anatomy), _BLEND_REACH_MM)
    oesophagus = canvas.tubes(_oesophagus(anatomy), _BLEND_REACH_MM)
    mediastinum = _mediastinum(canvas, heart, blood, airway, oesophagus)
    _draw_lungs(canvas, anatomy, fields, mediastinum)
    canvas.paint(EVERYWHERE, blood, anatomy.blood_hu)
    _draw_heart(canvas, anatomy, heart)
    canvas.paint(EVERYWHERE, oesophagus, 38, OESOPHAGUS)
    canvas.paint(EVERYWHERE, airway - 1.5, 35, BODY)
    canvas.paint(EVERYWHERE, airway, AIR_HU, TRACHEA)
    draw_spine(canvas, anatomy)


def _draw_wall(canvas: Canvas, anatomy: Anatomy, fields: Fields) -> None:
    """Skin, fat, muscle in two layers, and the fat that fills the cage."""
    x, y, z = canvas.position
    canvas.paint(EVERYWHERE, fields.body, SKIN_HU, BODY)
    canvas.paint(EVERYWHERE, fields.body + 1.8, FAT_HU)
    width, depth, middle = trunk_section(z)
    muscle = superellipse(x, y - middle, width, depth, 2.45)
    canvas.paint(EVERYWHERE, np.maximum(muscle, fields.body + 3), MUSCLE_HU)
    ripple = 4 * np.sin(fields.angle * 5) + 3 * np.sin(z / 17)
    planes = np.minimum(np.abs(fields.cage - 15 - ripple), np.abs(fields.cage - 38 + ripple)) - 1.2
    canvas.paint(EVERYWHERE, np.maximum.reduce([planes, muscle + 4, z - 125]), FAT_HU, opacity=0.7)
    for side in (-1, 1):
        axilla = ellipsoid(canvas.position, (side * 118, 8, 92), (20, 34, 38))
        canvas.paint(EVERYWHERE, np.maximum(axilla, 13 - fields.cage), FAT_HU, opacity=0.9)
    canvas.paint(EVERYWHERE, fields.cage, FAT_HU + 15)


def _draw_abdomen(canvas: Canvas, anatomy: Anatomy, fields: Fields) -> None:
    """Diaphragm, liver, spleen, and a stomach with the gas in front, where it gathers in a patient on the back."""
    position = canvas.position
    x, y, _ = position
    below = np.maximum(2.5 - fields.diaphragm, fields.cage + 4)
    canvas.paint(EVERYWHERE, np.maximum(np.abs(fields.diaphragm) - 1.6, fields.cage), MUSCLE_HU)
    enhanced = 0.45 * (anatomy.blood_hu - 45)
    liver = np.maximum(below, (-35 - x - 0.35 * y) * 0.9)
    canvas.paint(EVERYWHERE, liver, 58 + enhanced)
    spleen = np.maximum(below, ellipsoid(position, (-92, -42, -128), (34, 42, 44)))
    canvas.paint(EVERYWHERE, spleen, 50 + enhanced)
    stomach = np.maximum(below, ellipsoid(position, (-66, 22, -134), (46, 48, 46)))
    canvas.paint(EVERYWHERE, stomach, MUSCLE_HU)
    lumen = stomach + 4
    canvas.paint(EVERYWHERE, lumen, 18)
    canvas.paint(EVERYWHERE, np.maximum(lumen, 70 - 70 * anatomy.stomach_gas - y), AIR_HU)


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
    canvas.paint(EVERYWHERE, heart, 48 + 0.35 * (anatomy.blood_hu - 45), HEART)
    chambers = (
        ((-42, 18, -62), (38, 17, 19), _HEART_AXES),
        ((-18, 47, -54), (38, 12, 24), _HEART_AXES),
        ((-2, -4, -22), (28, 13, 18), UPRIGHT),
        ((34, 18, -34), (15, 20, 26), UPRIGHT),
    )
    for center, radii, axes in chambers:
        chamber = ellipsoid(canvas.position, np.add(center, shift), np.multiply(radii, size), axes)
        canvas.paint(EVERYWHERE, np.maximum(chamber, heart + 3), anatomy.blood_hu)


def _great_vessels(anatomy: Anatomy) -> list[tuple[np.ndarray, np.ndarray]]:
    wide = anatomy.aorta_mm
    arch = [(2, 22, -20), (10, 30, 10), (8, 26, 40), (-6, 6, 58), (-22, -20, 54), (-29, -38, 30), (-29, -42, -20)]
    return [
        curve([*arch, (-24, -44, -80), (-14, -42, -130), (-8, -38, -200)], [1.2 * wide] * 3 + [wide] * 7, 48),
        curve([(28, 16, -25), (26, 18, 20), (24, 18, 62), (22, 16, 90), (32, 10, 150)], (10, 9, 9, 7, 6)),
        curve([(24, 18, 78), (0, 32, 82), (-28, 20, 96), (-34, 8, 150)], (7, 6.5, 6, 5.5)),
        curve([(24, 6, -45), (24, 0, -90), (22, -8, -200)], (12, 11, 12)),
        curve([(-16, 38, -25), (-20, 30, 5), (-20, 14, 18)], (14, 14, 13)),
        curve([(-20, 14, 18), (2, 8, 12), (26, 2, 8), (44, -4, 2)], (11, 11, 10.5, 8)),
        curve([(-20, 14, 18), (-34, -2, 20), (-46, -12, 12)], (11, 10, 8)),
        curve([(2, 14, 58), (14, 10, 85), (22, -4, 150)], (6.5, 6, 4.5)),
        curve([(-8, 8, 60), (-12, 2, 90), (-20, -6, 150)], (4.5, 4.2, 3.8)),
        curve([(-18, -8, 60), (-24, -12, 95), (-32, -14, 150)], (5.5, 5, 4)),
    ]


def _airways(anatomy: Anatomy) -> list[tuple[np.ndarray, np.ndarray]]:
    """Trachea, main bronchi (the right one short and steep) and a first branch of each."""
    wide = anatomy.trachea_mm
    carina = (3, -14, 26)
    right, left = (28, -18, 2), (-38, -20, -2)
    return [
        curve([(0, -2, 240), (0, -4, 150), (1, -8, 80), carina], wide),
        curve([carina, (14, -16, 14), right], (0.85 * wide, 0.8 * wide, 0.75 * wide), 8),
        curve([carina, (-16, -16, 14), left], (0.8 * wide, 0.7 * wide, 0.65 * wide), 8),
        curve([right, (38, -24, -22), (42, -30, -42)], (0.7 * wide, 0.5 * wide, 0.35 * wide), 8),
        curve([left, (-46, -28, -22), (-50, -34, -38)], (0.6 * wide, 0.45 * wide, 0.3 * wide), 8),
    ]


def _oesophagus(anatomy: Anatomy) -> list[tuple[np.ndarray, np.ndarray]]:
    wide = anatomy.oesophagus_mm
    path = [(-2, -20, 240), (-3, -22, 150), (-5, -28, 80), (-6, -31, 26), (-5, -31, -20), (-8, -29, -60)]
    return [curve([*path, (-18, -20, -100), (-36, -6, -122)], wide, 40)]


def _mediastinum(
    canvas: Canvas, heart: np.ndarray, blood: np.ndarray, airway: np.ndarray, oesophagus: np.ndarray
) -> np.ndarray:
    """Distance to what lies between the lungs: organs in their fat, and a septum in front of and behind them."""
    x, y, z = canvas.position
    core = canvas.tubes([curve([(0, 2, 200), (0, 6, 130), (1, 12, 70), (2, 6, 20)], (24, 23, 25, 20))], _BLEND_REACH_MM)
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
    canvas.paint(EVERYWHERE, lungs, hu)
    for side, label in ((1, RIGHT_LUNG), (-1, LEFT_LUNG)):
        canvas.truth[(lungs < 0) & (side * x > 0)] = label
    vessels = canvas.tubes(_lung_vessels(anatomy))
    canvas.paint(EVERYWHERE, np.maximum(vessels, lungs + 2), max(30, 0.6 * anatomy.blood_hu), opacity=0.9)


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
