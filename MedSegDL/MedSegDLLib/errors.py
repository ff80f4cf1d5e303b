"""Typed errors: what happened, what to do about it, and the details for whoever is asked for help.

Every failure that a user can meet is a MedSegError. It crosses the worker's pipe as a plain dict
(`to_dict`, `from_dict`) and arrives as the same class on the other side.
"""

from __future__ import annotations


class MedSegError(Exception):
    """A failure with a remedy.

    Args:
        message: one sentence, what happened and why.
        remedy: one sentence, what the user can do now.
        details: anything longer (a traceback, the path of a log); never shown in the first line.
    """

    code = "error"

    def __init__(self, message: str, remedy: str = "", details: str = ""):
        super().__init__(message, remedy, details)
        self.message = message
        self.remedy = remedy
        self.details = details

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

    def to_dict(self) -> dict:
        return {"code": self.code, "message": self.message, "remedy": self.remedy, "details": self.details}

    @staticmethod
    def from_dict(data: dict) -> MedSegError:
        cls = _class_of_code.get(data.get("code", ""), MedSegError)
        return cls(data.get("message", ""), data.get("remedy", ""), data.get("details", ""))


class InputError(MedSegError):
    """The image cannot be used: not an image, damaged, incomplete, or of the wrong kind."""

    code = "input"


class OtherObjectError(InputError):
    """Not meant to be segmented, and no loss: a localiser, a report, a segmentation beside the images."""

    code = "other object"


class ModelError(MedSegError):
    """The model cannot be used: missing, damaged, or it contradicts itself."""

    code = "model"


class OutputError(MedSegError):
    """The result cannot be written."""

    code = "output"


class DeviceError(MedSegError):
    """The chosen device is missing or ran out of memory."""

    code = "device"


class WorkerError(MedSegError):
    """The worker process did not start, died, or broke the protocol."""

    code = "worker"


class CancelledError(MedSegError):
    """The user stopped the run."""

    code = "cancelled"


_CLASSES = (
    MedSegError,
    InputError,
    OtherObjectError,
    ModelError,
    OutputError,
    DeviceError,
    WorkerError,
    CancelledError,
)
_class_of_code = {cls.code: cls for cls in _CLASSES}
