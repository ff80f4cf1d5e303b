"""Surfaces of structures as an image: rays through smoothed occupancies, in numpy.

VTK's own renderer needs OpenGL, which a server or a container may not have; this needs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..volume import Grid
from .sampling import blurred, corners_ras, sample
from .structures import Structure

_FULL = 32767  # inside; fine steps, so that surfaces shaded by differences come out smooth
_LEVEL = 0.45 * _FULL  # a little below half, for blurring thins slender structures
_DEPTH_STEP = 2  # lattice steps are this much longer along the rays; crossings are interpolated
_LIGHTS = (((-0.45, 0.55, -0.70), 0.80), ((0.75, 0.10, -0.65), 0.22))  # direction to the light in the view; strength
_AMBIENT = 0.20
_GLASS_SHADE = 0.8  # the least brightness of an envelope, whose rim would else be dark


@dataclass(frozen=True)
class View:
    """An orthographic camera: `to_ras` maps (right, up, away) in pixels to RAS; `shape` is (up, right)."""

    to_ras: np.ndarray
    shape: tuple[int, int]
    pixel_mm: float


@dataclass(frozen=True)
class Layer:
    """One structure in the view, all (up, right): depth in pixels, brightness, opacity."""

    depth: np.ndarray
    shade: np.ndarray
    alpha: np.ndarray
    rgb: np.ndarray


def draw_surfaces(structures: tuple[Structure, ...], size: int, background) -> np.ndarray:
    """The structures from the front, a little from above and the patient's left: RGB (rows, columns, 3), 0..1.

    Large structures are fainter, so that small ones show; an envelope is glass.

    Args:
        structures: at least one.
        size: pixels along the longer edge.
        background: RGB, 0..1.
    """
    view = _front_view(structures, size)
    median_ml = np.median([s.volume_ml for s in structures if not s.is_envelope] or [1.0])
    layers = [_layer(s, view, _opacity(s, median_ml)) for s in structures]
    return np.clip(_composite(layers, background), 0, 1)[::-1]


def _front_view(structures: tuple[Structure, ...], size: int) -> View:
    """Fits the smallest box in the view that holds all structures."""
    azimuth, elevation = np.radians(22), np.radians(14)
    away = np.array([np.sin(azimuth) * np.cos(elevation), -np.cos(azimuth) * np.cos(elevation), -np.sin(elevation)])
    right = np.cross(away, (0, 0, 1))
    right /= np.linalg.norm(right)
    axes = np.column_stack([right, np.cross(right, away), away])
    corners = np.concatenate([corners_ras(s.grid) for s in structures]) @ axes
    low, high = corners.min(axis=0), corners.max(axis=0)
    pixel_mm = float((high - low)[:2].max()) / size
    to_ras = np.eye(4)
    to_ras[:3, :3] = axes * pixel_mm
    to_ras[:3, 3] = axes @ low
    width, height = np.ceil((high - low)[:2] / pixel_mm).astype(int)
    return View(to_ras, (int(height), int(width)), pixel_mm)


def _opacity(structure: Structure, median_ml: float) -> float:
    if structure.is_envelope:
        return 0.07
    return float(np.clip(1 - 0.45 * np.log10(max(structure.volume_ml / median_ml, 1e-6)), 0.35, 1))


def _layer(structure: Structure, view: View, opacity: float) -> Layer:
    field, grid = _smooth_field(structure, view.pixel_mm)
    window, start = _window(grid, view)
    step = np.diag([1.0, 1.0, _DEPTH_STEP, 1.0])
    step[:3, 3] = start
    rays = sample(field, np.linalg.inv(grid.ijk_to_ras) @ view.to_ras @ step, window)
    pixel_rise = _FULL * np.clip(view.pixel_mm / (2 * structure.grid.spacing_mm.min()), 0.03, 0.3)
    depth, normals, coverage = _first_hits(rays, pixel_rise)
    shade = np.maximum(_shade(normals), _GLASS_SHADE if structure.is_envelope else 0)
    grazing = 1 - np.clip(-normals[2], 0, 1)  # what is seen through is densest where the ray runs along it
    alpha = coverage * (opacity + (1 - opacity) * 0.55 * grazing**2)
    return Layer(*_placed(view, start, depth * _DEPTH_STEP + start[2], shade, alpha), structure.rgb)


def _smooth_field(structure: Structure, pixel_mm: float) -> tuple[np.ndarray, Grid]:
    """The occupancy, uint16 up to _FULL, without voxel steps, on a grid whose voxels suit the pixels."""
    field, grid = _coarsened(structure, pixel_mm)
    spacing = grid.spacing_mm
    finer = int(np.clip(spacing.min() / (2 * pixel_mm), 1, 3))  # voxels that span many pixels would show as facets
    if finer > 1:
        coarse, grid = grid, grid.resized(tuple(n * finer for n in grid.shape))
        field = sample(field, np.linalg.inv(coarse.ijk_to_ras) @ grid.ijk_to_ras, grid.shape)
    least_blur = 1.6 if structure.is_envelope else 0.8  # voxels
    return blurred(field, finer * np.clip(0.6 * spacing.max() / spacing, least_blur, 2)), grid


def _coarsened(structure: Structure, pixel_mm: float) -> tuple[np.ndarray, Grid]:
    """Means over blocks of voxels up to about one and a half pixels wide; a full CT would take needlessly long."""
    sizes = np.maximum(np.round(1.5 * pixel_mm / structure.grid.spacing_mm[::-1]), 1).astype(int)
    padded = np.pad(structure.occupancy, [(0, -n % size) for n, size in zip(structure.occupancy.shape, sizes)])
    blocks = tuple(n // size for n, size in zip(padded.shape, sizes))
    parts = padded.reshape([n for pair in zip(blocks, sizes) for n in pair])
    means = parts.mean(axis=(1, 3, 5), dtype=np.float32) * (_FULL / 255)
    return means.astype(np.uint16), structure.grid.cropped(tuple(slice(0, n) for n in padded.shape)).resized(blocks)


def _window(grid: Grid, view: View) -> tuple[tuple[int, int, int], np.ndarray]:
    """The part of the view that the grid falls into: lattice shape (away, up, right) and its first indices."""
    corners = corners_ras(grid) - view.to_ras[:3, 3]
    positions = corners @ np.linalg.inv(view.to_ras[:3, :3]).T
    low, high = np.floor(positions.min(axis=0)).astype(int), np.ceil(positions.max(axis=0)).astype(int)
    low[:2], high[:2] = np.maximum(low[:2], 0), np.minimum(high[:2], (view.shape[1], view.shape[0]))
    right, up, away = np.maximum(high - low, 1)
    return (int(away) // _DEPTH_STEP + 2, int(up), int(right)), low


def _first_hits(rays: np.ndarray, pixel_rise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where rays (away, up, right) enter: depth in steps, unit normals (3: right, up, away), coverage 0..1 at edges.

    Args:
        pixel_rise: how much the occupancy changes from pixel to pixel at a surface; a silhouette fades over it.
    """
    level = max(min(_LEVEL, 0.5 * rays.max()), 1)  # a single slice does not reach the level once it is blurred
    peak = rays.max(axis=0)
    coverage = np.clip((peak.astype(np.float32) - level) / pixel_rise + 0.5, 0, 1)
    is_hit = peak >= level
    grazed = (coverage > 0) & ~is_hit
    hit = (rays >= level).argmax(axis=0)
    hit[grazed] = rays[:, grazed].argmax(axis=0)
    up, right = np.indices(hit.shape)
    after = rays[hit, up, right].astype(np.float32)
    before = rays[np.maximum(hit - 1, 0), up, right].astype(np.float32)
    depth = hit - np.where(is_hit, np.clip((after - level) / np.maximum(after - before, 1), 0, 1), 0)
    return depth.astype(np.float32), _normals(rays, hit), coverage


