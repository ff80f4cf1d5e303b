"""Widths that a paper's figures stand for, where it names no widths: arguments for `create`, by preset and network.

`smith2024`: "Optimization of deep learning-based medical image segmentation algorithms" compares four networks and
gives their sizes, not their widths. These are round ones that come near them, so that networks are compared at the
paper's own cost. Parameters in 2D for one channel and two classes, and in 3D, for which the paper has none:

    network          paper     here                   3D
    unet             12.5 M    12,581,778   +0.7 %    36,605,682
    attention-unet   14.2 M    14,151,006   -0.3 %    42,131,646
    deeplabv3-plus   15.8 M    15,727,842   -0.5 %    28,566,882
    dual-attention   13.7 M    13,796,397   +0.7 %    40,144,533

U-Net and Attention U-Net have the same widths. They differ by the gates, the upward convolutions and the norms, which
are 1.6 million here and 1.7 million in the paper.
"""

from __future__ import annotations

_U_SHAPE = {"features": (48, 96, 176, 320, 640)}

PRESETS: dict[str, dict[str, dict]] = {
    "smith2024": {
        "unet": _U_SHAPE,
        "attention-unet": _U_SHAPE,
        "deeplabv3-plus": {"backbone": "resnet50", "width": 48, "head_features": 256},
        "dual-attention": {"features": (32, 64, 128, 256, 512)},
    }
}


def presets_of(name: str) -> list[str]:
    """The presets that a network has."""
    return [preset for preset, networks in PRESETS.items() if name in networks]
