"""Seconds from a move of the explorer's slider to the final answer in its text.

    python benchmarks/explorer_speed.py [data root]

Each move picks a group at random and sets `slider.value`, as a click on the rail would; "first" is
when the text has a first accuracy for it, "final" when it has that of all images with the time of
one image. No setting comes twice: what was answered before would be answered at once. "Recorded"
runs on a scan made here, with groups of one network pruned together: its answers are predictions.
"""

import os
import random
import statistics
import sys
import time
from itertools import product
from pathlib import Path

import torch

from prunelab import data, models, sensitivity, surgery, widgets
from prunelab.widgets.exploring.live import Live

MOVES = 40
TARGETS = {"live": 1.0, "recorded": 0.15}  # seconds at the 95th percentile
CHECKPOINTS = Path(__file__).resolve().parents[1] / "data" / "checkpoints"


def moves(box, count: int) -> list[tuple[str, float]]:
    """Different (group, ratio), the ratio a step of the slider."""
    steps = [round(0.05 * k, 2) for k in range(1, 20)]
    chosen = list(product(box.source.sizes, steps))
    random.Random(0).shuffle(chosen)
    settings = {tuple(box.source.kept({group: r}).items()): (group, r) for group, r in chosen}
    return list(settings.values())[:count]


def timed(box, group: str, ratio: float) -> tuple[float, float, float]:
    """Seconds until the handler is back, and until the first and the final accuracy are told."""
    box.groups.value = (group,)
    start, said = time.perf_counter(), []

    def hear(change: dict) -> None:
        if "measuring" not in change["new"]:
            said.append(time.perf_counter() - start)

    box.text.observe(hear, "value")
    box.slider.value = ratio
    handled = time.perf_counter() - start
    box.wait(60)
    box.text.unobserve(hear, "value")
    return handled, said[0], said[-1]


def report(name: str, box, target: float, start=None) -> None:
    box.wait(600)
    seconds = []
    for group, ratio in moves(box, MOVES):
        box.show(start or {}).wait(60)
        seconds.append(timed(box, group, ratio))
    shown = []
    for part, times in zip(("handled", "first", "final"), zip(*seconds)):
        p95 = statistics.quantiles(times, n=20)[-1]
        shown.append(f"{part} p50 {statistics.median(times):.3f} p95 {p95:.3f}")
    print(f"{name:34} {len(seconds)} moves, seconds: {'; '.join(shown)} (target p95 < {target})")
    box.close()


def shipped(model: str, key: str, channels: int):
    net = models.build(model, 10, channels)
    return surgery.load(net, CHECKPOINTS / f"{key}.safetensors")


def recording(net, images) -> dict:
    """A recording of the points alone."""
    live = Live(net, images)
    curves = sensitivity.scan(net, live.split, ratios=(0.25, 0.5, 0.75, 0.9), progress=False)
    return {
        "title": "ResNet-20",
        "whole": curves.attrs["whole"],
        "price": curves.attrs["price"],
        "points": curves.to_dict("records"),
        "rows": live.rows,
    }


def main() -> None:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PRUNELAB_DATA", "data/cache"))
    cores = len(os.sched_getaffinity(0))
    print(f"torch {torch.__version__}, {cores} cores, load {os.getloadavg()[0]:.1f}")
    mnist, lenet = data.load("mnist", root=root), shipped("lenet-5", "ba4364b25449", 1)
    box = widgets.explorer(lenet, mnist, split="test")
    report("LeNet-5, 10,000 MNIST images", box, TARGETS["live"])
    cifar, resnet = data.load("cifar10", root=root), shipped("resnet-20", "67508a1142eb", 3)
    box = widgets.explorer(resnet, cifar, split="test", images=2000)
    report("ResNet-20, 2,000 CIFAR-10 images", box, TARGETS["live"])
    box = widgets.explorer(recorded=recording(resnet, cifar.test[:100]))
    report("recorded ResNet-20, one group", box, TARGETS["recorded"])
    box = widgets.explorer(recorded=recording(resnet, cifar.test[:100]))
    two = {"layer1.0.conv1": 0.3, "layer3.2.conv1": 0.3}
    report("recorded ResNet-20, three groups", box, TARGETS["recorded"], two)


if __name__ == "__main__":
    main()