def _normals(rays: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """Unit vectors (3: right, up, away) out of the surface, from differences of the field around the hits."""
    up, right = np.indices(hit.shape)
    position = (hit, up, right)
    slopes = []
    for axis, reach in ((2, 2), (1, 2), (0, 1)):
        ends = [np.clip(position[axis] + sign * reach, 0, rays.shape[axis] - 1) for sign in (-1, 1)]
        low, high = (rays[tuple(end if n == axis else position[n] for n in range(3))] for end in ends)
        slopes.append((low.astype(np.float32) - high) / (reach * (_DEPTH_STEP if axis == 0 else 1)))
    normals = np.array(slopes)
    normals = np.array([blurred(n[None], (1, 1, 0))[0] for n in normals])  # voxel steps show in single differences
    return normals / np.maximum(np.linalg.norm(normals, axis=0), 1e-6)


def _shade(normals: np.ndarray) -> np.ndarray:
    shade = np.full(normals.shape[1:], _AMBIENT, dtype=np.float32)
    for direction, strength in _LIGHTS:
        towards = np.array(direction) / np.linalg.norm(direction)
        shade += strength * np.clip(np.tensordot(towards, normals, axes=1), 0, 1)
    return shade


def _placed(view: View, start: np.ndarray, depth, shade, alpha):
    """Maps of a window on the whole view."""
    rows, columns = (slice(int(n), int(n) + size) for n, size in zip(start[1::-1], depth.shape))
    for values, outside in ((depth, np.inf), (shade, 0), (alpha, 0)):
        whole = np.full(view.shape, outside, dtype=np.float32)
        whole[rows, columns] = values
        yield whole


def _composite(layers: list[Layer], background) -> np.ndarray:
    """Blend from the farthest layer of each pixel to the nearest."""
    depth, shade, alpha = (np.array([getattr(layer, name) for layer in layers]) for name in ("depth", "shade", "alpha"))
    depth[alpha <= 0] = np.inf
    colors = np.array([layer.rgb for layer in layers])
    image = np.ones((*depth.shape[1:], 3)) * background
    for farthest in np.argsort(-depth, axis=0):
        at = (farthest, *np.indices(farthest.shape))
        image += alpha[at][..., None] * (colors[farthest] * shade[at][..., None] - image)
    return image * _depth_shadow(depth, alpha)[..., None]


def _depth_shadow(depth: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """0..1, dark where the solid surface lies deeper than its surroundings: sets one structure off from the next."""
    solid = np.where(alpha > 0.5, depth, np.inf).min(axis=0)
    is_solid = np.isfinite(solid)
    if not is_solid.any():
        return np.ones(solid.shape)
    span = max(float(np.ptp(solid[is_solid])), 1.0)
    solid = np.where(is_solid, solid, solid[is_solid].max()).astype(np.float32)
    radius = max(solid.shape) / 45
    deeper = (solid - blurred(solid[None], (radius, radius, 0))[0]) / span
    return np.where(is_solid, 1 - 0.55 * np.clip(deeper * 4, 0, 1), 1)
