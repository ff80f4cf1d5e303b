"""Which images belong together for a model of several channels, and why not the rest."""

from __future__ import annotations

import numpy as np
import pytest

from bundle_makers import specification
from dicom_makers import write_series
from MedSegDLLib.channels import Matching
from MedSegDLLib.engine.alignment import aligned
from MedSegDLLib.errors import InputError, OtherObjectError
from MedSegDLLib.files import write_volume
from MedSegDLLib.studies import find_inputs
from MedSegDLLib.volume import Volume
from test_alignment import by_hand

STORED = np.arange(6 * 3 * 4, dtype=np.int16).reshape(6, 3, 4)
PET_CT = specification(channels=("PT", "CT"), modality=("PT", "CT"))
MR = specification(channels=("T1", "T2 FLAIR", "T2"), modality=("MR",))


def series(folder, modality, description, study="1.2.3", frame="1.2.4", **tags):
    folder.mkdir(parents=True, exist_ok=True)
    write_series(
        folder / f"{modality} {description or 'plain'}",
        STORED,
        Modality=modality,
        SeriesDescription=description,
        StudyInstanceUID=study,
        FrameOfReferenceUID=frame,
        **tags,
    )


def image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(Volume(STORED), path)


def matched(folder, spec, patterns=None, any_modality=False):
    """Names of the images of each case, by the case's name, and the reasons for the rest."""
    cases, left_out = Matching(spec, patterns or {}, any_modality).cases(find_inputs(folder).candidates)
    found = {
        case.name: [one.series.description if one.series else one.source.name for one in case.images] for case in cases
    }
    return found, {item.name: item.reason for item in left_out}


# Studies


def test_a_pet_and_a_ct_of_one_study_are_told_apart_by_modality(tmp_path):
    series(tmp_path, "CT", "thorax")
    series(tmp_path, "PT", "WB")
    series(tmp_path, "MR", "t1")
    cases, left_out = matched(tmp_path, PET_CT)
    assert cases == {"P1_WB": ["WB", "thorax"]}
    assert list(left_out) == ["P1_t1"] and isinstance(left_out["P1_t1"], OtherObjectError)


def test_each_study_is_a_case_of_its_own(tmp_path):
    for day in "12":
        series(tmp_path / day, "CT", f"ct {day}", study=f"1.2.{day}", frame=f"1.9.{day}")
        series(tmp_path / day, "PT", f"pet {day}", study=f"1.2.{day}", frame=f"1.9.{day}")
    cases, left_out = matched(tmp_path, PET_CT)
    assert cases == {"P1_pet_1": ["pet 1", "ct 1"], "P1_pet_2": ["pet 2", "ct 2"]} and not left_out


def test_a_study_without_one_of_them_is_refused(tmp_path):
    series(tmp_path, "CT", "thorax")
    cases, left_out = matched(tmp_path, PET_CT)
    assert not cases
    assert left_out["P1_thorax"].message == "There is no image for the channel 'PT'."
    assert "--channel 'PT=PATTERN'" in left_out["P1_thorax"].remedy
    assert not isinstance(left_out["P1_thorax"], OtherObjectError)


def test_a_study_of_something_else_is_left_out(tmp_path):
    series(tmp_path, "MR", "t1")
    cases, left_out = matched(tmp_path, PET_CT)
    assert not cases and isinstance(left_out["P1_t1"], OtherObjectError)


def test_two_that_may_be_meant_are_refused_and_a_pattern_decides(tmp_path):
    series(tmp_path, "CT", "lung")
    series(tmp_path, "CT", "soft tissue")
    series(tmp_path, "PT", "WB")
    cases, left_out = matched(tmp_path, PET_CT)
    (reason,) = left_out.values()
    assert not cases and reason.message in (
        "It is not certain which image the channel 'CT' is: 'lung', 'soft tissue'.",
        "It is not certain which image the channel 'CT' is: 'soft tissue', 'lung'.",
    )
    cases, left_out = matched(tmp_path, PET_CT, {"CT": "SOFT*"})
    assert cases == {"P1_WB": ["WB", "soft tissue"]} and list(left_out) == ["P1_lung"]


def test_one_that_bears_the_channels_name_goes_before_others(tmp_path):
    series(tmp_path, "CT", "AC CT")
    series(tmp_path, "CT", "scan")
    series(tmp_path, "PT", "WB")
    assert matched(tmp_path, PET_CT)[0] == {"P1_WB": ["WB", "AC CT"]}


def test_series_of_one_modality_are_told_apart_by_their_descriptions(tmp_path):
    for description in ("sag t1_mprage", "AX FLAIR T2", "t2w tse", "T10 localiser"):
        series(tmp_path, "MR", description)
    cases, left_out = matched(tmp_path, MR, {"T2": "t2w*"})
    assert cases == {"P1_sag_t1_mprage": ["sag t1_mprage", "AX FLAIR T2", "t2w tse"]}
    assert list(left_out) == ["P1_T10_localiser"]
    assert "'T2' is" not in str(left_out["P1_T10_localiser"])
    (reason,) = {str(reason) for reason in matched(tmp_path, MR)[1].values()}
    assert "The series 'AX FLAIR T2' would be both the channel 'T2 FLAIR' and the channel 'T2'" in reason


def test_series_that_do_not_say_what_they_are_are_refused(tmp_path):
    for description in ("first", "second", "third"):
        series(tmp_path, "MR", description)
    cases, left_out = matched(tmp_path, MR)
    assert not cases and len(left_out) == 3 and all(isinstance(one, OtherObjectError) for one in left_out.values())
    patterns = {"T1": "first", "T2 FLAIR": "sec*", "T2": "*ird"}
    assert matched(tmp_path, MR, patterns)[0] == {"P1_first": ["first", "second", "third"]}


