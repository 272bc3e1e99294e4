"""A few minutes on a GPU, used to the end: the tests, then what is missing, in order of weight.

    python tools/gpu_session.py --minutes 9 --out runs/gpu

First `tests/test_gpu.py`: same numbers as on the CPU; and once for each device
`benchmarks/gpu_speed.py`, whose lines are in `OUT/speed-<device>.txt`. Then the recipes of `ORDER`
that have no row in the committed ledger or in `--out`, several at once, until the time is over; it
counts from the start, tests and benchmark too. Rows are in `OUT/ledger` as they come; trained
networks and what is half done stay in OUT, so that the same command goes on in the next session.
`--preset smoke --device cpu` rehearses it.
"""

from __future__ import annotations

import argparse
import filecmp
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

ROOT = Path(__file__).resolve().parents[1]
FEW, MANY = 2, 64  # recipes at once: long trainings that shall end in one session; short ones


class Entry(NamedTuple):
    """Recipes of a paper's preset; part, label, network and data are regular expressions."""

    stem: str
    preset: str
    part: str
    label: str = ".*"
    model: str = ".*"
    data: str = ".*"
    at_once: int = MANY


# For each seed in turn, the short trainings first. No recipe of RBP has VGG-16 on CIFAR-10.
ORDER = (
    Entry("filter_norm", "standard", "accuracy", "vgg-16( A)?", at_once=FEW),
    Entry("filter_norm", "standard", "norms|scan|retrained", model="vgg-16", at_once=FEW),
    Entry("filter_norm", "standard", "accuracy", "resnet-56( [AB])?", at_once=FEW),
    Entry("filter_norm", "standard", "residual", model="resnet-56", at_once=FEW),
    Entry("filter_norm", "paper", "accuracy", "vgg-16|VGG-16-pruned-A", at_once=FEW),
    Entry("filter_norm", "paper", "norms|scan|retrained", model="vgg-16", at_once=FEW),
    Entry("filter_norm", "paper", "accuracy", "resnet-56|ResNet-56-pruned-[AB]", at_once=FEW),
    Entry("filter_norm", "paper", "residual", model="resnet-56", at_once=FEW),
    Entry("information_bottleneck", "paper", "vgg", data="cifar10"),
    Entry("discrimination_aware", "paper", "unpruned|methods", "unpruned|DCP", "preresnet-56"),
    Entry("discrimination_aware", "paper", "unpruned|methods", "unpruned|DCP", "vgg-19"),
    Entry("recursive_bayesian", "paper", "arms|others|candidates", model="preresnet-20"),
    Entry("discrimination_aware", "standard", "unpruned|methods|lambda|losses|epsilon"),
    Entry("head_to_head", "standard", ".*"),
    Entry("filter_norm", "paper", "accuracy", model="vgg-16|resnet-.*", data="cifar10"),
)
SEEDS = (0, 1, 2)


class OverError(BaseException):
    """The time is over; as an interruption, nothing on the way takes it for a failure."""


def of(entry: Entry, preset: str | None = None) -> list:
    """The recipes of an entry, of all seeds; with another preset the first that it has there."""
    from prunelab.study import papers

    parts = papers.study(entry.stem).recipes(preset or entry.preset, SEEDS)
    found = [(part, one) for part, some in parts.items() for one in some if one.data]
    if preset:
        return [one for _, one in found[:1]]
    words = [(one, (part, one.label, one.model, one.data)) for part, one in found]
    return [one for one, own in words if all(map(re.fullmatch, entry[2:6], own))]


def ordered(preset: str | None) -> Iterator[tuple]:
    """Recipes, each with how many at once; at last, with 0, all others of the same studies."""
    own = [(entry, of(entry, preset)) for entry in ORDER]
    for seed in SEEDS:
        for entry, some in own:
            yield from ((one, entry.at_once) for one in some if one.seed == seed)
    for stem, name in {(entry.stem, preset or entry.preset): None for entry in ORDER}:
        yield from ((one, 0) for one in of(Entry(stem, name, ".*")))


def missing(preset: str | None, out: Path) -> dict:
    """Key -> recipe and how many at once, of what has no row, neither committed nor in `out`.

    Rows of one network must be of the same one. If it has to be trained again, as it is not among
    the committed ones, committed rows of it do not count, those outside `ORDER` neither.
    """
    from prunelab.study import ledger, rows

    place = out / "checkpoints"
    ours, theirs = (rows.Dates(folder) for folder in (out / "ledger", ledger.COMMITTED))
    every: dict = {}
    for recipe, many in ordered(preset):
        every.setdefault(recipe.key, (recipe, many))
    new = {key for key, (one, many) in every.items() if many and key not in theirs.of(one.stem)}
    again = {
        one.trained_key
        for key, (one, _) in every.items()
        if one.budget and not shared(one.trained_key, place)
        if key in new or any(place.glob(f"{one.trained_key}.*"))
    }
    return {
        key: (one, many or MANY)
        for key, (one, many) in every.items()
        if key not in ours.of(one.stem)
        if key in new or (key in theirs.of(one.stem) and one.trained_key in again)
    }


