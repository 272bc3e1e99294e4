"""The choice of DCP against the literal algorithm of its authors, layer by layer.

Pre-activation ResNet-20 at 50%, after a short joint fine-tuning with three auxiliary losses. All
choose from the same weights; the network then goes on with the fast choice.

literal  runs both networks as a whole, for each batch of each step, on `--images` images.
equal    our choice on the same images, one channel a step. What it saves, it saves exactly: layers'
         inputs are computed once, L_M needs no images, only the way to the classifier is run.
fast     our choice on `--fast` of these images, with `--step` channels a step.
again    the literal algorithm with another order of the images (`--again`).
other    `equal` on as many other images (`--again`): how far images alone decide the choice.

    PRUNELAB_DATA=... python benchmarks/selection_speed.py --again --write

Seconds are those of the processor, on one thread. A run that was interrupted goes on with the next
layer. It exits with 1 unless both goals are met by the same choice, `fast`. `--write` also puts the
result into benchmarks/selection_speed.csv and docs/benchmarks.md.
"""

import argparse
import csv
import re
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from prunelab import data, paths
from prunelab.methods.discrimination.algorithm import Algorithm
from prunelab.methods.discrimination_aware import DiscriminationAware
from prunelab.methods.reconstruction.layerwise import drawn
from prunelab.methods.stages import Options, Stage
from prunelab.study import ledger
from prunelab.study.pages.readme import markdown
from prunelab.study.papers.discrimination_aware import STUDY
from prunelab.train import Budget

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from helpers import literal_dcp

GOAL_SAME, GOAL_FASTER = 0.95, 20.0
RESULT = Path(__file__).resolve().with_suffix(".csv")
PAGE = RESULT.parents[1] / "docs" / "benchmarks.md"
BLOCK = re.compile(r"(<!-- selection_speed -->\n).*?(<!-- end -->)", re.DOTALL)
KINDS = ("equal", "fast", "again", "other")
TIMED = ("literal", "equal", "fast")


class Contest:
    """The choices of one network, layer after layer."""

    def __init__(self, asked: argparse.Namespace):
        budget = Budget(epochs=asked.epochs, lr=0.01, nesterov=True, augment="crop-flip")
        how = {"ratios": 0.5, "finetune": budget, "staging": "joint"}
        self.asked, self.equal = asked, DiscriminationAware(images=asked.images, **how)
        self.fast = replace(self.equal, images=asked.fast, step=asked.step)
        recipe = STUDY.recipes(asked.preset, (0,))["unpruned"][0]
        self.data = data.load(recipe.data)
        net, _ = ledger.trained(recipe, self.data, progress=False)
        name = f"{asked.preset}-{asked.images}-{asked.fast}-{asked.step}-{asked.again}"
        file = paths.made(paths.runs() / "selection_speed", "benchmark") / name
        options = Options(self.fast, 0, False, file, None)
        self.run = Algorithm(self.fast, net, self.data, options)
        self.stage: Stage = options.stage(budget, self.data)
        self.run.tune(self.stage, self.run.places, self.run.weights)
        self.run.begin()

    def layer(self, name: str) -> dict[str, object]:
        """The row of one group; its channels are then removed. Read from a file if it is there."""
        found = self.stage.once(name, lambda: self._measured(name))
        self.run.take(name, found)
        expected = {*found["literal"].tolist()}
        row: dict[str, object] = {"layer": name, "channels": len(expected)}
        for kind in KINDS:
            order = found["order" if kind == "fast" else kind]
            rival = found["equal"] if kind == "other" else found["literal"]
            row[kind] = len({*order.tolist()} & {*rival.tolist()}) if len(order) else ""
        seconds = zip(TIMED, found["seconds"].tolist())
        return row | {f"{kind} s": round(value, 2) for kind, value in seconds}

    def _measured(self, name: str) -> dict[str, Tensor]:
        count, none = self.run.groups[name].size // 2, torch.empty(0, dtype=torch.int64)
        literal, slow = timed(lambda: self._literal(name, count, 0))
        again = self._literal(name, count, 1) if self.asked.again else none
        equal, same = timed(lambda: self._chosen(name, count, self.equal, 0)["order"])
        other = self._chosen(name, count, self.equal, 1)["order"] if self.asked.again else none
        found, quick = timed(lambda: self._chosen(name, count, self.fast, 0))
        orders = {"literal": literal, "again": again, "equal": equal, "other": other}
        return found | orders | {"seconds": torch.tensor([slow, same, quick])}

    def _chosen(
        self, name: str, count: int, method: DiscriminationAware, seed: int
    ) -> dict[str, Tensor]:
        """What our choice gives on images drawn with a seed; the network is as before."""
        run, before = self.run, deepcopy(self.run.net.state_dict())
        run.method, run.images = method, drawn(self.data.train, method.images, seed)
        found = run.choice(self._place(name), name, count, lambda n: None)
        run.net.load_state_dict(before)
        return found

    def _literal(self, name: str, count: int, seed: int) -> Tensor:
        """The order in which the literal algorithm takes channels."""
        run, place = self.run, self._place(name)
        net, whole = deepcopy(run.net).eval(), deepcopy(run.whole.net).eval()
        head = deepcopy(run.heads[place]).eval() if place else None
        pair = literal_dcp.Pair(net, whole, run.chosen[name][1][0].layer, place, head)
        x, y = next(iter(drawn(self.data.train, self.asked.images, 0).batches(self.asked.images)))
        return torch.tensor(literal_dcp.choose(pair, x, y, count, seed=seed))

    def _place(self, name: str) -> str | None:
        (reader,) = self.run.chosen[name][1]
        places = (*self.run.places, None)
        return next(p for p in places if self.run.wiring.leads(reader.layer, p))


