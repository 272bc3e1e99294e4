"""A few minutes on a GPU, used to the end: the tests, then what is missing, in order of weight.

    python tools/gpu_session.py --minutes 9 --out runs/gpu

First `tests/test_gpu.py`: same numbers as on the CPU; and once `benchmarks/gpu_speed.py`, whose
lines are in `OUT/speed.txt`. Then the recipes of `ORDER` that have no row in the committed ledger
or in `--out`, several at once, until the time is over. Rows are in `OUT/ledger` as they come;
trained networks and what is half done stay in OUT, so that the same command goes on in the next
session. `--preset smoke --device cpu` rehearses it.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

# Paper, preset, part, label and network, as regular expressions; for each seed in turn.
ORDER = (
    ("filter_norm", "paper", "accuracy", r"vgg-16|VGG-16-pruned-A", ".*"),
    ("filter_norm", "paper", "scan|norms|residual", ".*", ".*"),
    ("filter_norm", "paper", "accuracy", r"resnet-56|ResNet-56-pruned-[AB]", ".*"),
    ("information_bottleneck", "paper", "vgg", ".*", "vgg-16"),
    ("discrimination_aware", "paper", "unpruned|methods", "unpruned|DCP", "preresnet-56"),
    ("discrimination_aware", "standard", "unpruned|methods|lambda|losses|epsilon", ".*", ".*"),
    ("recursive_bayesian", "paper", "arms|others|candidates", ".*", "preresnet-20"),
    ("head_to_head", "standard", ".*", ".*", ".*"),
    ("discrimination_aware", "paper", "unpruned|methods", "unpruned|DCP", "vgg-19"),
    ("filter_norm", "paper", "accuracy", ".*", "vgg-16|resnet-.*"),
)
SEEDS = (0, 1, 2)


class OverError(BaseException):
    """The time is over; as an interruption, nothing on the way takes it for a failure."""


def recipes(preset: str | None) -> Iterator:
    """In order; with a preset, the first recipe of each entry at that preset."""
    from prunelab.study import papers

    for seed in SEEDS if preset is None else SEEDS[:1]:
        for stem, own, *patterns in ORDER:
            parts = papers.study(stem).recipes(preset or own, [seed])
            found = [(part, recipe) for part, some in parts.items() for recipe in some]
            found = [(part, recipe) for part, recipe in found if recipe.data]
            if preset:
                yield from (recipe for _, recipe in found[:1])
                continue
            for part, recipe in found:
                words = (part, recipe.label, recipe.model)
                if all(map(re.fullmatch, patterns, words)):
                    yield recipe


def missing(preset: str | None, out: Path) -> dict:
    """Key -> recipe of what has no row, neither committed nor in `out`."""
    from prunelab.study import ledger, rows

    found, known = {}, [rows.Dates(folder) for folder in (ledger.COMMITTED, out / "ledger")]
    for recipe in recipes(preset):
        if not any(recipe.key in dates.of(recipe.stem) for dates in known):
            found[recipe.key] = recipe
    return found


def tested(device: str) -> bool:
    """Whether the accelerator gives the CPU's numbers."""
    environment = os.environ | ({"PRUNELAB_REHEARSE": "1"} if device == "cpu" else {})
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "gpu", "tests/test_gpu.py"]
    return subprocess.run(command, env=environment).returncode == 0


def timed(device: str, out: Path) -> None:
    """The benchmark of the device, unless OUT has its lines."""
    path = out / "speed.txt"
    if path.exists():
        return
    command = [sys.executable, "benchmarks/gpu_speed.py", "--device", device]
    command += ["--small"] if device == "cpu" else []
    done = subprocess.run(command, capture_output=True, text=True)
    print(said := done.stdout + done.stderr)
    if done.returncode == 0:
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(said)


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
    end = time.monotonic() + 60 * options.minutes
    try:
        if not options.untested:
            if not tested(options.device):
                print("the tests fail: nothing is measured")
                return 1
            timed(options.device, options.out)
        return measure(options, end)
    except (OSError, ValueError, Timeout) as error:
        print(f"gpu_session: {error}", file=sys.stderr)
        return 2


def measure(options: argparse.Namespace, end: float) -> int:
    """Until `end`, on the clock of this process; returns the exit code."""
    from prunelab.study.runner import fanout
    from prunelab.study.runner.plan import plan

    how = {"device": options.device, "out": options.out, "workers": options.workers}
    checked = plan(preset=options.preset or "paper", scheduler="local", **how)
    signal.signal(signal.SIGALRM, over)
    try:
        if (left := end - time.monotonic()) <= 0:
            raise OverError
        signal.setitimer(signal.ITIMER_REAL, left)
        with FileLock(checked.out / "run.lock", timeout=0):
            fanout.carry_out(checked, missing(options.preset, checked.out))
        print("everything is measured")
    except OverError:
        print("the time is over; the same command goes on")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return 0


def minutes(text: str) -> float:
    """A number of minutes from the command line."""
    if not 0 <= float(text) < math.inf:
        raise ValueError(text)
    return float(text)


if __name__ == "__main__":
    sys.exit(main())
