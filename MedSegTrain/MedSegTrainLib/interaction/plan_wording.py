"""Every sentence of the panel of networks and recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from MedSegDLLib.interaction.measures import bytes_text, seconds_text

Translate = Callable[[str], str]


class PlanWording:
    """The texts in the user's language.

    Args:
        translate: Slicer's `tr`, or nothing for English. It is called `_` below, so that Slicer's tools find the texts.
    """

    def __init__(self, translate: Translate = str):
        self._translate = translate

    # The list

    def kind(self, dims: int) -> str:
        _ = self._translate
        return {2: _("slices (2D)"), 3: _("volumes (3D)")}.get(dims, _("without a network"))

    def parameters(self, count: int) -> str:
        return f"{count / 1e6:.1f} M" if count else ""

    def preset(self, name: str) -> str:
        _ = self._translate
        known = {
            "papers": _("Papers' recipe: Adam, 200 epochs"),
            "modern": _("Modern recipe: nnU-Net's, 250 epochs"),
        }
        return known.get(name, name)

    # The button

    def plan(self) -> str:
        _ = self._translate
        return _("Plan")

    def start(self) -> str:
        _ = self._translate
        return _("Start")

    def cancel(self) -> str:
        _ = self._translate
        return _("Cancel")

    def plan_tip(self) -> str:
        _ = self._translate
        return _("See how long it will take, and whether memory and disk suffice. Nothing is trained yet.")

    def start_tip(self) -> str:
        _ = self._translate
        return _("Train and compare what is ticked, in the background.")

    def cancel_tip(self) -> str:
        _ = self._translate
        return _("Give up planning.")

    # Why it is grey

    def no_dataset(self) -> str:
        _ = self._translate
        return _("Import data first, or open a data set.")

    def dataset_is_gone(self, folder: Path) -> str:
        _ = self._translate
        text = _("The data set '{folder}' is not there. Connect its disk, or import data anew.")
        return text.format(folder=folder)

    def no_methods(self) -> str:
        _ = self._translate
        return _("Tick at least one network or baseline.")

    def no_runs(self) -> str:
        _ = self._translate
        return _("Choose a folder for the runs.")

    def running(self) -> str:
        _ = self._translate
        return _("A benchmark is running. Wait for it, or stop it first.")

    # The line beside it

    def checking(self) -> str:
        _ = self._translate
        return _("Checking the packages that training needs")

    def estimating(self, done: int, total: int, name: str) -> str:
        _ = self._translate
        if not total:
            return _("Looking at the data")
        return _("Trying network {number} of {total}: {name}").format(number=done + 1, total=total, name=name)

    def only_baselines(self) -> str:
        _ = self._translate
        return _("Only baselines: minutes, on the processor.")

    def estimate(self, found: dict) -> str:
        """ "About 9 h on NVIDIA RTX 4090, at least 6 GB of memory, 14 GB of disk" and what stands in the way."""
        _ = self._translate
        memory = max(one["memory_bytes"] for one in found["networks"])  # 0 where none of them can be trained
        text = _("About {time} on {device}, {disk} of disk, for {runs} runs.")
        if memory:
            text = _("About {time} on {device}, at least {memory} of memory, {disk} of disk, for {runs} runs.")
        text = text.format(
            time=seconds_text(found["seconds"]),
            device=found["device"],
            memory=bytes_text(memory),
            disk=bytes_text(found["disk_bytes"]),
            runs=found["runs"],
        )
        return " ".join([text, *self._obstacles(found)])

    def cancelled(self) -> str:
        _ = self._translate
        return _("Cancelled.")

    def _obstacles(self, found: dict) -> list[str]:
        _ = self._translate
        obstacles = []
        if found["disk_bytes"] > found["free_disk_bytes"]:
            free = bytes_text(found["free_disk_bytes"])
            obstacles.append(_("The disk has only {free} free: choose another folder for the runs.").format(free=free))
        count = len({one["method"] for one in found["networks"] if one["problem"]})
        if count:
            obstacles.append(
                _("{count} of the networks cannot be trained here; the list says why.").format(count=count)
            )
        return obstacles
