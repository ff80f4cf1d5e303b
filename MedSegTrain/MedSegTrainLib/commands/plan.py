"""medseg fingerprint, medseg plan: what a data set is like, and how a network would be trained on it."""

from __future__ import annotations

from pathlib import Path

from MedSegDLLib.errors import InputError

from .numbers import at_least_zero, positive


def add_to(commands) -> None:
    """Add the verbs `fingerprint` and `plan` to the sub-commands of a parser."""
    measure = commands.add_parser("fingerprint", help="measure a data set: sizes, spacings, grey values, structures")
    measure.add_argument("dataset", type=Path, help="a data set's folder")
    measure.add_argument(
        "--output", type=Path, metavar="JSON", help="default: fingerprint.json in an imported data set"
    )
    _add_workers(measure)
    measure.set_defaults(run=_fingerprint)
    plan = commands.add_parser("plan", help="propose spacing, patch, batch and grey values for a network")
    plan.add_argument("dataset", type=Path, help="a data set's folder")
    plan.add_argument("--network", required=True, help="a name of 'medseg networks'")
    plan.add_argument("--dims", type=int, choices=(2, 3), default=3, help="slices or volumes (default: 3)")
    plan.add_argument("--arguments", default="{}", metavar="YAML", help="of the network, such as '{width: 16}'")
    plan.add_argument(
        "--memory", type=positive, default=8.0, metavar="GB", help="of the device that trains (default: 8)"
    )
    set_help = "a value that wins, such as spacing_mm=[1, 1, 2]; may be said again"
    plan.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings", help=set_help)
    plan.add_argument("--fingerprint", type=Path, metavar="JSON", help="default: measure the data set, or reuse that")
    plan.add_argument("--output", type=Path, required=True, metavar="YAML", help="the plan, to be looked at and edited")
    _add_workers(plan)
    plan.set_defaults(run=_plan)


def _add_workers(parser) -> None:
    parser.add_argument("--workers", type=at_least_zero, default=0, help="processes that measure (default: this one)")


def _fingerprint(options) -> int:
    from ..data.dataset import DATASET, is_imported, open_dataset

    dataset = open_dataset(options.dataset)
    output = options.output
    if output is None:
        if not is_imported(dataset.folder):
            raise InputError(
                f"'{dataset.folder}' has no {DATASET} of MedSegTrain, so nothing is written there.",
                "Name a file with --output.",
            )
        output = dataset.folder / "fingerprint.json"
    found = _measured(dataset, options.workers)
    found.write(output)
    for damaged in found.damaged:
        print(f"Left out: {damaged.what}: {damaged.why}")
    print(f"Measured {len(found.cases)} cases; wrote {output}.")
    return 0


def _plan(options) -> int:
    from ..data.dataset import open_dataset
    from ..data.fingerprint import Fingerprint
    from ..data.plan_files import write_plan
    from ..data.planning import plan
    from ..data.settings import parsed_settings

    arguments = parsed_settings([f"arguments={options.arguments}"], "arguments={width: 16}")["arguments"]
    if not isinstance(arguments, dict):
        raise InputError(f"'{options.arguments}' are no named arguments.", "Write them as '{width: 16}'.")
    dataset = open_dataset(options.dataset)
    if options.fingerprint:
        found = Fingerprint.read(options.fingerprint)
    else:
        found = _measured(dataset, options.workers)
    proposal = plan(
        found,
        dataset,
        options.network,
        options.dims,
        arguments,
        memory_gb=options.memory,
        overrides=parsed_settings(options.settings, "patch=[64, 64, 32]"),
    )
    write_plan(proposal, options.output)
    specification = proposal.specification
    print(f"Spacing {_by(specification.spacing_mm)} mm. {proposal.because['spacing_mm']}")
    print(f"Patch {_by(specification.patch)} voxels. {proposal.because['patch']}")
    print(f"Batch {proposal.batch}. {proposal.because['batch']}")
    print(f"Wrote {options.output}.")
    return 0


def _measured(dataset, workers: int):
    from tqdm import tqdm

    from MedSegDLLib.folders import cache_folder

    from ..data.fingerprint import fingerprint

    with tqdm(total=len(dataset.cases), unit="case", disable=None) as bar:
        return fingerprint(
            dataset.cases,
            dataset.labels,
            dataset.channels,
            kept=cache_folder() / "fingerprints",
            workers=workers,
            progress=lambda done, total, name: bar.update(),
        )


def _by(numbers) -> str:
    return " x ".join(f"{number:g}" for number in numbers)
