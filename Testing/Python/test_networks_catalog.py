"""The table of the networks, in the terminal and in the README."""

from __future__ import annotations

import pytest
import torch

from conftest import ROOT
from MedSegDLLib.cli import main
from MedSegDLLib.networks import catalog, create, names
from MedSegDLLib.networks.registry import NETWORKS
from network_makers import small


def test_operations_are_those_of_the_authors_network():
    with torch.device("meta"):
        network = create("nnunet", 3, 1, 3).eval()
    assert catalog.count_flops(network, (128, 128, 128)) == pytest.approx(954.6e9, rel=1e-4)


def test_operations_of_a_convolution_counted_by_hand():
    convolution = torch.nn.Conv2d(3, 5, 3, padding=1, device="meta")
    assert catalog.count_flops(convolution, (7, 11), channels=3) == 2 * 3 * 5 * 9 * 7 * 11


def test_every_network_says_what_it_was_checked_against():
    assert [name for name in names() if not NETWORKS[name].checked] == []


def test_papers_can_be_found():
    unnamed = [name for name in names() if not any(kind in NETWORKS[name].paper for kind in ("arXiv:", "doi:"))]
    assert unnamed == ["fcnn", "dual-attention"]  # known by their titles


def test_a_network_for_slices_says_so():
    _, row = catalog.table(["transunet"])
    assert row[4] == "slices" and row[6] == "-"


def test_the_command_lists_every_network(capsys, monkeypatch):
    monkeypatch.setattr(catalog, "NETWORKS", {name: NETWORKS[name] for name in ("nnunet", "unet")})
    assert main(["networks"]) == 0
    heads, *lines = capsys.readouterr().out.splitlines()
    assert heads.split()[:3] == ["name", "network", "paper"]
    assert [line.split()[0] for line in lines] == ["nnunet", "unet"]


def test_the_readme_holds_the_commands_table():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [line for line in catalog.markdown().splitlines() if line not in readme]
    assert missing == []


def test_what_an_image_decides_is_counted_at_the_most():
    network = small("mask-rcnn", 2, detections=3).eval()
    _, proposals = network.settings.proposals
    with torch.device("meta"):
        head = small("mask-rcnn", 2).box_head
    of_one_box = catalog.count_flops(_OnBins(head, 4), (1, 1))
    assert of_one_box > 0
    more = small("mask-rcnn", 2, detections=3, proposals=(proposals, proposals + 7)).eval()
    counted = [catalog.count_flops(each.to("meta"), (64, 64)) for each in (network, more)]
    assert counted[1] - counted[0] == 7 * of_one_box


class _OnBins(torch.nn.Module):
    """A head on the bins of one box."""

    def __init__(self, head, size: int):
        super().__init__()
        self.head, self.size = head, size

    def forward(self, x):
        return self.head(x.new_empty(1, 8, self.size, self.size))
