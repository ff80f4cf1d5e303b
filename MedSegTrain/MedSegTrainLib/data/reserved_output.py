"""The output of a process that answers in lines, kept free of what libraries print."""

from __future__ import annotations

import os
from typing import TextIO


def reserved_output() -> TextIO:
    """The real output; what is printed from now on goes where errors go, by libraries in C as well."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return output
