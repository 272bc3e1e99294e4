"""PFEC's tables, printed beside measured. Made from rows alone."""

from __future__ import annotations

import pandas as pd

from prunelab.study import tables as t
from prunelab.study.papers.filter_norm.recipes import STEM, recipes
from prunelab.study.recipes import SEEDS

NEAR = 0.3  # points of error; the spread of the paper's networks over seeds is about 0.2
MISPRINTS = {"ResNet-34-pruned-C": "a misprint: the paper's own rule gives 7.41"}
# A rule of Table 1 at a smaller scale, by the row that it is taken from.
TWINS = {
    "vgg-16 A": "VGG-16-pruned-A",
    "resnet-20 A": "ResNet-56-pruned-A",
    "resnet-20 B": "ResNet-56-pruned-B",
}
NETWORKS = ("VGG-16", "ResNet-56", "ResNet-110", "ResNet-34")


def tables(rows: list[dict]) -> dict[str, pd.DataFrame]:
    """Title -> table, from ledger rows of any preset; only of recipes as they are now."""
    rows = t.current(rows, recipes)
    out = {
        "Table 1, cost: MACs and weights of really shrunk networks": cost(rows),
        "Table 2: VGG-16 and VGG-16-pruned-A, layer by layer": layers(rows),
        "Table 1, test error: the paper's networks and recipe (preset paper)": error(rows),
    }
    for preset in ("paper", "standard", "quick", "smoke"):
        found = [r for r in rows if r["preset"] == preset]
        if t.of_kind(found, "baseline"):
            out[f"Before and after pruning, preset {preset}"] = scale(found, preset)
    out["What others measured (from their public pages)"] = others()
    return out


def _counts(rows: list[dict]) -> dict[str, dict]:
    return {row["label"]: row["values"] for row in t.of_kind(rows, "count")}


def cost(rows: list[dict]) -> pd.DataFrame:
    """Table 1's FLOP and parameter columns. Weights only, as the paper's percentages need."""
    counts = _counts(rows)
    out = []
    for printed in t.printed(STEM, "table1_overall").dropna(subset="flop").itertuples():
        values = counts.get(printed.model)
        if values is None:
            out.append({"model": printed.model, "verdict": t.NOT_MEASURED})
            continue
        short = "_without_shortcuts" if "ResNet-34" in printed.model else ""
        full = counts[printed.model.split("-pruned")[0]]
        row, verdicts = {"model": printed.model}, []
        for name, key, shown, cut in (
            ("MACs", "macs", printed.flop, printed.flop_pruned_pct),
            ("weights", "weights", printed.params, printed.params_pruned_pct),
        ):
            ours = values[key + short]
            removed = 100 * (1 - ours / full[key + short])
            row |= {f"{name} printed": t.number(shown), f"{name} ours": f"{ours:,}"}
            row |= {f"{name} removed % printed": t.number(cut, 1)}
            row |= {f"{name} removed % ours": "–" if pd.isna(cut) else f"{removed:.2f}"}
            verdicts.append((name, t.agrees(ours, shown)))
            if not pd.isna(cut):
                verdicts.append((f"{name} removed", t.agrees(removed, cut, 1)))
        verdict = _verdict(verdicts)
        if "differs" in verdict and printed.model in MISPRINTS:
            verdict = f"{verdict} ({MISPRINTS[printed.model]})"
        out.append(row | {"verdict": verdict})
    return _verdict_second(pd.DataFrame(out).astype(object).fillna("–"))


def _verdict(parts: list[tuple[str, str]]) -> str:
    """One word for a row: all digits equal, or which cells are not."""
    wrong = [name for name, verdict in parts if verdict == "differs"]
    if wrong:
        return f"differs: {', '.join(wrong)}"
    cut = [name for name, verdict in parts if "truncated" in verdict]
    return f"equal ({', '.join(cut)} truncated in print)" if cut else "equal"


def layers(rows: list[dict]) -> pd.DataFrame:
    """Table 2."""
    counts = _counts(rows)
    if not {"VGG-16", "VGG-16-pruned-A"} <= set(counts):
        return pd.DataFrame([{"layer": "all", "verdict": t.NOT_MEASURED}])
    full, pruned = counts["VGG-16"]["layers"], counts["VGG-16-pruned-A"]["layers"]
    printed = t.printed(STEM, "table2_vgg16_layers")
    out = []
    full, pruned = ([*lines, _total(lines)] for lines in (full, pruned))
    for row, before, after in zip(printed.itertuples(), full, pruned, strict=True):
        cut = 100 * (1 - after["macs"] / before["macs"])
        flop, params = float(row.paper_flop), float(row.paper_params)
        parts = [
            ("MACs", t.agrees(before["macs"], flop, 1 - _exponent(flop))),
            ("weights", t.agrees(before["weights"], params, 1 - _exponent(params))),
            ("maps after", "equal" if after["out"][0] == _whole(row.maps_after) else "differs"),
            ("removed", t.agrees(cut, row.paper_flop_pruned_pct, 0)),
        ]
        out.append({
            "layer": row.layer.replace("_", " "), "map": "–" if pd.isna(row.out_hw) else row.out_hw,
            "maps": _whole(row.maps),
            "MACs printed": t.number(flop), "MACs ours": f"{before['macs']:,}",
            "weights printed": t.number(params), "weights ours": f"{before['weights']:,}",
            "maps after, printed": _whole(row.maps_after), "maps after, ours": after["out"][0],
            "MACs removed % printed": row.paper_flop_pruned_pct,
            "MACs removed % ours": f"{cut:.1f}", "verdict": _verdict(parts),
        })  # fmt: skip
    return _verdict_second(pd.DataFrame(out))


