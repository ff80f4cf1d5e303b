"""What the scripts for a real Slicer share: a line a check, an end at the first failure, and patience."""

import time

import numpy as np
import slicer
from vtk.util.numpy_support import vtk_to_numpy


class CheckFailed(Exception):
    """Raised out of a script, it makes Slicer exit with status 1 in --testing mode."""


def check(name, passed, details=""):
    """Print whether it holds; the first check that does not ends the script, and Slicer with status 1."""
    print(f"{'ok    ' if passed else 'FAILED'} {name}{f' ({details})' if details else ''}", flush=True)
    if not passed:
        slicer.util.exit(1)  # for a run without --testing
        raise CheckFailed(name)


def finish():
    """All checks passed."""
    print("all checks passed", flush=True)
    slicer.util.exit(0)


def wait_until(condition, seconds):
    """Let Slicer work until the condition holds; False where it did not within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        slicer.app.processEvents()
        time.sleep(0.02)
    return True


def add_drawn_volume(modality="MR"):
    """A bright ellipsoid in noise on an oblique grid of 1 mm, and the RAS of its centre."""
    from MedSegDLLib.scene.volumes import node_from_volume
    from MedSegDLLib.volume import Volume

    shape, center, radii = np.array((48, 64, 56)), np.array((22, 30, 27)), np.array((9, 13, 11))
    kji = np.moveaxis(np.indices(shape), 0, -1)
    inside = (((kji - center) / radii) ** 2).sum(axis=-1) <= 1
    array = np.random.default_rng(0).normal(100, 8, shape) + 150 * inside
    ijk_to_ras = np.array([[0.8, -0.6, 0, -30], [0.6, 0.8, 0, 12], [0, 0, 1, 5], [0, 0, 0, 1.0]])
    volume = Volume(array.astype(np.int16), ijk_to_ras, modality)
    return node_from_volume(slicer.mrmlScene, volume, "drawn"), volume.grid.ras(center[::-1])


def load_volume(source):
    """A volume node from a file, or by the name of one of Slicer's samples (needs the network, once)."""
    import os

    if os.path.exists(source):
        return slicer.util.loadVolume(source, properties={})
    import SampleData

    return SampleData.downloadSample(source)


def segmentation_count():
    return slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")


def segment_voxels(segmentation_node, segment_id):
    """Number of voxels of a segment."""
    image = slicer.vtkOrientedImageData()
    if not segmentation_node.GetBinaryLabelmapRepresentation(segment_id, image) or image.IsEmpty():
        return 0
    scalars = image.GetPointData().GetScalars()
    return int(np.count_nonzero(vtk_to_numpy(scalars))) if scalars else 0
