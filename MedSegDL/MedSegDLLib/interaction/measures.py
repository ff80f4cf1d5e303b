"""Numbers as a person reads them: with their unit, no more digits than mean something, never a bare 0."""

from __future__ import annotations

_SECONDS_AS_SECONDS = 90
_HOUR = 3600
_GIBI = 1 << 30


def seconds_text(seconds: float) -> str:
    """'0.08 s', '4.1 s', '34 s', '2 min', '1.5 h'."""
    if seconds < 0.995:
        return f"{max(seconds, 0.01):.2f} s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < _SECONDS_AS_SECONDS:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < _HOUR else f"{seconds / _HOUR:.1f} h"


def millilitres_text(volume_ml: float) -> str:
    """Two decimals; a structure of a few voxels is not '0.00 ml'."""
    return "< 0.01 ml" if volume_ml < 0.005 else f"{volume_ml:.2f} ml"


def bytes_text(size: float) -> str:
    """'850 kB', '13 MB', '1.2 GB'."""
    if size < 1e6:
        return f"{max(size / 1e3, 1):.0f} kB"
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"


def spacing_text(spacing_mm: tuple[float, ...]) -> str:
    """'1 mm' where all axes agree, else '0.8 x 0.8 x 5 mm'."""
    texts = [f"{length:.2g}" if length < 10 else f"{length:.0f}" for length in spacing_mm]
    return f"{texts[0] if len(set(texts)) == 1 else ' x '.join(texts)} mm"


def memory_text(used_bytes: float, total_bytes: float) -> str:
    """'3.1 of 24 GB', counted in powers of two as on the box of a graphics card."""
    used, total = max(used_bytes / _GIBI, 0.1), total_bytes / _GIBI
    return f"{used:.1f} of {total:.{0 if total >= 10 else 1}f} GB"
