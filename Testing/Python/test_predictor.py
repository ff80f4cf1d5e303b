"""The predictor: with a network that thresholds, every label is known beforehand."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bundle_makers import (  # noqa: F401
    UNCHANGED,
    labels,
    specification,
    threshold_bundle,
    thresholded,
    thresholds_in_torch,
    unet_bundle,
)
from MedSegDLLib.bundle import Coarse, Inference, Network
from MedSegDLLib.engine import devices
from MedSegDLLib.engine import predictor as predictor_module
from MedSegDLLib.engine import runtime as runtime_module
from MedSegDLLib.engine.predictor import Predictor
from MedSegDLLib.engine.preprocessing import prepare
from MedSegDLLib.engine.torch_runtime import load_network
from MedSegDLLib.errors import CancelledError, DeviceError, InputError, ModelError
from MedSegDLLib.volume import Volume
from network_makers import SMALL
from test_upsampling import interpolated
from test_volume import GRIDS, ORIENTATIONS, ijk_to_ras, rotation

WHOLE = (slice(0, 14), slice(0, 12), slice(0, 10))
REGION = (slice(3, 9), slice(2, 11), slice(0, 5))


def blobs(shape=(14, 12, 10), seed=0) -> np.ndarray:
    """Grey values from 0 to 400 in patches of a few voxels."""
    coarse = np.random.default_rng(seed).random([-(-n // 3) for n in shape]) * 400
    return np.kron(coarse, np.ones((3, 3, 3)))[tuple(slice(n) for n in shape)].astype(np.float32)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """Thresholds 100 and 300 at 1 mm, in windows of 8 voxels."""
    return threshold_bundle(tmp_path_factory.mktemp("m") / "threshold")


@pytest.fixture(scope="module")
def predictor(bundle):
    return Predictor(bundle, "cpu", threads=1)


@pytest.fixture(scope="module")
def random_bundle(tmp_path_factory):
    """A U-Net with random weights: it looks at its surroundings, and is not symmetric."""
    spec = specification((3, 200), patch=(16, 12, 8), orientation="LPS")
    return unet_bundle(tmp_path_factory.mktemp("m") / "random", spec, seed=5)


def test_every_voxel_gets_the_class_of_its_grey_value(predictor):
    volume = Volume(blobs(), np.eye(4), "CT", "name")
    result = predictor.segment(volume)
    assert np.array_equal(result.array, thresholded(volume.array, 100, 300))
    assert set(np.unique(result.array)) == {0, 1, 2}
    assert result.array.dtype == np.uint8
    assert result.grid.agrees_with(volume.grid, 1e-9) and result.name == "name"


@pytest.mark.parametrize("name", GRIDS)
def test_labels_lie_on_the_volumes_own_grid(name, predictor):
    """Spacing is not the model's, so that there is resampling, turning, upsampling and turning back."""
    volume = Volume(blobs((9, 20, 30)), GRIDS[name])
    result = predictor.segment(volume)
    assert result.grid.agrees_with(volume.grid, 1e-9)
    turned = result.reoriented("RAS")
    logits_of = prepare(volume, predictor.bundle.spec).array
    expected = thresholded(interpolated(logits_of, turned.array.shape)[0], 100, 300)
    assert np.mean(turned.array != expected) < 1e-4
    assert len(np.unique(expected)) == 3


@pytest.mark.parametrize("orientation", ORIENTATIONS[::5])
def test_a_turned_copy_gets_the_same_labels(orientation, random_bundle):
    predictor = Predictor(random_bundle, "cpu", threads=1)
    volume = Volume(blobs((15, 21, 18)), ijk_to_ras(rotation(10, 20, -15), (0.8, 1.1, 2.0)))
    expected = predictor.segment(volume)
    assert len(np.unique(expected.array)) > 1
    steps = volume.grid.steps_to(orientation)
    turned = predictor.segment(volume.reoriented(orientation))
    assert np.mean(steps.undo(turned.array) != expected.array) < 1e-4


