"""How the surgery's settings were chosen: by validation error alone, under a rule.

The lowest of many noisy means is too low by chance. So a candidate has to be better than what is
shown by more than the seeds scatter.
"""

from __future__ import annotations

import math
from statistics import fmean, variance

import pandas as pd

from prunelab.study import tables as t
from prunelab.study.papers.network_surgery.candidates import SEEN, TAKEN, Candidate
from prunelab.study.papers.network_surgery.recipes import PRINTED, STEM

RULE = (
    "a candidate replaces the setting shown if every seed of it is at least as small as the "
    "printed network, and if its mean error on the 5,000 validation images is lower by more than "
    "one standard error of the difference"
)


def choice(rows: list[dict]) -> pd.DataFrame:
    """Each setting that was compared, and which one the rule takes."""
    out = []
    for model, name in PRINTED.items():
        found, best = compared(rows, model), chosen(rows, model)
        for label, group in found.items():
            values = [r["values"] for r in group]
            budget = group[0]["recipe"]["task"]["method"]["budget"]
            out.append({
                "network": name,
                "setting": label.partition(", ")[2] if label != "surgery" else _shown(model),
                "rate": budget["lr"], "decay": budget["weight_decay"],
                "validation error %": t.spread([1 - v["val_accuracy"] for v in values]),
                "compression": t.ranged((v["compression"] for v in values), "{:.1f}x"),
                "small enough": "yes" if _small(group, model) else "no",
                "taken by the rule": "yes" if label == best else "",
                "test error %": t.spread([1 - v["accuracy"] for v in values]),
                "within print": f"{meeting(group, model)} of {len(group)} seeds",
            })  # fmt: skip
    return pd.DataFrame(out or [dict.fromkeys(("network", "setting"), t.NOT_MEASURED)])


def _shown(model: str) -> str:
    taken = TAKEN[model]
    return "the one shown" if taken == Candidate() else f"the one shown: {taken.label()}"


def compared(rows: list[dict], model: str) -> dict[str, list[dict]]:
    """Label -> rows of the shown setting and of the candidates; without the fresh seeds."""
    out: dict[str, list[dict]] = {}
    for row in t.of_kind(rows, "prune", preset="paper"):
        label = row["label"]
        ours = label == "surgery" or label.startswith("candidate")
        if ours and row["recipe"]["model"] == model and row["seed"] in SEEN[model]:
            out.setdefault(label, []).append(row)
    return out


def meeting(group: list[dict], model: str) -> int:
    """How many runs end, on their last error, no larger and no worse than printed."""
    printed, values = _printed(model), [row["values"] for row in group]
    return sum(
        round(100 * (1 - v["accuracy"]), 3) <= printed.error_pct
        and v["compression"] >= printed.compression
        for v in values
    )


def chosen(rows: list[dict], model: str) -> str | None:
    """The label that the rule takes; None = the shown setting is not measured, or too large."""
    found = compared(rows, model)
    shown = found.get("surgery", [])
    if not shown or not _small(shown, model):
        return None
    better = {
        label: _error(group)
        for label, group in found.items()
        if _small(group, model) and _lower(group, shown)
    }
    return min(better, key=better.get, default="surgery")


def _error(group: list[dict]) -> float:
    return fmean(1 - row["values"]["val_accuracy"] for row in group)


def _lower(group: list[dict], shown: list[dict]) -> bool:
    """By more than one standard error of the difference; one run alone has none."""
    both = [[row["values"]["val_accuracy"] for row in rows] for rows in (group, shown)]
    if min(map(len, both)) < 2:
        return False
    error = math.sqrt(sum(variance(seeds) / len(seeds) for seeds in both))
    return _error(group) < _error(shown) - error


def _small(group: list[dict], model: str) -> bool:
    """Whether every seed is at least as small as the printed network."""
    return min(row["values"]["compression"] for row in group) >= _printed(model).compression


def _printed(model: str) -> pd.Series:
    """The pruned network's row of Table 1."""
    table = t.printed(STEM, "table1_overall").set_index(["model", "kind"])
    return table.loc[(PRINTED[model], "pruned")]
