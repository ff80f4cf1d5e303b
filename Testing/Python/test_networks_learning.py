"""Every network learns: four small real images by heart, narrow in each run and in its published size on demand.

That is less than to segment what it never saw, and yet what a network with a wrong skip, norm or scale somewhere fails
at. The Dice is taken in evaluation, so that the statistics of batch norms must have settled, too.
"""

from __future__ import annotations

import pytest
import torch

from learning_cases import ENOUGH, NARROW, NARROW_BUT_SLOW, Learning, images, learn, mean_dice, published
from MedSegDLLib.networks import create
from network_makers import EVERY

on_demand = [pytest.mark.published_size, pytest.mark.timeout(4 * 3600)]


@pytest.mark.parametrize(
    ("name", "dims"),
    [pytest.param(*each, marks=on_demand if each in NARROW_BUT_SLOW else []) for each in EVERY],
)
def test_a_narrow_network_learns(name, dims, shared_data):
    curve = _curve(name, dims, NARROW[name, dims], shared_data)
    assert curve[-1][1] >= ENOUGH, curve


@pytest.mark.published_size
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize(("name", "dims"), EVERY)
def test_a_network_of_its_published_size_learns(name, dims, shared_data):
    curve = _curve(name, dims, published(name, dims), shared_data)
    assert curve[-1][1] >= ENOUGH, curve


@pytest.mark.parametrize("dims", [2, 3])
def test_no_grey_value_tells_the_structures(dims, shared_data):
    """What a network without surroundings could reach: the best of all thresholds, from above and from below."""
    given = images(shared_data, dims)
    structure = given.labels.clamp(max=1)
    found = [sign * given.image[:, 0] > level for sign in (1, -1) for level in torch.linspace(-3, 3, 61)]
    assert max(mean_dice(each.long(), structure) for each in found) < 0.6


@pytest.mark.parametrize("enlarged", [1, 4])
@pytest.mark.parametrize("dims", [2, 3])
def test_every_image_holds_every_structure(dims, enlarged, shared_data):
    given = images(shared_data, dims, enlarged)
    assert given.image.shape == (4, 1, *given.labels.shape[1:]) and given.instances.shape == given.labels.shape
    assert all(each.unique().tolist() == list(range(dims)) for each in given.labels)
    assert ((given.instances > 0) == (given.labels > 0)).float().mean() > 0.99  # but for a pixel where nuclei touch
    assert given.image.flatten(1).mean(dim=1).abs().max() < 1e-5


def _curve(name: str, dims: int, plan: Learning, data) -> list[tuple[int, float]]:
    given = images(data, dims, plan.enlarged)
    torch.manual_seed(0)
    return learn(create(name, dims, 1, given.classes, **plan.arguments), given, plan)