def timed(what: Callable[[], object]) -> tuple:
    """What a function returns, and its seconds of the processor."""
    start = time.process_time()
    return what(), time.process_time() - start


def totals(rows: list[dict]) -> dict[str, float]:
    """Shares of the same channels, and how often the literal seconds are those of our choices."""
    kinds = [kind for kind in KINDS if rows[0][kind] != ""]
    names = ["channels", *kinds, *(f"{kind} s" for kind in TIMED)]
    total = {name: sum(float(row[name]) for row in rows) for name in names}
    shares = {kind: total[kind] / total["channels"] for kind in kinds}
    return shares | {f"{k} x": total["literal s"] / total[f"{k} s"] for k in TIMED[1:]}


def met(rows: list[dict]) -> bool:
    """Whether one choice, the fast one, meets both goals."""
    found = totals(rows)
    return found["fast"] >= GOAL_SAME and found["fast x"] >= GOAL_FASTER


def told(rows: list[dict]) -> str:
    """What the rows say, in lines of Markdown."""
    found, parts = totals(rows), rows[0]
    goals = f"{GOAL_SAME:.0%} the same channels with {GOAL_FASTER:g} times less work"
    lines = [
        f"- Both goals together ({goals}): **{'met' if met(rows) else 'not met'}**.",
        f"- Equal images, one channel a step: {found['equal']:.1%} the same channels,"
        f" {found['equal x']:.1f} times less work.",
        f"- {parts['fast images']} of {parts['images']} images, {parts['step']} a step:"
        f" {found['fast']:.1%} the same, {found['fast x']:.1f} times less work. Of this factor,"
        f" {found['equal x']:.1f} is what is computed once or not at all, and"
        f" {found['fast x'] / found['equal x']:.1f} is fewer images and steps.",
    ]
    if "again" in found:
        lines += [
            f"- The literal algorithm with another order of the images: {found['again']:.1%} the"
            f" same. Our choice on other images, as many: {found['other']:.1%} the same.",
        ]
    return "\n".join(lines)


def page(text: str) -> str:
    """The page of benchmarks with the committed result, or with what measures it."""
    if not RESULT.exists():
        shown = "Not measured: `python benchmarks/selection_speed.py --again --write`\n"
    else:
        import pandas as pd

        rows = read()
        table = pd.DataFrame(rows).drop(columns=["preset", "images", "fast images", "step"])
        shown = f"{told(rows)}\n\n{markdown(table)}\n"
    return BLOCK.sub(lambda m: m[1] + shown + m[2], text)


def read() -> list[dict]:
    """The committed rows."""
    with RESULT.open(newline="") as file:
        return [*csv.DictReader(file)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", default="standard", choices=("smoke", "quick", "standard"))
    parser.add_argument("--images", type=int, default=1250)
    parser.add_argument("--fast", type=int, default=312)
    parser.add_argument("--step", type=int, default=2)
    parser.add_argument("--epochs", type=float, default=0.5)
    parser.add_argument("--again", action="store_true", help="also what order and images change")
    parser.add_argument("--write", action="store_true", help="into the repository")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    setting = {"preset": asked.preset, "images": asked.images}
    setting |= {"fast images": asked.fast, "step": asked.step}
    contest, rows = Contest(asked), []
    for name in contest.run.chosen:
        rows.append(contest.layer(name) | setting)
        print(", ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    print(told(rows))
    if asked.write:
        with RESULT.open("w", newline="") as file:
            table = csv.DictWriter(file, rows[0], lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
        PAGE.write_text(page(PAGE.read_text()))
    sys.exit(not met(rows))


if __name__ == "__main__":
    main()
