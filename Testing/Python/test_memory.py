"""The estimate of memory before a run: never less than what the run takes, nor many times more."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from bundle_makers import specification, threshold_bundle
from MedSegDLLib import demand
from MedSegDLLib.bundle import Inference, Intensity
from MedSegDLLib.demand import MemoryPlan
from MedSegDLLib.engine.predictor import Predictor
from MedSegDLLib.errors import DeviceError
from MedSegDLLib.volume import Grid, Volume


@pytest.mark.parametrize(
    ("spacing_mm", "mirror", "intensity"),
    [
        ((0.7, 0.7, 0.7), False, Intensity("zscore")),
        ((1.2, 1.4, 1.0), False, Intensity("percentile", 1, 99)),
        ((1.5, 1.5, 1.5), True, Intensity("window", 0, 1000, 0, 1)),
        ((1.0, 1.0, 1.0), False, Intensity("window", 0, 1000, 0, 1)),
    ],
)
def test_a_run_keeps_to_its_estimate(tmp_path, monkeypatch, spacing_mm, mirror, intensity):
    monkeypatch.setattr(demand, "_WORKING_BYTES", 0)
    monkeypatch.setattr("MedSegDLLib.engine.upsampling._VOXELS_PER_SLAB", 100_000)
    monkeypatch.setattr("MedSegDLLib.engine.upsampling._CELLS_PER_CHUNK", 4_000)
    monkeypatch.setattr("MedSegDLLib.engine.resampling._SLAB_BYTES", 400_000)
    bundle = threshold_bundle(
        tmp_path / "m",
        thresholds=(100.0, 200.0, 300.0, 400.0, 500.0),
        spacing_mm=spacing_mm,
        patch=(32, 32, 32),
        intensity=intensity,
        inference=Inference(overlap=0.0, mirror=mirror),
    )
    blobs = np.kron(np.random.default_rng(0).random((4, 4, 4)) * 1000, np.ones((24, 22, 24)))
    volume = Volume(blobs.astype(np.int16))
    predictor = Predictor(bundle, "cpu")
    predictor.segment(volume)  # keeps the operators of the resampling
    tracemalloc.start()
    predictor.segment(volume)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    planned = MemoryPlan.of(volume.grid, bundle.spec).total_bytes
    assert peak < planned + 2.5e6  # slabs and chunks
    assert planned < 3 * peak


def test_logits_grow_with_the_area_not_with_the_depth():
    spec = replace(specification(), patch=(8, 8, 8))
    thin, thick = (MemoryPlan.of(Grid((k, 50, 60), np.eye(4)), spec) for k in (100, 1000))
    assert thin.logits == thick.logits
    assert (thin.image, thin.labels) == (thick.image // 10, thick.labels // 10)


def test_too_large_a_volume_is_refused_in_a_sentence():
    plan = MemoryPlan(image=3_000_000_000, logits=1_000_000_000, labels=0)
    plan.check(plan.total_bytes)
    with pytest.raises(DeviceError) as caught:
        plan.check(1_500_000_000)
    assert caught.value.message == "The volume needs about 4.2 GB of memory, 1.5 GB is free."
    assert caught.value.remedy == "Close other programs, or segment a region of the volume."
