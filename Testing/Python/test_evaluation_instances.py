"""Average precision of instances: hand-made examples, and what Mask R-CNN gives."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from bundle_makers import specification, unet_bundle
from MedSegDLLib.bundle import Bundle, Network
from MedSegDLLib.errors import InputError, ModelError
from MedSegDLLib.files import write_volume
from MedSegDLLib.networks.mask_rcnn import Instances
from MedSegDLLib.volume import Volume
from MedSegTrainLib.data.case import Case
from MedSegTrainLib.evaluation.instance_finders import InstancesOf, PiecesOf, match_cases
from MedSegTrainLib.evaluation.instances import (
    THRESHOLDS,
    ImageMatch,
    bowl_precision,
    coco_precision,
    components,
    match_masks,
    match_numbered,
)
from network_makers import SMALL


def stripes(*bounds, length=100) -> np.ndarray:
    """A row of voxels with an object between each pair of bounds."""
    row = np.zeros((1, length), int)
    for number, (start, stop) in enumerate(bounds, start=1):
        row[0, start:stop] = number
    return row


def iou(*rows, scores=None) -> ImageMatch:
    table = np.array(rows, dtype=float)
    return ImageMatch(table, np.ones(len(table)) if scores is None else np.array(scores, dtype=float))


def mask_rcnn_bundle(folder) -> Bundle:
    network = Network("mask-rcnn", 2, 1, 2, "box_head.classes.weight", SMALL["mask-rcnn"])
    spec = specification((1,), network=network, patch=(32, 32, 1))
    return unet_bundle(folder, spec, graph=False)


def test_overlaps_by_hand():
    true = stripes((0, 10), (20, 30), (50, 60))
    found = stripes((0, 10), (22, 32), (80, 90)) * 7  # numbers need not be consecutive
    match = match_numbered(found, true)
    assert match.iou == pytest.approx(np.array([[1, 0, 0], [0, 8 / 12, 0], [0, 0, 0]]))
    assert match.scores.tolist() == [1, 1, 1]


def test_an_image_full_of_objects_has_no_outside():
    match = match_numbered(np.array([[1, 1, 2, 2]]), np.array([[5, 5, 5, 5]]))
    assert match.iou == pytest.approx(np.array([[0.5], [0.5]]))


def test_masks_may_overlap():
    true = stripes((0, 10), (10, 20))
    masks = np.zeros((3, 1, 100), bool)
    masks[0, 0, :12], masks[1, 0, 8:20], masks[2, 0, 60:] = True, True, True
    match = match_masks(masks, true, [0.9, 0.8, 0.3])
    assert match.iou == pytest.approx(np.array([[10 / 12, 2 / 20], [2 / 20, 10 / 12], [0, 0]]))
    assert match.scores.tolist() == [0.9, 0.8, 0.3]


def test_masks_and_numbers_agree_where_nothing_overlaps():
    rng = np.random.default_rng(0)
    true, found = (components(rng.random((4, 12, 14)) > 0.6) for _ in range(2))
    masks = np.stack([found == number for number in np.unique(found)[1:]])
    assert match_masks(masks, true).iou == pytest.approx(match_numbered(found, true).iou)


def test_the_bowls_precision_by_hand():
    """Overlaps 1, 2/3 and none: two of four are right up to 0.65, one of five above."""
    match = match_numbered(stripes((0, 10), (22, 32), (80, 90)), stripes((0, 10), (20, 30), (50, 60)))
    found = bowl_precision([match])
    assert found.ap50 == pytest.approx(2 / 4) and found.ap75 == pytest.approx(1 / 5)
    assert found.mean == pytest.approx((4 * 2 / 4 + 6 * 1 / 5) / 10)


def test_the_bowl_weighs_images_alike():
    good, bad, nothing, wrong = iou([1.0]), iou([0.4, 0], [0, 0.4]), np.zeros((0, 0)), np.zeros((2, 0))
    empty = ImageMatch(nothing, np.zeros(0))
    assert bowl_precision([good, bad]).ap50 == pytest.approx(0.5)
    assert bowl_precision([good, empty]).ap50 == 1  # nothing there, nothing found: does not count
    assert bowl_precision([good, ImageMatch(wrong, np.ones(2))]).ap50 == pytest.approx(0.5)
    assert bowl_precision([empty]).mean is None


def test_each_object_is_in_one_pair_only():
    assert bowl_precision([iou([0.9], [0.8])]).ap50 == pytest.approx(1 / 2)
    greedy = iou([0.9, 0.8], [0.7, 0.0])  # the best pair first; the second found one is left with nothing
    assert bowl_precision([greedy]).ap50 == pytest.approx(1 / 3)


def test_a_threshold_is_reached_by_its_own_value():
    assert THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    assert bowl_precision([iou([3 / 5])]).at[0.6] == coco_precision([iou([3 / 5])]).at[0.6] == 1
    assert bowl_precision([iou([3 / 5])]).at[0.65] == 0


def test_cocos_precision_by_hand():
    """By score: hit, miss, hit, of three objects: precision 1 up to a recall of 1/3, 2/3 up to 2/3, then nothing."""
    match = iou([0.9, 0, 0], [0, 0.3, 0], [0, 0.8, 0], scores=[0.9, 0.8, 0.7])
    assert coco_precision([match]).ap50 == pytest.approx((34 * 1 + 33 * 2 / 3) / 101)
    assert coco_precision([match]).at[0.85] == pytest.approx(34 / 101)


def test_coco_sorts_detections_of_all_images_together():
    sure, unsure = iou([0.9], scores=[0.9]), iou([0.0], [0.9], scores=[0.8, 0.2])
    expected = (51 * 1 + 50 * 2 / 3) / 101
    assert coco_precision([unsure, sure]).ap50 == coco_precision([sure, unsure]).ap50 == pytest.approx(expected)


def test_coco_gives_an_object_to_the_surest_detection():
    """The surer takes the object though the other fits better; that one then is a false find after full recall."""
    match = iou([0.6], [0.95], scores=[0.9, 0.5])
    assert coco_precision([match]).ap50 == 1
    assert coco_precision([match]).ap75 == pytest.approx(0.5)  # at 0.75 the first misses


def test_coco_without_objects_has_no_value_and_without_finds_is_nought():
    assert coco_precision([ImageMatch(np.zeros((3, 0)), np.ones(3))]).ap50 is None
    assert coco_precision([ImageMatch(np.zeros((0, 3)), np.zeros(0))]).ap50 == 0


def test_pieces_of_a_semantic_result():
    mask = np.zeros((6, 8), bool)
    mask[:2, :2] = mask[2, 2] = mask[4:, 5:] = True  # the single pixel touches at a corner only
    assert sorted(np.bincount(components(mask).ravel())[1:]) == [1, 4, 6]
    assert components(np.ones((2, 2, 2), bool)).max() == 1


def test_instances_of_a_network_come_back_to_the_image(tmp_path, monkeypatch):
    """On the grid of an image that is mirrored and twice as fine as what the network sees."""
    bundle = mask_rcnn_bundle(tmp_path / "model")
    finder = InstancesOf(bundle)
    masks = torch.zeros(2, 32, 32)
    masks[0, 4:8, 10:20], masks[1, 20:24, 2:6] = 0.9, 0.6

    def instances(x):
        assert x.shape == (1, 1, 32, 32)
        return [Instances(torch.zeros(2, 4), torch.tensor([0.8, 0.7]), torch.ones(2, dtype=torch.long), masks)]

    monkeypatch.setattr(finder._network, "instances", instances)
    image = Volume(np.random.default_rng(0).normal(size=(1, 64, 64)).astype(np.float32), np.diag([-0.5, 0.5, 1, 1]))
    truth = np.zeros((1, 64, 64), int)
    truth[0, 8:16, 64 - 40 : 64 - 20] = 1
    truth[0, 40:48, 64 - 12 : 64 - 4] = 2
    match = finder.match((image,), truth)
    assert match.iou == pytest.approx(np.eye(2)) and match.scores == pytest.approx([0.8, 0.7])


def test_what_mask_rcnn_finds_is_judged(tmp_path):
    finder = InstancesOf(mask_rcnn_bundle(tmp_path / "model"))
    image = Volume(np.random.default_rng(0).normal(size=(1, 40, 44)).astype(np.float32), np.eye(4))
    masks, scores = finder.find((image,))
    assert masks.shape == (len(scores), 1, 40, 44) and masks.dtype == bool
    assert len(finder.match((image,), np.ones((1, 40, 44), int)).iou) == len(scores)


def test_a_network_without_instances_is_refused(tmp_path):
    bundle = unet_bundle(tmp_path / "model", specification((1,)), graph=False)
    with pytest.raises(ModelError, match="no instances"):
        InstancesOf(bundle)


class Marks:
    """A segmenter that has marked the image already."""

    def segment(self, volumes):
        return volumes[0]


def test_pieces_of_labels_are_numbered_on(tmp_path):
    """Two structures side by side are two objects, as are two pieces of one."""
    labels = stripes((0, 10), (10, 20), (30, 40))[None] % 3  # 1 beside 2, then nothing, 0
    labels[0, 0, 50:60] = 1
    paths = [tmp_path / name for name in ("image.nii.gz", "label.nii.gz", "instances.nii.gz")]
    for path, array in zip(paths, (labels, labels, stripes((0, 10), (10, 20), (50, 60), (80, 90))[None])):
        write_volume(Volume(array.astype(np.uint8), np.eye(4)), path)
    case = Case("a", paths[:1], paths[1], instances=paths[2])
    (match,) = match_cases(PiecesOf(Marks()), [case])
    assert match.iou.sum(axis=0).tolist() == [1, 1, 1, 0] and match.found == 3
    with pytest.raises(InputError, match="numbered"):
        match_cases(PiecesOf(Marks()), [Case("b", paths[:1], paths[1])])


def test_nuclei_against_themselves_and_run_together(shared_data):
    """One file a nucleus; where the semantic truth lets neighbours touch, its pieces are fewer than the nuclei."""
    matches, pieces = [], []
    for case in sorted((shared_data / "nuclei-microscopy").iterdir())[:4]:
        masks = [sitk.GetArrayFromImage(sitk.ReadImage(str(path))) > 0 for path in sorted(case.glob("masks/*.png"))]
        if masks:
            truth = sum(number * mask for number, mask in enumerate(masks, start=1))
            matches.append(match_masks(np.stack(masks), truth))
            pieces.append(match_numbered(components(truth > 0), truth))
    assert bowl_precision(matches).mean == 1 == coco_precision(matches).mean
    assert 0.3 < bowl_precision(pieces).ap50 <= 1
