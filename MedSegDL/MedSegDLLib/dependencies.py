"""Whether the worker's Python has what it needs: found by importing it there, since what is installed may be broken.

findings = examine(find_python(), required(bundle, "auto"))
if not findings.ok:
    print(findings.sentence, findings.remedy)
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from .bundle import Bundle
from .errors import WorkerError
from .worker_process import PYTHON_REMEDY, describe_end, worker_environment

REQUIREMENTS = Path(__file__).resolve().parents[1] / "Resources" / "requirements.txt"

CPU_BUILD, NO_TORCH = "cpu build", "no torch"

_SLICER_BRINGS = ("numpy", "scipy", "SimpleITK")  # in the version that suits it: we neither check nor install them
_WITH_TORCH = ("torch>=2.8", "monai>=1.5", "einops>=0.7")
_IMPORT_NAMES = {"connected-components-3d": "cc3d", "PyYAML": "yaml", "scikit-learn": "sklearn"}
_SECONDS_FOR_ALL = 120.0  # a first import of PyTorch from a slow disk, under a virus scanner, takes a minute
_SECONDS_TO_START = 30.0
_LOG_TAIL = 4000

Translate = Callable[[str], str]  # called `_` below, so that Slicer's tools find the texts


@dataclass(frozen=True)
class Requirement:
    """A package and its lowest version, '' for any."""

    name: str
    minimum: str = ""

    @property
    def module(self) -> str:
        """By which it is imported."""
        return _IMPORT_NAMES.get(self.name, self.name)

    @property
    def is_slicers(self) -> bool:
        """Slicer brings it: to install another one over it would do harm."""
        return self.name in _SLICER_BRINGS

    def __str__(self) -> str:
        return f"{self.name}>={self.minimum}" if self.minimum else self.name


@dataclass(frozen=True)
class Findings:
    """What is wrong with the worker's Python, and what can be done.

    Args:
        missing: requirements that are not there.
        outdated: those that are there in too low a version.
        broken: installed, but their import fails; they must be uninstalled before they are installed again.
        gpu_problem: why an NVIDIA GPU lies idle: `CPU_BUILD`, `NO_TORCH` or an error; '' where none does.
        python: the one that was examined.
        gpu_needed: it was asked for, and a run on the CPU would not be what was meant.
        sentence: what was found, '' where all is well.
        remedy: what to do about it.
        details: error messages and tracebacks, for whoever is asked for help.
    """

    missing: tuple[Requirement, ...] = ()
    outdated: tuple[Requirement, ...] = ()
    broken: tuple[Requirement, ...] = ()
    gpu_problem: str = ""
    python: str = ""
    gpu_needed: bool = False
    sentence: str = ""
    remedy: str = ""
    details: str = ""

    @property
    def ok(self) -> bool:
        """The worker can run; a GPU that lies idle is told of, but stops nothing unless it was asked for."""
        return not self.wanted and not (self.gpu_problem and self.gpu_needed)

    @property
    def wanted(self) -> tuple[Requirement, ...]:
        """All that must be installed."""
        return (*self.missing, *self.outdated, *self.broken)

    @property
    def is_slicers_python(self) -> bool:
        return Path(self.python).stem == "PythonSlicer"

    @property
    def can_install(self) -> bool:
        """Slicer's pip serves this Python, and there is something for it to do that does Slicer no harm."""
        harmful = any(requirement.is_slicers for requirement in self.wanted)
        return self.is_slicers_python and not harmful and bool(self.wanted or self.gpu_problem)


def required(bundle: Bundle | None = None, device: str = "auto") -> tuple[Requirement, ...]:
    """What a run needs: PyTorch only for a model without exported graph, or on a GPU that was asked for.

    Args:
        bundle: None for the prompter that needs no training, and for a first look.
        device: as for a predictor.
    """
    lines = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    texts = [*_SLICER_BRINGS, *(line for line in lines if line.strip() and not line.startswith("#"))]
    if device.startswith("cuda") or (bundle and bundle.graph_path is None):
        texts += _WITH_TORCH
    return tuple(Requirement(*map(str.strip, text.partition(">=")[::2])) for text in texts)


