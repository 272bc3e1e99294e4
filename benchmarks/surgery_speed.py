"""Trace + shrink beside Torch-Pruning's graph + prune, at ratio 0.5: medians of one run.

Goals: ResNet-50 at most 1.0 of Torch-Pruning's time, DenseNet-161 at most 0.2. One thread,
repeats in turns. Both lose the same share of every group; Torch-Pruning prunes in place, so it is
given a fresh copy, which is not timed, and random scores, which cost it nothing. Ours makes
its copy inside the timed part.
"""

import copy
import statistics
import time
import warnings

import torch
import torch_pruning as tp
from torch import nn
from torchvision import models

from prunelab import surgery
from prunelab.groups import trace

GOALS = {"resnet50": (5, 1.0), "densenet161": (3, 0.2)}  # repeats, largest ratio


def ours(net, x):
    groups = trace(net, x)
    keep = {n: torch.arange(g.size) >= g.size // 2 for n, g in groups.items()}
    return surgery.shrink(net, groups, keep)


def theirs(net, x):
    last = [m for m in net.modules() if isinstance(m, nn.Linear)]
    pruner = tp.BasePruner(
        net, x, importance=tp.importance.RandomImportance(), pruning_ratio=0.5, ignored_layers=last
    )
    pruner.step()
    return net


def timed(function, net, x):
    start = time.perf_counter()
    small = function(net, x)
    return time.perf_counter() - start, sum(p.numel() for p in small.parameters())


def main():
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name, (repeats, goal) in GOALS.items():
        net, x = models.get_model(name, weights=None).eval(), torch.zeros(1, 3, 224, 224)
        pairs = [
            (timed(ours, net, x), timed(theirs, copy.deepcopy(net), x)) for _ in range(repeats)
        ]
        assert {a[1] for a, _ in pairs} == {b[1] for _, b in pairs}, "both must prune the same"
        mine, other = (statistics.median(p[i][0] for p in pairs) for i in (0, 1))
        verdict = "ok" if mine / other <= goal else "MISSED"
        print(
            f"{name}: trace + shrink {mine:.2f} s, Torch-Pruning {other:.2f} s,"
            f" ratio {mine / other:.3f} (goal <= {goal}) {verdict}",
            flush=True,
        )


if __name__ == "__main__":
    main()