def test_one_series_for_two_channels_is_refused(tmp_path):
    series(tmp_path, "MR", "t1 t2 flair")
    (reason,) = matched(tmp_path, MR)[1].values()
    assert "would be both the channel 'T1' and the channel 'T2 FLAIR'" in reason.message


def test_series_in_different_frames_of_reference_are_refused(tmp_path):
    series(tmp_path, "CT", "thorax")
    series(tmp_path, "PT", "WB", frame="1.2.5")
    (reason,) = matched(tmp_path, PET_CT)[1].values()
    assert "different frames of reference" in reason.message and "Register" in reason.remedy


def test_any_modality_leaves_the_descriptions(tmp_path):
    series(tmp_path, "OT", "the ct")
    series(tmp_path, "MR", "the pt")
    assert not matched(tmp_path, PET_CT)[0]
    assert matched(tmp_path, PET_CT, any_modality=True)[0] == {"P1_the_pt": ["the pt", "the ct"]}


# Image files


def test_nnunets_numbers(tmp_path):
    for name in ("liver_01_0000.nii.gz", "liver_01_0001.nii.gz", "liver_02_0000.nii.gz", "liver_02_0001.nii.gz"):
        image(tmp_path / "imagesTs" / name)
    cases, left_out = matched(tmp_path, PET_CT)
    assert cases == {f"imagesTs_liver_{n}": [f"liver_{n}_0000.nii.gz", f"liver_{n}_0001.nii.gz"] for n in ("01", "02")}
    assert not left_out


@pytest.mark.parametrize(
    ("names", "case"),
    [
        (("BraTS-7-pt.nii", "BraTS-7-ct.nii"), "BraTS-7"),
        (("a b_PT.nrrd", "a b_CT.nii.gz"), "a_b"),
        (("p/PT.nii", "p/CT.nii"), "p"),
        (("p/q/x.pt.nii", "p/q/x.ct.nii"), "p_q_x"),
        (("_0000.mha", "_0001.mha"), None),
    ],
)
def test_names_of_the_channels(tmp_path, names, case):
    for name in names:
        image(tmp_path / "in" / name)
    cases, left_out = matched(tmp_path / "in", PET_CT)
    assert cases == {case or "in": [name.rpartition("/")[2] for name in names]} and not left_out


def test_a_name_with_a_sign_of_patterns_in_it(tmp_path):
    spec = specification(channels=("T2*", "T1"), modality=())
    for name in ("a_T2*.nii", "a_T1.nii"):
        image(tmp_path / name)
    assert matched(tmp_path, spec)[0] == {"a": ["a_T2*.nii", "a_T1.nii"]}


def test_what_is_no_channel_is_left_out(tmp_path):
    for name in ("a_PT.nii", "a_CT.nii", "a_seg.nii", "a_0002.nii", "subject.nii", "direct.nii"):
        image(tmp_path / name)
    cases, left_out = matched(tmp_path, PET_CT)
    assert list(cases) == ["a"] and sorted(left_out) == ["a_0002", "a_seg", "direct", "subject"]
    assert all(isinstance(reason, OtherObjectError) for reason in left_out.values())


def test_a_missing_file_and_two_for_one_channel_are_refused(tmp_path):
    for name in ("a_0000.nii", "b_0000.nii", "b_0001.nii", "b_CT.nii"):
        image(tmp_path / name)
    cases, left_out = matched(tmp_path, PET_CT)
    assert not cases
    assert left_out["a"].message == "There is no image for the channel 'CT'."
    assert "(_0000, _0001, ...) or in its name (_CT)" in left_out["a"].remedy
    assert "It is not certain which image the channel 'CT' is: 'b_0001.nii', 'b_CT.nii'." in left_out["b"].message


def test_a_pattern_for_files_makes_a_case_of_each_folder(tmp_path):
    for case in "ab":
        for name in ("low_dose.nii", "uptake.nii", "notes.nii"):
            image(tmp_path / case / name)
    cases, left_out = matched(tmp_path, PET_CT, {"PT": "UPTAKE*", "CT": "low*"})
    assert cases == {case: ["uptake.nii", "low_dose.nii"] for case in "ab"}
    assert sorted(left_out) == ["a_notes", "b_notes"]


def test_files_and_series_do_not_mix(tmp_path):
    series(tmp_path, "CT", "thorax")
    image(tmp_path / "P1_PT.nii")
    cases, left_out = matched(tmp_path, PET_CT)
    assert not cases and sorted(left_out) == ["P1", "P1_thorax"]


def test_a_pattern_for_a_channel_that_is_not_there():
    with pytest.raises(InputError, match="has no channel 'MR'") as caught:
        Matching(PET_CT, {"MR": "*"})
    assert caught.value.remedy == "It has PT, CT."


# Real data


def test_a_sarcoma_patient(shared_data):
    """CT, MR and PET of one study; the MR has slices of its own."""
    spec = specification(channels=("CT", "PET", "T1"), modality=("CT", "PT", "MR"))
    found = find_inputs(shared_data / "sarcoma-ct-mr-pet" / "STS_003")
    (case,), left_out = Matching(spec).cases(found.candidates)
    assert [one.modality for one in case.images] == ["CT", "PT", "MR"] and not left_out
    ct, _, mr = case.load_images()
    part = ct.grid.resized((51, 64, 64))
    assert not mr.grid.agrees_with(ct.grid)
    expected = by_hand(mr, part)
    assert np.mean(np.abs(aligned(mr, part) - expected) > 0.1) < 1e-3 and expected.std() > 1
