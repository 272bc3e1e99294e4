"""The choice of DCP against the literal algorithm of its authors, layer by layer.

Pre-activation ResNet-20 at 50%, after a short joint fine-tuning with three auxiliary losses. Both
choose from the same weights; the network then goes on with the fast choice. The literal side runs
both networks as a whole, for each batch of each step, on `--images` images; the fast side looks at
`--fast` of them and lets `--step` channels in at a time. `again` is the literal choice with another
order of the images: no other algorithm can be expected to agree with it more often.

    PRUNELAB_DATA=... python benchmarks/selection_speed.py --images 2500 --fast 625 --step 2
"""

import argparse
import sys
import time
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor

from prunelab import data
from prunelab.data import Dataset
from prunelab.methods.discrimination_aware import Algorithm, DiscriminationAware
from prunelab.methods.reconstruction import layerwise
from prunelab.methods.stages import Options
from prunelab.study import ledger
from prunelab.study.papers.discrimination_aware import STUDY
from prunelab.train import Budget

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from helpers import literal_dcp

GOAL_SAME, GOAL_FASTER = 0.95, 20.0


def ready(method: DiscriminationAware, preset: str) -> tuple[Algorithm, Dataset]:
    """The trained network of the study, fine-tuned under all losses."""
    recipe = STUDY.recipes(preset, (0,))["unpruned"][0]
    split = data.load(recipe.data)
    net, _ = ledger.trained(recipe, split, progress=False)
    run = Algorithm(method, net, split, Options(method, 0, False, None, None))
    run.tune(run.options.stage(method.finetune, split), run.places, run.depths)
    return run, split


def literal(
    run: Algorithm,
    place: str | None,
    layer: str,
    images: tuple[Tensor, Tensor],
    count: int,
    seed: int,
) -> tuple[float, set[int]]:
    """Seconds and channels of the literal algorithm."""
    net, whole = deepcopy(run.net).eval(), deepcopy(run.whole.net).eval()
    head = deepcopy(run.heads[place]).eval() if place else None
    pair = literal_dcp.Pair(net, whole, layer, place, head)
    start = time.perf_counter()
    order = literal_dcp.choose(pair, *images, count, seed=seed)
    return time.perf_counter() - start, set(order)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="standard", choices=("quick", "standard"))
    parser.add_argument("--images", type=int, default=2500)
    parser.add_argument("--fast", type=int, default=625)
    parser.add_argument("--step", type=int, default=2)
    parser.add_argument("--epochs", type=float, default=0.5)
    parser.add_argument("--again", action="store_true", help="run the literal choice twice")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    budget = Budget(epochs=asked.epochs, lr=0.01, nesterov=True, augment="crop-flip")
    how = {"ratios": 0.5, "finetune": budget, "staging": "joint"}
    method = DiscriminationAware(images=asked.fast, step=asked.step, **how)
    run, split = ready(method, asked.preset)
    drawn = layerwise.drawn(split.train, asked.images, seed=0)
    images = next(iter(drawn.batches(asked.images)))
    same, total, seconds, noise = 0, 0, [0.0, 0.0], 0
    for name, (_, readers) in run.chosen.items():
        place = next(p for p in (*run.places, None) if run.wiring.leads(readers[0].layer, p))
        count = run.groups[name].size // 2
        slow, expected = literal(run, place, readers[0].layer, images, count, seed=0)
        if asked.again:
            noise += len(expected & literal(run, place, readers[0].layer, images, count, seed=1)[1])
        start = time.perf_counter()
        found = run.choice(place, name, count, lambda n: None)
        fast = time.perf_counter() - start
        run.take(name, found)
        met = len(expected & set(found["order"].tolist()))
        same, total = same + met, total + count
        seconds = [seconds[0] + slow, seconds[1] + fast]
        print(f"{name}: {met} of {count} the same, {slow / fast:.1f}x", flush=True)
    print(f"same channels: {same / total:.1%} (goal {GOAL_SAME:.0%})")
    if asked.again:
        print(f"literal, images in another order: {noise / total:.1%}")
    slow, fast = seconds
    print(f"literal {slow:.0f} s / fast {fast:.0f} s = {slow / fast:.1f}x (goal {GOAL_FASTER:g}x)")


if __name__ == "__main__":
    main()
