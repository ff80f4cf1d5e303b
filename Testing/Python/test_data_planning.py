"""Plans: spacing, orientation, patch, batch and grey values from a fingerprint, and the file that can be edited."""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from data_makers import LIVER, write_pairs
from MedSegDLLib.errors import InputError
from MedSegDLLib.networks import create
from MedSegTrainLib.commands import plan as command
from MedSegTrainLib.data.case import Channel
from MedSegTrainLib.data.dataset import Dataset, open_dataset
from MedSegTrainLib.data.fingerprint import CaseFacts, Fingerprint, StructureFacts, fingerprint
from MedSegTrainLib.data.network_facts import NetworkFacts
from MedSegTrainLib.data.plan_files import read_plan, write_plan
from MedSegTrainLib.data.planning import plan
from MedSegTrainLib.data.stages import stage_arguments, stages
from MedSegTrainLib.data.statistics import Statistics
from sample_makers import HIPPOCAMPUS, SPLEEN, hippocampus

CT, MR = Channel("CT", "CT"), Channel("MR", "MR")
INSIDE = Statistics(mean=60.0, std=30.0, low=-20.0, median=65.0, high=180.0)


def case(size=(36, 50, 35), spacing_mm=(1.0, 1.0, 1.0)) -> CaseFacts:
    """Along right-left, back-front, foot-head."""
    return CaseFacts("case", size[::-1], spacing_mm, "RAS", size, spacing_mm, {"Leber": 1.0, "Milz": 1.0}, 1.0, ())


