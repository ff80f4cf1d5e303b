"""What differs from one phantom to the next, and the space in which its organs are described.

The anatomy is described once, in a straight, symmetric space: mm, x to the right, y to the front, z to the head, origin
in the middle of the chest. A patient is that space scaled, bent, warped a little and laid down a little askew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from MedSegDLLib.volume import Grid

# Rib cage and trunk at several heights: z, half width, front, back (mm).
_CAGE = np.array([
    (160, 22, 18, -60), (145, 42, 30, -64), (120, 66, 47, -74), (80, 96, 68, -82), (30, 120, 83, -88),
    (-30, 132, 90, -90), (-90, 137, 88, -89), (-140, 137, 84, -86), (-230, 128, 80, -82),
])  # fmt: skip
_TRUNK = np.array([
    (260, 58, 42, -78), (200, 62, 45, -86), (165, 98, 52, -98), (125, 152, 72, -108), (80, 165, 92, -113),
    (30, 158, 99, -115), (-30, 152, 103, -114), (-90, 150, 101, -112), (-140, 148, 98, -110), (-230, 142, 95, -106),
])  # fmt: skip

FIRST_THORACIC_TOP_MM = 140.0
_LEVELS = np.arange(-7, 20)  # 0 is the first thoracic vertebra
_HEIGHTS_MM = np.clip(18.5 + 0.62 * _LEVELS, 16, 30)
_TOPS_MM = FIRST_THORACIC_TOP_MM + _HEIGHTS_MM[_LEVELS < 0].sum() - np.concatenate([[0], np.cumsum(_HEIGHTS_MM)])[:-1]


@dataclass(frozen=True)
class Anatomy:
    """One patient. Lengths in mm, angles in degrees, intensities in HU."""

    scale: np.ndarray  # (3,) of x, y, z
    angles_deg: np.ndarray  # (3,) about x, y, z: how askew the patient lies
    kyphosis_mm: float  # how far the spine has come forward 150 mm from the bend's peak
    scoliosis_mm: float
    warp_mm: np.ndarray  # (3, 3) amplitude of the warp of x, y, z along x, y, z
    warp_phase: np.ndarray  # (3, 3)
    fat_mm: float
    breast_mm: float  # 0 for a male chest
    diaphragm_mm: float  # inspiration: lower is deeper
    diaphragm_tilt_mm: float  # right dome above left
    heart_scale: float
    heart_shift_mm: np.ndarray  # (3,)
    trachea_mm: float
    aorta_mm: float
    oesophagus_mm: float
    rib_mm: float
    rib_drop_mm: float
    disc_mm: float
    lung_hu: float
    blood_hu: float
    bone_hu: float
    stomach_gas: float  # part of its height
    vessel_seed: int  # of the trees in the lungs
    table: bool
    noise_hu: float
    center_mm: np.ndarray  # (3,) RAS of the anatomy's origin
    field_low_mm: np.ndarray  # (3,) corners of the scanned field in RAS
    field_high_mm: np.ndarray

    @staticmethod
    def random(rng: np.random.Generator) -> Anatomy:
        uniform = rng.uniform
        scale = uniform(0.9, 1.1) * uniform([0.95, 0.93, 0.95], [1.05, 1.07, 1.05])
        fat_mm = uniform(4, 24)
        center_mm = uniform([-12, -12, -40], [12, 12, 40])
        diaphragm_mm = uniform(-20, 14)
        reach = np.array([165, 118, 0]) * scale + [fat_mm, fat_mm, 0] + uniform(6, 26)
        low, high = -reach + [0, -12, uniform(-165, -115)], reach + [0, 0, uniform(100, 165)]
        return Anatomy(
            scale=scale,
            angles_deg=rng.normal(0, [2.5, 2.0, 3.0]),
            kyphosis_mm=uniform(4, 26),
            scoliosis_mm=rng.normal(0, 3),
            warp_mm=uniform(-2.2, 2.2, (3, 3)),
            warp_phase=uniform(0, 2 * np.pi, (3, 3)),
            fat_mm=fat_mm,
            breast_mm=uniform(22, 42) if rng.random() < 0.45 else 0.0,
            diaphragm_mm=diaphragm_mm,
            diaphragm_tilt_mm=uniform(0, 20),
            heart_scale=uniform(0.9, 1.14),
            heart_shift_mm=rng.normal([0, 0, 0.7 * diaphragm_mm - 5], [4, 3, 3]),  # it rests on the diaphragm
            trachea_mm=uniform(7.2, 9.6),
            aorta_mm=uniform(10.5, 14.5),
            oesophagus_mm=uniform(6.0, 8.0),
            rib_mm=uniform(0.9, 1.15),
            rib_drop_mm=uniform(52, 78),
            disc_mm=uniform(3.5, 5.5),
            lung_hu=uniform(-875, -790),
            blood_hu=uniform(40, 60) if rng.random() < 0.4 else uniform(60, 200),
            bone_hu=uniform(0.8, 1.2),
            stomach_gas=uniform(0, 0.8),
            vessel_seed=int(rng.integers(2**31)),
            table=rng.random() < 0.7,
            noise_hu=uniform(10, 40),
            center_mm=center_mm,
            field_low_mm=center_mm + low,
            field_high_mm=center_mm + high,
        )

    def position(self, grid: Grid) -> np.ndarray:
        """Where each voxel's centre lies in the anatomy: float32 (3, k, j, i), mm."""
        to_patient = np.diag(1 / self.scale) @ Rotation.from_euler("xyz", self.angles_deg, degrees=True).as_matrix().T
        matrix = (to_patient @ grid.ijk_to_ras[:3, :3]).astype(np.float32)
        origin = (to_patient @ (grid.origin_mm - self.center_mm)).astype(np.float32)
        k, j, i = np.ogrid[tuple(slice(0, n) for n in grid.shape)]
        straight = [row[0] * i + row[1] * j + row[2] * k + first for row, first in zip(matrix, origin)]
        return np.stack(self._bent(*(axis.astype(np.float32) for axis in straight)))

    def _bent(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> list[np.ndarray]:
        wave = np.float32(2 * np.pi / 190)
        waves = [[np.sin(wave * p + np.float32(phase)) for p, phase in zip((x, y, z), row)] for row in self.warp_phase]
        shifts = [sum(np.float32(a) * w for a, w in zip(row, terms)) for row, terms in zip(self.warp_mm, waves)]
        bend = np.float32(self.kyphosis_mm) * ((z + 10) / 150) ** 2
        lean = np.float32(self.scoliosis_mm) * np.sin(z / 60)
        return [x + shifts[0] - lean, y + shifts[1] - bend, z + shifts[2]]


def section(table: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Half width, half depth and centre (y) of a trunk's cross-section at the heights z."""
    rising = table[::-1]
    width, front, back = (np.interp(z, rising[:, 0], rising[:, n]).astype(np.float32) for n in (1, 2, 3))
    return width, (front - back) / 2, (front + back) / 2


def cage_section(z: np.ndarray):
    return section(_CAGE, z)


def trunk_section(z: np.ndarray):
    return section(_TRUNK, z)


def level_at(z: np.ndarray) -> np.ndarray:
    """Vertebral level at a height: 0 at the top of the first thoracic vertebra, 1 at the top of the second, ..."""
    return np.interp(-z, -_TOPS_MM, _LEVELS).astype(np.float32)


def level_height_mm(level):
    return np.interp(level, _LEVELS, _HEIGHTS_MM)


def level_middle_mm(level: int) -> float:
    """Height (z) of the middle of a vertebra."""
    return float(np.interp(level + 0.5, _LEVELS, _TOPS_MM))


LEVELS = range(int(_LEVELS[0]), int(_LEVELS[-1]))
