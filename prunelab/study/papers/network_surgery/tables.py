"""Network surgery's tables, printed beside measured. Made from rows alone."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import pandas as pd

from prunelab.study import tables as t
from prunelab.study.papers.network_surgery.candidates import SEEN
from prunelab.study.papers.network_surgery.choice import choice, meeting
from prunelab.study.papers.network_surgery.costs import alexnet, products, savings
from prunelab.study.papers.network_surgery.recipes import PRINTED, STEM, WHOLE, recipes

NEAR = 0.001  # of error: a network as good as the reference within 0.1 points


def tables(rows: list[dict]) -> dict[str, pd.DataFrame]:
    """Title -> table, from ledger rows of any preset; only of recipes as they are now."""
    rows = _ordered(rows)
    out = {
        "Table 1: error and compression (preset paper)": overall(rows),
        "Table 2: parameters left, layer by layer (preset paper)": layers(rows),
        "Which weights survive (preset paper)": survivors(rows),
        "How rate, decay and c were chosen (preset paper)": choice(rows),
    }
    for preset in ("paper", "quick", "smoke"):
        found = [r for r in rows if r["preset"] == preset]
        if t.of_kind(found, "prune"):
            scale = "MNIST, presets standard and paper" if preset == "paper" else f"preset {preset}"
            out[f"Surgery and its controls, {scale}"] = controls(found)
    out["XOR, 2-5-1"] = xor(rows)
    out["What the zeros save on disk"] = savings(rows)
    out["What the zeros save in time"] = products(rows)
    out["AlexNet: counts and Table 4 (preset paper)"] = alexnet(rows)
    return out


def of(rows: Iterable[dict], label: str, model: str) -> list[dict]:
    """Rows of single weights with that label, of one network."""
    found = t.of_kind(rows, "prune", label)
    return [r for r in found if r["recipe"]["model"] == model]


def _ordered(rows: list[dict]) -> list[dict]:
    """Rows of recipes as they are now, in the order of these recipes, not of measuring."""
    rows = t.current(rows, recipes)
    seeds = sorted({row["seed"] for row in rows})
    presets = dict.fromkeys(row["preset"] for row in rows)
    parts = [part for preset in presets for part in recipes(preset, seeds).values()]
    place = {recipe.key: i for i, recipe in enumerate(r for part in parts for r in part)}
    return sorted(rows, key=lambda row: place[row["key"]])


def _paper(rows: list[dict]) -> list[dict]:
    return [r for r in rows if r["preset"] == "paper"]


def _percent(rows: list[dict], *keys: str) -> str:
    """Test error of the rows, percent."""
    values = [r["values"] for r in rows]
    for key in keys[:-1]:
        values = [v[key] for v in values]
    return t.ranged(100 * (1 - v[keys[-1]]) for v in values)


def overall(rows: list[dict]) -> pd.DataFrame:
    """Table 1. A seed meets the row if its last error and its size are no larger than printed."""
    printed = t.printed(STEM, "table1_overall").set_index(["model", "kind"])
    out = []
    for (model, name), label in product(PRINTED.items(), ("surgery", WHOLE)):
        base, pruned = (printed.loc[(name, kind)] for kind in ("reference", "pruned"))
        found = of(_paper(rows), label, model)
        if not found and label == WHOLE:
            continue
        values = [r["values"] for r in found]
        out.append({
            "network": name if label != WHOLE else f"{name}, trained on all images",
            "verdict": _verdict(found, model) if found else _how(model),
            "compression printed": f"{pruned.compression:g}x",
            "compression ours": t.ranged([v["compression"] for v in values], "{:.1f}x"),
            "error % before, printed": base.error_pct,
            "error % before, ours": _percent(found, "before", "accuracy"),
            "error % after, printed": pruned.error_pct,
            "error % after, ours (last)": _percent(found, "accuracy"),
            "error % after, ours (best)": _percent(found, "best_accuracy"),
        })  # fmt: skip
    return pd.DataFrame(out)


def _verdict(found: list[dict], model: str) -> str:
    """Fresh seeds are those that had no say when settings were chosen."""
    seen = [row for row in found if row["seed"] in SEEN[model]]
    fresh = [row for row in found if row["seed"] not in SEEN[model]]
    return "within print in " + " and ".join(
        f"{meeting(rows, model)} of {len(rows)} {seeds}"
        for rows, seeds in ((seen, "seeds"), (fresh, "fresh seeds"))
        if rows
    )


def _how(model: str) -> str:
    place = ", with ImageNet in the folder imagenet of a data root" if model == "alexnet" else ""
    return f"{t.NOT_MEASURED}: prunelab run 02 --preset paper{place}"


def layers(rows: list[dict]) -> pd.DataFrame:
    """Table 2. The authors' column is counted in the models that they released."""
    out = []
    for line in t.printed(STEM, "table2_lenet_layers").itertuples():
        model = next(key for key, name in PRINTED.items() if name == line.model)
        found = [r["values"] for r in of(_paper(rows), "surgery", model)]
        kept = [_kept(values, line.layer) for values in found]
        out.append({
            "network": line.model, "layer": line.layer, "parameters": f"{line.params:,}",
            "Han et al. % printed": t.number(line.han_pct),
            "authors' model, kept": f"{line.released_kept:,}",
            "authors' model, %": f"{line.released_pct:.2f}",
            "ours, kept": t.ranged(kept, "{:,.0f}"),
            "ours, %": t.ranged(100 * k / line.params for k in kept),
        })  # fmt: skip
    return pd.DataFrame(out)


