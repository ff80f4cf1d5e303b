"""The README's pictures: small enough for a repository, and drawn from what the prompter really answers."""

from __future__ import annotations

import re

import numpy as np
import pytest

import pictures
from MedSegTrainLib.data.phantom import draw_thorax

MOST_BYTES = 300_000


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The picture of a coarse phantom, and the steps that it shows."""
    path = tmp_path_factory.mktemp("pictures") / "clicks.png"
    return path, pictures.draw_clicks(path, draw_thorax(pictures.demo.PHANTOM_SEED, (3, 3, 4)))


def read(path) -> np.ndarray:
    from matplotlib.image import imread

    return imread(path)[..., :3]


def count(panel: np.ndarray, rgb) -> int:
    """Pixels of this colour, give or take what a palette changes."""
    return int((np.abs(panel - rgb).max(axis=-1) < 0.2).sum())


def panels(image: np.ndarray) -> list[np.ndarray]:
    return [image[:, start : start + pictures.PANEL_PIXELS] for start in np.arange(pictures.CLICKS) * 508]


def test_each_panel_shows_the_clicks_so_far_and_a_dashed_outline(drawn):
    path, steps = drawn
    image = read(path)
    assert image.shape[:2] == (pictures.PANEL_PIXELS, 3 * pictures.PANEL_PIXELS + 16)
    signs = [step.prompts for step in steps]
    assert [len(prompts) for prompts in signs] == [1, 2, 3]
    for panel, prompts in zip(panels(image), signs):
        assert count(panel, pictures.PREVIEW_RGB) > 300
        assert bool(count(panel, pictures.INCLUDE_RGB) > 10) == bool(prompts.included)
        assert bool(count(panel, pictures.EXCLUDE_RGB) > 10) == bool(prompts.excluded)


def test_the_previews_are_the_prompters(drawn):
    _, steps = drawn
    assert all(0.7 < step.dice < 1 for step in steps)
    assert any((first.mask != second.mask).any() for first, second in zip(steps, steps[1:]))


def test_the_view_is_that_of_a_radiologist():
    phantom = draw_thorax(pictures.demo.PHANTOM_SEED, (6, 6, 8))
    truth = phantom.truth.array == pictures.HEART
    index = int(np.argmax(truth.sum(axis=(1, 2))))
    to_ras = pictures.axial_view(phantom.image, truth, index)
    middle = to_ras @ (pictures.PANEL_PIXELS / 2, pictures.PANEL_PIXELS / 2, 0, 1)
    j, i = (axis.mean() for axis in np.nonzero(truth[index]))
    np.testing.assert_allclose(middle[:3], phantom.image.grid.ras([[i, j, index]])[0])
    assert to_ras[0, 0] < 0 < to_ras[1, 1]  # the patient's left is on the right, the front is above


def test_the_readme_shows_every_picture_with_words_for_whoever_cannot_see_it():
    text = (pictures.ROOT / "README.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"!\[([^\]]{20,})\]\(Resources/Screenshots/([\w-]+\.png)\)", text))
    files = {path.name: path for path in pictures.PICTURES.glob("*.png")}
    assert set(shown.values()) == set(files)
    assert all(path.stat().st_size < MOST_BYTES for path in files.values())
