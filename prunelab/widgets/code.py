"""The lines of code that rebuild the network on show."""

from __future__ import annotations

from dataclasses import fields
from pprint import pformat

from prunelab.train import Budget
from prunelab.widgets.source import Ratios, Source


def code(source: Source, ratios: Ratios) -> str:
    """Python that makes `small`, the network at these ratios, from `net`.

    If it was fine-tuned, that needs `data`, the Dataset.
    """
    # a criterion without a name is the mapping or function that the explorer was given
    criterion = "criterion" if source.criterion is None else repr(source.criterion)
    looked = ", data.train" if source.looks else ""
    where = "" if source.logits is None else f", logits={source.logits!r}"
    chosen = {name: ratios[name] for name in source.kept(ratios)}
    hand = [(name, source.hand[name]) for name in chosen if name in source.hand]
    lines = [
        "import torch",
        "from prunelab import scores, sensitivity, surgery, train",
        "from prunelab.groups import trace",
        f"ratios = {pformat(chosen, width=90, compact=True, sort_dicts=False)}",
        f"groups = trace(net, torch.zeros{source.shape}).select(ratios)",
        f"order = sensitivity.ranking(net, groups, {criterion}{looked})",
        "keep = {g: scores.best(order[g], scores.kept(groups[g].size, ratios[g])) for g in groups}",
        *(f"keep[{name!r}][:] = True; keep[{name!r}][{[*own]}] = False" for name, own in hand),
        "small = surgery.shrink(net, groups, keep)",
        *(f"train.fit(small, data, {_call(budget)}{where})" for budget in source.budgets(ratios)),
    ]
    return "\n".join(lines)


def _call(budget: Budget) -> str:
    changed = [(f.name, getattr(budget, f.name), f.default) for f in fields(budget)]
    return f"train.Budget({', '.join(f'{n}={v!r}' for n, v, d in changed if v != d)})"
