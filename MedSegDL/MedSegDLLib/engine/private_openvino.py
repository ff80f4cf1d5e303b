"""OpenVINO without its telemetry, which otherwise reports each import to its makers. Import it only from here."""

from __future__ import annotations

import sys

sys.modules.setdefault("openvino_telemetry", None)  # makes its import fail, and OpenVINO take a stub that sends nothing

import openvino  # noqa: E402

__all__ = ["openvino"]
