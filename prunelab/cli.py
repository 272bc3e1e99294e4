"""The `prunelab` command: run the series, list it, build the report, fetch the data sets.

Any error is one line on stderr and exit code 2. A failed notebook gives exit code 1, an
interruption 130. Slow imports happen inside the commands.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from prunelab import extras, paths, processes
from prunelab.study.runner import command, notebook, plan

HANDLED = (OSError, ValueError, RuntimeError, TypeError, ModuleNotFoundError)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        """One line, without the usage that argparse prints first."""
        self.exit(2, f"prunelab: {' '.join(message.split())}; see `{self.prog} --help`\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        with processes.quiet():
            return options.command(options)
    except KeyboardInterrupt:
        return _complain("interrupted; the same command goes on where this one stopped", 130)
    except BrokenPipeError:  # `prunelab list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except HANDLED as error:
        return _complain(" ".join(str(error).split()) or type(error).__name__, 2)


def _complain(message: str, code: int) -> int:
    if processes.speaks():
        where = f" (process {processes.rank()} of {many})" if (many := processes.size()) > 1 else ""
        print(f"prunelab: {message}{where}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="prunelab", description="A study of neural-network pruning.")
    parser.add_argument("--version", action="version", version=f"prunelab {version('prunelab')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command.add_to(commands.add_parser("run", help="execute the numbered notebooks"))
    listing = commands.add_parser("list", help="the notebooks of the series")
    listing.set_defaults(command=_list)
    report = commands.add_parser("report", help="one HTML page: tables, figures, deviations")
    report.add_argument("--out", metavar="DIR", help="folder of a run; default: the latest one")
    report.set_defaults(command=_report)
    packed = commands.add_parser("archive", help="copy all rows to Parquet files")
    packed.add_argument("url", metavar="URL", help="a folder, or as s3://bucket/prunelab")
    packed.add_argument("--out", metavar="DIR", help="folder of a run; default: all in runs/")
    packed.set_defaults(command=_archive)
    data = commands.add_parser("data", help="where data sets are; with NAME: fetch and verify")
    data.add_argument("name", nargs="?", metavar="NAME")
    data.add_argument("--data-root", metavar="DIR", help="folder with data sets")
    data.set_defaults(command=_data)
    photos = commands.add_parser("imagenet", help="the recipes that need ImageNet; or measure some")
    photos.add_argument("names", nargs="*", metavar="NAME", help="e.g. pfec; default: list them")
    photos.add_argument("--rehearse", action="store_true", help="a few steps, and no result")
    photos.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda if there is one")
    photos.add_argument("--data-root", metavar="DIR", help="folder that holds `imagenet`")
    photos.set_defaults(command=_imagenet)
    explore = commands.add_parser("explore", help="the explorer as an app in the browser")
    explore.add_argument("--port", type=int, default=8866, metavar="N", help="default: 8866")
    explore.add_argument("--no-browser", action="store_true", help="serve only")
    explore.add_argument("--html", metavar="FILE", help="write one page that needs no kernel")
    explore.set_defaults(command=_explore)
    claims = commands.add_parser("claims", help="the printed numbers that are compared, one by one")
    claims.add_argument("papers", nargs="*", metavar="PAPER", help="e.g. dns; default: a summary")
    claims.set_defaults(command=_claims)
    cite = commands.add_parser("cite", help="where a number comes from, or a paper's BibTeX")
    cite.add_argument("name", metavar="ID", help="a claim, as dns/table1/lenet-5/error; or a paper")
    cite.set_defaults(command=_cite)
    lab = commands.add_parser("lab", help="the notebooks for a class, and its leaderboard")
    lab.add_argument("version", metavar="WHAT", help="student, instructor or leaderboard")
    lab.add_argument("folder", metavar="DIR", help="to make; or that holds the entries")
    lab.set_defaults(command=_lab)
    make = commands.add_parser("new", help="a method of your own: its file, recipe and test")
    make.add_argument("what", metavar="WHAT", help="method")
    make.add_argument("name", metavar="NAME", help="e.g. last_channels")
    make.add_argument("--dir", default=".", metavar="DIR", help="where; default: here")
    make.set_defaults(command=_new)
    new = commands.add_parser("new-study", help="a folder with notebooks, data and figures")
    new.add_argument("folder", metavar="DIR")
    new.set_defaults(command=_new_study)
    return parser


def _explore(options: argparse.Namespace) -> int:
    extras.need("prunelab explore", "study")
    if options.html is not None:
        from prunelab.study.pages import explorer

        print(f"explorer: {paths.short(explorer.write(options.html))}")
        return 0
    from prunelab.study import app

    return app.serve(options.port, browser=not options.no_browser)


def _imagenet(options: argparse.Namespace) -> int:
    extras.need("prunelab imagenet", "study")
    plan.check_data_root("imagenet", options.data_root)
    chosen = {"device": options.device, "data": options.data_root}
    os.environ |= paths.environment(**{k: v for k, v in chosen.items() if v is not None})
    from prunelab.study import imagenet

    if options.rehearse and not options.names:
        raise ValueError("imagenet: --rehearse needs the NAME of a recipe")
    if not options.names:
        print(imagenet.table().to_string(index=False))
    for line in imagenet.measure(options.names, options.rehearse) if options.names else ():
        print(line)
    return 0


def _claims(options: argparse.Namespace) -> int:
    from prunelab.study import citing

    print(citing.listed(options.papers))
    return 0


def _cite(options: argparse.Namespace) -> int:
    from prunelab.study import citing

    print(citing.cited(options.name))
    return 0


def _list(options: argparse.Namespace) -> int:
    books = notebook.notebooks()
    width = max((len(book.name) for book in books), default=0)
    for book in books:
        print(f"{book.name:<{width}}  {book.title}")
        costs = [f"{p} {book.costs[p]}" for p in plan.PRESETS if p in book.costs]
        if costs:
            print(f"{'':<{width}}  takes: {', '.join(costs)}")
    if not books:
        print("no notebooks yet")
    return 0


def _report(options: argparse.Namespace) -> int:
    extras.need("prunelab report", "study")
    from prunelab.study.pages import report

    root = paths.project()
    out = _latest(root) if options.out is None else Path(options.out)
    if options.out is not None and not any(
        (out / trace).exists() for trace in ("state.json", "ledger")
    ):
        raise FileNotFoundError(f"report: `out` must be the folder of a run; got {options.out!r}")
    print(f"report: {paths.short(report.build(out, root=root))}")
    return 0


def _latest(root: Path) -> Path:
    """The latest run; without any run, a folder for the committed results."""
    states = sorted(root.glob("runs/*/state.json"), key=lambda path: path.stat().st_mtime)
    return states[-1].parent if states else root / "runs" / "committed"


def _lab(options: argparse.Namespace) -> int:
    extras.need("prunelab lab", "study")
    from prunelab import checks
    from prunelab.lab import leaderboard, versions

    checks.word("lab", "WHAT", options.version, (*versions.VERSIONS, "leaderboard"))
    if options.version == "leaderboard":
        print(leaderboard.told(leaderboard.read(options.folder)))
        return 0
    folder = versions.write(options.version, options.folder)
    count = len(notebook.notebooks(folder))
    print(f"lab: {count} notebooks, {options.version} version, in {paths.short(folder)}")
    return 0


def _new(options: argparse.Namespace) -> int:
    from prunelab import checks
    from prunelab.study import new_method

    checks.word("new", "what", options.what, ("method",))
    method, recipe, test = new_method.write(options.name, options.dir)
    print(f"method: {paths.short(method)}   edit `score`")
    print(
        f"recipe: {paths.short(recipe)}   run it with python: it measures, beside the filter norm"
    )
    print(f"test:   {paths.short(test)}   run it with pytest")
    return 0


def _new_study(options: argparse.Namespace) -> int:
    from prunelab.study import new_study

    folder = new_study.make(options.folder)
    place = shlex.quote(paths.short(folder))
    print(f"study: {len(notebook.notebooks(folder))} notebooks in {place}")
    print(f"next: cd {place} && prunelab run")
    return 0


def _archive(options: argparse.Namespace) -> int:
    from prunelab.study import archive, ledger, rows

    runs = paths.runs().glob("*/ledger") if options.out is None else [Path(options.out) / "ledger"]
    places = [ledger.COMMITTED, *runs]
    if options.out is not None and not places[-1].is_dir():
        raise FileNotFoundError(f"archive: `out` must be a run's folder; got {options.out!r}")
    every = [row for place in places for file in place.glob("*.jsonl") for row in rows.read(file)]
    total = archive.pack(every, options.url).values()
    print(f"archive: {sum(total)} rows of {len(total)} papers in {options.url}")
    return 0


def _data(options: argparse.Namespace) -> int:
    from prunelab import data
    from prunelab.data.public import READERS

    plan.check_data_root("data", options.data_root)
    if options.name is None:
        print(f"{'digits':<14}  embedded")
        for name in READERS:
            print(f"{name:<14}  {_whereabouts(name, options.data_root)}")
        return 0
    found = data.load(options.name, root=options.data_root)
    public = options.name in READERS
    place = f" {_whereabouts(options.name, options.data_root)}" if public else ""
    sizes = ", ".join(f"{len(getattr(found, s))} {s}" for s in ("train", "val", "test"))
    print(f"{options.name}: verified{place}, checksum {found.checksum}, images: {sizes}")
    return 0


def _whereabouts(name: str, root: str | None) -> str:
    from prunelab.data import public

    place = public.find(name, root)
    return f"in {paths.short(place)}" if place else f"not here; `prunelab data {name}` fetches it"
