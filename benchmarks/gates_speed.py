"""A training step under VIBNet's gates, and of a stage of RBP, beside a plain step of `fit`.

    python benchmarks/gates_speed.py [--threads N]

Random 28 x 28 images, batch 64, Adam; gates on the units of all layers and on what fc1 reads. Both
are timed inside one epoch, from the end of the first step to the end of the last, and take turns,
so that a busy machine slows both. Then the same with `cut`, when about as many units run as the
paper leaves.
"""

import argparse
import time

import torch
from network_surgery_speed import BATCH, compare

from prunelab.methods import InformationBottleneck, RecursiveBayesian
from prunelab.methods.gating.narrowing import Narrowed
from prunelab.train import Budget, fit

GOAL, STAGE = 1.25, 1.15
CASES = {"lenet-5": (20, 9), "lenet-5-relu": (20, 9)}  # steps, repeats
LEFT = {"conv1": 3, "conv2": 10, "fc1.inputs": 70, "fc1": 35}  # of VIBNet's LeNet-5
BUDGET = Budget(epochs=1, lr=1e-3, batch=BATCH, optimizer="adam", weight_decay=0.0)


def seconds(net, data, penalty=None) -> float:
    """Of a step."""
    ends = []
    fit(
        net,
        data,
        BUDGET,
        penalty=penalty,
        after_step=lambda _: ends.append(time.perf_counter()),
        progress=False,
    )
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def gated(net, data) -> float:
    """Seconds of a step under gates."""
    method = InformationBottleneck(1e-4, budget=BUDGET, inputs=("fc1",))
    state = method.gated(net, data)
    return seconds(state, data, state.penalty)


def staged(net, data) -> float:
    """Seconds of a step of the stage of conv2, conv1 being decided."""
    method = RecursiveBayesian(1.0, budget=BUDGET, inputs=("fc1",))
    state = method.gated(net, data)
    first, second, *_ = state.gates.values()
    first.begin()
    first.decide(torch.ones_like(first.left))
    second.begin()
    return seconds(state, data, state.penalty)


def narrowed(net, data) -> float:
    """Seconds of a step when only some units run."""
    method = InformationBottleneck(1e-4, budget=BUDGET, inputs=("fc1",), cut=3.0)
    state = method.gated(net, data)
    for place, left in LEFT.items():
        torch.nn.init.constant_(state.gates[place].log_var[left:], 8.0)
    running = Narrowed(state, net, method.cut)
    return seconds(running, data, running.penalty)


def main(threads: int) -> None:
    torch.set_num_threads(threads)
    print(f"torch {torch.__version__}, {threads} threads")
    for name, sizes in CASES.items():
        compare(name, sizes, GOAL, seconds, gated)
        print("a stage of RBP, ", end="")
        compare(name, sizes, STAGE, seconds, staged)
        print("narrowed, ", end="")
        compare(name, sizes, 1.0, seconds, narrowed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    main(parser.parse_args().threads)
