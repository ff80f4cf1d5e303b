"""Measures against a hand's calculation, DeepMind's surface-distance and MONAI, and what empty masks count."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest
import surface_distance
from scipy import ndimage

from bundle_makers import labels
from MedSegDLLib.errors import InputError
from MedSegDLLib.files import read_volume
from MedSegTrainLib.data.case import IGNORE
from MedSegTrainLib.evaluation.metrics import Settings, case_scores
from MedSegTrainLib.evaluation.surfels import cell_sizes
from run import ROOT

EXACT = 1e-6
(ONE,) = labels(1)


def scores_of(result: np.ndarray, truth: np.ndarray, spacing_kji=(1, 1, 1), **settings):
    """Scores of the structure with the value 1."""
    found = case_scores(
        result.astype(np.uint8), truth.astype(np.uint8), [ONE], spacing_kji[::-1], settings=Settings(**settings)
    )
    return found[ONE.name]


def values_of(*arguments, **settings) -> dict[str, float]:
    return scores_of(*arguments, **settings).values


def ball(shape, center, radius_mm: float, spacing=None) -> np.ndarray:
    spacing = spacing or (1,) * len(shape)
    places = np.indices(shape)
    return sum(((p - c) * s) ** 2 for p, c, s in zip(places, center, spacing)) <= radius_mm**2


def blobs(seed: int, shape, level=0.0) -> tuple[np.ndarray, np.ndarray]:
    """Ragged masks that agree in part, in several pieces, some of them touching the edge."""
    rng = np.random.default_rng(seed)
    common, own, other = (ndimage.gaussian_filter(rng.normal(size=shape), 1.5) for _ in range(3))
    return common + 0.6 * own > level, common + 0.6 * other > level


def half_moved(shape=(30, 34, 36)) -> tuple[np.ndarray, np.ndarray]:
    return ball(shape, (14, 16, 15), 10), ball(shape, (14, 18, 18), 9)


FLAT = (2.5, 0.7, 0.9)
MADE = {
    "balls": (half_moved(), (1.0, 1.0, 1.0)),
    "flat voxels": ([ball((16, 40, 44), (8 - n, 20 + n, 20 + 4 * n), 12 - n, FLAT) for n in (0, 1)], FLAT),
    "blobs": (blobs(0, (20, 22, 24)), (1.0, 1.0, 1.0)),
    "blobs, flat voxels": (blobs(1, (12, 25, 25)), (3.3, 0.98, 0.98)),
    "specks": (blobs(2, (15, 15, 15), level=0.35), (0.5, 1.25, 2.0)),
    "one voxel": ([ball((9, 9, 9), center, 0) for center in ((4, 4, 4), (0, 8, 3))], (1.5, 1.0, 0.3)),
    "edge to edge": ((np.ones((4, 5, 6), bool), blobs(3, (4, 5, 6))[0]), (1.0, 2.0, 3.0)),
    "contours": (blobs(4, (40, 50)), (0.8, 1.3)),
    "discs": ((ball((50, 60), (20, 22), 15), ball((50, 60), (24, 22), 13)), (1.0, 1.0)),
}


def deepmind(truth, result, spacing) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it uses names that scipy is about to drop
        found = surface_distance.compute_surface_distances(truth, result, spacing)
    areas = [found["surfel_areas_gt"], found["surfel_areas_pred"]]
    averages = surface_distance.compute_average_surface_distance(found)
    return {
        "hd_mm": surface_distance.compute_robust_hausdorff(found, 100),
        "hd95_mm": surface_distance.compute_robust_hausdorff(found, 95),
        "nsd_1mm": surface_distance.compute_surface_dice_at_tolerance(found, 1.0),
        "nsd_2mm": surface_distance.compute_surface_dice_at_tolerance(found, 2.0),
        "assd_mm": np.average(averages, weights=[area.sum() for area in areas]),
        "dice": surface_distance.compute_dice_coefficient(truth, result),
    }


def monai_values(truth, result, spacing) -> dict[str, float]:
    import torch
    from monai import metrics

    y, y_pred = (torch.from_numpy(mask)[None, None].float() for mask in (truth, result))
    matrix = metrics.get_confusion_matrix(y_pred, y)
    names = ("sensitivity", "specificity", "precision", "accuracy")
    return {
        "dice": metrics.compute_dice(y_pred, y),
        "iou": metrics.compute_iou(y_pred, y),
        "nsd_1mm": metrics.compute_surface_dice(y_pred, y, [1.0], True, spacing=spacing, use_subvoxels=True),
        "nsd_2mm": metrics.compute_surface_dice(y_pred, y, [2.0], True, spacing=spacing, use_subvoxels=True),
        **{name: metrics.compute_confusion_matrix_metric(name, matrix) for name in names},
    }


@pytest.mark.parametrize("spacing", [(1, 1, 1), (2.5, 0.7, 0.9), (0.3, 5, 1), (1, 1), (0.6, 3)])
def test_a_piece_of_surface_is_as_large_as_deepminds(spacing):
    tables = surface_distance.lookup_tables
    table = {3: "create_table_neighbour_code_to_surface_area", 2: "create_table_neighbour_code_to_contour_length"}
    expected = getattr(tables, table[len(spacing)])(spacing)
    assert cell_sizes(spacing) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", MADE)
def test_made_shapes_as_deepmind_has_them(name):
    (truth, result), spacing = MADE[name]
    values = values_of(result, truth, spacing)
    expected = deepmind(truth, result, spacing)
    assert {each: values[each] for each in expected} == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize("name", MADE)
def test_made_shapes_as_monai_has_them(name):
    (truth, result), spacing = MADE[name]
    values = values_of(result, truth, spacing)
    for measure, expected in monai_values(truth, result, spacing).items():
        found = values.get(measure, float("nan"))  # no specificity where everything is the structure
        assert found == pytest.approx(float(expected), abs=EXACT, nan_ok=truth.all()), measure


def test_a_moved_box_is_as_far_as_monai_says():
    """Hausdorff distances of surface elements and of boundary voxels are the same where a shape moves as it is."""
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    truth, result = np.zeros((2, 20, 30, 30), bool)
    truth[5:10, 5:15, 5:20] = result[5:10, 5:15, 12:27] = True
    spacing = (3.0, 1.0, 0.5)
    values = values_of(result, truth, spacing)
    y, y_pred = (torch.from_numpy(mask)[None, None] for mask in (truth, result))
    for name, percentile in (("hd_mm", None), ("hd95_mm", 95)):
        theirs = float(compute_hausdorff_distance(y_pred, y, True, percentile=percentile, spacing=spacing))
        assert values[name] == pytest.approx(theirs, abs=EXACT) == 3.5
    voxels = float(compute_average_surface_distance(y_pred, y, True, symmetric=True, spacing=spacing))
    assert values["assd_mm"] != pytest.approx(voxels, abs=0.01)  # another convention: voxels, not areas


@pytest.fixture(scope="module")
def hippocampi(shared_data):
    """Truth, a result that is wrong in the way networks are, and the spacing (k, j, i), with stretched voxels too."""
    cases = []
    for n, path in enumerate(sorted((shared_data / "hippocampus-mr" / "labels").glob("*.nii.gz"))[:6]):
        volume = read_volume(path)
        truth = volume.array.astype(np.uint8)
        noise = ndimage.gaussian_filter(np.random.default_rng(n).normal(size=(3, *truth.shape)), (0, 1.2, 1.2, 1.2))
        soft = np.stack([ndimage.gaussian_filter((truth == value).astype(float), 1) for value in range(3)])
        result = (soft + 0.8 * noise).argmax(0).astype(np.uint8)
        cases.append((truth, result, volume.grid.spacing_mm[::-1] * (1, 1, 1 + n % 2)))
    return cases


def test_real_structures_as_both_have_them(hippocampi):
    for truth, result, spacing in hippocampi:
        found = case_scores(result, truth, labels(1, 2), spacing[::-1])
        for value in (1, 2):
            values = found[f"structure {value}"].values
            masks = truth == value, result == value
            for measure, expected in (deepmind(*masks, spacing) | monai_values(*masks, list(spacing))).items():
                assert values[measure] == pytest.approx(float(expected), abs=EXACT), measure
            assert 0.2 < values["dice"] < 0.99


def test_counts_by_hand():
    truth, result = np.zeros((2, 1, 4, 5), bool)
    truth[0, 1, :4] = True
    result[0, 1, 1:] = result[0, 2, 0] = True
    values = values_of(result, truth, (5.0, 1.0, 2.0))
    expected = {
        "dice": 2 * 3 / (4 + 5),
        "iou": 3 / 6,
        "sensitivity": 3 / 4,
        "precision": 3 / 5,
        "specificity": 14 / 16,
        "accuracy": 17 / 20,
        "segmentation_accuracy": 75.0,
        "relative_volume_error": 0.25,
        "truth_ml": 4 * 10 / 1000,
        "volume_error_ml": 10 / 1000,
    }
    assert {name: values[name] for name in expected} == pytest.approx(expected)


def test_segmentation_accuracy_looks_at_sizes_only():
    truth, result = np.zeros((2, 6, 6), bool)
    truth[:2], result[3:5] = True, True
    assert values_of(result, truth, (1, 1))["segmentation_accuracy"] == 100
    result[:] = True
    assert values_of(result, truth, (1, 1))["segmentation_accuracy"] == -100  # three times too large


def test_the_region_of_interest_by_hand():
    """10 mm along each axis: at 4 mm two rows or columns."""
    truth, result = np.zeros((2, 11, 11), bool)
    truth[5, 5] = True
    result[5, 5] = result[5, 7] = result[0, 0] = True
    values = values_of(result, truth, (4.0, 4.0))
    assert values["specificity_roi"] == pytest.approx(23 / 24)
    assert values["accuracy_roi"] == pytest.approx(24 / 25)
    assert values["specificity"] == pytest.approx(118 / 120)


@pytest.mark.parametrize(
    ("spacing", "band_mm"), [((1.0, 1.0, 1.0), 2.0), ((2.5, 0.8, 0.8), 2.0), ((4.0, 1.5, 3.0), 3.5)]
)
def test_bands_are_what_a_distance_transform_says(spacing, band_mm):
    truth, result = blobs(7, (14, 20, 22))

    def inner(mask):
        distances = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
        cross = ndimage.binary_erosion(mask)
        return mask & ((distances <= band_mm + 1e-9) | ~cross)

    outer = ndimage.distance_transform_edt(~truth, sampling=spacing) <= band_mm + 1e-9
    outer |= ndimage.binary_dilation(truth)
    band = inner(truth) | (outer & ~truth)
    values = values_of(result, truth, spacing, band_mm=band_mm)
    name = f"{band_mm:g}mm"
    assert values[f"boundary_accuracy_{name}"] == pytest.approx((truth == result)[band].mean())
    expected = (inner(truth) & inner(result)).sum() / (inner(truth) | inner(result)).sum()
    assert values[f"boundary_iou_{name}"] == pytest.approx(expected)


def test_a_perfect_result_is_perfect_in_every_measure():
    truth, _ = half_moved()
    values = values_of(truth, truth, (1.5, 1.0, 1.0))
    ones = {name for name, value in values.items() if value == 1}
    assert {name for name in values if not name.endswith(("mm", "_ml"))} - ones == {
        "segmentation_accuracy",
        "relative_volume_error",
    }
    assert {name for name in values if name.startswith(("nsd", "boundary"))} <= ones
    assert values["hd_mm"] == values["hd95_mm"] == values["assd_mm"] == values["volume_error_ml"] == 0


def test_one_stray_voxel_moves_hd_but_not_hd95():
    truth = ball((60, 40, 40), (15, 20, 20), 10)
    result = truth.copy()
    result[58, 20, 20] = True
    values = values_of(result, truth)
    assert values["hd_mm"] > 30 and values["hd95_mm"] == 0


def test_a_volume_of_one_slice_is_judged_as_a_picture():
    truth, result = blobs(5, (30, 30))
    flat, deep = values_of(result, truth, (0.7, 0.9)), values_of(result[None], truth[None], (5.0, 0.7, 0.9))
    assert deep.pop("truth_ml") == pytest.approx(5 * flat.pop("truth_ml"))
    assert {name for name in flat if flat[name] != deep[name]} == {"result_ml", "volume_error_ml"}


def test_empty_masks_by_the_policy():
    empty, mask = np.zeros((6, 7, 8), bool), ball((6, 7, 8), (3, 3, 3), 2)
    both, missed, wrong = scores_of(empty, empty), scores_of(empty, mask), scores_of(mask, empty)
    assert (both.status, both.values) == ("both empty", {})
    zero = ["dice", "iou", "nsd_1mm", "nsd_2mm", "boundary_iou_2mm"]
    assert missed.status == "missed" and [missed.values[name] for name in [*zero, "sensitivity"]] == [0] * 6
    assert missed.values["segmentation_accuracy"] == 0 and missed.values["relative_volume_error"] == -1
    assert wrong.status == "false positive" and [wrong.values[name] for name in [*zero, "precision"]] == [0] * 6
    assert not {"precision", "hd_mm", "hd95_mm", "assd_mm"} & missed.values.keys()
    assert not {"sensitivity", "hd_mm", "segmentation_accuracy", "boundary_accuracy_2mm"} & wrong.values.keys()
    for scores in (missed, wrong):
        assert np.isfinite(list(scores.values.values())).all()
        assert scores.worst_mm == pytest.approx(np.sqrt(36 + 49 + 64))


def test_what_nobody_contoured_is_not_judged():
    truth, result = np.zeros((2, 5, 5, 5), np.uint8)
    truth[1], result[1:3] = 1, 2
    found = case_scores(result, truth, labels(1, 2), (1, 1, 1), not_contoured={"structure 2"})
    assert found["structure 1"].status == "missed"
    assert found["structure 2"].status == "not contoured" and not found["structure 2"].values


def test_voxels_that_nobody_annotated_do_not_count():
    truth, result = blobs(6, (12, 14, 16))
    truth, result = truth.astype(np.uint8), result.astype(np.uint8)
    unknown = truth.copy()
    unknown[6:] = IGNORE
    found = case_scores(result, unknown, [ONE], (1, 1, 2))[ONE.name].values
    known = case_scores(result[:6], truth[:6], [ONE], (1, 1, 2))[ONE.name].values
    assert found == pytest.approx(known)


def test_shapes_that_differ_are_refused():
    with pytest.raises(InputError, match="shape"):
        case_scores(np.zeros((3, 4, 5), np.uint8), np.zeros((3, 4, 6), np.uint8), [ONE], (1, 1, 1))


def test_what_runs_inside_slicer_needs_no_torch():
    modules = ["metrics", "rows", "summary", "statistics", "ranking", "tables", "instances", "row_file"]
    code = f"import sys\nfrom MedSegTrainLib.evaluation import {', '.join(modules)}\nprint(sorted(sys.modules))"
    path = [str(ROOT / "MedSegDL"), str(ROOT / "MedSegTrain")]
    process = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path[:0] = {path}\n{code}"], capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    assert "'scipy'" in process.stdout
    for package in ("torch", "monai", "lightning", "pydantic", "yaml", "sklearn"):
        assert f"'{package}'" not in process.stdout
