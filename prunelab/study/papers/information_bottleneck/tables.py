"""VIBNet's tables, printed beside measured. Made from rows alone."""

from __future__ import annotations

import pandas as pd

from prunelab.study import tables as t
from prunelab.study.papers.information_bottleneck import counts, vgg
from prunelab.study.papers.information_bottleneck.recipes import STEM, recipes

NETWORKS = {"lenet-300-100": ("T1", "LeNet-300-100"), "lenet-5-relu": ("T2", "LeNet-5")}
NOT_BUILT = {"GD": "generalized dropout", "GL": "group lasso of SSL"}


def tables(rows: list[dict]) -> dict[str, pd.DataFrame]:
    """Title -> table, from ledger rows of any preset; only of recipes as they are now."""
    rows = t.current(rows, recipes)
    out = {
        "Table 1: LeNet-300-100 on MNIST (preset paper)": mnist(rows, "lenet-300-100"),
        "Table 2: LeNet-5 on MNIST (preset paper)": mnist(rows, "lenet-5-relu"),
        "VIBNet if the test set chooses the epoch (preset paper)": on_test(rows),
        "What the printed widths give": check(),
    }
    for preset in ("quick", "smoke"):
        found = t.of_kind(rows, "prune", preset=preset)
        if found:
            out[f"On digits (preset {preset})"] = digits(found)
    out["Tables 3 and 4: VGG on CIFAR (preset paper)"] = vgg.table(rows)
    out["In short: ResNet-20 on CIFAR-10 (preset standard)"] = vgg.small(rows)
    return out


def of(rows: list[dict], label: str, model: str, preset: str = "paper") -> list[dict]:
    """Rows of one method on one network."""
    found = t.of_kind(rows, "prune", label, preset)
    return [r for r in found if r["recipe"]["model"] == model]


def counted(row: dict) -> counts.Counts:
    """A row's widths, counted as the paper counts."""
    model, widths = row["recipe"]["model"], row["values"]["widths"]
    return counts.MNIST[model](*(widths[place] for place in counts.PLACES[model]))


def percent(row: dict) -> tuple[float, float]:
    """Weights and activations of a row's network, percent of the whole one's."""
    model = row["recipe"]["model"]
    return counted(row).percent(counts.MNIST[model](*counts.WHOLE[model]))


def architecture(row: dict) -> str:
    """Widths as the paper writes them."""
    model = row["recipe"]["model"]
    return "-".join(str(row["values"]["widths"][place]) for place in counts.PLACES[model])


def mnist(rows: list[dict], model: str) -> pd.DataFrame:
    """Tables 1 and 2. A seed meets a row if error, weights, activations, MACs are not above it."""
    table, _ = NETWORKS[model]
    printed = t.printed(STEM, "results")
    out = []
    for line in printed[printed.table == table].itertuples():
        found = of(rows, line.method, model)
        runs = [vgg.run(row, percent(row), counted(row).macs) for row in found]
        printed_values = {c: getattr(line, name) for c, name in vgg.COLUMNS.items()}
        row = {
            "method": line.method,
            "verdict": t.within(runs, printed_values) if found else _why(line),
        }
        for column, value in printed_values.items():
            if column != "MMAC" or table == "T2":
                last, form = vgg.LAST.get(column, ""), "{:.3f}" if column == "MMAC" else "{:.2f}"
                row[f"{column}, printed"] = value
                row[f"{column}, ours{last}"] = t.ranged((r[column] for r in runs), form)
        row |= {
            "error %, ours (best)": t.ranged(r["best"] for r in runs),
            "widths, printed": _words(line.architecture),
            "widths, ours": ", ".join(map(architecture, found)) or t.NOT_MEASURED,
        }  # fmt: skip
        out.append(row)
    return pd.DataFrame(out)


def _why(line) -> str:
    if line.method in NOT_BUILT:
        return f"not built here ({NOT_BUILT[line.method]})"
    return f"{t.NOT_MEASURED}: prunelab run 03 --preset paper"


def _words(cell: object) -> str:
    return cell if isinstance(cell, str) else "–"


