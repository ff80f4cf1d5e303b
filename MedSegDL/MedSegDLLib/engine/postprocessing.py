"""Clean-up of a labelmap, once for all structures."""

from __future__ import annotations

import numpy as np


def keep_largest(labels: np.ndarray) -> None:
    """Keep the largest connected piece (26 neighbours) of each value, in place.

    One pass over the box that holds anything, whatever the number of structures.
    """
    import cc3d

    box = bounding_box(labels > 0)
    if box is None:
        return
    part = labels[box]
    pieces = cc3d.connected_components(np.ascontiguousarray(part), connectivity=26)
    sizes = cc3d.statistics(pieces, no_slice_conversion=True)["voxel_counts"]
    value_of = np.zeros(len(sizes), dtype=labels.dtype)
    value_of[pieces] = part
    kept = value_of.copy()
    for value in np.unique(value_of[1:]):
        of_value = np.flatnonzero(value_of == value)
        kept[of_value] = 0
        kept[of_value[np.argmax(sizes[of_value])]] = value
    part[:] = kept[pieces]


def bounding_box(mask: np.ndarray) -> tuple[slice, slice, slice] | None:
    """The smallest box that holds every true voxel of (k, j, i); None if there is none."""
    slices = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        found = np.flatnonzero(mask.any(axis=others))
        if not found.size:
            return None
        slices.append(slice(int(found[0]), int(found[-1]) + 1))
    return tuple(slices)