def test_values_of_the_labels_are_the_bundles(tmp_path):
    bundle = threshold_bundle(tmp_path / "m", labels=labels(200, 7))
    volume = Volume(blobs())
    expected = np.array([0, 200, 7], np.uint8)[thresholded(volume.array, 100, 300)]
    assert np.array_equal(Predictor(bundle, "cpu").segment(volume).array, expected)
    halved = Volume(blobs(), np.diag([2.0, 2, 2, 1]))
    assert set(np.unique(Predictor(bundle, "cpu").segment(halved).array)) == {0, 7, 200}


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("overlap", [0.0, 0.75])
def test_options_override_the_bundle(bundle, mirror, overlap):
    predictor = Predictor(bundle, "cpu", overlap=overlap, mirror=mirror, threads=1)
    result = predictor.segment(Volume(blobs()))
    assert np.array_equal(result.array, thresholded(blobs(), 100, 300))
    per_axis = {0.0: (2, 2, 2), 0.75: (4, 3, 2)}[overlap]
    assert predictor.report.windows == np.prod(per_axis)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float64])
def test_any_type_and_layout_of_image(predictor, dtype):
    array = np.asfortranarray(blobs().astype(dtype))[::-1]
    assert np.array_equal(predictor.segment(Volume(array)).array, thresholded(array, 100, 300))


def test_a_read_only_image_is_left_alone(predictor):
    array = blobs()
    array.flags.writeable = False
    assert predictor.segment(Volume(array)).array.any()


# Regions


def test_outside_a_region_there_is_nothing(predictor):
    volume = Volume(blobs())
    result = predictor.segment(volume, REGION).array
    expected = np.zeros(volume.array.shape, np.uint8)
    expected[REGION] = thresholded(volume.array, 100, 300)[REGION]
    assert np.array_equal(result, expected)
    assert np.array_equal(predictor.segment(volume, WHOLE).array, thresholded(volume.array, 100, 300))


def test_the_network_sees_what_surrounds_a_region(predictor, monkeypatch):
    seen = []
    monkeypatch.setattr(
        predictor_module, "prepare", lambda volumes, spec: seen.append(volumes) or prepare(volumes, spec)
    )
    volume = Volume(blobs(), np.diag([1.0, 1.0, 2.0, 1.0]))
    predictor.segment(volume, REGION)
    ((part,),) = seen
    assert part.array.shape == (8, 12, 7)  # 2 mm on each side, as far as the volume reaches
    assert np.array_equal(part.array, volume.array[2:10, 0:12, 0:7])
    assert np.allclose(part.grid.origin_mm, (0, 0, 4))


@pytest.mark.parametrize(
    "region",
    [
        (slice(0, 15), slice(0, 12), slice(0, 10)),
        (slice(-1, 4), slice(0, 12), slice(0, 10)),
        (slice(4, 4), slice(0, 12), slice(0, 10)),
        (slice(5, 4), slice(0, 12), slice(0, 10)),
        (slice(0, 4), slice(0, 12)),
    ],
)
def test_a_region_outside_the_volume_is_refused(predictor, region):
    with pytest.raises(InputError, match="reaches outside the volume \\[14, 12, 10\\], or is empty"):
        predictor.segment(Volume(blobs()), region)


# Coarse to fine


@pytest.fixture
def coarse_to_fine(tmp_path):
    quick = threshold_bundle(tmp_path / "quick", thresholds=(100.0, 300.0), spacing_mm=(2.0, 2.0, 2.0))

    def make(values=(2,), margin_mm=2.0) -> Predictor:
        folder = tmp_path / f"fine {values} {margin_mm}"
        fine = threshold_bundle(folder, thresholds=(100.0, 200.0), coarse=Coarse("quick", margin_mm, values))
        return Predictor(fine, "cpu", threads=1, coarse=lambda name: {"quick": quick}[name])

    return make


def bright_and_grey() -> np.ndarray:
    image = np.zeros((30, 30, 30), np.float32)
    image[4:10, 4:10, 4:10] = 150
    image[16:24, 14:24, 12:24] = 400
    return image


