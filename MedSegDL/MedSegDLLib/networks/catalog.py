"""What each network costs: its parameters and floating-point operations, counted without memory for either."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from .blocks import parameter_count
from .registry import NETWORKS, Entry, create

INPUT = {2: (256, 256), 3: (96, 96, 96)}
"""Voxels of the image, of one channel, for which the operations are counted."""
CLASSES = 2


@dataclass(frozen=True)
class Row:
    """One network in its published size.

    Attributes:
        name: as `create` takes it.
        entry: title, paper, and what it was checked against.
        parameters: by the number of dimensions, for one channel and two classes.
        flops: the same, for `INPUT`; a multiplication and an addition are two. See `count_flops`.
    """

    name: str
    entry: Entry
    parameters: dict[int, int]
    flops: dict[int, int]


def rows(chosen: list[str] | None = None) -> list[Row]:
    """A row for each network, or for the chosen names. Takes seconds; nothing is computed, only counted."""
    return [_row(name, NETWORKS[name]) for name in chosen or NETWORKS]


def _row(name: str, entry: Entry) -> Row:
    parameters, flops = {}, {}
    for dims in entry.spatial_dims:
        with torch.device("meta"):
            network = create(name, dims, 1, CLASSES).eval()
        parameters[dims] = parameter_count(network)
        flops[dims] = count_flops(network, INPUT[dims])
    return Row(name, entry, parameters, flops)


def count_flops(network: torch.nn.Module, spatial: tuple[int, ...], channels: int = 1) -> int:
    """Floating-point operations of the convolutions and matrix products for one image, two a multiply-add.

    Where the image decides how many they are, as many as there can be (the network's `most_work`).
    """
    compute = getattr(network, "most_work", network)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        compute(torch.empty(1, channels, *spatial, device="meta"))
    return counter.get_total_flops()


def table(chosen: list[str] | None = None) -> list[tuple[str, ...]]:
    """The catalogue as text: the heads of its columns, then a row for each network."""
    return [_heads(), *(_cells(row) for row in rows(chosen))]


def markdown(chosen: list[str] | None = None) -> str:
    """The same as a Markdown table, papers linked to where they can be read."""
    heads, *body = table(chosen)
    rule = ["---", "---", "---", *["---:"] * 4, "---"]
    lines = [heads, rule, *((f"`{name}`", title, _linked(paper), *rest) for name, title, paper, *rest in body)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _heads() -> tuple[str, ...]:
    flat, deep = ("x".join(map(str, INPUT[dims])) for dims in (2, 3))
    costs = ("2D, M", "3D, M", f"GFLOP at {flat}", f"GFLOP at {deep}")
    return ("name", "network", "paper", *costs, "checked against")


def _cells(row: Row) -> tuple[str, ...]:
    millions = (f"{row.parameters[dims] / 1e6:.2f}" if dims in row.parameters else "slices" for dims in (2, 3))
    giga = (f"{row.flops[dims] / 1e9:.1f}" if dims in row.flops else "-" for dims in (2, 3))
    return (row.name, row.entry.title, row.entry.paper, *millions, *giga, row.entry.checked)


def _linked(paper: str) -> str:
    """ "Authors year, arXiv:1505.04597" with its identifier as a link."""
    paper = re.sub(r"arXiv:([\d.]+)", r"[arXiv:\1](https://arxiv.org/abs/\1)", paper)
    return re.sub(r"doi:(\S+)", r"[doi:\1](https://doi.org/\1)", paper)