def shared(name: str, place: Path) -> bool:
    """Whether a trained network is a committed one, which a run of its own does not look for."""
    from prunelab.study import ledger

    committed = [ledger.CHECKPOINTS / f"{name}.{end}" for end in ("json", "safetensors")]
    if not all(file.is_file() for file in committed):
        return False
    if not (place / committed[-1].name).is_file():
        place.mkdir(parents=True, exist_ok=True)
        for file in committed:
            shutil.copyfile(file, place / file.name)
    return filecmp.cmp(committed[-1], place / committed[-1].name, shallow=False)


def run(command: Iterable[str | Path], path: Path | str = os.devnull, **variables: str) -> bool:
    """Run a Python file of the project; its lines are shown, and kept at `path`, as they come.

    Returns whether it succeeds.
    """
    environment = os.environ | {"PYTHONUNBUFFERED": "1"} | variables
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    own = {"cwd": ROOT, "env": environment, "start_new_session": True}
    with open(path, "w") as kept, subprocess.Popen([sys.executable, *command], **own, **pipe) as it:
        try:
            for line in it.stdout:
                print(line, end="", flush=True)
                print(line, end="", file=kept, flush=True)
        except BaseException:
            os.killpg(it.pid, signal.SIGKILL)  # it may have processes of its own
            raise
    return it.returncode == 0


def tested(device: str) -> bool:
    """Whether the accelerator gives the CPU's numbers."""
    variables = {"PRUNELAB_REHEARSE": "1"} if device == "cpu" else {}
    return run(["-m", "pytest", "-q", "-x", "-m", "gpu", "tests/test_gpu.py"], **variables)


def timed(device: str, out: Path) -> None:
    """The benchmark of the device, unless OUT has all its lines."""
    import torch

    name = torch.cuda.get_device_name() if device == "cuda" else device
    path = out / f"speed-{re.sub(r'[^a-zA-Z0-9]+', '-', name)}.txt"
    if not path.exists():
        part = path.with_suffix(".part")
        small = ["--small"] if device == "cpu" else []
        if run(["benchmarks/gpu_speed.py", "--device", device, *small], part):
            part.rename(path)


def over(*_: object) -> None:
    """The handler of the alarm."""
    raise OverError


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=minutes, required=True, help="all together")
    parser.add_argument("--out", type=Path, required=True, help="a folder; the same one next time")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--workers", type=int, default=8, help="recipes at once; default: 8")
    parser.add_argument("--preset", help="smoke: a rehearsal with the first recipe of each entry")
    parser.add_argument("--untested", action="store_true", help="skip tests and benchmark")
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, over)
    try:
        if not options.minutes:
            raise OverError
        signal.setitimer(signal.ITIMER_REAL, 60 * options.minutes)
        return session(options)
    except OverError:
        print("the time is over; the same command goes on")
        return 0
    except (OSError, RuntimeError, ValueError, Timeout) as error:
        print(f"gpu_session: {error}", file=sys.stderr)
        return 2
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def session(options: argparse.Namespace) -> int:
    """Check, test, time and measure; returns the exit code."""
    from prunelab import data
    from prunelab.study.runner import fanout
    from prunelab.study.runner.plan import plan

    how = {"device": options.device, "out": options.out, "workers": options.workers}
    checked = plan(preset=options.preset or "paper", scheduler="local", **how)
    with FileLock(checked.out / "run.lock", timeout=0):
        wanted = missing(options.preset, checked.out)
        names = {recipe.data for recipe, _ in wanted.values()}
        absent = sorted(name for name in names if not data.available(name))
        here = [pair for pair in wanted.values() if pair[0].data not in absent]
        if absent:
            print(f"not here: {', '.join(absent)}; {len(wanted) - len(here)} recipes need them")
        if here and not options.untested:
            if not tested(options.device):
                print("the tests fail: nothing is measured")
                return 1
            timed(options.device, checked.out)
        failed = 0
        for many, group in groupby(here, key=lambda pair: pair[1]):
            own = replace(checked, workers=min(many, checked.workers))
            found = fanout.carry_out(own, {recipe.key: recipe for recipe, _ in group})
            failed += sum(bool(done.error) for done in found)
    if without := failed + len(wanted) - len(here):
        print(f"{without} of {len(wanted)} recipes are not measured")
        return 1
    print("everything is measured")
    return 0


def minutes(text: str) -> float:
    """A number of minutes from the command line."""
    if not 0 <= float(text) < math.inf:
        raise ValueError(text)
    return float(text)


if __name__ == "__main__":
    sys.exit(main())
