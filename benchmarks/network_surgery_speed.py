"""A training step under NetworkSurgery beside a plain step of `fit`, on random 28 x 28 images.

    python benchmarks/network_surgery_speed.py [--threads N]

Batch 64; the masks are looked at in as large a share of the steps as in the recipe of preset
`paper`, and in every step, which is the dearest case. Both ways are timed inside one epoch, from
the end of the first step to the end of the last, and take turns, so that a busy machine slows both.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from prunelab.data import Dataset, Split
from prunelab.methods import NetworkSurgery
from prunelab.models import build
from prunelab.study.papers.network_surgery import SETTINGS
from prunelab.train import Budget, fit

Step = Callable[[torch.nn.Module, Dataset], float]
GOAL = 1.3
BATCH = 64
CASES = {"lenet-300-100": (300, 9), "lenet-5": (20, 7)}  # steps, repeats
BUDGET = Budget(epochs=1, lr=0.01, batch=BATCH, weight_decay=5e-4)


def random_digits(images: int) -> Dataset:
    g = torch.Generator().manual_seed(0)
    shape = (images, 1, 28, 28)
    pixels = torch.randint(0, 256, shape, generator=g, dtype=torch.uint8)
    labels = torch.randint(0, 10, (images,), generator=g)
    split = Split(pixels, labels, (0.5,), (0.29,))
    few = split[:2]
    return Dataset(
        "random",
        train=split,
        val=few,
        test=few,
        num_classes=10,
        mean=split.mean,
        std=split.std,
        checksum="random",
    )


def plain(net, data: Dataset) -> float:
    """Seconds a step."""
    ends = []
    fit(net, data, BUDGET, after_step=lambda _: ends.append(time.perf_counter()), progress=False)
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def operated(net, data: Dataset, share: float = 1.0) -> float:
    """Seconds a step; in that share of the steps all masks are looked at."""
    ends = []
    stop = round(share * BUDGET.steps(len(data.train))[1])
    method = NetworkSurgery(1.0, BUDGET, stop=stop, gamma=0)
    watch = {"watch": lambda *_: ends.append(time.perf_counter())}
    method.run(net, data, progress=False, **watch)
    ends = ends[1:]  # the first is before the first step
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def looks(model: str) -> float:
    """The expected share of a recipe's steps in which a mask is looked at."""
    method = next(s for s in SETTINGS["paper"] if s.network.model == model).surgery
    steps = torch.arange(method.stop, dtype=torch.double)
    chance = (1 + method.gamma * steps) ** -method.power
    return float(chance.sum()) / method.budget.steps(55_000)[1]


def compare(
    name: str, sizes: tuple[int, int], goal: float, base: Step, ours: Step, how: str = ""
) -> None:
    """Two ways to train one network, in turns: seconds a step, and their ratio.

    `sizes` are steps and repeats; `base` and `ours` take a network and data.
    """
    steps, repeats = sizes
    data = random_digits(BATCH * (steps + 1))
    few = replace(data, train=data.train[: 5 * BATCH])
    base(build(name), few), ours(build(name), few)  # warms up
    pairs = []
    for _ in range(repeats):
        pair = []
        for way in (base, ours):
            torch.manual_seed(0)
            pair.append(way(build(name), data))
        pairs.append(pair)
    plainly, under = (statistics.median(p[i] for p in pairs) for i in (0, 1))
    ratio = statistics.median(b / a for a, b in pairs)
    best = min(b for _, b in pairs) / min(a for a, _ in pairs)
    verdict = "ok" if ratio <= goal else "MISSED"
    print(
        f"{name}{how}: plain step {plainly * 1e3:.3f} ms, with the method {under * 1e3:.3f} ms,"
        f" ratio {ratio:.2f} (goal <= {goal}; best {best:.2f}) {verdict}",
        flush=True,
    )


def main(threads: int) -> None:
    torch.set_num_threads(threads)
    print(f"torch {torch.__version__}, {threads} threads")
    for name, sizes in CASES.items():
        share = looks(name)
        recipe = partial(operated, share=share)
        compare(name, sizes, GOAL, plain, recipe, f", looked at in {share:.0%} of the steps")
        compare(name, sizes, GOAL, plain, operated, ", in every step")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    main(parser.parse_args().threads)
