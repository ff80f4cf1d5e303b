"""What the effect draws in one slice view: a dashed outline and a translucent fill of the preview, points and strokes.

Plain VTK actors in the view's own pixels, as the effects of Slicer draw theirs; nothing of it is in the scene, so
nothing of it can be saved or left behind.
"""

from __future__ import annotations

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy

from ..interaction.gestures import marks
from ..prompts import Prompts
from ..volume import Grid, Volume

INCLUDE_RGB = (0.3, 1.0, 0.3)
EXCLUDE_RGB = (1.0, 0.35, 0.25)

_FILL_OPACITY = 0.3
_DASH_PIXELS = 6.0
_INSIDE = 255
_BORDER = 1  # voxels of nothing around the mask, so that its outline closes


class PreviewMask:
    """A mask as the slice views draw it; made once for all of them.

    Args:
        mask: not 0 inside; a crop of the image, in the world.
    """

    def __init__(self, mask: Volume):
        inside = tuple(slice(_BORDER, _BORDER + size) for size in mask.array.shape)
        self._voxels = np.zeros([size + 2 * _BORDER for size in mask.array.shape], np.uint8)
        np.multiply(mask.array != 0, _INSIDE, out=self._voxels[inside], casting="unsafe")
        self.grid = mask.grid.cropped(tuple(slice(-_BORDER, size + _BORDER) for size in mask.array.shape))
        self.image = vtk.vtkImageData()
        self.image.SetDimensions(self._voxels.shape[::-1])
        self.image.GetPointData().SetScalars(numpy_to_vtk(self._voxels.ravel()))  # shared, hence kept above


class SlicePreview:
    """The actors of one slice view. `actors` go into its renderer; `place` follows the view."""

    def __init__(self):
        self._mask: PreviewMask | None = None
        self._placed: tuple = ()  # where the mask was resliced for; a click need not do so again
        self._prompts = Prompts()
        self._draft: list[np.ndarray] = []
        self._draft_includes = True
        self._reslice = _reslice()
        self._fill, self._fill_color = _fill_actor(self._reslice)
        self._outline = _LineActor(width=2)
        self._included = _LineActor(INCLUDE_RGB, width=3)
        self._excluded = _LineActor(EXCLUDE_RGB, width=3)

    @property
    def actors(self) -> tuple[vtk.vtkActor2D, ...]:
        return self._fill, self._outline.actor, self._included.actor, self._excluded.actor

    def set_mask(self, mask: PreviewMask | None, rgb=(1.0, 1.0, 0.0)) -> None:
        """What is previewed, in the colour of its segment; None for nothing."""
        if mask is not self._mask:
            self._mask, self._placed = mask, ()
        self._fill_color.SetTableValue(1, *rgb, _FILL_OPACITY)
        self._fill_color.Modified()
        self._outline.actor.GetProperty().SetColor(*rgb)

    def set_prompts(self, prompts: Prompts) -> None:
        self._prompts = prompts

    def set_draft(self, lines: list[np.ndarray], include: bool = True) -> None:
        """Lines (n, 2), in pixels, of a drag that has not ended."""
        self._draft, self._draft_includes = lines, include

    def place(self, xy_to_ras: np.ndarray, size: tuple[int, int]) -> None:
        """Draw for a slice.

        Args:
            xy_to_ras: 4x4 from the view's pixels, z counting slices.
            size: of the view, width and height in pixels.
        """
        place = (xy_to_ras.tobytes(), tuple(size))
        if place != self._placed:
            self._place_mask(xy_to_ras, size)
            self._placed = place
        for actor, include in ((self._included, True), (self._excluded, False)):
            drafts = self._draft if self._draft_includes == include else []
            actor.set_lines([*marks(self._prompts, xy_to_ras, include), *drafts])

    def _place_mask(self, xy_to_ras: np.ndarray, size: tuple[int, int]) -> None:
        window = _window(self._mask.grid, xy_to_ras, size) if self._mask else None
        self._fill.SetVisibility(window is not None)
        if window is None:
            self._outline.set_lines([])
            return
        (left, bottom), (width, height) = window
        corner = np.eye(4)
        corner[:2, 3] = left, bottom
        to_ijk = np.linalg.inv(self._mask.grid.ijk_to_ras) @ xy_to_ras @ corner
        self._reslice.SetInputData(self._mask.image)
        self._reslice.SetResliceAxes(_matrix(to_ijk))
        self._reslice.SetOutputExtent(0, width - 1, 0, height - 1, 0, 0)
        self._reslice.Update()
        self._fill.SetPosition(left, bottom)
        self._outline.set_lines(dashes(outlines(self._reslice.GetOutput()), _DASH_PIXELS), shift=(left, bottom))


