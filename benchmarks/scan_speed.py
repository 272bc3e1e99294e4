"""The scan against the plain loop "prune one group, evaluate, start over".

Float32, the same threads and the same batches for both, both in full. `nodes` is the time that the
steps that must run again take on their own, summed over all points.
"""

import argparse
import time

import torch

from prunelab import data, models, scores, surgery
from prunelab.groups import flow
from prunelab.sensitivity import ranking
from prunelab.sensitivity.scanning.measuring import batch_size
from prunelab.sensitivity.scanning.passes import Sweep, forward, judge, points
from prunelab.sensitivity.scanning.program import Program
from prunelab.train import evaluate

RATIOS = [k / 10 for k in range(1, 10)]
CLOSE = 1e-5  # two logits nearer than this share of their size may swap by rounding
CASES = {"vgg-16": 4.0, "resnet-56": 2.5}


def sweeps_of(net, program, view):
    order = ranking(net, view, "l1")
    for name, group in view.items():
        keeps = {r: scores.best(order[name], scores.kept(group.size, r)) for r in RATIOS[::-1]}
        yield Sweep(name, program.replay(name), keeps)


@torch.inference_mode()
def scan(program, sweeps, split, batch):
    start = time.perf_counter()
    found, near = {}, {}
    for x, y in split.batches(batch):
        logits, values = forward(program, x, sweeps)
        judge(logits, y)
        for sweep in sweeps:
            for ratio, out in points(program, sweep, values):
                found.setdefault((sweep.group, ratio), []).append(judge(out, y))
                best, second = out.topk(2, dim=1).values.T
                near.setdefault((sweep.group, ratio), []).append(best - second < CLOSE * best.abs())
    flags = {k: torch.cat([j.correct for j in v]) for k, v in found.items()}
    close = {k: torch.cat(v) for k, v in near.items()}
    return time.perf_counter() - start, flags, close


def loop(net, seen, sweeps, split, layout, batch):
    """(seconds, flags of every point)"""
    start, flags = time.perf_counter(), {}
    for sweep in sweeps:
        for ratio, keep in sweep.keeps.items():
            small = surgery.shrink(net, seen.groups, {sweep.group: keep}).to(memory_format=layout)
            flags[sweep.group, ratio] = evaluate(small, split, batch=batch).correct
    return time.perf_counter() - start, flags


@torch.inference_mode()
def nodes(program, sweeps, split, batch):
    """Seconds that the steps of all points take, each timed alone in the whole network."""
    x, _ = next(iter(split.batches(batch)))
    env, took = {}, {}
    first = next(n for n in program.nodes if n.op == "placeholder")
    env[first] = x.contiguous(memory_format=torch.channels_last)
    for _ in range(2):  # the first round warms up
        for node in program.nodes:
            if node.op != "placeholder":
                start = time.perf_counter()
                program.run([node], env, keep=program.nodes)
                took[node] = time.perf_counter() - start
                if node not in env and node.op != "output":
                    raise AssertionError(node)
    return (
        sum(took[n] for sweep in sweeps for n in sweep.replay.steps)
        * len(RATIOS)
        * len(split)
        / len(x)
    )


def main(threads, images):
    torch.set_num_threads(threads)
    cifar = data.load("cifar10")
    for name, goal in CASES.items():
        torch.manual_seed(0)
        net, split = models.build(name).eval(), cifar.val[:images]
        x, _ = split.batch(slice(0, 3))
        seen = flow(net, x[:1])
        program = Program(net, seen, x)
        convs = [g for g in seen.groups if "conv" in g]
        view = seen.groups.first_convolutions() or seen.groups.select(convs)
        sweeps = list(sweeps_of(net, program, view))
        batch = batch_size(split)
        scan(program, sweeps[:1], split[:batch], batch)  # warms up
        ours, flags, close = scan(program, sweeps, split, batch)
        plain, expected = loop(net, seen, sweeps, split, torch.contiguous_format, batch)
        last, _ = loop(net, seen, sweeps, split, torch.channels_last, batch)
        wrong = sum(int(((flags[p] != e) & ~close[p]).sum()) for p, e in expected.items())
        near = sum(int(c.sum()) for c in close.values())
        least = nodes(program, sweeps, split, batch)
        print(
            f"{name}: {len(sweeps)} groups x {len(RATIOS)} ratios, {images} images,"
            f" {threads} threads:"
            f" scan {ours:.1f} s; plain loop / scan {plain / ours:.2f} (goal {goal});"
            f" channels-last loop / scan {last / ours:.2f};"
            f" scan / nodes alone {ours / least:.2f};"
            f" different answers {wrong}, close calls {near}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=256)
    options = parser.parse_args()
    main(options.threads, options.images)
