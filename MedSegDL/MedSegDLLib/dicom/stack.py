"""From planes to a volume's geometry: their order, the distance between them, and what does not fit.

Order and spacing come from the positions, never from SliceThickness or InstanceNumber: those are often wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..volume import LPS_TO_RAS, Grid
from .headers import Frame

SAME_PLACE_MM = 0.01  # closer than any scanner's slices, and positions are written at least this finely
ROUNDED_MM = 0.06  # some scanners write positions in tenths of a millimetre: off by up to 0.05
UNEVEN = 0.02  # of the spacing: far less than a label can resolve
SURELY_UNEVEN = 0.15  # of the spacing: a missing slice moves the others by a third or more
DIRECTION = 1e-3  # cosine: half a millimetre at the far edge of a field of 500 mm
STEEPEST_TILT = 1.0  # sideways per depth, 45 degrees: a gantry tilts by 30 at most

_WHOLE_SERIES = "Load the complete series, or export it again from the scanner or archive."


@dataclass(frozen=True)
class Stack:
    """Planes in the order of the k axis, and their grid, which is sheared where the gantry was tilted."""

    frames: tuple[Frame, ...]
    grid: Grid


def stack_of(frames: Sequence[Frame]) -> Stack:
    """Order the planes of one volume. Raises InputError where they do not form one."""
    if len(frames) < 2:
        raise InputError(
            "The series has a single slice; a volume needs several.", "Choose the folder that holds the whole series."
        )
    _check_same_planes(frames)
    axes = _axes(frames[0])
    positions = np.array([frame.position_mm for frame in frames])
    order = np.argsort(positions @ axes[:, 2], kind="stable")
    positions = positions[order]
    _check_no_place_twice(positions, axes)
    origin, step = _fitted_line(positions)
    spacing_mm = frames[0].pixel_spacing_mm
    _check_even(positions, origin, step, axes, spacing_mm)
    basis = np.column_stack([axes[:, 0] * spacing_mm[1], axes[:, 1] * spacing_mm[0], step])
    grid = Grid((len(frames), *frames[0].shape), _ras_matrix(_squared(basis, axes, len(frames)), origin))
    return Stack(tuple(frames[n] for n in order), grid)


def _axes(frame: Frame) -> np.ndarray:
    """3x3, LPS unit vectors of i, j and the normal, one a column; made exactly orthogonal."""
    row, column = frame.orientation[:3], frame.orientation[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(row @ column)) > DIRECTION:
        raise InputError(
            "The orientation of the slices is damaged: their rows and columns are not at right angles.",
            "Export the series again from the scanner or archive.",
        )
    row = row / lengths[0]
    normal = np.cross(row, column)
    normal /= np.linalg.norm(normal)
    return np.column_stack([row, np.cross(normal, row), normal])


def _squared(basis: np.ndarray, axes: np.ndarray, count: int) -> np.ndarray:
    """The basis with its k axis along the normal, unless the slices really drift sideways."""
    depth = basis[:, 2] @ axes[:, 2]
    drift = np.linalg.norm(basis[:, 2] - axes[:, 2] * depth)
    if drift > STEEPEST_TILT * depth:
        raise InputError(
            f"Each slice lies {drift:.1f} mm beside the one before, at a distance of {depth:.1f} mm; "
            "no scanner tilts that far.",
            "Export the series again from the scanner or archive.",
        )
    if drift <= DIRECTION * depth or drift * (count - 1) <= ROUNDED_MM:
        return np.column_stack([basis[:, :2], axes[:, 2] * depth])
    return basis


def _ras_matrix(basis_lps: np.ndarray, origin_lps: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = basis_lps, origin_lps
    return LPS_TO_RAS @ matrix


def _fitted_line(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Origin and step that place slice k at origin + k * step with the least squared error."""
    k = np.arange(len(positions))
    centred = k - k.mean()
    step = centred @ positions / (centred @ centred)
    return positions.mean(axis=0) - k.mean() * step, step


def _check_same_planes(frames: Sequence[Frame]) -> None:
    rules = (
        ("directions", lambda frame: frame.orientation, DIRECTION),
        ("matrix sizes", lambda frame: np.array(frame.shape, dtype=float), 0),
        ("pixel spacings", lambda frame: frame.pixel_spacing_mm, DIRECTION * frames[0].pixel_spacing_mm.min()),
    )
    for what, value_of, tolerance in rules:
        counts = _counts(np.array([value_of(frame) for frame in frames]), tolerance)
        if len(counts) > 1:
            raise InputError(
                f"The series mixes slices of different {what} ({' and '.join(map(str, counts))} images).",
                "Split it into one series for each, or export the one you need again.",
            )


