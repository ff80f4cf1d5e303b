"""The plain MONAI loop with the network in bfloat16."""

import torch

from . import Measured, Task, monai


def run(task: Task, seconds: float) -> Measured:
    return monai.run(task, seconds, torch.bfloat16)
