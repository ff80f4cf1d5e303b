"""What every presenter is given: a view that shows its panel, and somebody who does what takes a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

Panel = TypeVar("Panel", contravariant=True)

Run = Callable[
    [Callable[[Callable[..., None]], Any], Callable[..., None], Callable[[Any, Exception | None], None]], Any
]
"""Runs a function beside the window: called with the function, which is given `report`, with what takes its reports,
and with what takes (result, None) or (None, error) in the end; see `gui.background.Background`."""


class View(Protocol[Panel]):
    """One that can do more than to show a panel extends this protocol."""

    def show(self, panel: Panel) -> None:
        """Show how things are, in the place of what was shown before."""


class AskingView(View[Panel], Protocol[Panel]):
    """It can ask the user as well."""

    def confirms(self, question: str) -> bool:
        """Ask; no answer is no."""
