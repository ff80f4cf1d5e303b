"""The measurements of the networks as Markdown for people and JSON for programs, written again after each network."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import document
from document import MIB, table
from MedSegDLLib.networks.registry import NETWORKS
from network_comparison import Row, Side
from network_peers import PEERS, Peer
from network_process import IN_CHANNELS, OUT_CHANNELS

PACKAGES = (
    *("torch", "monai", "torchvision", "timm", "segmentation-models-pytorch"),
    "dynamic-network-architectures",
)
_NOTHING = "-"


class Report:
    def __init__(self, path: Path):
        self._path = path
        self._rows: list[Row] = []
        self._start = time.perf_counter()
        self._context = document.context(PACKAGES)

    def add(self, row: Row) -> str:
        """Write the files anew with this row, too; returns a line that tells of it."""
        self._rows.append(row)
        document.write(self._path, self.markdown(), self._context | {"rows": [asdict(row) for row in self._rows]})
        times = [f"{side.wall_s:.2f} s" if side.runs else side.failure for side in _sides(row)]
        agreement = [f"agreement {_agreement(row)}"] if row.agreement else []
        elapsed = f"[{time.perf_counter() - self._start:.0f} s]"
        return " ".join([elapsed, row.name, _size(row), ", ".join([*times, *agreement, *row.notes])])

    def markdown(self) -> str:
        with_peer = [row for row in self._rows if row.theirs]
        sections = [
            "# The networks, each at its published size",
            f"{IN_CHANNELS} channel, {OUT_CHANNELS} classes, one image, float32 on the CPU; median of the runs.",
            "## Cost\n\n" + _cost(self._rows),
            *(["## Ours to the peer's\n\n" + _beside(with_peer)] if with_peer else []),
            "## Notes\n\n" + _notes(self._rows),
            "## Where and how\n\n" + document.where(self._context),
        ]
        return "\n\n".join(sections) + "\n"


def _cost(rows: list[Row]) -> str:
    heads = ["network", "input", "parameters, M", "GFLOP", "seconds (CPU)", "memory, MiB", "runs"]
    return table(heads, [[NETWORKS[row.name].title, _size(row), *_cells(row.ours)] for row in rows])


def _cells(side: Side) -> list[str]:
    parameters = f"{side.parameters / 1e6:.2f}" if side.parameters else _NOTHING
    flops = f"{side.flops / 1e9:.1f}" if side.flops else _NOTHING
    if not side.runs:
        return [parameters, flops, "failed", _NOTHING, _NOTHING]
    seconds = f"{side.wall_s:.2f} ({side.cpu_s:.2f})"
    return [parameters, flops, seconds, f"{side.growth_bytes / MIB:.0f}", str(len(side.runs))]


def _beside(rows: list[Row]) -> str:
    """Ratios are ours to the peer's: below 1, ours is cheaper."""
    heads = ["network", "input", "peer", "parameters", "FLOPs", "CPU seconds", "seconds", "memory", "agreement"]
    body = []
    for row in rows:
        both_ran = row.ours.runs and row.theirs.runs
        ratios = [_ratio(row, name) if both_ran else "failed" for name in ("cpu_s", "wall_s", "growth_bytes")]
        counts = [_ratio(row, "parameters"), _ratio(row, "flops")]
        body.append([NETWORKS[row.name].title, _size(row), _peer(row).title, *counts, *ratios, _agreement(row)])
    return table(heads, body)


def _ratio(row: Row, name: str) -> str:
    ours, theirs = getattr(row.ours, name), getattr(row.theirs, name)
    if not ours or not theirs:
        return _NOTHING
    return "1" if ours == theirs else f"{ours / theirs:.3g}"


def _agreement(row: Row) -> str:
    if row.agreement:
        return f"{row.agreement.difference:.0e}" if row.agreement.difference else "0"
    return "another graph" if _peer(row).difference else "not compared"


def _notes(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        peer = _peer(row)
        texts = [f"ours failed: {row.ours.failure}"] if row.ours.failure else []
        if row.theirs:
            if set(row.theirs.bases[:1]) & set(row.ours.bases):
                texts.append(f"ours is {peer.title}, padded")
            texts += [f"{peer.title} failed: {row.theirs.failure}"] if row.theirs.failure else []
            texts += [f"{peer.title}: {text}" for text in (peer.difference, peer.remark) if text]
        texts += row.notes + (row.agreement.notes if row.agreement else [])
        lines += [f"- {NETWORKS[row.name].title}, {_size(row)}: {text}" for text in texts]
    return "\n".join(lines) or "None."


def _sides(row: Row) -> list[Side]:
    return [side for side in (row.ours, row.theirs) if side]


def _peer(row: Row) -> Peer | None:
    return PEERS.get((row.name, len(row.size)))


def _size(row: Row) -> str:
    return "x".join(map(str, row.size))