def test_a_quick_model_says_where_to_look(coarse_to_fine):
    predictor, image = coarse_to_fine(values=(2,)), bright_and_grey()
    result = predictor.segment(Volume(image)).array
    assert set(np.unique(result)) == {0, 2}
    assert (result[16:24, 14:24, 12:24] == 2).all()
    assert not result[4:10, 4:10, 4:10].any()
    report = predictor.report.to_dict()
    assert report["notes"] == [] and report["seconds"]["coarse"] > 0
    everything = coarse_to_fine(values=())
    assert (everything.segment(Volume(image)).array[4:10, 4:10, 4:10] == 1).all()


def test_a_quick_model_that_finds_nothing_is_told_of(coarse_to_fine):
    predictor, image = coarse_to_fine(), np.minimum(bright_and_grey(), 250)
    assert np.array_equal(predictor.segment(Volume(image)).array, thresholded(image, 100, 200))
    assert predictor.report.notes == ["The quick model 'quick' found nothing: the whole volume was segmented."]


def test_a_region_of_the_user_goes_before_the_quick_model(coarse_to_fine):
    image = bright_and_grey()
    result = coarse_to_fine().segment(Volume(image), (slice(0, 12),) * 3).array
    assert (result[4:10, 4:10, 4:10] == 1).all()


def test_the_quick_model_tells_its_progress_and_can_be_cancelled(coarse_to_fine):
    messages = []
    predictor = coarse_to_fine()
    predictor.segment(Volume(bright_and_grey()), progress=lambda done, total, message: messages.append(message))
    assert messages[0] == "Looking for it" and messages[-1] == "Segmenting"
    with pytest.raises(CancelledError):
        predictor.segment(Volume(bright_and_grey()), cancelled=lambda: True)


def test_a_quick_model_that_is_not_installed_shows_when_the_model_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match="no model 'quick'"):
        Predictor(threshold_bundle(tmp_path / "m", coarse=Coarse("quick", 5.0)), "cpu")


# Bad and odd input


@pytest.mark.parametrize("array", [np.full((3, 4, 5), np.nan), np.zeros((3, 4, 5)), np.zeros((0, 4, 5))])
def test_what_cannot_be_segmented_is_refused(predictor, array):
    with pytest.raises(InputError):
        predictor.segment(Volume(array))


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 12, 10), (14, 1, 1), (1, 1, 2), (8, 8, 8), (9, 7, 8)])
def test_volumes_of_a_slice_or_smaller_than_a_window(predictor, shape):
    array = blobs(shape) if np.prod(shape) > 2 else np.array([[[0, 400]]], np.float32)
    assert np.array_equal(predictor.segment(Volume(array)).array, thresholded(array, 100, 300))


def test_slices_twenty_times_thicker_than_wide(predictor):
    grey_values = np.array([0, 200, 400, 200, 0, 400], np.float32)
    array = np.broadcast_to(grey_values[:, None, None], (6, 40, 44))
    result = predictor.segment(Volume(array, np.diag([0.5, 0.5, 10.0, 1.0]))).array
    assert np.array_equal(result, thresholded(array, 100, 300))


# Runtimes, precision, memory, devices


@pytest.mark.parametrize("matrix", [np.eye(4), GRIDS["oblique"]], ids=["same grid", "oblique"])
def test_torch_and_openvino_agree(tmp_path, random_bundle, matrix):
    plain = unet_bundle(tmp_path / "m", random_bundle.spec, seed=5, graph=False)
    volume = Volume(blobs((20, 14, 17)), matrix)
    fast, slow = (Predictor(b, "cpu", threads=1, mirror=True).segment(volume).array for b in (random_bundle, plain))
    assert len(np.unique(fast)) > 1
    assert np.mean(fast != slow) < 1e-3


def test_the_threshold_network_in_torch(tmp_path, thresholds_in_torch):  # noqa: F811
    bundle = threshold_bundle(tmp_path / "m", graph=False)
    volume = Volume(blobs())
    assert np.array_equal(Predictor(bundle, "cpu").segment(volume).array, thresholded(volume.array, 100, 300))


