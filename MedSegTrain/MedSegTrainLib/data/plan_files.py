"""Plans as YAML files, to be looked at and edited."""

from __future__ import annotations

from pathlib import Path

import yaml

from MedSegDLLib.atomic import replacing
from MedSegDLLib.bundle import FORMAT, Specification
from MedSegDLLib.errors import InputError, ModelError

from .planning import Plan


def write_plan(plan: Plan, path: Path | str) -> None:
    """Raises OutputError."""
    medseg = {key: value for key, value in plan.specification.to_dict().items() if key != "format"}
    data = {"batch": plan.batch, "because": plan.because, "medseg": medseg}
    with replacing(path) as partial:
        partial.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")


def read_plan(path: Path | str) -> Plan:
    """What `write_plan` wrote, edited or not. Raises InputError that says what is wrong with it."""
    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"The plan '{path}' cannot be read.", "Check the file.", str(error)) from error
    if not isinstance(data, dict) or not isinstance(data.get("medseg"), dict):
        raise _wrong(path, "it has no entry 'medseg'")
    batch = data.get("batch")
    if not isinstance(batch, int) or batch < 1:
        raise _wrong(path, f"the batch is {batch}, not a whole number from 1")
    try:
        specification = Specification.from_dict({"format": FORMAT, **data["medseg"]})
    except ModelError as error:
        raise _wrong(path, error.message) from error
    return Plan(specification, batch, dict(data.get("because") or {}))


def _wrong(path: Path, cause: str) -> InputError:
    return InputError(f"The plan '{path.name}' is wrong: {cause.rstrip('.')}.", "Correct it.")
