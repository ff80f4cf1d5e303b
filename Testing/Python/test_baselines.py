"""The classical methods: tuned on training cases only, alike on however an image is stored, honest about bad input."""

import numpy as np
import pytest

from bundle_makers import labels
from MedSegDLLib.errors import InputError
from MedSegDLLib.files import write_volume
from MedSegDLLib.volume import Volume
from MedSegTrainLib.baselines.features import voxel_features
from MedSegTrainLib.baselines.registry import BASELINES, create_baseline
from MedSegTrainLib.baselines.seen import Seen
from MedSegTrainLib.data.dataset import IGNORE, Case, open_dataset

QUICK = {name: {"tuning_cases": 3} for name in BASELINES}
QUICK["random-forest"] = QUICK["svm"] = {"voxels_a_case": 400, "search_voxels": 900}


LABELS = labels(1, 2)  # a bright ball, "structure 1", and a dark one, "structure 2"


def draw(seed, shape=(14, 24, 28)):
    """A bright and a dark ball in noise, a little elsewhere in each case: image and labels."""
    rng = np.random.default_rng(seed)
    place = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    truth = np.zeros(shape, np.uint8)
    for value, center, radius in ((1, (0.5, 0.35, 0.3), 5), (2, (0.5, 0.6, 0.7), 4)):
        middle = np.array(center) * shape + rng.uniform(-1.5, 1.5, 3)
        middle[0] = min(middle[0], shape[0] - 0.5)
        truth[np.linalg.norm(place - middle, axis=-1) < radius + rng.uniform(-0.5, 0.5)] = value
    brightness = np.array([100.0, 160.0, 40.0])[truth] + rng.normal(0, 8, shape)
    return brightness.astype(np.float32), truth


def store(folder, seed, arrays=None, **case):
    image, truth = arrays or draw(seed)
    for name, values in (("image", image), ("label", truth)):
        write_volume(Volume(values), folder / f"{seed}-{name}.nrrd")
    return Case(f"case {seed}", (folder / f"{seed}-image.nrrd",), folder / f"{seed}-label.nrrd", **case)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    return [store(folder, seed) for seed in range(6)]


@pytest.fixture(scope="module")
def fitted(cases):
    baselines = {name: create_baseline(name, LABELS, **QUICK[name]) for name in BASELINES}
    for baseline in baselines.values():
        baseline.fit(cases)
    return baselines


def dice(result, truth, value):
    return 2 * np.sum((result == value) & (truth == value)) / (np.sum(result == value) + np.sum(truth == value))


@pytest.mark.parametrize("name", BASELINES)
class TestEvery:
    def test_finds_two_balls_in_a_case_it_never_saw(self, fitted, name):
        image, truth = draw(100)
        found = fitted[name].segment(Volume(image)).array
        assert found.dtype == np.uint8
        assert min(dice(found, truth, 1), dice(found, truth, 2)) > 0.75

    def test_finds_the_same_in_an_image_stored_the_other_way_round(self, fitted, name):
        image, _ = draw(101)
        volume = Volume(image)
        turned = volume.reoriented("ASR")
        found = fitted[name].segment(turned)
        assert np.array_equal(found.reoriented("RAS").array, fitted[name].segment(volume).array)

    def test_is_the_same_once_saved_and_loaded(self, fitted, name, tmp_path):
        fitted[name].save(tmp_path)
        again = create_baseline(name, LABELS)
        again.load(tmp_path)
        volume = Volume(draw(102)[0])
        assert np.array_equal(again.segment(volume).array, fitted[name].segment(volume).array)

    def test_gives_the_same_result_for_the_same_cases(self, fitted, cases, name):
        again = create_baseline(name, LABELS, **QUICK[name])
        again.fit(cases)
        assert again.parameters == fitted[name].parameters
        volume = Volume(draw(103)[0])
        assert np.array_equal(again.segment(volume).array, fitted[name].segment(volume).array)

    def test_refuses_to_segment_before_it_was_fitted(self, name):
        with pytest.raises(InputError, match="not t"):
            create_baseline(name, LABELS).segment(Volume(draw(0)[0]))

    def test_refuses_to_learn_from_nothing(self, name):
        with pytest.raises(InputError, match="no cases"):
            create_baseline(name, LABELS).fit([])

    def test_refuses_a_folder_that_holds_something_else(self, name, tmp_path):
        with pytest.raises(InputError, match="Fit it again|holds no"):
            create_baseline(name, LABELS).load(tmp_path)


