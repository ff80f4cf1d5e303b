"""What the module and the effect may be doing."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """The same words for the module and the effect.

    IDLE: nothing is drawn, nothing runs.
    STARTING: the worker starts, or a model loads.
    PREVIEWING: the effect has points; a preview is shown or being made.
    RUNNING: a model segments.
    CANCELLING: a run was given up, and the worker has not said so yet.
    FAILED: the last attempt failed; the next one starts anew.
    """

    IDLE = "idle"
    STARTING = "starting"
    PREVIEWING = "previewing"
    RUNNING = "running"
    CANCELLING = "cancelling"
    FAILED = "failed"
