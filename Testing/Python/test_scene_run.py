"""A volume node in, segments out, by a warm worker: where they lie, and what a run that fails leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import slicer

from batch_cases import SLOW, grey_values
from bundle_makers import threshold_bundle, thresholded
from MedSegDLLib.errors import CancelledError, InputError, ModelError, WorkerError
from MedSegDLLib.scene.headless import new_scene
from MedSegDLLib.scene.run import Segmenter, segment_node
from MedSegDLLib.scene.volumes import node_from_volume
from MedSegDLLib.volume import Volume
from scene_cases import MOVED, add_transform, placed, rotation, segment_centroid_ras, segment_mask

OBLIQUE = placed(rotation(20, -35, 50), (1, 1, 1))
SEGMENTS = ("MedSeg_structure_1", "MedSeg_structure_2")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return threshold_bundle(tmp_path_factory.mktemp("models") / "thresholds")


@pytest.fixture(scope="module")
def segmenter():
    with Segmenter() as segmenter:
        yield segmenter


@pytest.fixture
def scene():
    return new_scene().mrml


def add_volume(scene, array=None, ijk_to_ras=OBLIQUE):
    return node_from_volume(scene, Volume(grey_values() if array is None else array, ijk_to_ras), "Größe")


def node_ids(scene) -> list[str]:
    return [scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())]


def test_segments_lie_where_the_image_does(segmenter, bundle, scene):
    node = add_volume(scene)
    add_transform(scene, node, MOVED)
    segmentation = segmenter.segment(node, bundle)
    expected = thresholded(grey_values(), 100, 300)
    to_world = MOVED @ OBLIQUE
    for value, segment in enumerate(SEGMENTS, start=1):
        assert np.array_equal(segment_mask(segmentation, segment, expected.shape), expected == value)
        ijk = np.argwhere(expected == value).mean(axis=0)[::-1]
        found = segment_centroid_ras(segmentation, segment, expected.shape)
        assert np.allclose(found, to_world[:3, :3] @ ijk + to_world[:3, 3], atol=1e-3)
    assert segmentation.GetTransformNodeID() == node.GetTransformNodeID()
    assert segmentation.GetName() == "Größe segmentation"
    assert segmenter.report["model"] == "test" and segmenter.report["windows"] > 0


def test_several_nodes_for_several_channels(segmenter, scene, tmp_path):
    """The second one lies elsewhere on its own, and in its place by the transform that registers it."""
    bundle = threshold_bundle(tmp_path / "m", weights=(1.0, -1.0))
    first, second = add_volume(scene), add_volume(scene, grey_values(seed=1), np.linalg.inv(MOVED) @ OBLIQUE)
    add_transform(scene, second, MOVED)
    segmentation = segmenter.segment([first, second], bundle)
    expected = thresholded(grey_values().astype(float) - grey_values(seed=1), 100, 300)
    for value, segment in enumerate(SEGMENTS, start=1):
        found = segment_mask(segmentation, segment, expected.shape)
        assert np.mean(found != (expected == value)) < 1e-3 and found.any()
    assert segmentation.GetTransformNodeID() is None and segmentation.GetName() == "Größe segmentation"
    with pytest.raises(InputError, match="takes 2 images at once"):
        segmenter.segment(first, bundle)
    second.GetScene().RemoveNode(second)
    with pytest.raises(InputError, match="is in no scene"):
        segmenter.segment([first, second], bundle)


def test_a_run_may_keep_the_largest_pieces(segmenter, bundle):
    array = np.zeros((10, 12, 14), np.int16)
    array[2:5, 2:5, 2:5] = array[8, 9, 10] = 200
    found = [segmenter.label(Volume(array), bundle, keep_largest=keep).labels.array.sum() for keep in (True, None)]
    assert found == [27, 28]


def test_a_second_run_writes_into_the_same_segmentation(segmenter, bundle, scene):
    node = add_volume(scene)
    segmentation = segmenter.segment(node, bundle)
    slicer.util.updateVolumeFromArray(node, grey_values(seed=1))
    again = segmenter.segment(node, bundle, segmentation_node=segmentation)
    assert again is segmentation and segmentation.GetSegmentation().GetNumberOfSegments() == 2
    expected = thresholded(grey_values(seed=1), 100, 300)
    assert np.array_equal(segment_mask(segmentation, SEGMENTS[0], expected.shape), expected == 1)


def test_a_volume_needs_no_scene(segmenter, bundle):
    result = segmenter.label(Volume(grey_values(), OBLIQUE), str(bundle.folder))
    assert np.array_equal(result.labels.array, thresholded(grey_values(), 100, 300))
    assert np.array_equal(result.labels.ijk_to_ras, OBLIQUE)


def test_a_worker_for_one_run_is_gone_afterwards(bundle, scene, monkeypatch):
    closed = []
    monkeypatch.setattr(Segmenter, "close", lambda self, close=Segmenter.close: (closed.append(self), close(self)))
    segmentation = segment_node(add_volume(scene), bundle)
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 2
    assert len(closed) == 1 and not closed[0]._worker.is_running


def test_the_model_is_loaded_once_and_again_for_other_options(segmenter, bundle, tmp_path, monkeypatch):
    loads, volume = [], Volume(grey_values())
    begin = segmenter._worker.begin_load
    monkeypatch.setattr(
        segmenter._worker, "begin_load", lambda *args, **more: loads.append(more) or begin(*args, **more)
    )
    segmenter.label(volume, bundle, overlap=0.25)
    loads.clear()
    for _ in range(2):
        segmenter.label(volume, bundle)
    assert loads == [{}]
    segmenter.label(volume, bundle, overlap=0.0)
    other = threshold_bundle(tmp_path / "other", thresholds=(50.0, 300.0))
    result = segmenter.label(volume, other, overlap=0.0)
    assert loads == [{}, {"overlap": 0.0}, {"overlap": 0.0}]
    assert np.array_equal(result.labels.array, thresholded(grey_values(), 50, 300))


def test_messages_of_loading_are_in_the_report(segmenter, bundle, monkeypatch):
    monkeypatch.setattr(segmenter, "load", lambda *_, load=segmenter.load: load(bundle) | {"messages": ["On the CPU."]})
    assert segmenter.label(Volume(grey_values()), bundle).report["notes"][0] == "On the CPU."


# What goes wrong


def test_progress_and_cancel(segmenter, bundle, scene):
    node = add_volume(scene, grey_values((SLOW,) * 3))
    before, calls = node_ids(scene), []
    with pytest.raises(CancelledError):
        segmenter.segment(node, bundle, progress=lambda *call: calls.append(call), cancelled=lambda: len(calls) > 2)
    assert node_ids(scene) == before
    done, total, message = calls[-1]
    assert 0 < done < total and message
    assert segmenter.segment(add_volume(scene), bundle).GetSegmentation().GetNumberOfSegments() == 2


def test_cancel_while_the_model_loads(bundle, scene):
    node = add_volume(scene)
    before = node_ids(scene)
    with Segmenter() as segmenter:
        with pytest.raises(CancelledError):
            segmenter.segment(node, bundle, cancelled=lambda: True)
        assert node_ids(scene) == before
        assert segmenter.segment(node, bundle).GetSegmentation().GetNumberOfSegments() == 2


def test_a_volume_that_is_deleted_meanwhile(segmenter, bundle, scene):
    node = add_volume(scene)
    before = set(node_ids(scene))
    with pytest.raises(InputError, match="The volume 'Größe' is no longer in the scene"):
        segmenter.segment(node, bundle, progress=lambda *_: scene.RemoveNode(node))
    assert set(node_ids(scene)) < before and scene.GetFirstNodeByClass("vtkMRMLSegmentationNode") is None


def test_a_scene_that_is_closed_meanwhile(segmenter, bundle, scene):
    node = add_volume(scene)
    with pytest.raises(InputError, match="no longer in the scene"):
        segmenter.segment(node, bundle, progress=lambda *_: scene.Clear(0))
    assert scene.GetFirstNodeByClass("vtkMRMLSegmentationNode") is None


def test_a_segmenter_that_is_closed_meanwhile(bundle, scene):
    """As when the user closes the scene while the window waits."""
    segmenter, node = Segmenter(), add_volume(scene, grey_values((SLOW,) * 3))
    with pytest.raises(CancelledError):
        segmenter.segment(node, bundle, progress=lambda *_: segmenter.close())
    assert scene.GetFirstNodeByClass("vtkMRMLSegmentationNode") is None


def test_another_scene_that_became_the_current_one(segmenter, bundle, scene):
    node = add_volume(scene)
    new_scene()
    assert segmenter.segment(node, bundle).GetScene() is scene


def test_a_volume_outside_any_scene(segmenter, bundle):
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetName("loose")
    with pytest.raises(InputError, match="'loose' is in no scene"):
        segmenter.segment(node, bundle)


def test_a_worker_that_died_is_started_again(segmenter, bundle, scene):
    node = add_volume(scene, grey_values((SLOW,) * 3))
    segmenter.label(Volume(grey_values()), bundle)
    pid = segmenter._worker.hello()["pid"]
    before = node_ids(scene)
    with pytest.raises(WorkerError):
        segmenter.segment(node, bundle, progress=lambda *_: os.kill(pid, signal.SIGKILL))
    assert node_ids(scene) == before
    assert segmenter.segment(add_volume(scene), bundle).GetSegmentation().GetNumberOfSegments() == 2


def test_a_model_that_fails_to_load_does_not_stay(segmenter, bundle, tmp_path):
    broken = threshold_bundle(tmp_path / "broken")
    broken.weights_path.write_bytes(broken.weights_path.read_bytes() + b"\0")
    for _ in range(2):
        with pytest.raises(ModelError, match="wrong checksum"):
            segmenter.label(Volume(grey_values()), broken)
    assert segmenter.label(Volume(grey_values()), bundle).labels.array.any()


def test_a_model_that_does_not_exist(segmenter, scene):
    with pytest.raises(ModelError, match="There is no model 'nothing'"):
        segmenter.segment(add_volume(scene), "nothing")


# The module's logic, with stand-ins for what only the application has

SCRIPT = """
    import sys, types

    class Base:
        def __init__(self, *_):
            pass

    qt, loadable, i18n, wrapper = (types.ModuleType(name) for name in ("qt", "loadable", "i18n", "wrapper"))
    for name in ("", "Logic", "Widget", "Test"):
        setattr(loadable, f"ScriptedLoadableModule{name}", Base)
    i18n.tr, i18n.translate = str, lambda context, text: text
    wrapper.parameterNodeWrapper, wrapper.WithinRange = (lambda cls: cls), (lambda low, high: None)
    sys.modules |= {"qt": qt, "slicer.ScriptedLoadableModule": loadable, "slicer.i18n": i18n,
                    "slicer.parameterNodeWrapper": wrapper}

    from MedSegDL import MedSegDLLogic
    assert "MedSegDLLib" not in sys.modules and "SimpleITK" not in sys.modules
    from batch_cases import grey_values
    from MedSegDLLib.scene.headless import new_scene
    from MedSegDLLib.scene.volumes import node_from_volume
    from MedSegDLLib.volume import Volume

    names = MedSegDLLogic().modelNames()
    assert "thresholds" in names and "hippocampus-mr" in names, names
    live = new_scene()
    node = node_from_volume(live.mrml, Volume(grey_values()), "image")
    pids = set()
    for _ in range(2):
        segmentation = MedSegDLLogic().segment(node, "thresholds", progress=print)
        assert segmentation.GetSegmentation().GetNumberOfSegments() == 2
        pids.add(MedSegDLLogic.segmenter().worker.hello()["pid"])
    assert len(pids) == 1
    MedSegDLLogic.closeWorker()
    assert not MedSegDLLogic.segmenter().worker.is_running
    assert MedSegDLLogic().segment(node, "thresholds")
    MedSegDLLogic.closeWorker()
"""


def test_the_logic_keeps_one_worker_for_the_session(bundle):
    here = Path(__file__).resolve().parent
    paths = [here, here.parents[1] / "MedSegDL"]
    environment = os.environ | {"MEDSEG_MODELS": str(bundle.folder.parent),
                                "PYTHONPATH": os.pathsep.join(map(str, paths))}  # fmt: skip
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT)]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert process.returncode == 0, process.stderr
