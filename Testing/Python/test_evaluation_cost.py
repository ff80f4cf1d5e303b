"""What a model costs, measured with the predictor."""

from __future__ import annotations

import numpy as np
import pytest

from bundle_makers import specification, unet_bundle
from MedSegDLLib.bundle import Network
from MedSegDLLib.volume import Volume
from MedSegTrainLib.evaluation.cost import measure_cost, network_cost


def test_operations_of_a_window_by_hand():
    """The first block of a net of one stage: kernels of 3x3x3, a multiplication and an addition a weight and voxel."""
    spec = specification((1,), network=Network("nnunet", 3, 1, 2, "decoder.heads.0.weight", {"features": [2, 4]}))
    parameters, flops = network_cost(spec)
    larger = specification((1,), network=spec.network, patch=(16, 8, 8))
    assert network_cost(larger) == (parameters, 2 * flops)
    assert flops > 2 * 27 * 2 * 8**3


def test_a_bundle_is_timed_by_what_its_user_would_wait(tmp_path):
    bundle = unet_bundle(tmp_path / "model", specification((1,)))
    volume = Volume(np.random.default_rng(0).normal(size=(12, 16, 16)).astype(np.float32), np.eye(4))
    cost = measure_cost(bundle, [(volume,), (volume,)], "cpu", runs=2, threads=1)
    assert cost.parameters == network_cost(bundle.spec)[0] > 0
    assert 0 < cost.seconds < 10 and cost.first_seconds > 0
    assert cost.voxels_per_second == pytest.approx(12 * 16 * 16 / cost.seconds, rel=0.9)
    assert cost.windows > 0 and cost.peak_memory_bytes > 10e6
    assert cost.device.startswith("cpu") and cost.to_dict()["precision"] == "f32"
