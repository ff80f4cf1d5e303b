"""Writing a DICOM SEG, and reading it back."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from dicom_makers import OBLIQUE, make_enhanced, make_nuclear, normal_of, save, write_series
from MedSegDLLib.dicom.image import read_series
from MedSegDLLib.dicom.segmentation import write_dicom_seg
from MedSegDLLib.dicom.series import find_series
from MedSegDLLib.dicom.structures import read_dicom_seg
from MedSegDLLib.errors import OutputError
from MedSegDLLib.labels import Code, Label, Terminology

ANATOMY = Code("SCT", "123037004", "Anatomical Structure")
LUNG = Terminology(
    ANATOMY, Code("SCT", "39607008", "Lung"), Code("SCT", "24028007", "Right"),
    Code("SCT", "51185008", "Chest"), Code("SCT", "7771000", "Left"),
)  # fmt: skip
LABELS = (
    Label(2, "Lunge rechts, 右肺", (177, 122, 101), LUNG),
    Label(4, "never there", (1, 2, 3), Terminology(ANATOMY, Code("SCT", "10200004", "Liver"))),
    Label(250, "oesophagus", (0, 255, 10), Terminology(ANATOMY, Code("SCT", "32849002", "Esophagus"))),
)


def loaded(folder, **options):
    write_series(folder, np.random.default_rng(1).integers(0, 9, (6, 12, 14)).astype(np.int16), **options)
    (series,) = find_series(folder)
    return series, read_series(series)


def labelmap_of(volume) -> np.ndarray:
    labelmap = np.zeros(volume.array.shape, dtype=np.uint8)
    labelmap[1:3, 2:6, 3:9] = 2
    labelmap[2:5, 7:11, 1:4] = 250
    labelmap[4, 1, 1] = 77  # a value that no label names
    return labelmap


def write(path, labelmap, series, volume, labels=LABELS) -> bool:
    return write_dicom_seg(path, labelmap, labels, series, volume, "phantom-ct", "1.2.0")


@pytest.mark.parametrize("turned", [None, "RAS", "SPL", "ILA"])
@pytest.mark.parametrize("direction", [1, -1])
def test_voxels_codes_and_colours_come_back(tmp_path, turned, direction):
    series, volume = loaded(tmp_path / "ct", step=normal_of(OBLIQUE) * 3 * direction, orientation=OBLIQUE)
    labelmap = labelmap_of(volume)
    used = volume.reoriented(turned) if turned else volume
    turned_map = volume.with_array(labelmap).reoriented(turned).array if turned else labelmap
    assert write(tmp_path / "seg.dcm", turned_map, series, used)
    structures = read_dicom_seg(tmp_path / "seg.dcm")
    assert [one.label.name for one in structures] == ["Lunge rechts, 右肺", "oesophagus"]
    for structure, label in zip(structures, (LABELS[0], LABELS[2])):
        assert np.array_equal(structure.on_grid(volume.grid), labelmap == label.value)
        assert structure.label.terminology == label.terminology
        assert structure.label.color == label.color


def test_frames_name_their_source_slices_and_the_study(tmp_path):
    series, volume = loaded(tmp_path / "ct", PatientName="Müller^Jürgen", SpecificCharacterSet="ISO_IR 100")
    write(tmp_path / "seg.dcm", labelmap_of(volume).astype(np.uint16), series, volume.reoriented("LPS"))
    segmentation = pydicom.dcmread(tmp_path / "seg.dcm")
    sources = {header.SOPInstanceUID: header.ImagePositionPatient for header in series.headers}
    for frame in segmentation.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        assert np.allclose(sources[source], frame.PlanePositionSequence[0].ImagePositionPatient)
    assert segmentation.SegmentationType == "BINARY"
    assert segmentation.StudyInstanceUID == series.study_uid and segmentation.SeriesInstanceUID != series.uid
    assert segmentation.FrameOfReferenceUID == series.headers[0].FrameOfReferenceUID
    assert str(segmentation.PatientName) == "Müller^Jürgen"
    (reference,) = segmentation.ReferencedSeriesSequence
    assert reference.SeriesInstanceUID == series.uid
    assert {item.ReferencedSOPInstanceUID for item in reference.ReferencedInstanceSequence} == set(sources)
    segment = segmentation.SegmentSequence[0]
    assert (segment.SegmentAlgorithmType, segment.SegmentAlgorithmName) == ("AUTOMATIC", "phantom-ct")


def enhanced(stored, geometry_of_each_frame):
    """An enhanced object; some scanners repeat what all frames share in each of them."""
    dataset = make_enhanced(stored, [(0, 0, 2.0 * n) for n in (2, 0, 3, 1)])
    if geometry_of_each_frame:
        (shared,) = dataset.SharedFunctionalGroupsSequence
        for item in dataset.PerFrameFunctionalGroupsSequence:
            item.update(shared)
        del dataset.SharedFunctionalGroupsSequence
    return dataset


@pytest.mark.parametrize(
    "make",
    [
        lambda stored: enhanced(stored, False),
        lambda stored: enhanced(stored, True),
        lambda stored: make_nuclear(stored, (1, 2, 3), -4),
    ],
)
def test_a_multi_frame_source(tmp_path, make):
    stored = np.arange(4 * 8 * 9, dtype=np.int16).reshape(4, 8, 9)
    save(make(stored), tmp_path / "source.dcm")
    (series,) = find_series(tmp_path)
    volume = read_series(series)
    labelmap = (volume.array > 200).astype(np.uint8) * 2
    assert write(tmp_path / "seg.dcm", labelmap, series, volume)
    (structure,) = read_dicom_seg(tmp_path / "seg.dcm")
    assert np.array_equal(structure.on_grid(volume.grid), labelmap == 2)


def test_a_straightened_volume_keeps_its_own_grid_and_refers_to_the_series(tmp_path):
    series, volume = loaded(tmp_path / "ct", step=(0, 0.8, 3))
    assert volume.array.shape != (6, 12, 14)
    labelmap = labelmap_of(volume)
    write(tmp_path / "seg.dcm", labelmap, series, volume)
    first, _ = read_dicom_seg(tmp_path / "seg.dcm")
    assert np.array_equal(first.on_grid(volume.grid), labelmap == 2)
    segmentation = pydicom.dcmread(tmp_path / "seg.dcm")
    assert segmentation.FrameOfReferenceUID == series.headers[0].FrameOfReferenceUID
    assert len(segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 6


def test_an_anonymised_source_without_optional_tags(tmp_path):
    series, volume = loaded(tmp_path / "ct", PatientName=None, PatientID=None, FrameOfReferenceUID=None)
    assert write(tmp_path / "seg.dcm", labelmap_of(volume), series, volume)
    assert len(read_dicom_seg(tmp_path / "seg.dcm")) == 2


@pytest.mark.parametrize("labels", [LABELS, ()])
def test_nothing_found_writes_nothing(tmp_path, labels):
    series, volume = loaded(tmp_path / "ct")
    assert not write(tmp_path / "seg.dcm", np.zeros(volume.array.shape, np.uint8), series, volume, labels)
    assert not (tmp_path / "seg.dcm").exists()


def test_a_folder_that_is_not_there_leaves_nothing(tmp_path):
    series, volume = loaded(tmp_path / "ct")
    with pytest.raises(OutputError, match="the folder does not exist") as caught:
        write(tmp_path / "absent" / "seg.dcm", labelmap_of(volume), series, volume)
    assert "folder" in caught.value.remedy


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    series, volume = loaded(tmp_path / "ct")
    path = tmp_path / "out" / "seg.dcm"
    path.parent.mkdir()
    path.write_bytes(b"old")

    def disk_full(dataset, name, *_, **__):
        name.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pydicom.Dataset, "save_as", disk_full)
    with pytest.raises(OutputError, match="the disk is full"):
        write(path, labelmap_of(volume), series, volume)
    assert [file.name for file in path.parent.iterdir()] == ["seg.dcm"]
    assert path.read_bytes() == b"old"


def test_a_real_ct(shared_data, tmp_path):
    (series,) = find_series(shared_data / "lung-ct-small" / "dicom")
    volume = read_series(series)
    labelmap = (volume.array < -500).astype(np.uint8) * 2
    write(tmp_path / "seg.dcm", labelmap, series, volume)
    (lungs,) = read_dicom_seg(tmp_path / "seg.dcm")
    assert lungs.mask.grid.agrees_with(volume.grid)
    assert np.array_equal(lungs.mask.array, labelmap == 2)
