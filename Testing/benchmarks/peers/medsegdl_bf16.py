"""MedSegDL's predictor with the network in bfloat16, which only a trained model's Dice can justify."""

from __future__ import annotations

from functools import partial

from . import medsegdl

run = partial(medsegdl.run, name="medsegdl_bf16", precision="bf16")
