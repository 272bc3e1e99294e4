"""The lines of code that rebuild the network on show."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import fields

from prunelab.train import Budget
from prunelab.widgets.source import Ratios, Source


def code(source: Source, ratios: Ratios, budgets: Sequence[Budget] = ()) -> str:
    """Python that makes `small`, the network at these ratios, from `net`.

    Args:
        source: says how channels are ranked.
        ratios: group name -> fraction removed.
        budgets: of the fine-tunings it had; they need `data`, the Dataset.
    """
    used = f"scores, sensitivity, surgery{', train' if budgets else ''}"
    # a criterion without a name is the mapping or function that the explorer was given
    criterion = "criterion" if source.criterion is None else f'"{source.criterion}"'
    where = "" if source.logits is None else f", logits={source.logits!r}"
    lines = [
        "import torch",
        f"from prunelab import {used}",
        "from prunelab.groups import trace",
        f"ratios = {_table({name: ratios[name] for name in source.kept(ratios)})}",
        f"groups = trace(net, torch.zeros{source.shape}).select(ratios)",
        f"order = sensitivity.ranking(net, groups, {criterion})",
        "keep = {g: scores.best(order[g], scores.kept(groups[g].size, ratios[g])) for g in groups}",
        "small = surgery.shrink(net, groups, keep)",
        *(f"train.fit(small, data, {_call(budget)}{where})" for budget in budgets),
    ]
    return "\n".join(lines)


def _table(ratios: Ratios) -> str:
    entries = ", ".join(f'"{name}": {ratio!r}' for name, ratio in ratios.items())
    if len(entries) < 88:
        return "{" + entries + "}"
    lines = textwrap.wrap(f"{entries},", 92, break_long_words=False, break_on_hyphens=False)
    return "{\n" + textwrap.indent("\n".join(lines), "    ") + "\n}"


def _call(budget: Budget) -> str:
    changed = [(f.name, getattr(budget, f.name), f.default) for f in fields(budget)]
    return f"train.Budget({', '.join(f'{n}={v!r}' for n, v, d in changed if v != d)})"
