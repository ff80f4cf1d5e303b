"""The drawn thorax: anatomy in its place, intensities a radiologist expects, and a DICOM series others can read."""

from __future__ import annotations

from functools import cache

import cc3d
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from scipy.ndimage import binary_erosion, binary_fill_holes

from MedSegDLLib.errors import InputError, OutputError
from MedSegDLLib.labels import volumes_ml
from MedSegDLLib.volume import LPS_TO_RAS, Volume
from MedSegTrainLib.data.phantom import LABELS, Phantom, draw_thorax
from MedSegTrainLib.data.phantom_dicom import write_ct_series

SEEDS = (0, 1, 2, 3, 4, 5)
VALUE = {label.name: label.value for label in LABELS}

# Mean HU of a structure without its outermost voxels, and volume in ml that an adult chest may have.
PLAUSIBLE_HU = {
    "body": (-60, 120),
    "left lung": (-890, -700),
    "right lung": (-890, -700),
    "heart": (30, 210),
    "trachea": (-1010, -850),
    "oesophagus": (0, 90),
    "vertebrae": (100, 900),
    "spinal cord": (0, 90),
    "ribs": (100, 900),
}
PLAUSIBLE_ML = {
    "body": (7000, 32000),
    "left lung": (900, 3500),
    "right lung": (900, 3800),
    "heart": (300, 1100),
    "trachea": (15, 90),
    "oesophagus": (12, 80),
    "vertebrae": (120, 600),
    "spinal cord": (10, 50),
    "ribs": (180, 800),
}


@cache
def thorax(seed: int) -> Phantom:
    return draw_thorax(seed)


def mask(phantom: Phantom, name: str) -> np.ndarray:
    return phantom.truth.array == VALUE[name]


def center_ras(phantom: Phantom, name: str) -> np.ndarray:
    return phantom.truth.grid.ras(np.argwhere(mask(phantom, name)).mean(axis=0)[::-1])


@pytest.mark.parametrize("seed", SEEDS)
def test_every_structure_is_there_and_of_human_size(seed):
    truth = thorax(seed).truth
    found = volumes_ml(truth.array, LABELS, truth.grid.voxel_volume_ml)
    assert truth.array.max() == len(LABELS)
    for name, (low, high) in PLAUSIBLE_ML.items():
        assert low < found[name] < high, (name, found[name])


@pytest.mark.parametrize("seed", SEEDS)
def test_intensities_inside_each_structure_are_plausible(seed):
    phantom = thorax(seed)
    for name, (low, high) in PLAUSIBLE_HU.items():
        core = binary_erosion(mask(phantom, name))
        core = core if core.sum() > 30 else mask(phantom, name)  # a rib may be thinner than three voxels
        mean = phantom.image.array[core].mean()
        assert low < mean < high, (name, mean)


def test_types_and_grids():
    phantom = thorax(0)
    assert phantom.image.array.dtype == np.int16 and phantom.truth.array.dtype == np.uint8
    assert phantom.image.modality == "CT"
    assert phantom.image.grid.orientation() == "LPS"
    assert phantom.image.grid.agrees_with(phantom.truth.grid)


@pytest.mark.parametrize("seed", SEEDS)
def test_left_is_left(seed):
    phantom = thorax(seed)
    left, right, heart, spine = (center_ras(phantom, n) for n in ("left lung", "right lung", "heart", "vertebrae"))
    assert left[0] < spine[0] - 30 and right[0] > spine[0] + 30
    assert left[0] < heart[0] < spine[0]
    assert heart[1] > spine[1] + 30


@pytest.mark.parametrize("seed", SEEDS)
def test_trachea_lies_before_the_oesophagus_above_the_heart(seed):
    phantom = thorax(seed)
    assert center_ras(phantom, "trachea")[2] > center_ras(phantom, "heart")[2] + 20
    for k in np.flatnonzero((mask(phantom, "trachea") & _near_top(phantom)).any(axis=(1, 2))):
        trachea, oesophagus = (np.argwhere(mask(phantom, n)[k])[:, 0].mean() for n in ("trachea", "oesophagus"))
        assert trachea < oesophagus  # rows run to the back