def on_test(rows: list[dict]) -> pd.DataFrame:
    """VIBNet's last epoch, and its best one by test error, with the widths that it had then.

    Source: the authors' code reports the best test error of a run (papers/vibnet.md section 5).
    """
    out = []
    for model, (_, network) in NETWORKS.items():
        for row in of(rows, "VIBNet", model):
            history, course = row["values"]["history"], row["values"]["course"]
            best = max(history, key=lambda epoch: epoch["test_accuracy"])
            widths = next(point["widths"] for point in course if point["step"] == best["step"])
            then = {"recipe": row["recipe"], "values": {"widths": widths}}
            weights, activations = percent(then)
            out.append({
                "network": network, "seed": row["seed"],
                "error %, last": f"{100 * (1 - row['values']['accuracy']):.2f}",
                "error %, best epoch": f"{100 * (1 - best['test_accuracy']):.2f}",
                "epoch": f"{best['epoch']:g} of {history[-1]['epoch']:g}",
                "weights % then": f"{weights:.2f}", "activations % then": f"{activations:.2f}",
                "widths then": architecture(then),
            })  # fmt: skip
    return t.frame(out)


def check() -> pd.DataFrame:
    """Every printed row with widths: what follows from the widths."""
    printed, out = t.printed(STEM, "results"), []
    for line in printed[printed.architecture.notna()].itertuples():
        widths = [int(n) for n in line.architecture.split("-")]
        own, whole = _printed_counts(line, widths)
        weights, activations = own.percent(whole)
        shown = [("weights %", weights, line.weights_pct),
                 ("activations %", activations, line.footprint_pct),
                 ("MMAC", own.macs / 1e6, line.mflop)]  # fmt: skip
        verdicts = {t.agrees(value, given, t.places(given)) for _, value, given in shown
                    if given == given}  # fmt: skip
        verdict = "differs" if "differs" in verdicts else max(verdicts, key=len)
        row = {"network": line.network, "method": line.method, "verdict": verdict}
        for name, value, given in shown:
            row |= {f"{name}, printed": t.number(given), f"{name}, of the widths": f"{value:.3f}"}
        row["widths"] = line.architecture
        out.append(row)
    return pd.DataFrame(out)


def _printed_counts(line, widths: list[int]) -> tuple[counts.Counts, counts.Counts]:
    if line.table in ("T1", "T2"):
        model = next(m for m, (table, _) in NETWORKS.items() if table == line.table)
        return counts.MNIST[model](*widths), counts.MNIST[model](*counts.WHOLE[model])
    protocol = vgg.protocol(line.table, line.protocol)
    whole = vgg.whole(protocol.model)
    return protocol.counted(dict(zip(whole, widths, strict=True))), protocol.counted(whole)


def digits(rows: list[dict]) -> pd.DataFrame:
    """Every method on digits."""
    return pd.DataFrame([
        {
            "method": row["label"], "weights %": f"{percent(row)[0]:.2f}",
            "activations %": f"{percent(row)[1]:.2f}",
            "error %, last": f"{100 * (1 - row['values']['accuracy']):.2f}",
            "error %, best": f"{100 * (1 - row['values']['best_accuracy']):.2f}",
            "widths": architecture(row), "seed": row["seed"],
        }
        for row in rows
    ])  # fmt: skip


def frontier(rows: list[dict], model: str, data: str) -> pd.DataFrame:
    """Points of one network: method, setting, seed, sizes in percent, error (fraction)."""
    out = []
    for row in t.of_kind(t.current(rows, recipes), "prune"):
        if (row["recipe"]["model"], row["recipe"]["data"]) == (model, data):
            weights, activations = percent(row)
            out.append({
                "method": row["label"].split(",")[0], "setting": row["label"], "seed": row["seed"],
                "weights_pct": weights, "activations_pct": activations,
                "error": 1 - row["values"]["accuracy"],
            })  # fmt: skip
    columns = ["method", "setting", "seed", "weights_pct", "activations_pct", "error"]
    return pd.DataFrame(out, columns=columns)


def printed_points(model: str, data: str) -> pd.DataFrame:
    """What the paper prints for one network on MNIST, in the columns of `frontier`."""
    if data != "mnist":
        return pd.DataFrame(columns=["method", "weights_pct", "activations_pct", "error"])
    found = t.printed(STEM, "results")
    found = found[found.table == NETWORKS[model][0]]
    return pd.DataFrame({
        "method": found.method, "weights_pct": found.weights_pct,
        "activations_pct": found.footprint_pct, "error": found.error_pct / 100,
    }).reset_index(drop=True)  # fmt: skip
