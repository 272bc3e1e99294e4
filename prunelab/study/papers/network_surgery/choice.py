"""How the surgery's rate, decay and c were chosen: by validation error alone, under a rule."""

from __future__ import annotations

from statistics import fmean

import pandas as pd

from prunelab.study import tables as t
from prunelab.study.papers.network_surgery.recipes import PRINTED, STEM

EQUAL = 0.03  # of size: how far means may lie apart in a comparison at equal size
RULE = (
    "the lowest mean error on the 5,000 validation images among the settings whose every seed is "
    f"at least as small as the printed network, and whose mean size is within {EQUAL:.0%} of the "
    "shown setting's"
)


def choice(rows: list[dict]) -> pd.DataFrame:
    """Each setting that was compared, and which one the rule takes."""
    out = []
    for model, name in PRINTED.items():
        found, best = compared(rows, model), chosen(rows, model)
        for label, group in found.items():
            values = [r["values"] for r in group]
            budget = group[0]["recipe"]["task"]["method"]["budget"]
            size = f"{_printed(model):g}x or smaller" if _small(group, model) else "too large"
            if label != "surgery" and not _equal(group, found.get("surgery")):
                size = "not equal"
            out.append({
                "network": name, "setting": "the one shown" if label == "surgery" else label,
                "rate": budget["lr"],
                "validation error %": t.spread([1 - v["val_accuracy"] for v in values]),
                "compression": t.ranged((v["compression"] for v in values), "{:.1f}x"),
                "size": size,
                "taken by the rule": "yes" if label == best else "",
                "test error %": t.spread([1 - v["accuracy"] for v in values]),
                "seeds": len(group),
            })  # fmt: skip
    return t.frame(out)


def compared(rows: list[dict], model: str) -> dict[str, list[dict]]:
    """Label -> rows of preset paper, of the shown setting and of the candidates beside it."""
    out: dict[str, list[dict]] = {}
    for row in t.of_kind(rows, "CutWeights", preset="paper"):
        label = row["label"]
        ours = label == "surgery" or label.startswith("candidate")
        if ours and row["recipe"]["model"] == model:
            out.setdefault(row["label"], []).append(row)
    return out


def chosen(rows: list[dict], model: str) -> str | None:
    """The label that the rule takes; None = none fits, or the shown setting is not measured."""
    found = compared(rows, model)
    errors = {
        label: fmean(1 - r["values"]["val_accuracy"] for r in group)
        for label, group in found.items()
        if _small(group, model) and _equal(group, found.get("surgery"))
    }
    return min(errors, key=errors.get, default=None)


def _small(group: list[dict], model: str) -> bool:
    """Whether every seed is at least as small as the printed network."""
    return min(_sizes(group)) >= _printed(model)


def _equal(group: list[dict], shown: list[dict] | None) -> bool:
    return shown is not None and abs(fmean(_sizes(group)) / fmean(_sizes(shown)) - 1) <= EQUAL


def _sizes(group: list[dict]) -> list[float]:
    return [row["values"]["compression"] for row in group]


def _printed(model: str) -> float:
    table = t.printed(STEM, "table1_overall").set_index(["model", "kind"])
    return table.loc[(PRINTED[model], "pruned")].compression