def _near_top(phantom: Phantom) -> np.ndarray:
    """Slices in which the trachea is still one tube."""
    layers = np.zeros(phantom.truth.array.shape, dtype=bool)
    layers[-15:] = True
    return layers


@pytest.mark.parametrize("seed", SEEDS)
def test_cord_runs_unbroken_inside_the_ring_of_the_vertebrae(seed):
    phantom = thorax(seed)
    cord, bone = mask(phantom, "spinal cord"), mask(phantom, "vertebrae")
    assert cord.any(axis=(1, 2)).all()
    ringed = [k for k in range(len(bone)) if (binary_fill_holes(bone[k]) & ~bone[k]).sum() >= cord[k].sum()]
    assert len(ringed) > len(bone) / 5  # an arch closes behind the canal at every level
    outside = [k for k in ringed if (cord[k] & ~binary_fill_holes(bone[k])).any()]
    assert not outside


def test_lungs_are_two_and_the_ribs_are_many():
    phantom = draw_thorax(3, (2.0, 2.0, 2.0))
    for name in ("left lung", "right lung"):
        pieces = np.sort(np.bincount(cc3d.connected_components(mask(phantom, name)).ravel())[1:])
        assert pieces[-1] > 0.99 * pieces.sum()
    assert cc3d.connected_components(mask(phantom, "ribs"), return_N=True)[1] >= 16


def test_edges_hold_partial_volume():
    phantom = thorax(0)
    lung = mask(phantom, "left lung")
    edge = (lung & ~binary_erosion(lung)) | (~lung & ~binary_erosion(~lung, border_value=1))
    between = (phantom.image.array > -650) & (phantom.image.array < -250)
    assert between[edge].mean() > 0.2
    assert between[binary_erosion(lung, iterations=3)].mean() < 0.02


@pytest.mark.parametrize("spacing_mm, tolerance", [((2.0, 2.0, 3.0), 0.05), ((3.6, 3.6, 3.6), 0.10)])
def test_same_patient_at_another_spacing(spacing_mm, tolerance):
    coarse, other = thorax(1), draw_thorax(1, spacing_mm)
    assert np.allclose(other.image.grid.spacing_mm, spacing_mm)
    expected, found = (volumes_ml(p.truth.array, LABELS, p.truth.grid.voxel_volume_ml) for p in (coarse, other))
    for name, volume in expected.items():
        assert found[name] == pytest.approx(volume, rel=tolerance), name
        assert np.all(np.abs(center_ras(coarse, name) - center_ras(other, name)) < (2, 2, 6)), name


def test_a_given_shape_is_centred_on_the_field():
    phantom = draw_thorax(1, (4, 4, 4), shape=(20, 40, 50))
    assert phantom.image.array.shape == (20, 40, 50)
    assert np.allclose(phantom.image.grid.center_ras, thorax(1).image.grid.center_ras, atol=1e-6)


def test_same_seed_same_voxels_and_another_seed_another_patient():
    once, again, other = (draw_thorax(seed, (5, 5, 5), (50, 60, 80)) for seed in (7, 7, 8))
    assert np.array_equal(once.image.array, again.image.array)
    assert np.array_equal(once.truth.array, again.truth.array)
    assert (once.truth.array != other.truth.array).mean() > 0.05


def test_patients_differ_in_size_and_contrast():
    phantoms = [thorax(seed) for seed in SEEDS]
    hearts = [p.image.array[mask(p, "heart")].mean() for p in phantoms]
    lungs = [mask(p, "right lung").sum() for p in phantoms]
    assert max(hearts) - min(hearts) > 20
    assert max(lungs) > 1.15 * min(lungs)


