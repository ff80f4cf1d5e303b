"""Regions of interest as index slices, on oblique volumes and under transforms."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from MedSegDLLib.errors import InputError
from MedSegDLLib.files import read_volume
from MedSegDLLib.scene.editing import LogicEditor, write_mask
from MedSegDLLib.scene.headless import new_scene
from MedSegDLLib.scene.regions import has_size, roi_region, segments_region, surround, view_region
from MedSegDLLib.scene.volumes import node_from_volume, volume_from_node
from MedSegDLLib.volume import Volume
from scene_cases import GRIDS, MOVED, add_transform, placed, rotation

SHAPE = (20, 24, 28)
PLAIN = placed(np.eye(4), (1, 1, 1), (0, 0, 0))


@pytest.fixture
def live():
    return new_scene()


def add_volume(live, ijk_to_ras=PLAIN, shape=SHAPE):
    return node_from_volume(live.mrml, Volume(np.zeros(shape, np.int16), ijk_to_ras), "image")


def add_roi(live, center, size, turned=None):
    node = live.mrml.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    node.SetCenter(center)
    node.SetSize(size)
    if turned is not None:
        matrix = turned.copy()
        matrix[:3, 3] = center
        node.SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(matrix))
    return node


def spans(region) -> list[tuple[int, int]]:
    """(start, stop) along i, j, k."""
    return [(part.start, part.stop) for part in region][::-1]


def test_a_roi_takes_the_voxels_that_it_reaches_into(live):
    roi = add_roi(live, (10.0, 12.0, 8.0), (4.0, 5.0, 7.0))
    assert spans(roi_region(add_volume(live), roi)) == [(8, 13), (10, 15), (5, 12)]


def test_a_roi_without_size_is_told_and_can_be_put_around_the_volume(live):
    volume = add_volume(live, GRIDS["oblique"])
    add_transform(live.mrml, volume, MOVED)
    roi = live.mrml.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    assert not has_size(roi)
    with pytest.raises(InputError, match="'box' has no size yet"):
        roi_region(volume, roi)
    surround(roi, volume)
    assert has_size(roi) and roi_region(volume, roi) == tuple(slice(0, size) for size in SHAPE)
    assert roi.GetDisplayNode().GetHandlesInteractive() and not roi.GetDisplayNode().GetFillVisibility()


def test_a_roi_along_voxel_edges_takes_no_more(live):
    roi = add_roi(live, (10.0, 12.0, 8.0), (5.0, 5.0, 5.0))  # from 7.5 to 12.5, ...
    assert spans(roi_region(add_volume(live), roi)) == [(8, 13), (10, 15), (6, 11)]


def test_a_roi_is_cut_at_the_edge_of_the_volume(live):
    roi = add_roi(live, (0.0, 23.0, 8.0), (10.0, 10.0, 100.0))
    assert spans(roi_region(add_volume(live), roi)) == [(0, 6), (18, 24), (0, 20)]


def test_a_flat_roi_takes_one_layer(live):
    roi = add_roi(live, (10.0, 12.0, 8.5), (5.0, 5.0, 0.0))
    assert spans(roi_region(add_volume(live), roi))[2] == (9, 10)


def test_a_turned_roi_fits_in_its_box(live):
    roi = add_roi(live, (10.0, 12.0, 8.0), (8.0, 8.0, 6.0), turned=rotation(0, 0, 45))
    half = 8 / np.sqrt(2)
    (start, stop), _, depth = spans(roi_region(add_volume(live), roi))
    assert depth == (5, 12)
    assert start == np.floor(10 - half + 0.5) and stop == np.ceil(10 + half + 0.5)


@pytest.mark.parametrize("name", GRIDS)
def test_a_roi_along_an_oblique_volume(live, name):
    node = add_volume(live, GRIDS[name])
    grid = volume_from_node(node).grid
    turned = np.eye(4)
    turned[:3, :3] = grid.directions * np.sign(np.linalg.det(grid.directions))
    roi = add_roi(live, grid.ras((10, 12, 8)), grid.spacing_mm * (5, 7, 3), turned)
    assert spans(roi_region(node, roi)) == [(8, 13), (9, 16), (7, 10)]


def test_a_roi_and_a_volume_under_the_same_transform_meet_as_before(live):
    node, roi = add_volume(live), add_roi(live, (10.0, 12.0, 8.0), (5.0, 5.0, 5.0))
    expected = roi_region(node, roi)
    for moved in (node, roi):
        add_transform(live.mrml, moved, MOVED)
    assert roi_region(node, roi) == expected


def test_a_roi_elsewhere_is_refused(live):
    with pytest.raises(InputError, match="'box' lies outside the volume"):
        roi_region(add_volume(live), add_roi(live, (500.0, 0.0, 0.0), (5.0, 5.0, 5.0)))


def axial_view(live, center, width_mm, height_mm, pixels=(200, 100)):
    node = slicer.vtkMRMLSliceNode()
    node.SetLayoutName("Red")
    live.mrml.AddNode(node)
    node.SetSliceToRASByNTP(0, 0, 1, -1, 0, 0, *center, 0)  # axial, the patient's left on the right side
    node.SetDimensions(*pixels, 1)
    node.SetFieldOfView(width_mm, height_mm, 1.0)
    node.UpdateMatrices()
    return node


def test_the_view_takes_all_slices_of_what_it_shows(live):
    view = axial_view(live, (14.2, 12.2, 3.0), 10.0, 5.0)
    assert spans(view_region(add_volume(live), view)) == [(9, 20), (10, 16), (0, 20)]


def test_a_view_of_the_whole_volume_takes_all(live):
    view = axial_view(live, (14.0, 12.0, 3.0), 400.0, 200.0)
    assert spans(view_region(add_volume(live), view)) == [(0, 28), (0, 24), (0, 20)]


def test_a_view_of_something_else_is_refused(live):
    with pytest.raises(InputError, match="shows nothing"):
        view_region(add_volume(live), axial_view(live, (400.0, 12.0, 3.0), 10.0, 5.0))


def segmented(live, node, *boxes):
    segmentation = live.mrml.AddNewNodeByClass("vtkMRMLSegmentationNode", "segmentation")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetAndObserveTransformNodeID(node.GetTransformNodeID())
    editor = LogicEditor(live, node, segmentation)
    image = volume_from_node(node)
    for box in boxes:
        mask = np.zeros(image.array.shape, np.uint8)
        mask[box] = 1
        editor.select("")
        write_mask(editor, image.with_array(mask))
    editor.close()
    return segmentation


FIRST = (slice(8, 10), slice(10, 12), slice(11, 15))
SECOND = (slice(2, 3), slice(20, 24), slice(20, 21))


@pytest.mark.parametrize("transform", [None, MOVED], ids=["as it is", "moved"])
def test_the_box_of_visible_segments_with_its_margin(live, transform):
    node = add_volume(live, GRIDS["oblique, flipped and anisotropic"])
    if transform is not None:
        add_transform(live.mrml, node, transform)
    segmentation = segmented(live, node, FIRST, SECOND)
    assert spans(segments_region(node, segmentation, 0)) == [(11, 21), (10, 24), (2, 10)]
    hidden = segmentation.GetSegmentation().GetNthSegmentID(1)
    segmentation.GetDisplayNode().SetSegmentVisibility(hidden, False)
    assert spans(segments_region(node, segmentation, 0)) == [(11, 15), (10, 12), (8, 10)]
    assert spans(segments_region(node, segmentation, 5.0)) == [(3, 23), (3, 19), (7, 11)]


def test_without_a_visible_segment_it_says_so(live):
    node = add_volume(live)
    segmentation = segmented(live, node, FIRST)
    segmentation.GetDisplayNode().SetVisibility(False)
    with pytest.raises(InputError, match="No segment with voxels is visible"):
        segments_region(node, segmentation)
    segmentation.GetDisplayNode().SetVisibility(True)
    segmentation.GetSegmentation().RemoveAllSegments()
    segmentation.GetSegmentation().AddEmptySegment()
    with pytest.raises(InputError, match="No segment with voxels is visible"):
        segments_region(node, segmentation)


def test_a_real_hippocampus(live, shared_data):
    image = read_volume(shared_data / "hippocampus-mr" / "images" / "hippocampus_001.nii.gz")
    truth = read_volume(shared_data / "hippocampus-mr" / "labels" / "hippocampus_001.nii.gz").array > 0
    node = node_from_volume(live.mrml, image)
    segmentation = live.mrml.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentation.CreateDefaultDisplayNodes()
    editor = LogicEditor(live, node, segmentation)
    write_mask(editor, image.with_array(truth))
    region = segments_region(node, segmentation, 0)
    assert truth[region].sum() == truth.sum()
    assert all(truth[region].any(axis=axes)[[0, -1]].all() for axes in ((1, 2), (0, 2), (0, 1)))
