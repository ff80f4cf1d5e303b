"""The fingerprint of a data set: what is measured, that it can be edited, interrupted, and bears with damaged cases."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from data_makers import FIRST, LIVER, SECOND, image, labels_of, write_pairs
from MedSegDLLib.errors import CancelledError, InputError
from MedSegDLLib.files import write_volume
from MedSegDLLib.volume import Volume
from MedSegTrainLib.data import case_measurements
from MedSegTrainLib.data.case import IGNORE, Channel
from MedSegTrainLib.data.dataset import open_dataset
from MedSegTrainLib.data.fingerprint import Fingerprint, fingerprint
from sample_makers import HIPPOCAMPUS, SPLEEN, hippocampus, write_case

CT, PET = Channel("CT", "CT"), Channel("PET", "PT")


@pytest.fixture
def dataset(tmp_path):
    return open_dataset(write_pairs(tmp_path / "data", 4))


def measured(dataset, **options) -> Fingerprint:
    return fingerprint(dataset.cases, dataset.labels, dataset.channels, **options)


def test_a_case_is_measured_as_it_is(tmp_path):
    scan = image(0)
    scan.array[FIRST] = np.random.default_rng(0).normal(500, 20, scan.array[FIRST].shape)
    scan.array[0] = 0
    label = labels_of({1: FIRST, IGNORE: SECOND})
    found = fingerprint([write_case(tmp_path, "a", scan, label)], (LIVER, SPLEEN), [CT])
    (case,) = found.cases
    assert (case.shape, case.spacing_mm, case.orientation) == ((8, 10, 12), (1.5, 1.5, 3.0), "LPS")
    assert case.turned_size == (12, 10, 8) and case.turned_spacing_mm == (1.5, 1.5, 3.0)
    voxels = (label.array == 1).sum()
    assert case.volumes_ml == {"Leber": pytest.approx(voxels * 6.75 / 1000, abs=1e-4), "Milz": 0.0}
    assert case.annotated_share == pytest.approx((label.array != IGNORE).mean(), abs=1e-4)
    inside, nonzero = scan.array[label.array == 1].astype(float), scan.array[scan.array != 0].astype(float)
    (channel,) = case.channels
    assert channel.inside.mean == pytest.approx(inside.mean(), rel=1e-5) and found.inside == (channel.inside,)
    assert channel.inside.high == pytest.approx(np.percentile(inside, 99.5), rel=1e-5)
    assert channel.nonzero.std == pytest.approx(nonzero.std(), rel=1e-5)
    assert channel.nonzero.low == pytest.approx(np.percentile(nonzero, 0.5), rel=1e-5)
    assert channel.nonzero_share == pytest.approx((scan.array != 0).mean(), abs=1e-4)


def test_sizes_can_be_compared_however_a_case_is_stored(tmp_path):
    sagittal = np.array([[0, 0, 4.0, 0], [1.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 0, 1]])
    case = write_case(tmp_path, "a", image(0, matrix=sagittal))
    (facts,) = fingerprint([case], (LIVER,), [CT]).cases
    assert facts.orientation == "ASR" and facts.spacing_mm == (1.0, 2.0, 4.0)
    assert facts.turned_spacing_mm == (4.0, 1.0, 2.0) and facts.turned_size == (8, 12, 10)


def test_cases_count_the_same_whatever_their_size(tmp_path):
    def flat(value: int, shape):
        array = np.full(shape, value, np.int16)
        array[0, 0, 0] = 0
        return Volume(array)

    cases = [
        write_case(tmp_path, "small", flat(100, (30, 40, 40))),
        write_case(tmp_path, "large", flat(300, (80, 90, 90))),
    ]
    found = fingerprint(cases, (LIVER,), [CT])
    large_voxels = cases[1].load_label().array.astype(bool).sum()
    assert large_voxels > 10_000  # so some are taken, not all
    shares = (found.inside[0].mean - 100) / 200
    small_voxels = cases[0].load_label().array.astype(bool).sum()
    assert shares == pytest.approx(10_000 / (10_000 + small_voxels), rel=1e-3)
    assert found.inside[0].low == 100 and found.inside[0].high == 300


def test_structures_that_are_missing_or_were_not_looked_for_are_counted(tmp_path):
    both = write_case(tmp_path, "a", image(0), labels_of({1: FIRST, 7: SECOND}))
    one = write_case(tmp_path, "b", image(1), labels_of({1: FIRST}), not_contoured={"Milz"})
    none = write_case(tmp_path, "c", image(2), labels_of({1: SECOND}))
    liver, spleen = fingerprint([both, one, none], (LIVER, SPLEEN), [CT]).structures
    assert (liver.found_in, liver.not_contoured_in) == (3, 0)
    assert (spleen.found_in, spleen.not_contoured_in) == (1, 1)
    assert spleen.median_ml == pytest.approx(labels_of({7: SECOND}).array.astype(bool).sum() * 6.75e-3, abs=1e-3)


def test_every_channel_has_its_own_numbers(tmp_path):
    case = write_case(tmp_path, "a", image(0))
    write_volume(
        replace(image(0), array=np.full((8, 10, 12), 5, np.int16) + image(3).array // 90), tmp_path / "pet.nrrd"
    )
    case = replace(case, images=(*case.images, tmp_path / "pet.nrrd"))
    found = fingerprint([case], (LIVER,), [CT, PET])
    assert found.inside[0].std > 20 and found.inside[1].mean == pytest.approx(5, abs=1)
    with pytest.raises(InputError, match="2 channels"):
        fingerprint([write_case(tmp_path, "b", image(1))], (LIVER,), [CT, PET])


def test_a_data_set_without_structures_has_no_numbers_inside(tmp_path):
    case = write_case(tmp_path, "a", image(0), labels_of({}))
    assert fingerprint([case], (LIVER,), [CT]).inside == (None,)


def test_it_is_written_and_read_and_can_be_edited(dataset, tmp_path):
    found = measured(dataset)
    path = tmp_path / "fingerprint.json"
    found.write(path)
    assert Fingerprint.read(path) == found
    data = json.loads(path.read_text())
    data["inside"][0]["low"] = -200
    path.write_text(json.dumps(data))
    assert Fingerprint.read(path).inside[0].low == -200


@pytest.mark.parametrize("text", ["", "[]", '{"format": "x"}', '{"format": "medseg-fingerprint-1"}'])
def test_what_is_no_fingerprint_is_said(tmp_path, text):
    path = tmp_path / "fingerprint.json"
    path.write_text(text)
    with pytest.raises(InputError, match="fingerprint|cannot be read|something else"):
        Fingerprint.read(path)


def test_a_damaged_case_is_a_row_with_the_reason(dataset):
    dataset.cases[1].images[0].write_bytes(b"no image")
    write_volume(labels_of({}, (8, 10, 11)), dataset.cases[2].label)
    told = []
    found = measured(dataset, progress=lambda *call: told.append(call))
    assert [case.name for case in found.cases] == ["case_0", "case_3"]
    assert [damaged.what for damaged in found.damaged] == ["case_1", "case_2"]
    assert "cannot be read" in found.damaged[0].why and "11 x 10 x 8" in found.damaged[1].why
    assert [call[:2] for call in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_without_one_whole_case_there_is_no_fingerprint(dataset):
    for case in dataset.cases:
        case.images[0].write_bytes(b"no image")
    with pytest.raises(InputError, match="Not one case.*case_0"):
        measured(dataset)
    with pytest.raises(InputError, match="no cases"):
        fingerprint([], dataset.labels, dataset.channels)


@pytest.fixture
def counted(monkeypatch):
    """Names of the cases that are measured from now on."""
    names, measure = [], case_measurements.measure

    def counting(case, labels):
        names.append(case.name)
        return measure(case, labels)

    monkeypatch.setattr(case_measurements, "measure", counting)
    return names


def test_an_interrupted_run_goes_on_where_it_was(dataset, tmp_path, counted):
    kept = tmp_path / "kept"
    with pytest.raises(CancelledError):
        measured(dataset, kept=kept, cancelled=lambda: len(counted) == 2)
    found = measured(dataset, kept=kept)
    assert counted == ["case_0", "case_1", "case_2", "case_3"]
    assert found == measured(dataset)


def test_a_case_that_changed_or_a_damaged_note_is_measured_again(dataset, tmp_path, counted):
    kept = tmp_path / "kept"
    measured(dataset, kept=kept)
    del counted[:]
    write_volume(image(77), dataset.cases[1].images[0])
    (note,) = kept.glob("case_3-*.npz")
    note.write_bytes(note.read_bytes()[:50])
    measured(dataset, kept=kept)
    assert counted == ["case_1", "case_3"]
    measured(replace(dataset, labels=dataset.labels[:1]), kept=kept)
    assert len(counted) == 6


def test_it_is_measured_also_where_nothing_can_be_kept(dataset, tmp_path):
    (tmp_path / "file").touch()
    assert measured(dataset, kept=tmp_path / "file" / "kept") == measured(dataset)


def test_processes_measure_the_same(dataset, tmp_path):
    assert measured(dataset, kept=tmp_path / "kept", workers=2) == measured(dataset)


def test_the_real_hippocampus(shared_data):
    found = fingerprint(hippocampus(shared_data, 12), HIPPOCAMPUS, [Channel("T1", "MR")])
    assert len(found.cases) == 12 and not found.damaged
    assert (found.spacings_mm == 1).all() and (abs(np.median(found.sizes, axis=0) - (35, 50, 36)) < 5).all()
    assert all(structure.found_in == 12 and 0.5 < structure.median_ml < 4 for structure in found.structures)
