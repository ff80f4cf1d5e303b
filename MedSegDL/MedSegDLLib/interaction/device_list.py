"""The devices that can be chosen."""

from __future__ import annotations

from collections.abc import Callable

AUTOMATIC = "auto"


def device_rows(devices: tuple[dict, ...], chosen: str, translate: Callable[[str], str] = str) -> tuple:
    """(name, text) of each: what the worker has told of, and what can be asked for before it has.

    Args:
        devices: as in the worker's greeting; none before.
        chosen: is among them in any case, as from a scene that was saved on another computer.
        translate: Slicer's `tr`, or nothing for English.
    """
    _ = translate
    rows = {AUTOMATIC: _("Automatic")}
    rows |= {device["name"]: f"{device['name']}: {device['description']}" for device in devices} or {"cpu": "cpu"}
    rows.setdefault(chosen, chosen)
    return tuple(rows.items())
