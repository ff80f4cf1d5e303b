"""Labels: what is measured of them, and how Slicer and DICOM are told what they are."""

from __future__ import annotations

import numpy as np
import pytest

from MedSegDLLib.labels import Code, Label, Terminology, volumes_ml, voxel_counts

ANATOMY = Code("SCT", "123037004", "Anatomical Structure")
LIVER = Terminology(ANATOMY, Code("SCT", "10200004", "Liver"))
LEFT_KIDNEY = Terminology(ANATOMY, Code("SCT", "64033007", "Kidney"), Code("SCT", "7771000", "Left"))
TUMOUR = Terminology(
    Code("SCT", "49755003", "Morphologically Altered Structure"),
    Code("SCT", "108369006", "Tumor"),
    region=Code("SCT", "64033007", "Kidney"),
    region_modifier=Code("SCT", "7771000", "Left"),
)


def test_volumes_count_voxels_of_each_value():
    array = np.zeros((4, 5, 6), np.uint8)
    array[0, :2] = 7
    array[3, 4, 5] = 200
    labels = (
        Label(7, "liver", (1, 2, 3), LIVER),
        Label(200, "kidney", (1, 2, 3), LEFT_KIDNEY),
        Label(9, "none", (1, 2, 3), LIVER),
    )
    found = volumes_ml(array, labels, voxel_volume_ml=0.002)
    assert found == pytest.approx({"liver": 0.024, "kidney": 0.002, "none": 0.0})


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_counts_equal_a_histogram_in_any_layout(dtype):
    array = np.random.default_rng(0).integers(0, 9, (6, 7, 8)).astype(dtype).transpose(2, 0, 1)[::-1]
    assert voxel_counts(array, 8).tolist() == np.bincount(array.ravel(), minlength=9).tolist()


def test_values_beyond_those_asked_for_do_not_disturb():
    array = np.array([[[3, 700, 70000]]], np.uint32)
    assert voxel_counts(array, 3).tolist() == [0, 0, 0, 1]
    assert voxel_counts(array, 700)[[3, 700]].tolist() == [1, 1]
    assert volumes_ml(array, (), 1.0) == {}


@pytest.mark.parametrize(
    ("terminology", "codes"),
    [
        (LIVER, "SCT^123037004^Anatomical Structure~SCT^10200004^Liver~^^|^^~^^"),
        (LEFT_KIDNEY, "SCT^123037004^Anatomical Structure~SCT^64033007^Kidney~SCT^7771000^Left|^^~^^"),
        (
            TUMOUR,
            "SCT^49755003^Morphologically Altered Structure~SCT^108369006^Tumor~^^"
            "|SCT^64033007^Kidney~SCT^7771000^Left",
        ),
    ],
)
def test_slicer_gets_seven_fields(terminology, codes):
    kind, place = codes.split("|")
    assert terminology.to_slicer() == (
        f"Segmentation category and type - 3D Slicer General Anatomy list~{kind}"
        f"~Anatomic codes - DICOM master list~{place}"
    )
    assert terminology.to_slicer().count("~") == 6
