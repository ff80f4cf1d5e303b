#!/usr/bin/env python3
"""Sets up an environment for this project and runs the demo or the tests in it.

    python3 Testing/run.py demo [--input FOLDER --model NAME --output FOLDER]
    python3 Testing/run.py test [arguments of pytest]

The environment is the folder .venv in the project root. The first start takes minutes and downloads packages (for the
demo about 0.4 GB, 1.7 GB once unpacked; for the tests 0.7 and 2.7 GB); a second one takes seconds.
Needs nothing but Python 3.11, 3.12 or 3.13.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import urllib.request
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTING = ROOT / "Testing"
ENVIRONMENT = ROOT / ".venv"
CONSTRAINTS = TESTING / "constraints.txt"
CPU_BUILDS_OF_TORCH = "https://download.pytorch.org/whl/cpu"
PYTHONS = ((3, 11), (3, 12), (3, 13))


class SetupError(Exception):
    """The environment cannot be made; the text says why and what to do."""


@dataclass(frozen=True)
class Step:
    """One call of pip, done again only when a file it reads, or the environment's Python, has changed."""

    name: str
    options: tuple[str, ...]
    files: tuple[Path, ...]


def requirements(name: str, *included: str) -> Step:
    """The step that installs requirements-<name>.txt, which may include those of other names."""
    files = [TESTING / f"requirements-{each}.txt" for each in (name, *included)]
    return Step(name, ("--requirement", str(files[0])), (*files, CONSTRAINTS))


# torch by itself and first: pip then takes a build for the CPU, where the rest would pull in gigabytes of CUDA
TORCH = Step("torch", ("torch", "--constraint", str(CONSTRAINTS)), (CONSTRAINTS,))
STEPS = {"demo": (requirements("demo"),), "test": (TORCH, requirements("test", "demo"))}


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in STEPS:
        print(__doc__.strip())
        return 0 if arguments in (["-h"], ["--help"]) else 2
    verb, *rest = arguments
    try:
        check_python(sys.version_info[:2])
        prepare(ENVIRONMENT, STEPS[verb])
        return run_demo(rest) if verb == "demo" else run_tests(rest)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def run_demo(arguments: list[str]) -> int:
    return call(str(TESTING / "demo.py"), *arguments)


def run_tests(arguments: list[str]) -> int:
    """All tests in two processes: those of training start processes of their own, by fork, and one that has Slicer's
    libraries, Dask and scikit-learn loaded beside torch was seen to crash there.
    """
    if arguments:
        return call("-m", "pytest", *arguments, folder=ROOT)
    training = sorted(str(path) for path in (TESTING / "Python").glob("test_training_*.py"))
    others = [option for path in training for option in ("--ignore", path)]
    return max((call("-m", "pytest", *part, folder=ROOT) for part in (training, others)), key=abs)


def call(*arguments: str, folder: Path | None = None) -> int:
    """Run the environment's Python, with our packages in its path, and return its exit code."""
    packages = os.pathsep.join(str(ROOT / module) for module in ("MedSegDL", "MedSegTrain"))
    command = [str(python_of(ENVIRONMENT)), *arguments]
    return subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": packages}).returncode


def check_python(version: tuple[int, int]) -> None:
    if version not in PYTHONS:
        known = ", ".join(".".join(map(str, each)) for each in PYTHONS)
        raise SetupError(
            f"This is Python {version[0]}.{version[1]}, for which Slicer's library has no package. "
            f"Start with one of {known}, for example: python3.12 Testing/run.py"
        )


def prepare(environment: Path, steps: tuple[Step, ...]) -> None:
    """Make the environment, or repair what an interrupted start left, and install what is not there yet."""
    if not python_version(environment):
        create(environment)
    version = python_version(environment)
    for step in steps:
        stamp = environment / f"installed-{step.name}"
        wanted = fingerprint(step, version)
        if not stamp.is_file() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)
            forget_half_installed(environment)
            install(environment, step)
            stamp.write_text(wanted)


def python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def python_version(environment: Path) -> str:
    """Version of the environment's Python; empty if it does not start or has no pip, as after a broken creation."""
    command = [python_of(environment), "-c", "import sys, pip; print(sys.version)"]
    try:
        probe = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return ""
    return probe.stdout if probe.returncode == 0 else ""


def create(environment: Path) -> None:
    try:
        venv.EnvBuilder(clear=True, with_pip=True, symlinks=os.name != "nt").create(environment)
    except subprocess.CalledProcessError as error:
        raise SetupError(
            "Python's venv module is incomplete here: it cannot install pip. "
            "On Debian and Ubuntu, install the package python3-venv; then start again."
        ) from error
    except OSError as error:
        raise SetupError(
            f"The environment {environment} cannot be made: {error.strerror}. Make room or give write access, "
            "then start again."
        ) from error


def fingerprint(step: Step, version: str) -> str:
    parts = [version.encode(), *(file.read_bytes() for file in step.files)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def forget_half_installed(environment: Path) -> None:
    """pip writes RECORD last; a package without it was interrupted, yet pip would take it for installed."""
    for information in environment.glob("**/site-packages/*.dist-info"):
        if not (information / "RECORD").exists():
            shutil.rmtree(information)


def install(environment: Path, step: Step) -> None:
    """Run pip, showing what it says. Raises SetupError with pip's reason."""
    print(f"Installing the packages for '{step.name}' into {environment.name}, once.", flush=True)
    options = [*step.options, *(cpu_index_options(CPU_BUILDS_OF_TORCH) if step is TORCH else ())]
    command = [python_of(environment), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", *options]
    pip = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace")
    complaints = []
    for line in pip.stderr:
        sys.stderr.write(line)
        complaints.append(line.strip())
    if pip.wait() != 0:
        raise SetupError(explain(complaints))


def explain(complaints: list[str]) -> str:
    """The sentence for what pip wrote to stderr."""
    if any("after connection broken by" in line for line in complaints):
        return (
            "The packages cannot be downloaded: there is no connection to the package index. Connect this machine, "
            "or set PIP_INDEX_URL to a mirror it can reach, and start again; what is already installed is kept."
        )
    errors = [line.removeprefix("ERROR: ") for line in complaints if line.startswith("ERROR: ")]
    reason = errors[-1] if errors else "pip stopped without saying why"
    return f"The packages cannot be installed: {reason.rstrip('.')}. Solve this, or delete .venv, and start again."


def cpu_index_options(index: str) -> list[str]:
    """Options for pip to prefer builds for the CPU, if their index can be reached from here."""
    try:
        with urllib.request.urlopen(f"{index}/torch/", timeout=10):
            return ["--extra-index-url", index]
    except OSError:
        print(f"{index} does not answer; taking torch from pip's own index, on Linux perhaps with CUDA (gigabytes).")
        return []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
