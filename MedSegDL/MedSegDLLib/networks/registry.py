"""From a name to a network. A family's file is imported when one of its networks is asked for."""

from __future__ import annotations

from importlib import import_module

_NETWORKS = {
    "unet": ("unet", "UNet"),
    "residual-unet": ("unet", "ResidualUNet"),
}


def names() -> list[str]:
    return sorted(_NETWORKS)


def create(name: str, spatial_dims: int, in_channels: int, out_channels: int, **arguments):
    """Build a network with fresh weights.

    Args:
        name: one of `names()`.
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: classes, background included.
        arguments: what the network's own docstring lists.

    Raises:
        ValueError: the name is unknown.
        TypeError: an argument is unknown.
    """
    if name not in _NETWORKS:
        raise ValueError(f"there is no network '{name}'; there are {', '.join(names())}")
    module, cls = _NETWORKS[name]
    return getattr(import_module(f".{module}", __package__), cls)(spatial_dims, in_channels, out_channels, **arguments)
