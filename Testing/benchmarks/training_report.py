"""The comparison of trainings as Markdown and JSON."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import document
from training_comparison import Comparison, Summary

_NAMES = {
    "medsegtrain": "MedSegTrain, fp32",
    "medsegtrain_bf16": "MedSegTrain, bf16 (as it is by default)",
    "nnunet": "nnU-Net's trainer, fp32 (it knows no other on a CPU)",
    "monai": "plain MONAI loop, fp32",
    "monai_bf16": "plain MONAI loop, bf16",
}
_HEADER = [
    "",
    "steps a second",
    "CPU s a step",
    "of it network, loss, optimiser",
    "outside",
    "files to first batch (s)",
    "peak memory (MiB)",
]


def write_report(comparison: Comparison, path: Path) -> str:
    """Write `path`.md and `path`.json; returns the Markdown."""
    context = document.context(("torch", "lightning", "monai", "nnunetv2"))
    same = comparison.same
    parts = [
        "# Training: MedSegTrain beside nnU-Net and MONAI",
        f"nnU-Net's plain U-Net with {', '.join(map(str, same['features']))} features, patches of "
        f"{' x '.join(map(str, same['patch']))} voxels, {same['batch']} a step, one thread, no further processes.",
        *(_part(comparison, count) for count in sorted({count for _, count in comparison.runs})),
        "## Where\n\n" + document.where(context),
    ]
    markdown = "\n\n".join(parts) + "\n"
    runs = [
        {"peer": peer, "cases": count, "runs": [asdict(run) for run in runs]}
        for (peer, count), runs in comparison.runs.items()
    ]
    document.write(path, markdown, {"context": context, "same": same, "measured": runs})
    return markdown


def _part(comparison: Comparison, count: int) -> str:
    rows = [
        [_NAMES[peer], *_cells(comparison.summary(peer, count))] for peer, cases in comparison.runs if cases == count
    ]
    return f"## {count} cases\n\n" + document.table(_HEADER, rows)


def _cells(found: Summary) -> list[str]:
    return [
        f"{1 / found.step_s:.2f}",
        f"{found.step_cpu_s:.3f}",
        f"{found.again_cpu_s:.3f}",
        f"{found.outside_network:.1%}",
        f"{found.prepare_s:.1f}",
        f"{found.peak_bytes / document.MIB:.0f}",
    ]
