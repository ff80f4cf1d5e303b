"""The cases of the scene, copied one by one on Slicer's main thread, so that the window stays alive between them."""

from __future__ import annotations

from dataclasses import replace

from ..data.found import Findings, FoundCase
from ..data.sources.frozen import frozen_cases


class SceneCopy:
    """Begins with what was found; `step` copies a case."""

    def __init__(self, findings: Findings):
        self._findings = findings
        self._cases = frozen_cases(findings)
        self._copied: list[FoundCase] = []

    @property
    def progress(self) -> tuple[int, int]:
        """Copied, and in all."""
        return len(self._copied), len(self._findings.cases)

    def step(self) -> Findings | None:
        """Copy the next case; the copy of everything once there is no other. Raises InputError."""
        case = next(self._cases, None)
        if case is None:
            return replace(self._findings, cases=tuple(self._copied))
        self._copied.append(case)
        return None
