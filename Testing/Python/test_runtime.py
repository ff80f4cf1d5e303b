"""Networks on devices: both runtimes agree, and a graph that cannot be used says so."""

from __future__ import annotations

import builtins
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from bundle_makers import DESCRIPTION, specification, threshold_bundle, thresholds_in_torch, unet_bundle  # noqa: F401
from MedSegDLLib.bundle import GRAPH, WEIGHTS, Bundle, Network, write_metadata
from MedSegDLLib.engine import runtime as runtime_module
from MedSegDLLib.engine.devices import Device, supports_bf16
from MedSegDLLib.engine.private_openvino import openvino
from MedSegDLLib.engine.runtime import OpenVinoRuntime, make_runtime
from MedSegDLLib.engine.torch_runtime import TorchRuntime
from MedSegDLLib.errors import DeviceError, ModelError

CPU = Device("cpu", "a processor", 1, 1)
SLICES = Network("nnunet", 2, 1, 3, "decoder.heads.0.weight", {"features": [2, 4]})


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setattr(runtime_module, "cache_folder", lambda: folder)
    return folder / "graphs"


@pytest.fixture(scope="module")
def solid(tmp_path_factory):
    return unet_bundle(tmp_path_factory.mktemp("m") / "solid", specification())


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    return unet_bundle(tmp_path_factory.mktemp("m") / "flat", specification(patch=(10, 12, 1), network=SLICES))


def window_of(bundle, seed=0) -> np.ndarray:
    return (
        np.random.default_rng(seed)
        .normal(size=(bundle.spec.network.in_channels, *bundle.spec.patch_kji))
        .astype(np.float32)
    )


@pytest.mark.parametrize("name", ["solid", "flat"])
def test_both_runtimes_give_the_same_logits(name, request):
    bundle = request.getfixturevalue(name)
    window = window_of(bundle)
    fast, plain = OpenVinoRuntime(bundle, "f32"), TorchRuntime(bundle, "cpu", "f32")
    assert fast(window).shape == (3, *bundle.spec.patch_kji)
    assert np.allclose(fast(window), plain(window).numpy(), atol=1e-4)


@pytest.mark.parametrize("kind", [OpenVinoRuntime, lambda *a: TorchRuntime(a[0], "cpu", a[1])])
def test_windows_do_not_disturb_each_other(solid, kind):
    runtime = kind(solid, "f32")
    first, second = window_of(solid, 1), window_of(solid, 2)
    expected = np.array(runtime(first))
    runtime(second)
    assert np.array_equal(np.array(runtime(first)), expected)
    assert not np.allclose(np.array(runtime(second)), expected)


@pytest.mark.parametrize("kind", [OpenVinoRuntime, lambda *a: TorchRuntime(a[0], "cpu", a[1])])
@pytest.mark.parametrize("steps", [(1, 1, 1), (-1, 1, 1), (1, -1, -1), (-1, -1, -1)])
def test_mirrored_logits_are_turned_back(solid, kind, steps):
    runtime = kind(solid, "f32")
    logits = np.random.default_rng(0).normal(size=(3, 4, 5, 6)).astype(np.float32)
    turned = logits[(slice(None), *(slice(None, None, step) for step in steps))].copy()
    assert np.array_equal(np.array(runtime.unmirrored(runtime.upload(turned), steps)), logits)


@pytest.mark.parametrize("kind", [OpenVinoRuntime, lambda *a: TorchRuntime(a[0], "cpu", a[1])])
def test_weighted_logits_are_added(solid, kind):
    runtime, rng = kind(solid, "f32"), np.random.default_rng(0)
    total, logits, weight = (rng.random(shape).astype(np.float32) for shape in ((3, 4, 5, 6), (3, 4, 5, 6), (4, 5, 6)))
    sums = runtime.zeros((3, 4, 5, 6))
    sums += runtime.upload(total)
    runtime.add_weighted(sums, runtime.upload(logits.copy()), runtime.upload(weight))
    assert np.allclose(np.array(sums), total + logits * weight)


def test_bf16_rounds_and_says_so(solid):
    if not supports_bf16():
        pytest.skip("this processor has no bf16")
    window = window_of(solid)
    exact = OpenVinoRuntime(solid, "f32")(window).copy()
    for runtime in (make_runtime(solid, CPU, "bf16", 1), TorchRuntime(solid, "cpu", "bf16", 1)):
        rounded = np.array(runtime(window))
        assert runtime.precision == "bf16"
        assert 0 < np.abs(rounded - exact).max() < 0.2 * np.abs(exact).max()


@pytest.mark.parametrize("graph", [True, False])
def test_a_processor_without_bf16_computes_in_fp32(tmp_path, monkeypatch, graph):
    monkeypatch.setattr(runtime_module, "supports_bf16", lambda: False)
    bundle = unet_bundle(tmp_path / "m", specification(), graph=graph)
    assert make_runtime(bundle, CPU, "bf16", 1).precision == "f32"


def test_a_cpu_takes_the_graph_if_there_is_one(solid, tmp_path):
    assert isinstance(make_runtime(solid, CPU, "f32", 1), OpenVinoRuntime)
    bundle = unet_bundle(tmp_path / "m", specification(), graph=False)
    assert isinstance(make_runtime(bundle, CPU, "f32", 1), TorchRuntime)


