"""Masks into segments through the real editor logic: what is written, what is spared, and what undo takes back."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from scipy import ndimage
from vtk.util.numpy_support import vtk_to_numpy

from MedSegDLLib.dicom.image import read_series
from MedSegDLLib.dicom.series import find_series
from MedSegDLLib.dicom.structures import read_rtstruct
from MedSegDLLib.errors import InputError
from MedSegDLLib.files import read_volume
from MedSegDLLib.scene.editing import LogicEditor, write_mask, write_structures
from MedSegDLLib.scene.headless import new_scene
from MedSegDLLib.scene.segments import segment_id
from MedSegDLLib.scene.volumes import node_from_volume, volume_from_node
from MedSegDLLib.volume import Grid, Volume
from scene_cases import (
    GRIDS,
    LABELS,
    MOVED,
    add_transform,
    labelmap_on,
    placed,
    rotation,
    segment_centroid_ras,
    segment_mask,
)

SHAPE = (14, 18, 22)
BOX = (slice(4, 9), slice(5, 12), slice(6, 15))
LEFT_HALF = (slice(None), slice(None), slice(0, 10))


def ramp(shape=SHAPE) -> np.ndarray:
    """Grey values that grow with i: an editable range is then a slab."""
    return np.broadcast_to(np.arange(shape[2], dtype=np.int16), shape).copy()


def boxed(region=BOX, shape=SHAPE) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[region] = True
    return mask


class Case:
    """A volume, an empty segmentation and an editor on both."""

    def __init__(self, array=None, ijk_to_ras=GRIDS["axial"]):
        self.live = new_scene()
        self.scene = self.live.mrml
        self.volume = node_from_volume(self.scene, Volume(ramp() if array is None else array, ijk_to_ras), "image")
        self.segmentation = self.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "segmentation")
        self.segmentation.CreateDefaultDisplayNodes()
        self.shape = self.image.array.shape

    @property
    def image(self) -> Volume:
        return volume_from_node(self.volume)

    def edit(self) -> LogicEditor:
        self.editor = LogicEditor(self.live, self.volume, self.segmentation)
        return self.editor

    def write(self, mask: np.ndarray, mode: str = "add") -> int:
        return write_mask(self.editor, self.image.with_array(mask.astype(np.uint8)), mode)

    def new_segment(self, region) -> str:
        """Another one, selected, with the voxels of a region."""
        self.editor.select("")
        write_mask(self.editor, self.image.with_array(boxed(region, self.shape)))
        return self.editor.selected_segment_id

    def mask(self, identifier: str = "") -> np.ndarray:
        return segment_mask(self.segmentation, identifier or self.editor.selected_segment_id, self.shape)

    def segments(self) -> tuple[str, ...]:
        return tuple(self.segmentation.GetSegmentation().GetSegmentIDs())


@pytest.fixture
def case() -> Case:
    case = Case()
    case.edit()
    return case


def test_a_segment_is_made_and_selected_where_none_is(case):
    count = case.write(boxed())
    assert case.segments() == (case.editor.selected_segment_id,)
    assert np.array_equal(case.mask(), boxed()) and count == boxed().sum()
    segment = case.segmentation.GetSegmentation().GetSegment(case.editor.selected_segment_id)
    kind = vtk.mutable("")
    assert segment.GetTag("DICOM.SegmentAlgorithmType", kind) and kind == "SEMIAUTOMATIC"
    entry = slicer.vtkSlicerTerminologyEntry()
    assert slicer.vtkSlicerTerminologiesModuleLogic.DeserializeTerminologyEntry(segment.GetTerminology(), entry)
    assert entry.GetTypeObject().GetCodeMeaning() == "Tissue"


def test_the_selected_segment_is_written(case):
    first, second = case.new_segment(LEFT_HALF), case.new_segment(BOX)
    case.editor.select(first)
    case.editor.node.SetOverwriteMode(case.editor.node.OverwriteNone)
    case.write(boxed())
    assert np.array_equal(case.mask(first), boxed(LEFT_HALF) | boxed())
    assert np.array_equal(case.mask(second), boxed())


@pytest.mark.parametrize(
    "mode, expected",
    [
        ("add", boxed(LEFT_HALF) | boxed()),
        ("remove", boxed(LEFT_HALF) & ~boxed()),
        ("set", boxed()),
    ],
)
def test_modes(case, mode, expected):
    case.new_segment(LEFT_HALF)
    case.write(boxed(), mode)
    assert np.array_equal(case.mask(), expected)


def test_undo_takes_back_all_of_one_write_and_redo_repeats_it(case):
    case.write(boxed())
    identifier = case.editor.selected_segment_id
    case.write(boxed(LEFT_HALF))
    case.editor.undo()
    assert np.array_equal(case.mask(identifier), boxed())
    case.editor.undo()
    assert case.segments() == () and case.editor.selected_segment_id == "" and not case.editor.can_undo
    case.editor.redo()
    assert np.array_equal(case.mask(identifier), boxed())
    case.editor.redo()
    assert np.array_equal(case.mask(identifier), boxed() | boxed(LEFT_HALF))


def test_after_undo_the_next_write_makes_its_own_segment(case):
    case.write(boxed())
    case.editor.undo()
    case.write(boxed(LEFT_HALF))
    assert len(case.segments()) == 1 and np.array_equal(case.mask(), boxed(LEFT_HALF))


@pytest.mark.parametrize(
    "overwrite, hidden, neighbour_left",
    [
        ("OverwriteAllSegments", False, boxed(LEFT_HALF) & ~boxed()),
        ("OverwriteAllSegments", True, boxed(LEFT_HALF) & ~boxed()),
        ("OverwriteVisibleSegments", False, boxed(LEFT_HALF) & ~boxed()),
        ("OverwriteVisibleSegments", True, boxed(LEFT_HALF)),
        ("OverwriteNone", False, boxed(LEFT_HALF)),
    ],
)
def test_overwrite_modes(case, overwrite, hidden, neighbour_left):
    neighbour = case.new_segment(LEFT_HALF)
    case.segmentation.GetDisplayNode().SetSegmentVisibility(neighbour, not hidden)
    case.editor.node.SetOverwriteMode(getattr(case.editor.node, overwrite))
    case.editor.select("")
    case.write(boxed())
    assert np.array_equal(case.mask(), boxed())
    assert np.array_equal(case.mask(neighbour), neighbour_left)
    case.editor.undo()
    assert np.array_equal(case.mask(neighbour), boxed(LEFT_HALF))


FIRST, SECOND = (slice(0, 7), slice(None), slice(None)), (slice(None), slice(0, 8), slice(None))
ANYWHERE = np.ones(SHAPE, dtype=bool)


@pytest.mark.parametrize(
    "mask_mode, mask_segment, second_visible, editable",
    [
        ("EditAllowedEverywhere", None, True, ANYWHERE),
        ("EditAllowedInsideAllSegments", None, True, boxed(FIRST) | boxed(SECOND)),
        ("EditAllowedInsideVisibleSegments", None, False, boxed(FIRST)),
        ("EditAllowedOutsideAllSegments", None, True, ~(boxed(FIRST) | boxed(SECOND))),
        ("EditAllowedOutsideVisibleSegments", None, False, ~boxed(FIRST)),
        ("EditAllowedInsideSingleSegment", 1, True, boxed(SECOND)),
    ],
)
def test_mask_modes(case, mask_mode, mask_segment, second_visible, editable):
    case.editor.node.SetOverwriteMode(case.editor.node.OverwriteNone)
    segments = [case.new_segment(FIRST), case.new_segment(SECOND)]
    case.segmentation.GetDisplayNode().SetSegmentVisibility(segments[1], second_visible)
    case.editor.node.SetMaskMode(getattr(slicer.vtkMRMLSegmentationNode, mask_mode))
    if mask_segment is not None:
        case.editor.node.SetMaskSegmentID(segments[mask_segment])
    case.editor.select("")
    case.write(boxed())
    assert np.array_equal(case.mask(), boxed() & editable)
    assert np.array_equal(case.mask(segments[0]), boxed(FIRST))
    assert np.array_equal(case.mask(segments[1]), boxed(SECOND))


@pytest.mark.parametrize("mode, expected", [("add", 3), ("set", 3), ("remove", 4)])
def test_the_editable_intensity_range_holds_in_every_mode(case, mode, expected):
    if mode == "remove":
        case.new_segment((slice(4, 9), slice(5, 12), slice(6, 13)))
    case.editor.node.SetSourceVolumeIntensityMask(True)
    case.editor.node.SetSourceVolumeIntensityMaskRange(8, 10)
    case.write(boxed(), mode)
    columns = case.mask()[6, 8]
    assert columns.sum() == expected
    assert (columns[8:11] != (mode == "remove")).all()


def test_intensities_and_segments_mask_together(case):
    first = case.new_segment(FIRST)
    case.editor.node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
    case.editor.node.SetMaskSegmentID(first)
    case.editor.node.SetOverwriteMode(case.editor.node.OverwriteNone)
    case.editor.node.SetSourceVolumeIntensityMask(True)
    case.editor.node.SetSourceVolumeIntensityMaskRange(8, 10)
    case.editor.select("")
    case.write(boxed())
    expected = boxed() & boxed(FIRST) & (ramp() >= 8) & (ramp() <= 10)
    assert np.array_equal(case.mask(), expected)


@pytest.mark.parametrize("name", GRIDS)
def test_every_orientation_is_copied_voxel_by_voxel(name):
    case = Case(ijk_to_ras=GRIDS[name])
    case.edit()
    case.write(boxed())
    assert np.array_equal(case.mask(), boxed())


def test_a_crop_lands_where_it_was_cut(case):
    whole = case.image.with_array(boxed().astype(np.uint8))
    window = (slice(3, 10), slice(4, 14), slice(6, 16))
    write_mask(case.editor, whole.cropped(window))
    assert np.array_equal(case.mask(), boxed())


def moved_case(volume_matrix, segmentation_matrix) -> Case:
    case = Case(ijk_to_ras=GRIDS["oblique"])
    for node, matrix in ((case.volume, volume_matrix), (case.segmentation, segmentation_matrix)):
        if matrix is not None:
            add_transform(case.scene, node, matrix)
    case.edit()
    return case


SHIFTED = np.array([[1, 0, 0, 7.0], [0, 1, 0, -3.0], [0, 0, 1, 5.0], [0, 0, 0, 1]])


@pytest.mark.parametrize(
    "volume_matrix, segmentation_matrix",
    [(MOVED, None), (None, MOVED), (MOVED, MOVED), (MOVED, SHIFTED @ MOVED)],
    ids=["volume", "segmentation", "both alike", "both differently"],
)
def test_parent_transforms(volume_matrix, segmentation_matrix):
    case = moved_case(volume_matrix, segmentation_matrix)
    case.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(case.volume)
    mask = case.image.with_array(boxed().astype(np.uint8))
    expected_ras = mask.grid.ras(np.argwhere(boxed()).mean(axis=0)[::-1])
    expected_ml = boxed().sum() * mask.grid.voxel_volume_ml
    geometry = case.editor.blank_modifier()
    count = write_mask(case.editor, mask)
    shape = geometry.GetDimensions()[::-1]
    found_ras = segment_centroid_ras(case.segmentation, case.editor.selected_segment_id, shape)
    assert np.abs(found_ras - expected_ras).max() < 0.3
    assert count * abs(np.prod(geometry.GetSpacing())) / 1000 == pytest.approx(expected_ml, rel=0.1)


def test_a_transform_that_bends_is_refused():
    case = Case()
    bent = case.scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "bent")
    grid = vtk.vtkBSplineTransform()
    bent.SetAndObserveTransformToParent(grid)
    case.segmentation.SetAndObserveTransformNodeID(bent.GetID())
    case.edit()
    with pytest.raises(InputError, match="not linear"):
        write_mask(case.editor, case.image.with_array(boxed()))
    assert case.segments() == () and not case.editor.can_undo


@pytest.mark.parametrize("spacing_mm", [(0.5, 0.5, 0.5), (1.7, 2.0, 1.3)])
def test_a_segmentation_of_another_geometry(spacing_mm):
    case = Case()
    other = placed(rotation(10, 20, 30), spacing_mm)
    other[:3, 3] += case.image.grid.center_ras - Grid((60, 60, 60), other).center_ras
    reference = node_from_volume(case.scene, Volume(np.zeros((60, 60, 60), np.int16), other))
    case.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    case.edit()
    center = case.image.grid.center_ras
    ijk = np.indices((60, 60, 60))[::-1].reshape(3, -1).T
    ball = case.image.grid.ras(np.indices(SHAPE)[::-1].reshape(3, -1).T) - center
    mask = (np.linalg.norm(ball, axis=1) < 6).reshape(SHAPE)
    count = case.write(mask)
    found = segment_mask(case.segmentation, case.editor.selected_segment_id, (60, 60, 60))
    geometry = Volume(found, other).grid
    expected = (np.linalg.norm(geometry.ras(ijk) - center, axis=1) < 6).reshape(60, 60, 60)
    assert count == found.sum()
    assert 2 * (found & expected).sum() / (found.sum() + expected.sum()) > 0.93


def test_masking_holds_where_the_geometries_differ():
    case = Case()
    reference = node_from_volume(
        case.scene, Volume(np.zeros((28, 36, 44), np.int16), case.image.grid.resized((28, 36, 44)).ijk_to_ras)
    )
    case.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    case.edit()
    case.editor.node.SetSourceVolumeIntensityMask(True)
    case.editor.node.SetSourceVolumeIntensityMaskRange(8, 10)
    case.write(boxed())
    found = segment_mask(case.segmentation, case.editor.selected_segment_id, (28, 36, 44))
    columns = np.flatnonzero(found.any(axis=(0, 1)))
    assert columns.min() / 2 == pytest.approx(8, abs=0.6) and columns.max() / 2 == pytest.approx(10, abs=0.6)


def test_a_geometry_that_does_not_begin_at_the_first_voxel():
    """As the editor makes it where an imported segment reaches over the edge of the reference volume."""
    case = Case()
    case.edit()
    start = (-4, -3, -2)
    outside = slicer.vtkOrientedImageData()
    outside.SetExtent(start[0], 3, start[1], 3, start[2], 3)
    outside.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    outside.GetPointData().GetScalars().Fill(1)
    outside.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(case.image.ijk_to_ras))
    case.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(case.volume)
    assert slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(outside, case.segmentation)
    case.write(boxed())
    assert case.editor.blank_modifier().GetExtent()[::2] == start
    drawn = slicer.vtkOrientedImageData()
    case.segmentation.GetBinaryLabelmapRepresentation(case.editor.selected_segment_id, drawn)
    extent = [0] * 6
    slicer.vtkOrientedImageDataResample.CalculateEffectiveExtent(drawn, extent)
    assert extent == [6, 14, 5, 11, 4, 8]
    assert vtk_to_numpy(drawn.GetPointData().GetScalars()).astype(bool).sum() == boxed().sum()


@pytest.mark.parametrize("mode", ["add", "remove", "set"])
def test_a_segment_whose_voxels_lie_on_a_grid_of_their_own(case, mode):
    """As after an import; a second write must not find them somewhere else."""
    case.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(case.volume)
    coarse = slicer.vtkOrientedImageData()
    coarse.SetExtent(0, 5, 0, 5, 0, 5)
    coarse.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    coarse.GetPointData().GetScalars().Fill(1)
    matrix = case.image.grid.resized((7, 9, 11)).ijk_to_ras
    coarse.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(matrix))
    assert slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(coarse, case.segmentation)
    imported = boxed((slice(0, 12), slice(0, 12), slice(0, 12)))
    case.editor.select(case.segments()[0])
    case.write(boxed(), mode)
    expected = {"add": imported | boxed(), "remove": imported & ~boxed(), "set": boxed()}[mode]
    assert np.array_equal(case.mask(), expected)


def test_a_mask_partly_outside_is_cut(case):
    beyond = case.image.grid.ras((17, 12, 10))
    matrix = case.image.ijk_to_ras.copy()
    matrix[:3, 3] = beyond
    assert write_mask(case.editor, Volume(np.ones((10, 10, 10), np.uint8), matrix)) == 4 * 6 * 5
    assert np.array_equal(case.mask(), boxed((slice(10, 14), slice(12, 18), slice(17, 22))))


@pytest.mark.parametrize("mask", [np.zeros(SHAPE, np.uint8), None], ids=["empty", "elsewhere"])
def test_a_mask_with_nothing_inside_changes_nothing(case, mask):
    matrix = case.image.ijk_to_ras.copy()
    matrix[:3, 3] += 0 if mask is not None else 500
    with pytest.raises(InputError, match="Nothing of the structure"):
        write_mask(case.editor, Volume(np.ones(SHAPE, np.uint8) if mask is None else mask, matrix))
    assert case.segments() == () and not case.editor.can_undo


def test_without_volume_or_segmentation_it_says_so(case):
    mask = case.image.with_array(boxed())
    volume = case.volume
    case.scene.RemoveNode(volume)
    with pytest.raises(InputError, match="no source volume"):
        write_mask(case.editor, mask)
    case.editor.node.SetAndObserveSourceVolumeNode(node_from_volume(case.scene, Volume(ramp())))
    case.scene.RemoveNode(case.segmentation)
    with pytest.raises(InputError, match="no segmentation"):
        write_mask(case.editor, mask)


def test_the_segmentation_follows_the_volume_that_is_chosen(case):
    """Two volumes on different grids: the mask of the second is resampled to the segmentation of the first."""
    case.write(boxed())
    finer = Volume(np.zeros((28, 36, 44), np.int16), case.image.grid.resized((28, 36, 44)).ijk_to_ras)
    case.editor.node.SetAndObserveSourceVolumeNode(node_from_volume(case.scene, finer))
    doubled = boxed(LEFT_HALF).repeat(2, 0).repeat(2, 1).repeat(2, 2)
    write_mask(case.editor, finer.with_array(doubled.astype(np.uint8)))
    assert np.array_equal(case.mask(), boxed() | boxed(LEFT_HALF))


def test_an_image_of_a_single_slice():
    flat = (1, 18, 22)
    case = Case(ramp(flat), placed(np.eye(4), (0.7, 0.7, 5)))
    case.edit()
    case.write(boxed((slice(0, 1), *BOX[1:]), flat))
    assert np.array_equal(case.mask(), boxed((slice(0, 1), *BOX[1:]), flat))


def test_the_editor_leaves_nothing_behind(case):
    before = case.scene.GetNumberOfNodes()
    another = LogicEditor(case.live, case.volume, case.segmentation)
    another.close()
    assert case.scene.GetNumberOfNodes() == before


def test_structures_get_their_own_segments_in_one_step(case):
    labelmap = labelmap_on(GRIDS["axial"], SHAPE)
    case.write(boxed())
    drawn = case.editor.selected_segment_id
    case.editor.node.SetOverwriteMode(case.editor.node.OverwriteNone)
    write_structures(case.editor, labelmap, LABELS)
    assert case.editor.selected_segment_id == drawn
    for label in LABELS:
        assert np.array_equal(case.mask(segment_id(label)), labelmap.array == label.value)
        segment = case.segmentation.GetSegmentation().GetSegment(segment_id(label))
        assert segment.GetName() == label.name
        assert np.allclose(segment.GetColor(), np.array(label.color) / 255)
    assert np.array_equal(case.mask(drawn), boxed())
    case.editor.undo()
    assert case.segments() == (drawn,)
    case.editor.redo()
    assert np.array_equal(case.mask(segment_id(LABELS[1])), labelmap.array == LABELS[1].value)


def test_structures_are_replaced_or_added_to(case):
    before, after = labelmap_on(GRIDS["axial"], SHAPE), labelmap_on(GRIDS["axial"], SHAPE)
    after.array[:] = np.roll(after.array, 3, axis=2)
    after.array[after.array == LABELS[2].value] = 0
    case.editor.node.SetOverwriteMode(case.editor.node.OverwriteNone)
    write_structures(case.editor, before, LABELS)
    write_structures(case.editor, after, LABELS, mode="add")
    both = (before.array == 1) | (after.array == 1)
    assert np.array_equal(case.mask(segment_id(LABELS[0])), both)
    write_structures(case.editor, after, LABELS)
    assert np.array_equal(case.mask(segment_id(LABELS[0])), after.array == 1)
    assert not case.mask(segment_id(LABELS[2])).any()


def test_a_structure_that_was_not_found_makes_no_segment(case):
    labelmap = labelmap_on(GRIDS["axial"], SHAPE)
    labelmap.array[labelmap.array == LABELS[1].value] = 0
    write_structures(case.editor, labelmap, LABELS)
    assert case.segments() == (segment_id(LABELS[0]), segment_id(LABELS[2]))
    assert case.editor.selected_segment_id == segment_id(LABELS[0])


def test_structures_spare_what_the_masking_protects(case):
    labelmap = labelmap_on(GRIDS["axial"], SHAPE)
    drawn = case.new_segment((slice(2, 5), slice(None), slice(0, 6)))
    case.editor.node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    write_structures(case.editor, labelmap, LABELS)
    assert np.array_equal(case.mask(segment_id(LABELS[0])), (labelmap.array == 1) & ~case.mask(drawn))


def test_a_real_hippocampus_beside_its_neighbour(shared_data):
    """The anterior part is kept in full and the posterior one, grown into it, takes nothing from it."""
    image = read_volume(shared_data / "hippocampus-mr" / "images" / "hippocampus_001.nii.gz")
    truth = read_volume(shared_data / "hippocampus-mr" / "labels" / "hippocampus_001.nii.gz").array
    case = Case(image.array, image.ijk_to_ras)
    case.edit()
    case.editor.node.SetOverwriteMode(case.editor.node.OverwriteNone)
    case.editor.node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    case.write(truth == 1)
    anterior = case.editor.selected_segment_id
    case.editor.select("")
    grown = ndimage.binary_dilation(truth == 2, iterations=3)
    case.write(grown)
    assert np.array_equal(case.mask(anterior), truth == 1)
    assert np.array_equal(case.mask(), grown & (truth != 1))
    assert (grown & (truth == 1)).any()


@pytest.mark.parametrize("patient, modality", [("STS_003", "CT"), ("STS_003", "MR_T1")])
def test_a_real_sarcoma_within_an_intensity_range(shared_data, patient, modality):
    folder = shared_data / "sarcoma-ct-mr-pet" / patient / modality
    (series,) = find_series(folder / "image")
    image = read_series(series)
    (tumour,) = read_rtstruct(folder / "mask" / "RS.dcm", image.grid).values()
    low, high = (float(edge) for edge in np.percentile(image.array[tumour], (20, 80)))
    case = Case(image.array, image.ijk_to_ras)
    add_transform(case.scene, case.volume, MOVED)
    add_transform(case.scene, case.segmentation, MOVED)
    case.edit()
    case.editor.node.SetSourceVolumeIntensityMask(True)
    case.editor.node.SetSourceVolumeIntensityMaskRange(low, high)
    assert case.write(tumour) == tumour.sum()
    expected = tumour & (image.array >= low) & (image.array <= high)
    assert 0.5 < expected.sum() / tumour.sum() < 0.75
    assert np.mean(case.mask() ^ expected) < 1e-5  # transforms round: a value on the range's edge may differ
    case.editor.undo()
    assert case.segments() == ()
