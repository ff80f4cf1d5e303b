"""Numbers as a report writes them."""

from __future__ import annotations

import re

NONE = "-"
_FOLDERS = re.compile(r"""(?<![\w.:/\\])(?:~|[A-Za-z]:)?[\\/]+(?:[^\s'"\\/]+[\\/]+)*(?=[^\s'"\\/])""")
_QUOTED = re.compile(r"""(['"])(?:~|[A-Za-z]:)?[\\/][^'"]*?([^'"\\/]+)\1""")
_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))


def number(value: float | None, digits: int = 3) -> str:
    return NONE if value is None else f"{value:.{digits}f}"


def spread(mean: float | None, sd: float | None, digits: int = 3) -> str:
    """ "0.891 ± 0.034"."""
    return number(mean, digits) if sd is None or mean is None else f"{mean:.{digits}f} ± {sd:.{digits}f}"


def share(value: float) -> str:
    return f"{100 * value:.0f} %"


def p_value(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def duration(seconds: float | None) -> str:
    """Seconds below 90, then minutes, hours, days."""
    if seconds is None:
        return NONE
    for length, unit in _UNITS:
        if seconds >= 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def listed(names) -> str:
    """ "a, b and c"."""
    names = list(names)
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else "none"


def without_folders(text: str) -> str:
    """A file of this machine by its name alone: where it lies is of no use on another, and nobody's business."""
    return _FOLDERS.sub("", _QUOTED.sub(r"\1\2\1", text))
