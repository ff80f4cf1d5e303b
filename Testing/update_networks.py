"""Writes MedSegTrain/Resources/networks.json, the networks and baselines as Slicer's window lists them.

    python Testing/update_networks.py

Slicer's own Python has no torch, so the window cannot ask the registries. Needs the packages of the extra 'train'.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
for module in ("MedSegDL", "MedSegTrain"):
    sys.path.insert(0, str(ROOT / module))

import torch  # noqa: E402

from MedSegDLLib.networks.blocks import parameter_count  # noqa: E402
from MedSegDLLib.networks.catalog import CLASSES  # noqa: E402
from MedSegDLLib.networks.registry import NETWORKS, Entry, create  # noqa: E402
from MedSegTrainLib.baselines.registry import BASELINES  # noqa: E402
from MedSegTrainLib.interaction.methods import LIST  # noqa: E402


def listed() -> dict:
    """What the file holds."""
    return {
        "networks": [
            {"name": name, "title": entry.title, "paper": entry.paper, "parameters": _parameters(name, entry)}
            for name, entry in NETWORKS.items()
        ],
        "baselines": [
            {"name": name, "title": entry.title, "source": entry.source} for name, entry in BASELINES.items()
        ],
    }


def _parameters(name: str, entry: Entry) -> dict[str, int]:
    """By the number of dimensions; counted without memory for them."""
    with torch.device("meta"):
        return {str(dims): parameter_count(create(name, dims, 1, CLASSES)) for dims in entry.spatial_dims}


def main() -> int:
    text = json.dumps(listed(), indent=1, ensure_ascii=False) + "\n"
    LIST.write_text(text, encoding="utf-8", newline="\n")
    print(f"{LIST.relative_to(ROOT)}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
