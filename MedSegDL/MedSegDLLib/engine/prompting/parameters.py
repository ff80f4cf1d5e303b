"""The numbers of the untrained prompter, one set for every image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Parameters:
    """Tuned on every other target of Testing/benchmarks/clicks.py; it reports those apart from the ones left out.

    Args:
        smallest_radius_voxels: the first of the radii that are supposed at the first click.
        radius_ratio: from one supposed radius to the next.
        largest_radius_mm: of the supposed radii.
        most_radius_voxels: what is larger is looked at on a coarser level of the image's pyramid.
        margin: half-width of the crop in radii.
        core: radius of the first click's seed, in supposed radii.
        separation: how much a hypothesis loses as its inside looks like its surroundings, from 0 to this many nats.
        slimness: its weight falls with this power of its own radius.
        fused_radius_voxels: radius of a structure on the level where its hypotheses are fused.
        corrected_voxels: the most voxels on which a later click is worked out.
        fused_voxels: the most voxels on which hypotheses are fused.
        refined_voxels: the outline is refined on the finest level that has no more voxels than this around it.
        refined_band_voxels: how far the refined outline may move.
        reaches: how far a later click reaches, in distances from the outline that it corrects.
        shortest_reach_voxels: the least such distance.
        trust: radius of a later click's seed, in such distances.
        another_part: a later click that is farther from what is selected than so many of its radii is about another
            part of the structure, as if it were the first click; no target of the benchmark has one.
        smoothing_voxels: sigma of the blur before edges are measured.
        edge_percentile: an edge as strong as this percentile of the crop's is a full one.
        edge_cost: of crossing a voxel on a full edge; a voxel without an edge costs 1.
        edge_power: how the cost of weaker edges falls.
        appearance_cost: at the first click, of a voxel that looks e times more like the other side.
        correction_appearance_cost: the same at a later click, when fewer of the histograms' voxels are in doubt.
        bins: of the histograms.
    """

    smallest_radius_voxels: float = 7.0
    radius_ratio: float = 2**0.5
    largest_radius_mm: float = 300.0
    most_radius_voxels: float = 13.0
    margin: float = 1.3
    core: float = 0.15
    separation: float = 6.0
    slimness: float = 1.6
    fused_radius_voxels: float = 16.0
    corrected_voxels: int = 50_000
    fused_voxels: int = 200_000
    refined_voxels: int = 120_000
    refined_band_voxels: float = 2.0
    reaches: tuple[float, ...] = (1.5, 2.4, 3.8, 6.0)
    shortest_reach_voxels: float = 2.0
    trust: float = 0.5
    another_part: float = 4.5
    smoothing_voxels: float = 0.6
    edge_percentile: float = 90.0
    edge_cost: float = 30.0
    edge_power: float = 1.5
    appearance_cost: float = 75.0
    correction_appearance_cost: float = 8.0
    bins: int = 24