@pytest.mark.parametrize("supported", [True, False])
def test_precision_falls_back_with_a_note(tmp_path, monkeypatch, supported):
    if supported and not devices.supports_bf16():
        pytest.skip("this processor has no bf16")
    monkeypatch.setattr(runtime_module, "supports_bf16", lambda: supported)
    bundle = threshold_bundle(tmp_path / "m", inference=Inference(cpu_precision="bf16"))
    predictor = Predictor(bundle, "cpu")
    predictor.segment(Volume(blobs() // 4 * 4))
    report = predictor.report.to_dict()
    note = "This processor has no bf16; the network runs in fp32, which is slower."
    assert (report["precision"], report["notes"]) == (("bf16", []) if supported else ("f32", [note]))


def test_too_little_memory_is_said_before_the_run(bundle, monkeypatch):
    predictor = Predictor(bundle, "cpu")
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1_000_000))
    with pytest.raises(DeviceError, match="needs about 0.2 GB of memory, 0.0 GB is free. Close other programs"):
        predictor.segment(Volume(blobs()))


def test_an_unknown_device(bundle):
    with pytest.raises(DeviceError, match="There is no device 'tpu'. Available: "):
        Predictor(bundle, "tpu")


def test_a_damaged_model(tmp_path):
    bundle = threshold_bundle(tmp_path / "m")
    path = bundle.folder / "models" / "model.bin"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="'test' is damaged: models/model.bin has a wrong checksum"):
        Predictor(bundle, "cpu")


@pytest.mark.parametrize("matrix", [np.eye(4), np.diag([1.0, 1.2, 3.0, 1.0])])
def test_a_network_for_slices_goes_through_a_volume(tmp_path, matrix):
    network = Network("nnunet", 2, 1, 3, "conv.weight")
    bundle = threshold_bundle(tmp_path / "m", patch=(8, 6, 1), network=network, spacing_mm=(1.0, 1.0, 3.0))
    volume = Volume(blobs((5, 12, 14)), matrix)
    predictor = Predictor(bundle, "cpu", mirror=True)
    result = predictor.segment(volume).array
    (prepared,) = prepare(volume, bundle.spec).array
    assert predictor.report.windows == len(prepared) * len(range(0, prepared.shape[1] - 3, 3)) * 3
    expected = thresholded(interpolated(prepared[None], volume.array.shape)[0], 100, 300)
    assert np.mean(result != expected) < 1e-3


def test_a_random_network_for_slices_in_both_runtimes(tmp_path):
    network = Network("nnunet", 2, 1, 3, "decoder.heads.0.weight", {"features": [2, 4]})
    spec = specification(patch=(12, 10, 1), network=network)
    volume = Volume(blobs((4, 20, 22)))
    fast, slow = (
        Predictor(unet_bundle(tmp_path / str(graph), spec, graph=graph), "cpu").segment(volume).array
        for graph in (True, False)
    )
    assert len(np.unique(fast)) > 1
    assert np.mean(fast != slow) < 1e-3


@pytest.mark.parametrize("graph", [True, False])
@pytest.mark.parametrize(("name", "head"), [("u-transformer", "head.weight"), ("doubleu-net", "head2.weight")])
def test_a_network_for_slices_sees_each_by_itself(tmp_path, name, head, graph):
    """What the predictor makes of a volume is what the network makes of its slices, one after the other."""
    spec = specification(patch=(22, 20, 1), network=Network(name, 2, 1, 3, head, SMALL[name]))
    bundle = unet_bundle(tmp_path / "m", spec, seed=2, graph=graph)
    volume = Volume(np.random.default_rng(0).normal(scale=1000, size=(4, 20, 22)).astype(np.float32))
    predictor = Predictor(bundle, "cpu", threads=1)
    found = predictor.segment(volume).array
    network = load_network(bundle).eval()
    with torch.inference_mode():
        expected = [network(torch.from_numpy(layer)[None, None])[0].argmax(dim=0) for layer in volume.array]
    assert predictor.report.windows == 4 and len(np.unique(found)) > 1
    assert np.mean(found != torch.stack(expected).numpy()) < 2e-3


# Air, largest piece, report