class _LineActor:
    """Lines in a view's pixels."""

    def __init__(self, rgb=(1.0, 1.0, 0.0), width: int = 2):
        self._data = vtk.vtkPolyData()
        mapper = vtk.vtkPolyDataMapper2D()
        mapper.SetInputData(self._data)
        self.actor = vtk.vtkActor2D()
        self.actor.SetMapper(mapper)
        self.actor.GetProperty().SetColor(*rgb)
        self.actor.GetProperty().SetLineWidth(width)
        self.actor.VisibilityOff()

    def set_lines(self, lines: list[np.ndarray], shift=(0, 0)) -> None:
        """Show these polylines, each (n, 2)."""
        self.actor.SetVisibility(bool(lines))
        if not lines:
            self._data.Initialize()
            return
        xy = np.concatenate(lines) + shift
        points = vtk.vtkPoints()
        points.SetData(numpy_to_vtk(np.column_stack([xy, np.zeros(len(xy))]), deep=True))
        offsets = np.cumsum([0, *(len(line) for line in lines)])
        cells = vtk.vtkCellArray()
        cells.SetData(
            numpy_to_vtkIdTypeArray(offsets.astype(np.int64), deep=True),
            numpy_to_vtkIdTypeArray(np.arange(len(xy), dtype=np.int64), deep=True),
        )
        self._data.SetPoints(points)
        self._data.SetLines(cells)
        self._data.Modified()


def outlines(image: vtk.vtkImageData) -> list[np.ndarray]:
    """Polylines (n, 2) around what is inside, in the image's own pixels."""
    contour = vtk.vtkMarchingSquares()
    contour.SetInputData(image)
    contour.SetValue(0, _INSIDE / 2)
    joined = vtk.vtkStripper()
    joined.SetInputConnection(contour.GetOutputPort())
    joined.SetMaximumLength(1_000_000)
    joined.Update()
    data = joined.GetOutput()
    if data.GetNumberOfPoints() == 0:
        return []
    points = vtk_to_numpy(data.GetPoints().GetData())[:, :2]
    offsets = vtk_to_numpy(data.GetLines().GetOffsetsArray())
    places = vtk_to_numpy(data.GetLines().GetConnectivityArray())
    return [points[places[start:stop]] for start, stop in zip(offsets, offsets[1:])]


def dashes(lines: list[np.ndarray], length: float) -> list[np.ndarray]:
    """Every other stretch of that length; short lines stay whole."""
    return [dash for line in lines for dash in _dashes_of(line, length)]


def _dashes_of(line: np.ndarray, length: float) -> list[np.ndarray]:
    run = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    if run[-1] <= 2 * length:
        return [line]
    stops = np.unique(np.concatenate([run, np.arange(0.0, run[-1], length)]))
    xy = np.column_stack([np.interp(stops, run, line[:, axis]) for axis in range(2)])
    stretch = ((stops[:-1] + stops[1:]) / 2 // length).astype(int)  # of each piece between two stops
    edges = [0, *(np.flatnonzero(np.diff(stretch)) + 1), len(stretch)]
    return [xy[start : stop + 1] for start, stop in zip(edges, edges[1:]) if stretch[start] % 2 == 0]


def _window(grid: Grid, xy_to_ras: np.ndarray, size: tuple[int, int]):
    """The part of the view, ((left, bottom), (width, height)), that a grid may show in; None where it does not."""
    ends = [(-0.5, count - 0.5) for count in grid.shape[::-1]]
    corners = grid.ras(np.array(np.meshgrid(*ends)).reshape(3, -1).T)
    xyz = np.column_stack([corners, np.ones(8)]) @ np.linalg.inv(xy_to_ras)[:3].T
    low = np.maximum(np.floor(xyz.min(axis=0)[:2]), 0).astype(int)
    high = np.minimum(np.ceil(xyz.max(axis=0)[:2]) + 1, size).astype(int)
    if (low >= high).any() or xyz[:, 2].min() > 0 or xyz[:, 2].max() < 0:
        return None
    return tuple(low.tolist()), tuple((high - low).tolist())


def _reslice() -> vtk.vtkImageReslice:
    reslice = vtk.vtkImageReslice()
    reslice.SetInterpolationModeToLinear()
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputSpacing(1, 1, 1)
    reslice.SetOutputDimensionality(2)
    reslice.SetBackgroundLevel(0)
    return reslice


def _fill_actor(reslice: vtk.vtkImageReslice) -> tuple[vtk.vtkActor2D, vtk.vtkLookupTable]:
    colors = vtk.vtkLookupTable()
    colors.SetNumberOfTableValues(2)
    colors.SetTableRange(0, _INSIDE)
    colors.SetTableValue(0, 0, 0, 0, 0)
    colored = vtk.vtkImageMapToColors()
    colored.SetOutputFormatToRGBA()
    colored.SetLookupTable(colors)
    colored.SetInputConnection(reslice.GetOutputPort())
    mapper = vtk.vtkImageMapper()
    mapper.SetInputConnection(colored.GetOutputPort())
    mapper.SetColorWindow(255)
    mapper.SetColorLevel(127.5)
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    actor.VisibilityOff()
    return actor, colors


def _matrix(array: np.ndarray) -> vtk.vtkMatrix4x4:
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(array.ravel())
    return matrix
