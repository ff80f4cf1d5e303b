"""What every report of a benchmark needs: Markdown for people, JSON for programs, where and how it was measured."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from environment import ROOT

MIB = 2**20


def write(path: Path, markdown: str, data: dict) -> None:
    """`path`.md and `path`.json."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".md").write_text(markdown, encoding="utf-8")
    path.with_suffix(".json").write_text(json.dumps(data, indent=1), encoding="utf-8")


def context(packages: tuple[str, ...]) -> dict:
    """Where, with what and how this was measured."""
    return {
        "command": " ".join(["python3", *map(_argument, sys.argv)]),
        "commit": _output("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB, {platform.platform()}",
        "load_average": os.getloadavg()[0],
        "versions": {"Python": platform.python_version()} | {name: version(name) for name in packages},
    }


def where(found: dict) -> str:
    """The context as a list in Markdown."""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    lines = (found["machine"], f"load average {found['load_average']:.1f}", versions)
    return "\n".join(f"- {line}" for line in (*lines, f"commit {found['commit']}", f"`{found['command']}`"))


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())


def _memory_gib() -> float:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30


def _argument(text: str) -> str:
    """A folder of this machine means nothing on another, and is nobody's business."""
    return "FOLDER" if Path(text).is_absolute() else shlex.quote(text)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()
