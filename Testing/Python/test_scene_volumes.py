"""Volume nodes to Volume and back; which nodes are refused; what importing costs."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import slicer
import vtk

from MedSegDLLib.errors import InputError
from MedSegDLLib.scene.headless import new_scene, open_scene, subject_hierarchy
from MedSegDLLib.scene.volumes import node_from_volume, volume_from_node
from MedSegDLLib.volume import Volume
from scene_cases import GRIDS, MOVED, add_transform


@pytest.fixture
def scene():
    live = new_scene()
    yield live.mrml
    live.mrml.Clear(True)


def image_on(ijk_to_ras, dtype=np.int16) -> Volume:
    return Volume(np.arange(4 * 5 * 6).reshape(4, 5, 6).astype(dtype), ijk_to_ras, "CT", "chest")


@pytest.mark.parametrize("grid", GRIDS)
def test_a_volume_comes_back_as_it_went(scene, grid):
    image = image_on(GRIDS[grid])
    back = volume_from_node(node_from_volume(scene, image))
    np.testing.assert_array_equal(back.array, image.array)
    np.testing.assert_allclose(back.ijk_to_ras, image.ijk_to_ras, atol=1e-9)
    assert (back.modality, back.name, back.array.dtype) == ("CT", "chest", image.array.dtype)


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int32", "float32", "float64", "bool", "float16", "int64"]
)
def test_every_voxel_type_keeps_its_values(scene, dtype):
    image = image_on(np.eye(4), dtype)
    np.testing.assert_array_equal(volume_from_node(node_from_volume(scene, image)).array, image.array)


def test_the_array_is_a_view_on_the_node(scene):
    node = node_from_volume(scene, image_on(np.eye(4)))
    volume_from_node(node).array[1, 2, 3] = -777
    assert node.GetImageData().GetScalarComponentAsDouble(3, 2, 1, 0) == -777


def test_parent_transforms_add_up_and_can_be_left_out(scene):
    image = image_on(GRIDS["oblique"])
    node = node_from_volume(scene, image)
    inner = add_transform(scene, node, MOVED)
    add_transform(scene, inner, np.diag([1.0, 1.0, 2.0, 1.0]))
    expected = np.diag([1.0, 1.0, 2.0, 1.0]) @ MOVED @ image.ijk_to_ras
    np.testing.assert_allclose(volume_from_node(node).ijk_to_ras, expected, atol=1e-9)
    np.testing.assert_allclose(volume_from_node(node, world=False).ijk_to_ras, image.ijk_to_ras, atol=1e-9)


def test_a_non_linear_transform_is_refused_with_what_to_do(scene):
    node = node_from_volume(scene, image_on(np.eye(4)))
    transform = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "breathing")
    transform.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
    node.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(InputError, match="'chest' lies under the transform 'breathing'.*Harden"):
        volume_from_node(node)


def test_a_node_without_voxels_is_refused(scene):
    with pytest.raises(InputError, match="'nothing' has no voxels"):
        volume_from_node(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing"))


def test_a_colour_image_is_refused(scene):
    node = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
    image = vtk.vtkImageData()
    image.SetDimensions(3, 3, 3)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    node.SetAndObserveImageData(image)
    with pytest.raises(InputError, match="3 values per voxel"):
        volume_from_node(node)


def test_the_modality_is_found_where_the_dicom_import_writes_it(scene):
    node = node_from_volume(scene, Volume(np.ones((2, 2, 2), np.int16)))
    hierarchy = subject_hierarchy(scene)
    item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
    hierarchy.SetItemAttribute(item, "DICOM.Modality", "MR")
    assert volume_from_node(node).modality == "MR"


def test_without_an_application_a_complete_scene_is_made():
    live = open_scene()
    assert slicer.mrmlScene is live.mrml
    assert live.segmentations.GetMRMLScene() is live.mrml
    assert live.terminologies.GetMRMLScene() is live.mrml
    assert live.application.GetMRMLScene() is live.mrml


def test_a_new_scene_prints_no_errors():
    child = _python("from MedSegDLLib.scene.headless import new_scene; new_scene()")
    assert "ERR" not in child.stderr


def test_importing_the_scene_is_cheap_and_brings_nothing_heavy():
    child = _python(
        "import slicer, vtk, slicer.util, sys, time; start = time.process_time();"
        "import MedSegDLLib.scene.segments, MedSegDLLib.scene.storage, MedSegDLLib.scene.picture;"
        "print(time.process_time() - start);"
        "print([m for m in ('torch', 'scipy', 'matplotlib', 'SimpleITK', 'qt') if m in sys.modules])"
    )
    seconds, heavy = child.stdout.splitlines()
    assert heavy == "[]"
    assert float(seconds) < 0.1


def _python(code: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    assert child.returncode == 0, child.stderr
    return child


def test_a_new_scene_leaves_the_applications_scene_alone(monkeypatch):
    users_scene = slicer.vtkMRMLScene()
    monkeypatch.setattr(slicer, "mrmlScene", users_scene, raising=False)
    monkeypatch.setattr(slicer, "app", object(), raising=False)
    assert new_scene().mrml is not users_scene
    assert slicer.mrmlScene is users_scene