def examine(
    python: str,
    requirements: Iterable[Requirement],
    gpu_needed: bool = False,
    translate: Translate = str,
) -> Findings:
    """`probe` and `assess` in one."""
    requirements = tuple(requirements)
    return assess(requirements, probe(python, requirements), python, gpu_needed, translate)


def probe(python: str, requirements: Iterable[Requirement], seconds: float = _SECONDS_FOR_ALL) -> dict[str, dict]:
    """Import the packages in that Python, in processes of their own; returns the report of `engine.probe` for each.

    Waits, for many seconds where PyTorch is among them; touches neither Qt nor the scene and may run on any thread.

    Raises:
        WorkerError: the Python cannot be started, or is none that a worker could run in.
    """
    requirements = tuple(requirements)
    reports: dict[str, dict] = {}
    while rest := [requirement for requirement in requirements if requirement.name not in reports]:
        lines, end, log = _run_probe(python, rest, seconds)
        reports |= {line["name"]: line for line in lines if "name" in line}
        if not end:
            break
        last = lines[-1].get("importing", "") if lines else ""
        if not last:
            raise _no_worker_python(python, end, log)
        reports[last] = {"name": last, "version": "?", "error": end, "traceback": log}
    return reports


def assess(
    requirements: Iterable[Requirement],
    reports: dict[str, dict],
    python: str,
    gpu_needed: bool = False,
    translate: Translate = str,
) -> Findings:
    """Judge the reports of `engine.probe`, by package."""
    kinds = {requirement: _kind(requirement, reports) for requirement in requirements}
    missing, outdated, broken = (
        tuple(requirement for requirement, found in kinds.items() if found == kind)
        for kind in ("missing", "outdated", "broken")
    )
    details = "\n".join(_details(reports[requirement.name]) for requirement in broken)
    gpu = _gpu_problem(kinds, reports)
    findings = Findings(missing, outdated, broken, gpu, python, gpu_needed, details=details)
    return replace(findings, sentence=_sentence(findings, translate), remedy=_remedy(findings, translate))


def _kind(requirement: Requirement, reports: dict[str, dict]) -> str:
    report = reports[requirement.name]
    if "error" not in report:
        return "outdated" if _is_lower(report["version"], requirement.minimum) else "fine"
    absent = report.get("absent")
    if absent == requirement.module:
        return "broken" if report["version"] else "missing"
    waits = any(_is_absent(other) for name, other in reports.items() if Requirement(name).module == absent)
    return "fine" if waits else "broken"  # one that only lacks another required package is as good as that one


def _is_absent(report: dict) -> bool:
    return "error" in report and report.get("absent") == Requirement(report["name"]).module


def _is_lower(version: str, minimum: str) -> bool:
    """Compares the numbers alone; a version that nobody knows is given the benefit of the doubt."""
    return bool(version and minimum) and _numbers(version) < _numbers(minimum)


def _numbers(version: str) -> tuple[int, ...]:
    release = re.match(r"[\d.]*", version)[0].strip(".")
    return tuple(int(part) for part in release.split(".") if part)


def _details(report: dict) -> str:
    return f"{report['name']} {report['version']}: {report['error']}\n{report.get('traceback', '')}"


def _gpu_problem(requirements: Iterable[Requirement], reports: dict[str, dict]) -> str:
    """Why the GPU that is there lies idle; a PyTorch that a run needs anyway is told of as a package."""
    report = reports.get("torch", {})
    if "error" in report:
        is_required = any(requirement.name == "torch" for requirement in requirements)
        problem = NO_TORCH if _is_absent(report) else report["error"]
        return "" if is_required else problem
    gpu = report.get("gpu") or {"built_for_cuda": True, "error": ""}
    return gpu["error"] if gpu["built_for_cuda"] else CPU_BUILD


