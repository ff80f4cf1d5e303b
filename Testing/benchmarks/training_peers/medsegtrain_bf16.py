"""MedSegTrain with the network in bfloat16, as it trains on a CPU unless told otherwise."""

from . import Measured, Task, medsegtrain


def run(task: Task, seconds: float) -> Measured:
    return medsegtrain.run(task, seconds, "bf16")
