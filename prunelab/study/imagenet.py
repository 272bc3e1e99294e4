"""The recipes that need ImageNet: their names, what they cost, and one of them measured.

`prunelab imagenet` lists them; `torchrun --nproc-per-node 8 -m prunelab imagenet NAME` measures one
on eight GPUs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pandas as pd
import torch

from prunelab import checks, data, paths
from prunelab.study import ledger, training_cost
from prunelab.study.cells import Cell, Missing, Number
from prunelab.study.papers import studies
from prunelab.study.recipes import IMAGENET, Recipe
from prunelab.study.runner.done import Done, told
from prunelab.study.runner.estimates import Estimates, said
from prunelab.train import Budget

# Of methods, in a rehearsal: images they look at, channels that come in at a time, the last step.
SMALL = {"images": 16, "step": 512, "stop": 1}


def recipes() -> dict[str, Recipe]:
    """Name (`pfec/resnet-34-pruned-a`) -> recipe of preset paper, in the order of the notebooks."""
    found = {}
    for study in sorted(studies().values(), key=lambda one: one.said.notebook):
        paper = study.said.claims.get("paper", study.stem)
        for recipe in (r for part in study.recipes("paper", (0,)).values() for r in part):
            if recipe.data == IMAGENET:
                found[f"{paper}/{recipe.label.lower().replace(' ', '-')}"] = recipe
    return found


def chosen(names: Iterable[str]) -> dict[str, Recipe]:
    """The recipes of these names, or of all papers that these name.

    Raises:
        ValueError: neither a recipe nor a paper.
    """
    known, found = recipes(), {}
    for name in names:
        own = {k: r for k, r in known.items() if name in (k, k.partition("/")[0])}
        checks.need(bool(own), "imagenet", "NAME", f"a paper or one of {', '.join(known)}", name)
        found |= own
    return found


def measure(names: Iterable[str], rehearse: bool = False) -> Iterator[str]:
    """Measure the recipes that have no row, and say for each what it costs and what it gave.

    Args:
        names: as in `chosen`.
        rehearse: a few steps of each, on few images: whether it runs here, and no result. Its row
            is one of preset smoke.

    Raises:
        ValueError: an unknown name.
        FileNotFoundError: the images are nowhere; says where they belong.
    """
    found = chosen(names)
    if not data.available(IMAGENET):
        raise FileNotFoundError(
            "imagenet: no folder `imagenet` in a data root: put the images there, as"
            " imagenet/train/<class>/ and imagenet/val/<class>/, and name the root by --data-root"
            " or $PRUNELAB_DATA"
        )
    device = paths.device() or ("cuda" if torch.cuda.is_available() else "cpu")
    guess, measured = Estimates(ledger.folder(), device), []
    for name, recipe in found.items():
        recipe = rehearsed(recipe) if rehearse else recipe
        known = bool(ledger.run(recipe))
        if not rehearse and not known:
            flops = sum(one.flops for one in training_cost.trainings(recipe))
            time = said([guess.seconds(recipe)], 1).removeprefix("on 1 worker: ")
            yield f"{name}: {flops / 1e18:.2f} EFLOP of training on {device}: {time}"
        (row,) = ledger.run(recipe, "missing")
        error = 100 * (1 - row["values"]["accuracy"])
        word = "rehearsed, no result" if rehearse else f"error {error:.2f}%"
        yield f"{name}: {word}; row {row['key']}, {row['seconds']:,.0f} s on {row['device']}"
        if not known:
            measured.append(Done(recipe, row["device_name"], row["seconds"]))
    if measured:
        yield told(measured)


def rehearsed(recipe: Recipe) -> Recipe:
    """The same in a few steps; in float32 where no GPU does bfloat16 fast."""
    precision = {} if torch.cuda.is_available() else {"precision": "float32"}

    def small(value: Any) -> Any:
        if isinstance(value, Budget):
            return replace(value, epochs=1e-4, batch=16, **precision)
        if not dataclasses.is_dataclass(value):
            return value
        fields = {f.name: small(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return replace(value, **fields | {k: v for k, v in SMALL.items() if fields.get(k)})

    return replace(small(recipe), preset="smoke")


def table() -> pd.DataFrame:
    """The recipes: networks, lengths, costs, and the test error of those that have a row."""
    lines = []
    for name, recipe in recipes().items():
        found = training_cost.trainings(recipe)
        epochs = {when: sum(t.budget.epochs for t in found if t.when == when)
                  for when in ("before", "during", "after")}  # fmt: skip
        lines.append(
            {
                "recipe": name,
                "network": recipe.model,
                **{f"epochs {when}": f"{many:.3g}" for when, many in epochs.items()},
                "batch": recipe.budget.batch,
                "EFLOP": f"{sum(one.flops for one in found) / 1e18:.2f}",
                "error %": _error(name, recipe),
            }
        )
    return pd.DataFrame(lines)


def _error(name: str, recipe: Recipe) -> Cell:
    for row in ledger.rows(recipe.stem):
        if row["key"] == recipe.key:
            return Number(100 * (1 - row["values"]["accuracy"]), "{:.2f}", rows=(recipe.key,))
    return Missing(f"prunelab imagenet {name}")


def costs() -> pd.DataFrame:
    """EFLOP of each recipe before, during and after its pruning: columns recipe, when, eflop."""
    found = [
        (name, one.when, one.flops / 1e18)
        for name, recipe in recipes().items()
        for one in training_cost.trainings(recipe)
    ]
    frame = pd.DataFrame(found, columns=["recipe", "when", "eflop"])
    return frame.groupby(["recipe", "when"], sort=False, as_index=False).eflop.sum()