def _verdict_second(table: pd.DataFrame) -> pd.DataFrame:
    """The verdict beside the name: on a narrow page the first columns are what is seen."""
    table.insert(1, "verdict", table.pop("verdict"))
    return table


def _total(lines: list[dict]) -> dict:
    """The last line of Table 2, which has no maps."""
    return {key: sum(line[key] for line in lines) for key in ("macs", "weights")} | {"out": ["–"]}


def _whole(value: float) -> int | str:
    return "–" if pd.isna(value) else int(value)


def _exponent(value: float) -> int:
    return int(f"{value:e}".split("e")[1])


def error(rows: list[dict]) -> pd.DataFrame:
    """Table 1's error column."""
    out = []
    for printed in t.printed(STEM, "table1_overall").itertuples():
        label = printed.model.replace("scratch-train", "scratch-E")
        label = label.lower() if label in NETWORKS else label  # the unpruned ones go by model name
        found = [r for r in rows if r["preset"] == "paper" and r["label"] == label]
        found = [
            r for r in found if r["recipe"]["task"]["kind"] in ("baseline", "prune", "scratch")
        ]
        last = t.errors(found)
        out.append({
            "model": printed.model, "data": printed.dataset,
            "error % printed (best epoch)": t.number(printed.error_pct, 2),
            "error % ours (last epoch)": t.spread(last),
            "error % ours (best epoch)": t.spread(t.errors(found, "best_accuracy")),
            "seeds": len(last), "device": t.where(found),
            "verdict": _near(found, printed.error_pct) if found else _how(printed.dataset),
        })  # fmt: skip
    return _verdict_second(pd.DataFrame(out))


def _how(dataset: str) -> str:
    place = "" if dataset == "CIFAR-10" else ", with ImageNet in the folder imagenet of a data root"
    return f"{t.NOT_MEASURED}: prunelab run 01 --preset paper{place}"


def _near(rows: list[dict], printed: float) -> str:
    best = t.errors(rows, "best_accuracy")
    gap = 100 * sum(best) / len(best) - printed
    if abs(gap) <= NEAR:
        return f"within {NEAR} points ({gap:+.2f})"
    return f"{abs(gap):.2f} points {'above' if gap > 0 else 'below'}"


def scale(rows: list[dict], preset: str) -> pd.DataFrame:
    """Every network of a preset: unpruned, pruned, trained from scratch."""
    asked = recipes(preset, SEEDS[preset])
    networks = {r.label: r for r in (*asked["accuracy"], *asked["imagenet"])}
    base: dict[str, list[dict]] = {}
    for r in t.of_kind(rows, "baseline"):
        base.setdefault(r["recipe"]["model"], []).append(r)
    out = []
    for label, recipe in networks.items():
        kind = recipe.task.KIND
        mine, whole = t.of_kind(rows, kind, label), base.get(recipe.model, [])
        before = t.spread(t.errors(mine, "accuracy_before_retraining")) if kind == "prune" else "–"
        out.append({
            "network": label, "data": recipe.data, "error % before retraining": before,
            "error % (last epoch)": t.spread(t.errors(mine)),
            "error % (best epoch)": t.spread(t.errors(mine, "best_accuracy")),
            "change by pruning, points": "–" if kind == "baseline" else _change(mine, whole),
            "paper's change for this rule": _printed_change(label),
            "MACs removed %": _removed(mine, whole, "macs"),
            "weights removed %": _removed(mine, whole, "weights"),
            "seeds": len(mine), "device": t.where(mine),
        })  # fmt: skip
    return pd.DataFrame(out)


def _removed(rows: list[dict], base: list[dict], key: str) -> str:
    if not rows or not base:
        return "–"
    return f"{100 * (1 - rows[0]['values'][key] / base[0]['values'][key]):.1f}"


def _change(rows: list[dict], base: list[dict]) -> str:
    """Mean and spread of the change of error, seed by seed."""
    start = {r["seed"]: r["values"]["accuracy"] for r in base}
    gaps = [start[r["seed"]] - r["values"]["accuracy"] for r in rows if r["seed"] in start]
    return t.spread(gaps)


def _printed_change(label: str) -> str:
    """The change that the paper prints for the same rule on its own network."""
    for short, row in TWINS.items():
        label = label.replace(short, row)
    label = label.replace("scratch-E", "scratch-train")
    errors = t.printed(STEM, "table1_overall").set_index("model").error_pct
    network, cut, _ = label.partition("-pruned")
    if not cut or label not in errors.index:
        return "–"
    return f"{errors[label] - errors[network]:+.2f} ({label})"


def others() -> pd.DataFrame:
    """Public reproductions, read at their source."""
    table = t.printed(STEM, "reproductions")
    return (
        table[["source", "setting", "metric", "baseline_acc_or_err", "pruned_value", "note"]]
        .rename(columns={"baseline_acc_or_err": "baseline", "pruned_value": "pruned"})
        .astype(object)
        .fillna("–")
    )
