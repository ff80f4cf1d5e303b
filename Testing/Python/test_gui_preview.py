"""The preview in a slice view: where its pixels and its outline come to lie, rendered off screen."""

from __future__ import annotations

import numpy as np
import pytest
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from MedSegDLLib.gui.preview import PreviewMask, SlicePreview, dashes
from MedSegDLLib.interaction.gestures import to_ras
from MedSegDLLib.prompts import Point, Prompts
from MedSegDLLib.volume import Volume
from scene_cases import placed, rotation

SIZE = (120, 90)
OBLIQUE = placed(rotation(20, -35, 50), (2.0, 2.0, 3.0), (5, 6, 7))


def view_onto(volume: Volume, slices: float = 0.0, pixels_a_voxel: int = 10) -> np.ndarray:
    """A view's xy_to_ras: voxel (i, j) of slice 2 of the volume is a square of pixels; lower left corners coincide."""
    to_voxels = np.diag([1 / pixels_a_voxel, 1 / pixels_a_voxel, 1.0, 1.0])
    to_voxels[:3, 3] = 0.5 / pixels_a_voxel - 0.5, 0.5 / pixels_a_voxel - 0.5, 2 + slices
    return volume.ijk_to_ras @ to_voxels


def rendered(preview: SlicePreview) -> np.ndarray:
    """RGB (height, width, 3) of what the actors show on black."""
    renderer = vtk.vtkRenderer()
    for actor in preview.actors:
        renderer.AddViewProp(actor)
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(*SIZE)
    window.AddRenderer(renderer)
    window.Render()
    grabbed = vtk.vtkWindowToImageFilter()
    grabbed.SetInput(window)
    grabbed.ReadFrontBufferOff()
    grabbed.Update()
    pixels = vtk_to_numpy(grabbed.GetOutput().GetPointData().GetScalars())
    return pixels.reshape(SIZE[1], SIZE[0], -1)[..., :3].astype(int)


@pytest.fixture
def mask() -> Volume:
    array = np.zeros((5, 9, 12), np.uint8)
    array[2, 3:6, 4:10] = 1
    return Volume(array, OBLIQUE)


def test_the_fill_covers_the_voxels(mask):
    preview = SlicePreview()
    preview.set_mask(PreviewMask(mask), (1.0, 0.0, 0.0))
    preview.place(view_onto(mask), SIZE)
    red = rendered(preview)[..., 0] > 30
    expected = mask.array[2].repeat(10, 0).repeat(10, 1) > 0
    assert np.mean(red != expected) < 0.02  # corners are round, the outline is two pixels wide
    rows, columns = np.nonzero(red)
    assert abs(rows.min() - 30) <= 2 and abs(rows.max() - 59) <= 2
    assert abs(columns.min() - 40) <= 2 and abs(columns.max() - 99) <= 2


def test_the_fill_is_translucent_and_the_outline_dashed(mask):
    preview = SlicePreview()
    preview.set_mask(PreviewMask(mask), (1.0, 0.0, 0.0))
    preview.place(view_onto(mask), SIZE)
    red = rendered(preview)[..., 0]
    assert 60 < red[45, 70] < 100
    bottom = red[28:33, 45:95].max(axis=0)
    assert 0.25 < np.mean(bottom > 200) < 0.85


@pytest.mark.parametrize("part", [(slice(None),) * 3, (slice(2, 3), slice(3, 6), slice(4, 10))], ids=["whole", "crop"])
def test_a_crop_shows_where_the_whole_does(mask, part):
    cropped = mask.cropped(tuple(slice(*p.indices(n)[:2]) for p, n in zip(part, mask.array.shape)))
    preview = SlicePreview()
    preview.set_mask(PreviewMask(cropped))
    preview.place(view_onto(mask), SIZE)
    assert abs(np.count_nonzero(rendered(preview)[..., 0] > 30) - 1800) < 150


@pytest.mark.parametrize("slices", [-1.0, 1.0, 30.0])
def test_other_slices_show_nothing(mask, slices):
    preview = SlicePreview()
    preview.set_mask(PreviewMask(mask))
    preview.place(view_onto(mask, slices), SIZE)
    assert rendered(preview).max() == 0


def test_a_mask_that_reaches_out_of_the_view_is_cut(mask):
    preview = SlicePreview()
    preview.set_mask(PreviewMask(mask), (1.0, 0.0, 0.0))
    near = view_onto(mask, pixels_a_voxel=40)
    near[:3, 3] += near[:3, :3] @ [180, 130, 0]
    preview.place(near, SIZE)
    assert np.mean(rendered(preview)[..., 0] > 30) > 0.9


def test_nothing_is_shown_once_the_preview_is_gone(mask):
    preview = SlicePreview()
    preview.set_mask(PreviewMask(mask))
    preview.set_prompts(Prompts([Point(tuple(mask.grid.ras((7, 4, 2))))]))
    preview.set_draft([np.array([(5.0, 5), (30, 5)])])
    preview.place(view_onto(mask), SIZE)
    assert rendered(preview).max() > 0
    preview.set_mask(None)
    preview.set_prompts(Prompts())
    preview.set_draft([])
    preview.place(view_onto(mask), SIZE)
    assert rendered(preview).max() == 0


def test_points_show_on_their_slice_in_the_colour_of_what_they_do(mask):
    view = view_onto(mask)
    preview = SlicePreview()
    preview.set_prompts(Prompts(Point(tuple(to_ras([xy], view)[0]), xy[0] < 60) for xy in ((30, 40), (90, 40))))
    preview.place(view, SIZE)
    picture = rendered(preview)
    green, red = picture[30:50, 20:40], picture[30:50, 80:100]
    assert green[..., 1].max() > 200 and green[..., 0].max() < 120
    assert red[..., 0].max() > 200 and red[..., 1].max() < 120
    preview.place(view_onto(mask, 2.0), SIZE)
    assert rendered(preview).max() == 0


def test_a_drag_is_drawn_while_it_lasts(mask):
    preview = SlicePreview()
    preview.set_draft([np.array([(10.0, 20), (60, 20)])], include=False)
    preview.place(view_onto(mask), SIZE)
    assert (rendered(preview)[20, 12:58, 0] > 200).all()


def test_a_single_slice_image_shows_too():
    flat = Volume(np.ones((1, 9, 12), np.uint8), np.eye(4))
    preview = SlicePreview()
    preview.set_mask(PreviewMask(flat), (1.0, 0.0, 0.0))
    view = np.diag([0.1, 0.1, 1.0, 1.0])
    view[:3, 3] = -0.45, -0.45, 0.0
    preview.place(view, SIZE)
    assert np.mean(rendered(preview)[..., 0] > 30) > 0.97


def test_dashes_are_half_of_the_line():
    square = np.array([(0.0, 0), (100, 0), (100, 100), (0, 100), (0, 0)])
    parts = dashes([square], 6.0)
    total = sum(np.linalg.norm(np.diff(part, axis=0), axis=1).sum() for part in parts)
    assert total == pytest.approx(200, abs=6)
    assert max(np.linalg.norm(np.diff(part, axis=0), axis=1).sum() for part in parts) <= 6.0 + 1e-6
    assert dashes([square / 100], 6.0)[0].shape == (5, 2)
