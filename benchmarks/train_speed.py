"""Steps a second of `fit` on MNIST, batch 64, beside a bare loop and the usual DataLoader loop.

    python benchmarks/train_speed.py [data root]

"bare" repeats forward, loss, backward and the same optimizer's step on one fixed batch: nothing can
be faster. "DataLoader" is torchvision's MNIST with ToTensor, no workers, SGD as it comes;
"DataLoader, normalised" adds Normalize, as `fit` does. The loops take turns, so that a busy machine
slows all of them.
"""

import os
import statistics
import sys
import time
from itertools import islice
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST
from torchvision.transforms import Compose, Normalize, ToTensor

from prunelab.data import Dataset, load
from prunelab.models import build
from prunelab.train import Budget, evaluate, fit

BATCH = 64
TARGETS = {"bare": 0.9, "DataLoader": 5, "DataLoader, normalised": 5}
BUDGET = Budget(epochs=1, lr=0.01, batch=BATCH, weight_decay=5e-4)


def optimizer_of(net):
    return torch.optim.SGD(net.parameters(), 0.01, 0.9, weight_decay=5e-4, fused=True)


def step(net, optimizer, x, y):
    loss = cross_entropy(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def bare(net, data: Dataset, steps: int) -> float:
    optimizer = optimizer_of(net)
    x, y = data.train.batch(slice(0, BATCH))
    step(net, optimizer, x, y)
    start = time.perf_counter()
    for _ in range(steps):
        step(net, optimizer, x, y)
    return steps / (time.perf_counter() - start)


def fitted(net, data: Dataset, steps: int) -> float:
    """The steps of one `fit`, from the end of its first to the end of its last."""
    budget = BUDGET.scaled((steps + 1) / BUDGET.steps(len(data.train))[0])
    ends = []
    fit(net, data, budget, after_step=lambda _: ends.append(time.perf_counter()), progress=False)
    return (len(ends) - 1) / (ends[-1] - ends[0])


def dataloader(net, mnist: MNIST, steps: int) -> float:
    optimizer = torch.optim.SGD(net.parameters(), 0.01, 0.9, weight_decay=5e-4)
    batches = iter(DataLoader(mnist, BATCH, shuffle=True))
    step(net, optimizer, *next(batches))
    start = time.perf_counter()
    for x, y in islice(batches, steps):
        step(net, optimizer, x, y)
    return steps / (time.perf_counter() - start)


def whole_epoch(name: str, data: Dataset) -> None:
    """What the evaluation after each epoch adds."""
    net = build(name)
    start = time.perf_counter()
    fit(net, data, BUDGET, progress=False)
    total = time.perf_counter() - start
    start = time.perf_counter()
    evaluate(net, data.val), evaluate(net, data.test)
    looks = time.perf_counter() - start
    print(f"{name:14} one epoch {total:6.2f} s, of which evaluation {looks:5.2f} s")


def usual(root: Path, data: Dataset) -> dict[str, MNIST]:
    """The usual data sets, without and with the normalisation that `fit` applies."""
    normalised = Compose([ToTensor(), Normalize(data.train.mean, data.train.std)])
    kinds = {"DataLoader": ToTensor(), "DataLoader, normalised": normalised}
    return {name: MNIST(root, train=True, transform=change) for name, change in kinds.items()}


def compare(name: str, data: Dataset, others: dict[str, MNIST], steps: int, repeats: int) -> None:
    loops = {"bare": (bare, data), "fit": (fitted, data)}
    loops |= {other: (dataloader, mnist) for other, mnist in others.items()}
    speeds = {loop: [] for loop in loops}
    for _ in range(repeats):
        for loop, (run, source) in loops.items():
            torch.manual_seed(0)
            speeds[loop].append(run(build(name), source, steps))
    shown = ", ".join(f"{loop} {statistics.median(v):.0f}" for loop, v in speeds.items())
    print(f"{name:14} median steps/s: {shown}")
    for other in ("bare", *others):
        # Paired: the two loops of one round ran side by side on an equally busy machine.
        ratio = statistics.median(a / b for a, b in zip(speeds["fit"], speeds[other]))
        best = max(speeds["fit"]) / max(speeds[other])
        print(
            f"{name:14} fit / {other} = {ratio:.2f} (target >= {TARGETS[other]}; best {best:.2f})"
        )


def main() -> None:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PRUNELAB_DATA", "data/cache"))
    data = load("mnist", root=root)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    compare("lenet-300-100", data, usual(root, data), steps=150, repeats=9)
    compare("lenet-5", data, {}, steps=15, repeats=9)
    whole_epoch("lenet-300-100", data)


if __name__ == "__main__":
    main()