def test_air_is_skipped_and_stays_background(tmp_path):
    """The network calls dark voxels foreground, so that a window that was looked at shows."""
    bundle = threshold_bundle(
        tmp_path / "m", thresholds=(-2000.0,), inference=Inference(overlap=0.0, air_below=-900.0), patch=(8, 8, 8)
    )
    image = np.full((16, 16, 16), -1000, np.int16)
    image[9, 1, 1] = -899
    image[1, 9, 9] = -900
    predictor = Predictor(bundle, "cpu")
    result = predictor.segment(Volume(image)).array
    assert result[8:, :8, :8].all()
    result[8:, :8, :8] = 0
    assert not result.any()
    assert (predictor.report.windows, predictor.report.windows_skipped) == (8, 7)


def test_a_voxel_of_just_the_level_of_air_is_air():
    """Whatever rounding does to both."""
    intensity = replace(UNCHANGED, low=-1000.0, high=700.0, mean=-123.4567, std=77.777)
    for air in np.random.default_rng(0).uniform(-1200, 600, 50).astype(np.float32):
        spec = specification(intensity=intensity, inference=Inference(air_below=float(air)))
        prepared = prepare(Volume(np.array([[[air, air + 1]]])), spec).array
        level = predictor_module._air_level(spec)
        assert (prepared > level).tolist() == [[[[False, bool(air + 1 > -1000)]]]]


def test_only_the_largest_piece_is_kept_where_the_model_says_so(tmp_path):
    bundle = threshold_bundle(tmp_path / "m", inference=Inference(largest_only=True))
    image = np.zeros((12, 12, 12), np.float32)
    image[1:4, 1:4, 1:4] = 200
    image[8:10, 8:10, 8:10] = 200
    result = Predictor(bundle, "cpu").segment(Volume(image)).array
    assert (result[1:4, 1:4, 1:4] == 1).all() and np.count_nonzero(result) == 27


def test_a_run_may_keep_all_pieces_or_the_largest_whatever_the_model_says(tmp_path):
    image = np.zeros((12, 12, 12), np.float32)
    image[1:4, 1:4, 1:4] = image[8:10, 8:10, 8:10] = 200
    for largest_only in (True, False):
        inference = Inference(largest_only=largest_only)
        predictor = Predictor(threshold_bundle(tmp_path / str(largest_only), inference=inference), "cpu")
        found = [predictor.segment(Volume(image), keep_largest=keep).array for keep in (True, False, None)]
        assert [np.count_nonzero(array) for array in found] == [27, 35, 27 if largest_only else 35]


def test_the_memory_in_use_is_that_of_this_process(predictor):
    before = predictor.memory_use()
    held = np.ones(40_000_000, np.uint8)
    after = predictor.memory_use()
    assert 0.9 * held.nbytes < after.used_bytes - before.used_bytes < 3 * held.nbytes
    assert after.used_bytes < after.total_bytes == before.total_bytes == predictor_module.choose("cpu").memory_bytes


def test_the_report_has_every_step(bundle):
    predictor = Predictor(bundle, "cpu", threads=1)
    calls = []
    predictor.segment(Volume(blobs()), progress=lambda *call: calls.append(call))
    report = predictor.report.to_dict()
    assert set(report["seconds"]) == {"check", "prepare", "windows", "labels"}
    assert all(seconds >= 0 for seconds in report["seconds"].values())
    assert report["total_seconds"] == pytest.approx(sum(report["seconds"].values()), abs=1e-3)
    assert (report["model"], report["precision"]) == ("test", "f32") and report["device"].startswith("cpu: ")
    assert report["peak_memory_bytes"] > 50e6
    assert report["windows"] == len(calls) == calls[-1][0] == calls[-1][1] == 3 * 2 * 2
    predictor.segment(Volume(blobs()))
    assert predictor.report.windows == 12  # a new report, not the sum of two


def test_cancelling_leaves_the_predictor_usable(predictor):
    volume = Volume(blobs())
    asked = iter([False, False, True])
    with pytest.raises(CancelledError):
        predictor.segment(volume, cancelled=lambda: next(asked))
    assert np.array_equal(predictor.segment(volume).array, thresholded(volume.array, 100, 300))