def _kept(values: dict, layer: str) -> int:
    if layer == "total":
        return values["kept"]
    return next(row["kept"] for row in values["layers"] if row["layer"] == layer)


def survivors(rows: list[dict]) -> pd.DataFrame:
    """Share of the survivors that were among the n largest before, n being their number."""
    out = []
    for line in t.printed(STEM, "released_models").itertuples():
        model = next(key for key, name in PRINTED.items() if name == line.model)
        row = {"network": line.model, "layer": line.layer,
               "authors' model, %": f"{100 * line.top_share:.0f}"}  # fmt: skip
        for label in ("surgery", "no splicing"):
            found = [r["values"]["layers"] for r in of(_paper(rows), label, model)]
            shares = [100 * e["top_share"] for v in found for e in v if e["layer"] == line.layer]
            row[f"{label}, %"] = t.ranged(shares, "{:.0f}")
        out.append(row)
    return pd.DataFrame(out)


def controls(rows: list[dict]) -> pd.DataFrame:
    """Every way of pruning, network by network: sizes, errors, and the change of error."""
    out = []
    for model in dict.fromkeys(r["recipe"]["model"] for r in t.of_kind(rows, "prune")):
        if model not in ("lenet-300-100", "lenet-5"):
            continue
        cut = t.of_kind(rows, "prune")
        labels = dict.fromkeys(r["label"] for r in cut if r["recipe"]["model"] == model)
        for label in labels:
            found = of(rows, label, model)
            if not found or label == WHOLE or label.startswith("candidate"):
                continue  # they stand in other tables
            values = [r["values"] for r in found]
            gaps = [v["before"]["accuracy"] - v["accuracy"] for v in values]
            out.append({
                "network": PRINTED[model], "method": label,
                "compression": t.ranged([v["compression"] for v in values], "{:.1f}x"),
                "error % (last)": _percent(found, "accuracy"),
                "error % (best)": _percent(found, "best_accuracy"),
                "change by pruning, points": t.spread(gaps),
                "seeds": len(found),
            })  # fmt: skip
    return pd.DataFrame(out)


def frontier(rows: list[dict], model: str, data: str) -> pd.DataFrame:
    """Points of one network: method, compression, error and its reference's (fractions), seed."""
    out = []
    for row in t.of_kind(_ordered(rows), "prune"):
        if (row["recipe"]["model"], row["recipe"]["data"]) != (model, data):
            continue
        values = row["values"]
        if row["label"].startswith("candidate"):
            continue
        out.append({
            "method": row["label"].split(",")[0], "setting": row["label"], "seed": row["seed"],
            "compression": values["compression"], "error": 1 - values["accuracy"],
            "reference": 1 - values["before"]["accuracy"],
        })  # fmt: skip
    columns = ["method", "setting", "seed", "compression", "error", "reference"]
    return pd.DataFrame(out, columns=columns)


def printed_points(model: str, data: str) -> pd.DataFrame:
    """What the papers print for one network on MNIST: method, compression, error (fraction)."""
    if data != "mnist":
        return pd.DataFrame(columns=["method", "compression", "error"])
    name = PRINTED[model]
    dns = t.printed(STEM, "table1_overall").set_index(["model", "kind"]).loc[(name, "pruned")]
    han = t.printed(STEM, "han_magnitude").set_index("model").loc[name]
    points = [("Guo et al. 2016", dns.compression, dns.error_pct / 100),
              ("Han et al. 2015", han.compression, han.after / 100)]  # fmt: skip
    return pd.DataFrame(points, columns=["method", "compression", "error"])


def within(points: pd.DataFrame) -> str:
    """The largest compression whose mean error is within 0.1 points of the reference's."""
    surgery = points[points.method == "surgery"]
    if surgery.empty:
        return t.NOT_MEASURED
    means = surgery.groupby("setting")[["compression", "error", "reference"]].mean()
    good = means[means.error <= means.reference + NEAR]
    if good.empty:
        return "none of the measured sizes is within 0.1 points of the reference"
    best = good.loc[good.compression.idxmax()]
    error, whole = (f"{100 * value:.2f}%" for value in (best.error, best.reference))
    return f"{best.compression:.0f}x at {error} (reference {whole})"


def xor(rows: list[dict]) -> pd.DataFrame:
    """The XOR experiment. Its printed figures are not known well enough to be shown."""
    out = []
    for row in t.of_kind(rows, "prune", "xor"):
        values, by = row["values"], {e["layer"]: e for e in row["values"]["layers"]}
        out.append({
            "preset": row["preset"], "seed": row["seed"], "printed": "",
            "error % before": f"{100 * (1 - values['before']['accuracy']):.2f}",
            "error % after": f"{100 * (1 - values['accuracy']):.2f}",
            "kept of 21": values["kept"],
            "into the hidden units": by["fc1"]["kept"], "out of them": by["fc2"]["kept"],
        })  # fmt: skip
    return t.frame(out)
