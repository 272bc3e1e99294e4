"""A recording of a small network, as the study would make it."""

import json

import torch
from helpers.toy import dataset, quiet, split
from torch import nn

from prunelab import cost, scores, sensitivity, surgery, train
from prunelab.groups import trace
from prunelab.groups.diagram import diagram
from prunelab.methods import FilterNorm
from prunelab.sensitivity.budget.price import price

GRID = (0.25, 0.5, 0.75)
PAIR = {"0": 0.5, "3": 0.25}


def trained_net():
    """Three groups, two of them on maps of one size: "0" and "3" on 8x8, "7" a vector."""
    torch.manual_seed(2)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1),
        nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 6), nn.ReLU(),
        nn.Linear(6, 3),
    )  # fmt: skip
    quiet(net, dataset(200), train.Budget(epochs=6, lr=0.05, batch=16))
    return net


def recording():
    """What the study would record of this network on 40 images."""
    net, images = trained_net(), split(40, seed=5)
    example, _ = images.batch(slice(0, 1))
    groups = trace(net, example)
    before, exact = train.evaluate(net, images), price(net, example, groups)
    points = sensitivity.scan(net, images, ratios=GRID, progress=False)
    order = sensitivity.ranking(net, groups, "l1")
    keep = {g: scores.best(order[g], scores.kept(groups[g].size, r)) for g, r in PAIR.items()}
    small = surgery.shrink(net, groups, keep)
    seen = sensitivity.outcome(before, train.evaluate(small, images))
    macs, (params, whole_macs) = cost.measure(small, example).macs, exact()
    whole = {"accuracy": before.accuracy, "loss": before.loss, "images": 40}
    whole |= {"correct": int(before.correct.sum()), "params": params, "macs": whole_macs}
    raw = {
        "title": "toy", "made": "cpu, smoke, 2026-11-25", "whole": whole,
        "price": exact.to_dict(), "points": points.to_dict("records"),
        "rows": diagram(net, example, groups),
        "combinations": [
            {"label": "a pair", "ratios": PAIR, "seconds": 0.005, **seen}
            | vars(cost.measure(small, example))
        ],
        "latency": [{"macs": 2 * macs, "seconds": 0.004}, {"macs": macs, "seconds": 0.003}],
    }  # fmt: skip
    return json.loads(json.dumps(raw))


def point(raw, group, ratio):
    return next(p for p in raw["points"] if p["group"] == group and p["ratio"] == ratio)


def shrunk(net, data, ratios):
    """What pruning by hand gives."""
    groups = trace(net, data.example)
    return surgery.shrink(net, groups, FilterNorm(ratios).prune(net, data.example))