def _counts(values: np.ndarray, tolerance: float) -> list[int]:
    """How many rows of `values` agree with one another within the tolerance, most first."""
    counts = []
    while len(values):
        alike = np.abs(values - values[0]).max(axis=1) <= tolerance
        counts.append(int(alike.sum()))
        values = values[~alike]
    return sorted(counts, reverse=True)


def _check_no_place_twice(positions: np.ndarray, axes: np.ndarray) -> None:
    starts = np.diff(positions @ axes[:, 2], prepend=-np.inf) > SAME_PLACE_MM
    counts = np.bincount(np.cumsum(starts) - 1)
    if counts.max() == 1:
        return
    if counts.min() == counts.max():
        raise InputError(
            f"The series holds {counts[0]} images at each of its {len(counts)} positions: "
            "a time series, several echoes or contrasts, or two copies.",
            "Choose a series with one image at each position, or export a single time point or echo.",
        )
    slice_index = int(np.argmax(counts > 1))
    place = _place(positions[starts][slice_index], axes)
    raise InputError(
        f"Slice {slice_index + 1} is there {_times(counts[slice_index])}, at {place} mm.",
        "Remove the copies, or load the series again from its source.",
    )


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"


def _tolerance_mm(spacing_mm: float) -> float:
    return min(SURELY_UNEVEN * spacing_mm, max(ROUNDED_MM, UNEVEN * spacing_mm))


def _check_even(positions, origin, step, axes, pixel_spacing_mm) -> None:
    errors = (positions - origin - np.arange(len(positions))[:, None] * step) @ axes
    if np.abs(errors[:, 2]).max() > _tolerance_mm(step @ axes[:, 2]):
        raise _unevenly_spaced(positions, axes)
    sideways = np.linalg.norm(errors[:, :2], axis=1)
    if sideways.max() > _tolerance_mm(pixel_spacing_mm.min()):
        worst = int(np.argmax(sideways))
        raise InputError(
            f"Slice {worst + 1} at {_place(positions[worst], axes)} mm lies {sideways[worst]:.1f} mm beside the line "
            "of the others.",
            _WHOLE_SERIES,
        )


def _unevenly_spaced(positions: np.ndarray, axes: np.ndarray) -> InputError:
    """The sentence for slices at uneven distances: missing if every distance is a multiple, misplaced if not."""
    gaps = np.diff(positions @ axes[:, 2])
    usual = np.sort(gaps)[(len(gaps) - 1) // 2]
    multiples = np.round(gaps / usual)
    if multiples.min() >= 1 and np.abs(gaps - multiples * usual).max() <= _tolerance_mm(usual) * 2:
        return _missing(positions, axes, multiples.astype(int))
    worst = int(np.argmax(np.abs(gaps - usual)))
    return InputError(
        f"The slices are not evenly spaced: {gaps[worst]:.1f} mm lie between {_gap(positions, axes, worst)} mm, "
        f"{usual:.1f} mm between the others.",
        _WHOLE_SERIES,
    )


def _missing(positions: np.ndarray, axes: np.ndarray, multiples: np.ndarray) -> InputError:
    holes = np.flatnonzero(multiples > 1)
    first = int(multiples[: holes[0]].sum()) + 2
    last = first + int(multiples[holes[0]]) - 2
    which = f"Slice {first} is" if first == last else f"Slices {first} to {last} are"
    more = f", and {(multiples - 1).sum() - (last - first + 1)} more elsewhere" if len(holes) > 1 else ""
    return InputError(f"{which} missing between {_gap(positions, axes, holes[0])} mm{more}.", _WHOLE_SERIES)


def _gap(positions: np.ndarray, axes: np.ndarray, index: int) -> str:
    return f"{_place(positions[index], axes)} and {_coordinate(positions[index + 1], axes):.1f}"


def _place(position: np.ndarray, axes: np.ndarray) -> str:
    """Where a slice is, in the coordinate of ImagePositionPatient that changes most from slice to slice."""
    return f"{'xyz'[np.argmax(np.abs(axes[:, 2]))]} = {_coordinate(position, axes):.1f}"


def _coordinate(position: np.ndarray, axes: np.ndarray) -> float:
    return position[np.argmax(np.abs(axes[:, 2]))]
