"""The networks, by name. Each takes (B, C, *spatial) and returns logits (B, K, *spatial) at the input's size."""

from .registry import create, names

__all__ = ["create", "names"]
