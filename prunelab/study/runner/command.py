"""The command `prunelab run`: its options, and what they do."""

from __future__ import annotations

import argparse
import os

from prunelab import extras, paths, processes
from prunelab.study.runner import notebook, plan


def add_to(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add = parser.add_argument
    limits = ", ".join(f"{preset} {limit}" for preset, limit in plan.LIMITS.items())
    add("numbers", nargs="*", metavar="NN", help="which notebooks, e.g. 01; default: all")
    add("--preset", default="quick", help=f"{', '.join(plan.PRESETS)}; default: quick")
    add("--device", help="cpu or cuda; default: cuda where there is one")
    add("--data-root", metavar="DIR", help="folder with data sets")
    add("--out", metavar="DIR", help="where everything is written; default: runs/PRESET")
    add(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="recipes and notebooks at once; default: 1",
    )
    add(
        "--scheduler",
        metavar="WHOSE",
        help="whose Dask workers measure: local, slurm, kubernetes or tcp://HOST:PORT;"
        " default: local with several workers",
    )
    add("--refresh", action="store_true", help="run and measure all again")
    add("--write", action="store_true", help="also write the executed notebooks to notebooks/")
    add(
        "--limit",
        type=float,
        metavar="SECONDS",
        help=f"stop a notebook without progress for so long; default by preset: {limits}",
    )
    add("--claim", metavar="ID", help="measure one printed number; `prunelab claims` lists them")
    add("--seed", type=int, metavar="N", help="of --claim; default: the seeds that are there")
    add(
        "-p",
        dest="parameters",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a further parameter of the notebooks; may be repeated",
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Execute notebooks, or measure one claim; returns the exit code."""
    extras.need("prunelab run", "study")
    if options.claim is not None or options.seed is not None:
        return _run_claim(options)
    if processes.size() > 1:
        raise ValueError(
            "run: under torchrun give --claim ID, or use `prunelab imagenet`; notebooks run in one"
            f" process, got {processes.size()}"
        )
    from prunelab.study.pages import report
    from prunelab.study.runner import series

    fields = ("device", "data_root", "out", "workers", "scheduler", "refresh", "write", "limit")
    chosen = {name: getattr(options, name) for name in fields}
    chosen["parameters"] = notebook.asked(options.parameters)
    checked = plan.plan(options.numbers, options.preset, **chosen)
    results = series.carry_out(checked)
    page = report.build(checked.out, root=checked.root)
    failed = [result.name for result in results if result.status != "ok"]
    print(f"{len(results) - len(failed)} of {len(results)} notebooks finished")
    if failed:
        place = paths.short(checked.out / "notebooks")
        print(f"failed: {', '.join(failed)}; see {place}/*.failed.ipynb")
    print(f"report: {paths.short(page)}")
    return 1 if failed else 0


def _run_claim(options: argparse.Namespace) -> int:
    from prunelab.study import citing

    plain = argparse.ArgumentParser()
    add_to(plain)
    allowed = {"command", "claim", "seed", "device", "data_root", "refresh"}
    usual = vars(plain.parse_args([]))
    given = [name for name in usual.keys() - allowed if getattr(options, name) != usual[name]]
    if options.claim is None or given:
        shown = ", ".join(sorted(given)) or "no --claim"
        raise ValueError(
            f"run: --claim ID goes with --seed, --device, --data-root and --refresh; got {shown}"
        )
    plan.check_data_root("run", options.data_root)
    chosen = {"device": options.device, "data": options.data_root}
    os.environ |= paths.environment(**{k: v for k, v in chosen.items() if v is not None})
    for line in citing.measured(options.claim, options.seed, options.refresh):
        print(line, flush=True)
    return 0