def _sentence(found: Findings, _: Translate) -> str:
    sentences = []
    if found.broken:
        sentences.append(_("Installed, but damaged: {packages}.").format(packages=_names(found.broken)))
    if found.missing:
        sentences.append(_("Not installed yet: {packages}.").format(packages=_names(found.missing)))
    if found.outdated:
        sentences.append(_("Installed, but too old: {packages}.").format(packages=_names(found.outdated)))
    if found.gpu_problem == CPU_BUILD:
        sentences.append(_("This computer has an NVIDIA GPU, but PyTorch is installed for the CPU only."))
    elif found.gpu_problem == NO_TORCH:
        sentences.append(_("This computer has an NVIDIA GPU, which needs PyTorch, and that is not installed."))
    elif found.gpu_problem:
        text = _("PyTorch cannot compute on the NVIDIA GPU: {reason}.")
        sentences.append(text.format(reason=found.gpu_problem.rstrip(".")))
    return " ".join(sentences)


def _remedy(found: Findings, _: Translate) -> str:
    if found.wanted and not found.is_slicers_python:
        return _by_hand(found, _)
    if any(requirement.is_slicers for requirement in found.wanted):
        return _("Slicer brings these packages itself: install Slicer again.")
    if found.broken:
        return _("Repair: they are uninstalled and installed again.")
    if found.wanted:
        return _("Install them now; this needs a connection to the internet, once.")
    if found.gpu_problem == CPU_BUILD:
        return _("Reinstall PyTorch for the GPU; until then the CPU is used.")
    if found.gpu_problem == NO_TORCH:
        return _("Install PyTorch; until then the CPU is used.")
    if found.gpu_problem:
        return _("Update the NVIDIA driver, or reinstall PyTorch; until then the CPU is used.")
    return ""


def _by_hand(found: Findings, _: Translate) -> str:
    """A Python of the user's own is the user's to change."""
    packages = " ".join(f'"{requirement}"' for requirement in found.wanted)
    text = _("In a terminal, run: {command}")
    return text.format(command=f'"{found.python}" -m pip install --force-reinstall {packages}')


def _names(requirements: Iterable[Requirement]) -> str:
    return ", ".join(map(str, requirements))


def _run_probe(python: str, requirements: Iterable[Requirement], seconds: float) -> tuple[list[dict], str, str]:
    """What the probe said, how it ended if not well, and its log."""
    packages = [f"{requirement.name}={requirement.module}" for requirement in requirements]
    command = [python, "-m", "MedSegDLLib.engine.probe", str(seconds), *packages]
    try:
        process = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=worker_environment(python),
            timeout=seconds + _SECONDS_TO_START,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:
        message = f"The worker's Python, {python}, could not be started: {error.strerror}."
        raise WorkerError(message, PYTHON_REMEDY, str(error)) from error
    except subprocess.TimeoutExpired as error:  # so stuck that its own watchdog did not end it
        return _lines(error.stdout or b""), "its import did not end", ""
    log = process.stderr.decode("utf-8", errors="replace")[-_LOG_TAIL:]
    return _lines(process.stdout), _end(process.returncode, log), log


def _lines(output: bytes) -> list[dict]:
    return [json.loads(line) for line in output.splitlines(keepends=True) if line.endswith(b"\n")]


def _end(returncode: int, log: str) -> str:
    if returncode == 0:
        return ""
    if log.lstrip().startswith("Timeout") or "\nTimeout (" in log:
        return "its import did not end"
    return f"during its import Python {describe_end(returncode)}"


def _no_worker_python(python: str, end: str, log: str) -> WorkerError:
    return WorkerError(f"No worker can run in {python}: it ended at once.", PYTHON_REMEDY, f"{end}\n{log}")
