"""What is compared: our prompter, and two whose background is the border of a crop around the clicks.

Each is made for one image and answers to all clicks so far with a mask on the image's grid.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from MedSegDLLib.engine.prompting import FrontPrompter, Parameters
from MedSegDLLib.engine.prompting.appearance import Appearance
from MedSegDLLib.engine.prompting.fronts import race
from MedSegDLLib.engine.prompting.pyramid import Pyramid
from MedSegDLLib.engine.prompting.shapes import connected
from MedSegDLLib.prompts import Point, Prompts
from MedSegDLLib.volume import Volume

Segment = Callable[[list[Point]], np.ndarray]

_HALF_SIZE_MM = 60.0
_BALL_VOXELS = 2.0


def ours(image: Volume) -> Segment:
    prompter = FrontPrompter()

    def segment(points: list[Point]) -> np.ndarray:
        found = prompter.segment(image, Prompts(points))
        mask = np.zeros(image.array.shape, bool)
        mask[tuple(slice(start, start + size) for start, size in zip(found.start, found.array.shape))] = found.array
        return mask

    return segment


def grow_from_seeds(image: Volume) -> Segment:
    """The filter behind Slicer's Grow from seeds; it leaves the outermost voxels alone, so they are doubled."""
    import slicer
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

    def as_vtk(array: np.ndarray):
        array = np.pad(array, 1, mode="edge")
        data = vtk.vtkImageData()
        data.SetDimensions(array.shape[::-1])
        data.SetSpacing(image.grid.spacing_mm)
        data.GetPointData().SetScalars(numpy_to_vtk(array.ravel(), deep=True))
        return data

    def segment(points: list[Point]) -> np.ndarray:
        crop = _crop(image, points)
        inside, outside = _seeds(image, points, crop)
        growing = slicer.vtkImageGrowCutSegment()
        growing.SetIntensityVolume(as_vtk(image.array[crop].astype(np.float32)))
        growing.SetSeedLabelVolume(as_vtk((inside + 2 * outside).astype(np.int16)))
        growing.Update()
        labels = vtk_to_numpy(growing.GetOutput().GetPointData().GetScalars())
        labels = labels.reshape([size + 2 for size in inside.shape])[1:-1, 1:-1, 1:-1]
        return _whole(labels == 1, crop, image)

    return segment


def geodesic_fronts(image: Volume) -> Segment:
    """Two fronts whose cost is the image's edges, and nothing else."""
    pyramid = Pyramid(image)

    def segment(points: list[Point]) -> np.ndarray:
        crop = _crop(image, points)
        inside, outside = _seeds(image, points, crop)
        low, high = ([getattr(part, end) for part in crop] for end in ("start", "stop"))
        edges = Appearance(pyramid, pyramid.image.window(low, np.array(high) - 1), Parameters()).edges
        mask = race(edges, edges, inside, outside, image.grid.spacing_mm[::-1])
        return _whole(connected(mask, inside), crop, image)

    return segment


PEERS = {"MedSegDL": ours, "Grow from seeds": grow_from_seeds, "geodesic fronts": geodesic_fronts}


def _crop(image: Volume, points: list[Point]) -> tuple[slice, slice, slice]:
    voxels = np.array([_voxel(image, point) for point in points])
    reach = _HALF_SIZE_MM / image.grid.spacing_mm[::-1]
    low = np.maximum(0, np.floor(voxels.min(axis=0) - reach)).astype(int)
    high = np.minimum(image.array.shape, np.ceil(voxels.max(axis=0) + reach) + 1).astype(int)
    return tuple(slice(int(start), int(stop)) for start, stop in zip(low, high))


def _seeds(image: Volume, points: list[Point], crop: tuple[slice, slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    shape = tuple(part.stop - part.start for part in crop)
    outside = np.zeros(shape, bool)
    for axis in range(3):
        if image.array.shape[axis] > 1:
            faces = np.moveaxis(outside, axis, 0)
            faces[0] = faces[-1] = True
    inside = np.zeros(shape, bool)
    spacing = image.grid.spacing_mm[::-1]
    radius = _BALL_VOXELS * spacing[np.array(image.array.shape) > 1].min()
    for point in points:
        centre = _voxel(image, point) - [part.start for part in crop]
        axes = np.ogrid[tuple(slice(0, size) for size in shape)]
        ball = sum(((axis - c) * step) ** 2 for axis, c, step in zip(axes, centre, spacing)) <= radius**2
        here, there = (inside, outside) if point.include else (outside, inside)
        here |= ball
        there &= ~ball
    return inside, outside


def _voxel(image: Volume, point: Point) -> np.ndarray:
    return np.round(image.grid.ijk(point.ras)[::-1])


def _whole(mask: np.ndarray, crop: tuple[slice, slice, slice], image: Volume) -> np.ndarray:
    result = np.zeros(image.array.shape, bool)
    result[crop] = mask
    return result