@pytest.mark.parametrize("name", BASELINES)
def test_single_slices_are_segmented(name, tmp_path):
    slices = []
    for seed in range(5):
        image, truth = draw(seed, (1, 40, 44))
        slices.append(store(tmp_path, seed, (image, truth)))
    baseline = create_baseline(name, LABELS, **QUICK[name])
    baseline.fit(slices)
    image, truth = draw(50, (1, 40, 44))
    found = baseline.segment(Volume(image)).array
    assert min(dice(found, truth, 1), dice(found, truth, 2)) > 0.6


def test_voxels_that_nobody_annotated_do_not_count(cases, tmp_path):
    """With the lower half hidden in each, and full of what would mislead, the tuned parameters stay as they were."""
    hidden = []
    for seed in range(6):
        image, truth = draw(seed)
        shown = np.concatenate([image, np.full_like(image, 160)])
        known = np.concatenate([truth, np.full_like(truth, IGNORE)])
        hidden.append(store(tmp_path, seed, (shown, known)))
    baseline = create_baseline("threshold", LABELS, tuning_cases=3)
    baseline.fit(hidden)
    image, truth = draw(100)
    found = baseline.segment(Volume(np.concatenate([image, np.full_like(image, 160)]))).array[: len(image)]
    assert dice(found, truth, 1) > 0.7


@pytest.mark.parametrize("name", ["morphology", "random-forest"])
def test_background_of_a_case_without_contours_of_a_structure_teaches_nothing(name, tmp_path):
    """Half of the cases lack the dark ball's contours: it must be found nearly as well as with all of them."""
    some = []
    for seed in range(8):
        image, truth = draw(seed)
        lacking = seed % 2 == 0
        truth = np.where(truth == 2, 0, truth).astype(np.uint8) if lacking else truth
        some.append(store(tmp_path, seed, (image, truth), not_contoured=frozenset({"structure 2"} if lacking else ())))
    baseline = create_baseline(name, LABELS, **QUICK[name])
    baseline.fit(some)
    image, truth = draw(100)
    assert dice(baseline.segment(Volume(image)).array, truth, 2) > 0.75


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match="no baseline 'magic'") as caught:
        create_baseline("magic", LABELS)
    assert "watershed" in caught.value.remedy


def test_parameters_of_other_structures_are_refused(fitted, tmp_path):
    fitted["threshold"].save(tmp_path)
    with pytest.raises(InputError, match="not tuned for structure 3"):
        create_baseline("threshold", labels(1, 2, 3)).load(tmp_path)


def test_an_image_without_contrast_is_refused(fitted):
    with pytest.raises(InputError, match="empty"):
        fitted["threshold"].segment(Volume(np.zeros((4, 5, 6), np.float32)))


def test_features_are_as_many_for_each_channel_and_three_places():
    image, _ = draw(0)
    one, two = (voxel_features(Seen.of([Volume(image)] * n)) for n in (1, 2))
    assert one.shape == (image.size, 1 + 4 * 3 + 3)
    assert two.shape == (image.size, 2 * 13 + 3)
    assert np.isfinite(two).all()


@pytest.mark.parametrize(("name", "least"), [("morphology", 0.70), ("watershed", 0.70)])
def test_hippocampus(shared_data, name, least):
    """Place tells much in a crop; these bars are what knowing place and brightness is worth there."""
    data = open_dataset(shared_data / "hippocampus-mr")
    baseline = create_baseline(name, data.labels, tuning_cases=4)
    baseline.fit(data.cases[:10])
    scores = []
    for case in data.cases[100:106]:
        images, truth = case.load()
        found = baseline.segment(images).array
        scores.append([dice(found, truth.array, value) for value in (1, 2)])
    assert np.mean(scores) > least
