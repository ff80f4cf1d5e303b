"""medseg benchmark, medseg report: networks and baselines on the same data, and what is to be said about them."""

from __future__ import annotations

import argparse
from pathlib import Path

from MedSegDLLib.errors import InputError

from .numbers import at_least_one, at_least_zero, positive

_BENCHMARK = """\
Does the runs of a plan: every method on every data set, in every fold, with every seed. What is done is never done
again; the same command goes on where it stopped or was stopped. Several of them may work in one folder at once.

  medseg benchmark plan.yaml --data DATA --output RUNS --cpu --minutes 60
  medseg benchmark status RUNS
  medseg report RUNS --output REPORT
"""


def add_to(commands) -> None:
    """Add the verbs `benchmark` and `report` to the sub-commands of a parser."""
    layout = argparse.RawDescriptionHelpFormatter
    benchmark = commands.add_parser(
        "benchmark", help="compare networks and baselines by a plan", description=_BENCHMARK, formatter_class=layout
    )
    benchmark.add_argument("plan", help="YAML or JSON file; or 'status', to see how a benchmark stands")
    benchmark.add_argument("runs", nargs="?", type=Path, help="after 'status': the folder of the benchmark")
    benchmark.add_argument("--json", action="store_true", help="after 'status': for programs")
    benchmark.add_argument("--output", type=Path, metavar="RUNS", help="folder of the benchmark")
    benchmark.add_argument("--data", type=Path, help="folder of the data sets (default: that of the plan)")
    benchmark.add_argument("--cpu", action="store_true", help="train on the processor, which takes long")
    benchmark.add_argument("--threads", type=at_least_zero, default=0, help="processor cores for a run (default: all)")
    benchmark.add_argument("--only", nargs="+", default=[], metavar="METHOD", help="names of methods in the plan")
    benchmark.add_argument("--limit", type=at_least_one, metavar="N", help="start so many runs at most")
    minutes_help = "start no run that is not expected to end in this time; the next call goes on"
    benchmark.add_argument("--minutes", type=positive, metavar="M", help=minutes_help)
    scheduler_help = "one run after another, one a GPU, or on a cluster (default: serial)"
    benchmark.add_argument("--scheduler", choices=("serial", "gpus", "dask"), default="serial", help=scheduler_help)
    cluster_help = "for dask: a scheduler's address (tcp://host:8786), or local, slurm, kubernetes (default: local)"
    benchmark.add_argument("--cluster", default="local", help=cluster_help)
    benchmark.add_argument("--jobs", type=at_least_one, default=1, help="for dask: workers to ask for")
    benchmark.set_defaults(run=_benchmark)
    report = commands.add_parser("report", help="tables and figures of a benchmark, finished or not")
    report.add_argument("runs", type=Path, help="folder of the benchmark")
    report.add_argument("--output", type=Path, required=True, help="folder of report.html and report.md")
    pictures_help = "no example images, for data that may not be passed on"
    report.add_argument("--without-pictures", action="store_true", help=pictures_help)
    report.set_defaults(run=_report)


def _benchmark(options) -> int:
    from ..benchmark import call

    if options.plan == "status" and options.runs is not None:
        return call.tell_status(options.runs, options.json)
    if options.output is None or options.runs is not None:
        raise InputError("It is not said where the runs go.", "Name their folder with --output.")
    where = call.Where(options.scheduler, options.cluster, options.jobs, options.cpu, options.threads)
    how_much = call.Budget(options.limit, None if options.minutes is None else 60 * options.minutes)
    return call.benchmark(Path(options.plan), options.output, options.data, options.only, where, how_much)


def _report(options) -> int:
    from ..benchmark.call import report

    return report(options.runs, options.output, pictures=not options.without_pictures)
