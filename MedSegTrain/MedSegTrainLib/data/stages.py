"""How deep a U-Net can be for a patch: nnU-Net's rule.

Isensee et al. 2021, doi:10.1038/s41592-020-01008-z: each stage halves the axes that are still long enough and not much
coarser than the others; a kernel is flat along an axis for as long as that is twice as coarse as the finest.
"""

from __future__ import annotations

from collections.abc import Sequence

_SHORTEST = 4  # voxels along an axis of the deepest feature map
_FIRST_WIDTH = 32
_WIDEST = {2: 512, 3: 320}
_BLOCKS = (1, 3, 4, 6)  # of the residual encoder; as many as the last in every deeper stage
_PLANNED = ("features", "strides", "kernels", "blocks")


def stage_arguments(name: str, spacing_mm: Sequence[float], patch: Sequence[int], arguments: dict) -> dict:
    """Arguments of one of nnU-Net's networks for a patch; of any other, and of one that was told, none.

    Args:
        spacing_mm, patch: along (k, j, i) or (j, i).
        arguments: those that are given already.
    """
    if name not in ("nnunet", "nnunet-residual") or any(argument in arguments for argument in (*_PLANNED, "preset")):
        return {}
    strides, kernels = stages(spacing_mm, patch)
    widest = _WIDEST[len(patch)]
    planned = {
        "features": [min(_FIRST_WIDTH * 2**n, widest) for n in range(len(strides))],
        "strides": strides,
        "kernels": kernels,
    }
    if name == "nnunet-residual":
        planned["blocks"] = [_BLOCKS[min(n, len(_BLOCKS) - 1)] for n in range(len(strides))]
    return planned


def stages(spacing_mm: Sequence[float], patch: Sequence[int]) -> tuple[list[list[int]], list[list[int]]]:
    """Stride and kernel size of each stage along each axis."""
    axes = range(len(patch))
    spacing, size = list(spacing_mm), list(patch)
    kernel = [1] * len(patch)
    strides, kernels = [[1] * len(patch)], []
    while halved := _axes_to_halve(spacing, size):
        kernel = [3 if kernel[a] == 3 or spacing[a] < 2 * min(spacing) else 1 for a in axes]
        kernels.append(kernel)
        strides.append([2 if a in halved else 1 for a in axes])
        spacing = [mm * stride for mm, stride in zip(spacing, strides[-1])]
        size = [-(-n // stride) for n, stride in zip(size, strides[-1])]
    return strides, [*kernels, [3] * len(patch)]


def _axes_to_halve(spacing: list[float], size: list[int]) -> list[int]:
    long = [axis for axis, n in enumerate(size) if n >= 2 * _SHORTEST]
    if not long:
        return []
    finest = min(spacing[axis] for axis in long)
    halved = [axis for axis in long if spacing[axis] < 2 * finest]
    alone_and_short = len(halved) == 1 and size[halved[0]] < 3 * _SHORTEST
    return [] if alone_and_short else halved
