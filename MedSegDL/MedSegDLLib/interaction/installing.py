"""What is done, and in which order, to mend the worker's Python; who does it is somebody else's affair."""

from __future__ import annotations

from collections.abc import Callable
from subprocess import CalledProcessError
from typing import Protocol

from ..bundle import Bundle
from ..dependencies import NO_TORCH, Findings
from ..errors import MedSegError

Translate = Callable[[str], str]
Prepare = Callable[[Bundle, str, Callable[[str], None]], None]
"""Sees to what a run of this model on this device needs, then calls the third with '', or with the sentence why the run
cannot begin; at once or later."""

_MINIMUM_TORCH = "2.8"
_TORCH_AND_TWIN = ["torch", "torchvision"]  # the one does not load beside another version of the other


class Pip(Protocol):
    """Slicer's ways to install. All of them raise CalledProcessError where pip fails, and MedSegError otherwise."""

    def uninstall(self, names: list[str]) -> None: ...

    def install(self, requirements: list[str]) -> None: ...

    def reinstall(self, requirements: list[str]) -> None:
        """Install over what is there and cannot be uninstalled."""

    def install_torch(self, requirement: str) -> None:
        """Install the PyTorch that fits this computer's GPU; `requirement` is such as '>=2.8'."""


def mend(found: Findings, pip: Pip, translate: Translate = str) -> None:
    """Install what is missing or too old, and replace what is broken; the user has agreed to it.

    PyTorch comes first: others that need it would otherwise bring one that may not fit the GPU.

    Raises:
        MedSegError: nothing can be done here, or pip failed.
    """
    if not found.can_install:
        raise MedSegError(found.sentence, found.remedy, found.details)
    try:
        _mend(found, pip)
    except CalledProcessError as error:
        _ = translate
        raise MedSegError(
            _("The packages could not be installed: pip failed."),
            _("Check the connection and the free disk space, restart Slicer, and try again before anything else."),
            f"{error}\n{error.output or ''}",
        ) from error


def _mend(found: Findings, pip: Pip) -> None:
    torch = next((requirement for requirement in found.wanted if requirement.name == "torch"), None)
    others = [requirement for requirement in found.wanted if requirement.name != "torch"]
    if torch or found.gpu_problem:
        minimum = torch.minimum if torch else _MINIMUM_TORCH
        present = torch not in found.missing and found.gpu_problem != NO_TORCH
        if not present or _removed(pip, _TORCH_AND_TWIN, f"torch>={minimum}"):
            pip.install_torch(f">={minimum}")
    fresh = [str(one) for one in others if one not in found.broken or _removed(pip, [one.name], str(one))]
    if fresh:
        pip.install(fresh)


def _removed(pip: Pip, names: list[str], requirement: str) -> bool:
    """Uninstall what cannot be used; where pip lost track of its files, it is installed over them instead: False."""
    try:
        pip.uninstall(names)
    except CalledProcessError:
        pip.reinstall([requirement])
        return False
    return True