def test_a_model_that_needs_torch_where_there_is_none(tmp_path, monkeypatch):
    bundle = unet_bundle(tmp_path / "m", specification(), graph=False)
    imported = builtins.__import__

    def refuse(name, *arguments, **options):
        if name == "torch_runtime":
            raise ImportError("No module named 'torch'")
        return imported(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(DeviceError, match="'test' needs PyTorch here, and it cannot be imported. Install PyTorch, or"):
        make_runtime(bundle, CPU, "f32", 1)


def replace_graph(bundle, text: bytes) -> Bundle:
    (bundle.folder / GRAPH).write_bytes(text)
    return write_metadata(bundle.folder, DESCRIPTION, bundle.spec)


@pytest.mark.parametrize("text", [b"", b"<net", b"<?xml version='1.0'?><net name='x' version='9000'></net>"])
def test_a_damaged_graph_is_a_model_error(tmp_path, text):
    bundle = replace_graph(unet_bundle(tmp_path / "m", specification()), text)
    with pytest.raises(ModelError, match="exported graph of 'test' cannot be read") as caught:
        make_runtime(bundle, CPU, "f32", 1)
    assert caught.value.details


def test_an_empty_graph_is_a_model_error(tmp_path):
    empty = b"<?xml version='1.0'?><net name='x' version='11'></net>"
    bundle = replace_graph(unet_bundle(tmp_path / "m", specification()), empty)
    with pytest.raises(ModelError, match=r"has the input and output \[\], its description has"):
        make_runtime(bundle, CPU, "f32", 1)


def test_a_graph_of_another_network_is_a_model_error(tmp_path):
    bundle = threshold_bundle(tmp_path / "three", thresholds=(1.0, 2.0))
    other = threshold_bundle(tmp_path / "two", thresholds=(1.0,))
    for suffix in (".xml", ".bin"):
        os.replace(other.folder / GRAPH.with_suffix(suffix), bundle.folder / GRAPH.with_suffix(suffix))
    bundle = write_metadata(bundle.folder, DESCRIPTION, bundle.spec)
    with pytest.raises(ModelError, match=r"\[1, 2, 8, 8, 8\]\], its description has .* \[1, 3, 8, 8, 8\]\]"):
        make_runtime(bundle, CPU, "f32", 1)


def test_a_graph_of_another_window_is_a_model_error(tmp_path):
    bundle = threshold_bundle(tmp_path / "m")
    bundle = write_metadata(bundle.folder, DESCRIPTION, replace(bundle.spec, patch=(8, 8, 16)))
    with pytest.raises(ModelError, match=r"\[\[1, 1, 8, 8, 8\], .* its description has \[\[1, 1, 16, 8, 8\]"):
        make_runtime(bundle, CPU, "f32", 1)


def test_weights_of_another_network_are_a_model_error(tmp_path):
    bundle = unet_bundle(tmp_path / "m", specification(), graph=False)
    weights = load_file(bundle.weights_path)
    weights["more"] = torch.zeros(1)
    save_file(weights, bundle.weights_path)
    bundle = write_metadata(bundle.folder, DESCRIPTION, bundle.spec)
    with pytest.raises(ModelError, match="The weights of 'test' do not fit its network 'nnunet'"):
        make_runtime(bundle, CPU, "f32", 1)


@pytest.mark.parametrize("change", [{"name": "vnet"}, {"arguments": {"feature": [2]}}])
def test_a_network_that_nobody_knows_is_a_model_error(tmp_path, change):
    bundle = unet_bundle(tmp_path / "m", specification(), graph=False)
    spec = replace(bundle.spec, network=replace(bundle.spec.network, **change))
    bundle = write_metadata(bundle.folder, DESCRIPTION, spec)
    with pytest.raises(ModelError, match="do not fit its network"):
        make_runtime(bundle, CPU, "f32", 1)


def test_half_precision_weights_are_read(tmp_path):
    bundle = unet_bundle(tmp_path / "m", specification(), graph=False)
    save_file({name: t.half() for name, t in load_file(bundle.weights_path).items()}, bundle.folder / WEIGHTS)
    bundle = write_metadata(bundle.folder, DESCRIPTION, bundle.spec)
    logits = TorchRuntime(bundle, "cpu", "f32")(window_of(bundle))
    assert logits.dtype == torch.float32


def test_an_update_with_the_times_of_the_old_files_is_not_answered_from_the_cache(tmp_path, cache):
    """As unpacking an archive leaves them."""
    window = np.full((1, 8, 8, 8), 2.0, np.float32)
    old, new = (threshold_bundle(tmp_path / name, thresholds=(t,)) for name, t in (("old", 1.0), ("new", 3.0)))
    assert OpenVinoRuntime(old, "f32")(window).argmax(axis=0).all()
    for suffix in (".xml", ".bin"):
        path = old.folder / GRAPH.with_suffix(suffix)
        times = path.stat()
        os.replace(new.folder / GRAPH.with_suffix(suffix), path)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    updated = write_metadata(old.folder, DESCRIPTION, old.spec)
    assert not OpenVinoRuntime(updated, "f32")(window).argmax(axis=0).any()
    assert len(list(cache.iterdir())) == 2


def test_a_folder_that_cannot_be_written_does_without_the_cache(solid, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(runtime_module, "cache_folder", lambda: tmp_path / "file")
    assert OpenVinoRuntime(solid, "f32")(window_of(solid)).shape == (3, 8, 8, 8)


def test_threads_are_what_was_asked_for(solid, monkeypatch):
    settings = []
    core = openvino.Core

    class Recording:
        def compile_model(self, path, device, given):
            settings.append(given)
            return core().compile_model(path, device, given)

    monkeypatch.setattr(openvino, "Core", Recording)
    OpenVinoRuntime(solid, "f32", threads=1)
    OpenVinoRuntime(solid, "f32")
    assert settings[0]["INFERENCE_NUM_THREADS"] == 1 and "INFERENCE_NUM_THREADS" not in settings[1]
