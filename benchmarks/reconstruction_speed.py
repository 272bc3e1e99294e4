"""ThiNet and channel regression on all layers of ResNet-20: seconds, memory, and what they keep.

5,000 images of CIFAR-10, ten positions of each, as in the authors' code. Peak memory is that of the
process, data set and torch included. The ratio is to one pass of the unpruned network over the same
images.

    PRUNELAB_DATA=... python benchmarks/reconstruction_speed.py
"""

import resource
import time
from copy import deepcopy

import torch

from prunelab import data, methods, models
from prunelab.train import evaluate

GOAL_SECONDS, GOAL_GIB = 60.0, 4.0


def main() -> None:
    torch.manual_seed(0)
    split, net = data.load("cifar10"), models.build("resnet-20")
    start = time.perf_counter()
    evaluate(net, split.train[:5000])
    plain = time.perf_counter() - start
    for make in (methods.ThiNet, methods.ChannelRegression):
        pruned, start = deepcopy(net), time.perf_counter()
        keep = make(0.5).prune(pruned, split, progress=False)
        seconds = time.perf_counter() - start
        gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"{make.__name__}: {len(keep)} layers in {seconds:.1f} s (goal {GOAL_SECONDS:g}),"
            f" {seconds / plain:.1f} passes of the network, {gib:.2f} GiB (goal {GOAL_GIB:g})"
        )


if __name__ == "__main__":
    main()