def seen(*cases: CaseFacts, channels=(MR,), count: int = 260) -> Fingerprint:
    structures = tuple(StructureFacts(name, 1, 0, 1.0) for name in ("Leber", "Milz"))
    cases = cases or (case(),)
    return Fingerprint(channels, (INSIDE,) * len(channels), structures, cases * (count // len(cases)))


def dataset(channels=(MR,)) -> Dataset:
    return Dataset("nowhere", "livers", channels, (LIVER, SPLEEN), (), about={"licence": "CC0"})


def planned(found: Fingerprint, network="nnunet", dims=3, arguments=None, **options):
    return plan(found, dataset(found.channels), network, dims, arguments, **options)


def test_the_hippocampus_is_planned_as_nnunet_does():
    """Patch, depth and batch of the plan that nnU-Net publishes for this task: 40 x 56 x 40, four stages, 9."""
    proposal = planned(seen())
    specification = proposal.specification
    assert specification.patch == (40, 56, 40) and specification.spacing_mm == (1.0, 1.0, 1.0)
    assert specification.network.arguments["features"] == [32, 64, 128, 256]
    assert specification.network.arguments["strides"] == [[1, 1, 1], [2, 2, 2], [2, 2, 2], [2, 2, 2]]
    assert proposal.batch == 9
    assert specification.labels == (LIVER, SPLEEN) and specification.licence == "CC0"
    assert specification.modality == ("MR",) and specification.channels == ("image",)
    assert specification.intensity.rule == "zscore" and specification.orientation == "LPS"


# Spacing and orientation


def test_the_spacing_is_the_median():
    found = seen(*(case(spacing_mm=(mm, 1.0, 2 * mm)) for mm in (0.5, 0.7, 1.2)))
    assert planned(found).specification.spacing_mm == (0.7, 1.0, 1.4)


def test_of_thick_slices_the_finest_tenth_counts():
    """Ten-millimetre slices are not thrown together with five-millimetre ones (nnU-Net's rule, as in cardiac MR)."""
    thick = [case((256, 256, 10), (1.5, 1.5, mm)) for mm in [5.0] * 2 + [10.0] * 8]
    assert planned(seen(*thick)).specification.spacing_mm == (1.5, 1.5, 5.0)
    many_slices = [replace(each, turned_size=(256, 256, 200)) for each in thick]
    assert planned(seen(*many_slices)).specification.spacing_mm == (1.5, 1.5, 10.0)
    finer = [case((256, 256, 10), (1.5, 1.5, mm)) for mm in [0.5] * 3 + [10.0] * 7]
    assert planned(seen(*finer)).specification.spacing_mm == (1.5, 1.5, 1.5)


@pytest.mark.parametrize(
    "spacing_mm, orientation, expected",
    [
        ((1.0, 1.0, 5.0), "LPS", (1.0, 1.0, 5.0)),
        ((4.0, 0.9, 1.0), "PSL", (0.9, 1.0, 4.0)),
        ((0.8, 3.0, 1.0), "LSP", (0.8, 1.0, 3.0)),
        ((1.0, 1.1, 1.0), "LPS", (1.0, 1.1, 1.0)),
    ],
)
def test_slices_run_across_the_coarsest_axis(spacing_mm, orientation, expected):
    specification = planned(seen(case((100, 100, 100), spacing_mm)), "unet", 2).specification
    assert specification.orientation == orientation and specification.spacing_mm == expected
    assert specification.patch[2] == 1


# Patch and batch


@pytest.mark.parametrize(
    "network, dims, expected",
    [("unet", 3, (48, 64, 48)), ("unet", 2, (48, 64, 1)), ("unet-3d", 3, (40, 56, 40)), ("fcnn", 3, (64, 64, 64))],
)
def test_a_patch_covers_small_images_in_multiples_that_the_network_wants(network, dims, expected):
    specification = planned(seen(), network, dims).specification
    assert specification.patch == expected
    built = create(network, dims, 1, 3, **specification.network.arguments)
    assert all(n % m == 0 for n, m in zip(specification.patch, built.multiple[::-1]))


@pytest.mark.parametrize("network, dims", [("nnunet", 3), ("unet", 2), ("mask-rcnn", 2)])
def test_a_patch_of_large_images_fits_into_the_memory(network, dims):
    found = seen(case((512, 512, 120), (0.8, 0.8, 3.0)))
    sizes = {}
    for memory_gb in (6, 24):
        proposal = planned(found, network, dims, memory_gb=memory_gb)
        specification = proposal.specification
        facts = NetworkFacts.of(network, dims, 1, 3, specification.network.arguments)
        patch = specification.patch_kji[-dims:]
        assert facts.training_bytes(patch, proposal.batch) <= memory_gb * 1e9
        sizes[memory_gb] = np.prod(patch) * proposal.batch
        assert proposal.batch >= 2 and (np.array(specification.patch) <= (512, 512, 128)).all()
    assert sizes[24] > 2 * sizes[6]


def test_a_patch_has_the_images_shape():
    wide, deep = (planned(seen(case(size))).specification.patch for size in ((400, 200, 100), (100, 200, 400)))
    assert wide[0] > wide[1] > wide[2] and deep[0] < deep[1] < deep[2]


def test_memory_that_does_not_suffice_is_said():
    proposal = planned(seen(), "unet-valid", 3, memory_gb=4)
    assert proposal.batch == 2 and "too much" in proposal.because["batch"]


def test_a_batch_shows_a_twentieth_of_the_data_at_most():
    few, many = planned(seen(count=40)), planned(seen(count=10_000))
    assert few.batch == 2 and many.batch > 20


def test_the_memory_of_feature_maps_grows_with_patch_and_batch():
    facts = NetworkFacts.of("unet", 2, 1, 3, {})
    fixed, one, two = (facts.training_bytes((64, 64), batch) for batch in (0, 1, 2))
    large = facts.training_bytes((128, 128), 1)
    assert two - fixed == pytest.approx(2 * (one - fixed)) and large - fixed == pytest.approx(
        4 * (one - fixed), rel=0.01
    )
    assert facts.training_bytes((64, 64), 1, mixed_precision=False) > one
    assert facts.description.head == "head.weight" and facts.multiple == (16, 16)


def test_memory_counts_what_the_backward_pass_keeps():
    """Two convolutions of known maps: what torch really saves, counted with real tensors."""
    network = create("unet", 2, 1, 3, features=[8, 16])
    sizes = {}
    with torch.autograd.graph.saved_tensors_hooks(
        lambda x: sizes.update({x.untyped_storage().data_ptr(): x.untyped_storage().nbytes()}) or x, lambda x: x
    ):
        kept = network.train()(torch.randn(2, 1, 64, 64))
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    real = sum(n for pointer, n in sizes.items() if pointer not in weights) / 2
    facts = NetworkFacts.of("unet", 2, 1, 3, {"features": [8, 16]})
    found = facts.training_bytes((64, 64), 1, False) - facts.training_bytes((64, 64), 0, False)
    logits = kept[0].numel() * 4
    assert found == pytest.approx(real + 3 * logits, rel=0.02)


# nnU-Net's depth


def test_thick_slices_are_halved_later_than_the_others():
    strides, kernels = stages((5.0, 0.8, 0.8), (20, 256, 256))
    assert strides[1:3] == [[1, 2, 2], [1, 2, 2]] and kernels[0] == [1, 3, 3] and kernels[-1] == [3, 3, 3]
    reduced = np.prod(strides, axis=0)
    assert (np.array([20, 256, 256]) / reduced >= 4).all() and len(strides) == len(kernels)


@pytest.mark.parametrize("patch, depth", [((128, 128, 128), 6), ((64, 64, 64), 5), ((20, 20, 20), 3)])
def test_the_depth_leaves_four_voxels(patch, depth):
    assert len(stages((1, 1, 1), patch)[0]) == depth


def test_only_networks_without_a_depth_of_their_own_get_one():
    assert stage_arguments("unet", (1, 1), (64, 64), {}) == {}
    assert stage_arguments("nnunet", (1, 1), (64, 64), {"features": [4, 8]}) == {}
    assert stage_arguments("nnunet-residual", (1, 1), (64, 64), {})["blocks"] == [1, 3, 4, 6, 6]
    proposal = planned(seen(), arguments={"features": [4, 8, 8], "deep_supervision": True})
    assert proposal.specification.network.arguments == {"features": [4, 8, 8], "deep_supervision": True}
    assert proposal.specification.network.head == "decoder.heads.1.weight"


# Grey values


def test_ct_is_cut_to_the_range_inside_the_structures():
    intensity = planned(seen(channels=(CT,))).specification.intensity
    assert (intensity.rule, intensity.low, intensity.high) == ("window", -20, 180)
    assert (intensity.mean, intensity.std) == (60, 30)


def test_each_channel_has_its_rule():
    specification = planned(seen(channels=(CT, MR))).specification
    assert [rule.rule for rule in specification.intensity] == ["window", "zscore"]
    assert specification.channels == ("CT", "MR") == specification.modality
    assert specification.network.in_channels == 2
    both_alike = planned(seen(channels=(MR, Channel("T2", "MR")))).specification
    assert both_alike.intensity.rule == "zscore" and both_alike.modality == ("MR", "MR")
    assert planned(seen(channels=(MR, Channel("map")))).specification.modality == ()


def test_ct_without_structures_is_relative():
    found = replace(seen(channels=(CT,)), inside=(None,))
    assert planned(found).specification.intensity.rule == "zscore"


# What the user says


def test_what_is_given_wins_and_the_rest_follows():
    proposal = planned(seen(), overrides={"spacing_mm": [2.0, 2.0, 2.0], "batch": 5, "orientation": "RAS"})
    assert proposal.specification.spacing_mm == (2.0, 2.0, 2.0) and proposal.batch == 5
    assert proposal.specification.orientation == "RAS" and proposal.specification.patch == (20, 28, 20)
    given = {"patch": [32, 32, 32], "intensity": {"rule": "percentile", "low": 1, "high": 99}, "licence": "MIT"}
    specification = planned(seen(), overrides=given).specification
    assert specification.patch == (32, 32, 32) and specification.intensity.rule == "percentile"
    assert len(specification.network.arguments["features"]) == 4 and specification.licence == "MIT"
    assert planned(seen(), "unet", 2, overrides={"patch": [32, 48]}).specification.patch == (32, 48, 1)


@pytest.mark.parametrize(
    "network, overrides, message",
    [
        ("u-net", {}, "no network 'u-net'"),
        ("transunet", {}, "2 dimensions"),
        ("nnunet", {"patches": [1, 2, 3]}, "no 'patches'.*patch"),
        ("nnunet", {"patch": [32, 32]}, "three whole numbers"),
        ("nnunet", {"patch": [32, 32, 0.5]}, "three whole numbers"),
        ("nnunet", {"patch": 32}, "three whole numbers"),
        ("nnunet", {"spacing_mm": [1, 1]}, "three positive"),
        ("nnunet", {"spacing_mm": 3}, "three positive"),
        ("nnunet", {"spacing_mm": ["a", 1, 1]}, "three positive"),
        ("nnunet", {"orientation": 5}, "three letters"),
        ("nnunet", {"batch": "four"}, "whole number above 0"),
        ("nnunet", {"orientation": "LPX"}, "three letters"),
        ("nnunet", {"intensity": {"rule": "magic"}}, "magic"),
    ],
)
def test_what_cannot_be_is_said(network, overrides, message):
    with pytest.raises(InputError, match=message):
        planned(seen(), network, overrides=overrides)


def test_a_plan_is_written_read_and_edited(tmp_path):
    proposal = planned(seen(channels=(CT, MR)))
    path = tmp_path / "plan.yaml"
    write_plan(proposal, path)
    assert read_plan(path) == proposal
    data = yaml.safe_load(path.read_text())
    data["medseg"]["patch"] = [32, 32, 32]
    path.write_text(yaml.safe_dump(data))
    assert read_plan(path).specification.patch == (32, 32, 32)
    for key, value, message in (("batch", 0, "batch"), ("medseg", {"patch": 1}, "no entry"), ("medseg", 3, "medseg")):
        path.write_text(yaml.safe_dump(data | {key: value}))
        with pytest.raises(InputError, match=message):
            read_plan(path)
    path.write_text(": :")
    with pytest.raises(InputError, match="cannot be read"):
        read_plan(path)


# Commands


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_to(parser.add_subparsers())
    options = parser.parse_args([str(argument) for argument in arguments])
    return options.run(options)


def test_a_data_set_is_measured_and_planned_for_on_the_command_line(tmp_path, capsys):
    data = write_pairs(tmp_path / "data", 3)
    before = sorted(data.rglob("*"))
    with pytest.raises(InputError, match="--output"):
        run("fingerprint", data)
    assert run("fingerprint", data, "--output", tmp_path / "f.json") == 0
    found = Fingerprint.read(tmp_path / "f.json")
    opened = open_dataset(data)
    assert found == fingerprint(opened.cases, opened.labels, opened.channels)
    settings = ("--set", "batch=3", "--set", "spacing_mm=[1, 1, 2]", "--output", tmp_path / "plan.yaml")
    assert run("plan", data, "--network", "unet", "--dims", 2, "--arguments", "{features: [4, 8]}", *settings) == 0
    from_file = read_plan(tmp_path / "plan.yaml")
    assert from_file.batch == 3 and from_file.specification.spacing_mm == (1, 1, 2)
    assert from_file.specification.network.arguments == {"features": [4, 8]}
    assert run("plan", data, "--network", "nnunet", "--fingerprint", tmp_path / "f.json", *settings[4:]) == 0
    assert "Measured 3 cases" in (words := capsys.readouterr().out) and "Batch 3." in words
    assert sorted(data.rglob("*")) == before


def test_an_imported_data_set_keeps_its_fingerprint(tmp_path):
    opened = open_dataset(write_pairs(tmp_path / "data", 2))
    replace(opened, folder=tmp_path / "imported").write()
    assert run("fingerprint", tmp_path / "imported") == 0
    assert len(Fingerprint.read(tmp_path / "imported" / "fingerprint.json").cases) == 2


def test_the_real_hippocampus_is_planned_alike(shared_data):
    found = fingerprint(hippocampus(shared_data, 20), HIPPOCAMPUS, [MR])
    specification = plan(found, replace(dataset(), labels=HIPPOCAMPUS), "nnunet").specification
    assert specification.patch == (40, 56, 40) and len(specification.network.arguments["features"]) == 4
