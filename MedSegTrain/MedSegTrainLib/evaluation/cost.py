"""What a model costs: size, operations, and seconds and memory with the predictor that its users get."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

import numpy as np
import torch

from MedSegDLLib.bundle import Bundle, Specification
from MedSegDLLib.engine.predictor import Predictor
from MedSegDLLib.networks import create
from MedSegDLLib.networks.blocks import parameter_count
from MedSegDLLib.networks.catalog import count_flops
from MedSegDLLib.volume import Volume

WARM_RUNS = 5


@dataclass(frozen=True)
class Cost:
    """Of one model on one device.

    Attributes:
        parameters: of the network.
        flops_per_window: of one window of the bundle's patch, two a multiply-add, as the catalogue counts them.
        first_seconds: of the first volume after loading, in which kernels are chosen and compiled.
        seconds: median over warm runs and volumes, from a volume in memory to its labels.
        voxels_per_second: of the volumes, by their warm runs.
        windows: of the last volume.
        peak_memory_bytes: of the process on a CPU, so run it in one of its own; of the device's memory on a GPU.
        device, precision: in words, as the predictor has them.
    """

    parameters: int
    flops_per_window: int
    first_seconds: float
    seconds: float
    voxels_per_second: float
    windows: int
    peak_memory_bytes: int
    device: str
    precision: str

    def to_dict(self) -> dict:
        return asdict(self)


def measure_cost(
    bundle: Bundle, volumes: Sequence[Sequence[Volume]], device: str = "auto", runs: int = WARM_RUNS, **options
) -> Cost:
    """Segment each case's volumes `runs` times after a first one that does not count.

    Args:
        volumes: one or more cases; of each the volumes of all channels.
        options: the predictor's, `threads` for example.

    Raises what the predictor raises.
    """
    size, flops = network_cost(bundle.spec)
    predictor = Predictor(bundle, device, **options)
    gpu = predictor.device.partition(": ")[0] if predictor.device.startswith("cuda") else None
    if gpu:
        torch.cuda.reset_peak_memory_stats(gpu)
    first = _seconds(predictor, volumes[0])
    seconds = np.array([[_seconds(predictor, each) for _ in range(runs)] for each in volumes])
    voxels = sum(each[0].array.size for each in volumes) * runs
    return Cost(
        parameters=size,
        flops_per_window=flops,
        first_seconds=first,
        seconds=median(seconds.ravel().tolist()),
        voxels_per_second=voxels / float(seconds.sum()),
        windows=predictor.report.windows,
        peak_memory_bytes=torch.cuda.max_memory_reserved(gpu) if gpu else predictor.report.peak_memory_bytes,
        device=predictor.device,
        precision=predictor.report.precision,
    )


def network_cost(spec: Specification) -> tuple[int, int]:
    """Parameters, and floating-point operations for one window; counted, not computed: no weights are needed."""
    network = spec.network
    with torch.device("meta"):
        module = create(
            network.name, network.spatial_dims, network.in_channels, network.out_channels, **network.arguments
        ).eval()
    patch = spec.patch_kji[-network.spatial_dims :]
    return parameter_count(module), count_flops(module, patch, network.in_channels)


def _seconds(predictor: Predictor, volumes: Sequence[Volume]) -> float:
    """The labels come back to the processor's memory, so a GPU has nothing left to do when it ends."""
    start = time.perf_counter()
    predictor.segment(volumes)
    return time.perf_counter() - start