def test_noise_is_correlated_and_of_ct_size():
    image = draw_thorax(0, (1.5, 1.5, 1.5), shape=(30, 200, 200))
    heart = binary_erosion(mask(image, "heart"), iterations=6)
    rows = np.where(heart, image.image.array.astype(float), np.nan)
    steps = np.nanstd(np.diff(rows, axis=2))
    assert 3 < np.nanstd(rows) < 80
    assert steps < 1.2 * np.nanstd(rows)  # white noise: 1.41


def test_labels_carry_slicers_terminology():
    assert [label.value for label in LABELS] == list(range(1, len(LABELS) + 1))
    left = LABELS[VALUE["left lung"] - 1].terminology.to_slicer()
    assert "SCT^123037004^Anatomical Structure~SCT^39607008^Lung~SCT^7771000^Left" in left


def read_series(folder) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def matrix_of(image: sitk.Image) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    return LPS_TO_RAS @ matrix


def oblique() -> np.ndarray:
    a, b = np.deg2rad([20, -12])
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    matrix = np.eye(4)
    matrix[:3, :3] = about_z @ about_x @ np.diag([-0.9, -1.1, 2.5])
    matrix[:3, 3] = 31.25, -7.123456, 1e-7
    return matrix


@pytest.mark.parametrize("ijk_to_ras", [np.diag([-0.9, -0.9, 2.5, 1.0]), oblique()], ids=["axial", "oblique"])
def test_series_reads_back_to_the_same_voxels_and_geometry(tmp_path, ijk_to_ras):
    array = np.random.default_rng(0).integers(-1024, 3071, (7, 10, 12)).astype(np.int16)
    write_ct_series(Volume(array, ijk_to_ras, "CT", "random"), tmp_path / "series")
    image = read_series(tmp_path / "series")
    assert np.array_equal(sitk.GetArrayFromImage(image), array)
    assert np.allclose(matrix_of(image), ijk_to_ras, atol=1e-5)


def test_phantom_series_is_valid_marked_synthetic_and_repeatable(tmp_path):
    image = draw_thorax(2, (6, 6, 8)).image
    paths = write_ct_series(image, tmp_path / "a")
    again = write_ct_series(image, tmp_path / "b")
    assert [p.read_bytes() for p in paths] == [p.read_bytes() for p in again]
    headers = [pydicom.dcmread(path) for path in paths]
    assert len({h.SOPInstanceUID for h in headers}) == len(headers) == image.array.shape[0]
    assert len({h.SeriesInstanceUID for h in headers}) == 1
    assert all(h.SOPInstanceUID.is_valid and h.FrameOfReferenceUID.is_valid for h in headers)
    assert headers[0].PatientName == "Phantom^Thorax" and "ynthetic" in headers[0].ImageComments
    assert np.array_equal(sitk.GetArrayFromImage(read_series(tmp_path / "a")), image.array)


def test_two_phantoms_are_two_series(tmp_path):
    uids = set()
    for seed in (1, 2):
        paths = write_ct_series(draw_thorax(seed, (8, 8, 8)).image, tmp_path / str(seed))
        uids.add(pydicom.dcmread(paths[0]).SeriesInstanceUID)
    assert len(uids) == 2


def test_series_refuses_a_sheared_grid_and_values_beyond_sixteen_bits(tmp_path):
    sheared = np.eye(4)
    sheared[1, 2] = 0.3
    with pytest.raises(InputError, match="perpendicular"):
        write_ct_series(Volume(np.zeros((2, 3, 4), np.int16), sheared), tmp_path)
    with pytest.raises(InputError, match="16 bits"):
        write_ct_series(Volume(np.full((2, 3, 4), 40000, np.int32)), tmp_path)
    assert not list(tmp_path.iterdir())


def test_series_says_where_it_cannot_write(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_ct_series(Volume(np.zeros((2, 3, 4), np.int16)), tmp_path / "file")
