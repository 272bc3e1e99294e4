"""What zeros save, and what AlexNet counts: tables from rows alone."""

from __future__ import annotations

import pandas as pd

from prunelab.study import tables as t
from prunelab.study.papers.network_surgery.recipes import IMAGENET, PRINTED, STEM


def savings(rows: list[dict]) -> pd.DataFrame:
    """Bytes on disk, and the time of sparse products over that of the dense one."""
    out = []
    for row in t.of_kind(rows, "savings"):
        values = row["values"]
        size = values["bytes"]
        line = {
            "network": PRINTED[row["recipe"]["model"]], "preset": row["preset"],
            "compression by count": f"{values['size'] / values['kept']:.1f}x",
            "dense file, kB": f"{size['dense'] / 1e3:,.0f}",
        }  # fmt: skip
        for form, name in (("bitmask", "bit mask + values"), ("csr", "CSR")):
            times = size["dense"] / size[form]
            line[f"{name}, kB"] = f"{size[form] / 1e3:,.0f} ({times:.1f}x smaller)"
        out.append(line)
    return t.frame(out)


def products(rows: list[dict]) -> pd.DataFrame:
    """Each layer's product: seconds of a sparse one over those of the dense one."""
    out = []
    for row in t.of_kind(rows, "savings"):
        for product in row["values"]["products"]:
            out.append({
                "network": PRINTED[row["recipe"]["model"]], "preset": row["preset"],
                "layer": product["layer"], "matrix": f"{product['rows']} x {product['columns']}",
                "kept %": f"{100 * product['kept'] / product['size']:.2f}",
                "batch": product["batch"], "dense, µs": f"{1e6 * product['dense']:.1f}",
                "torch CSR / dense": f"{product['torch_csr'] / product['dense']:.2f}",
                "scipy CSR / dense": f"{product['scipy_csr'] / product['dense']:.2f}",
            })  # fmt: skip
    return t.frame(out)


def alexnet(rows: list[dict]) -> pd.DataFrame:
    """Table 4; parameters are counted, the surgery needs ImageNet."""
    counted = {
        line["layer"].rpartition(".")[2]: line["params"]
        for row in t.of_kind(rows, "count", "alexnet")
        for line in row["values"]["layers"]
    }
    measured = {
        place["layer"].rpartition(".")[2]: 100 * place["kept"] / place["size"]
        for row in t.of_kind(rows, "prune", "surgery")
        if row["recipe"]["data"] == IMAGENET
        for place in row["values"]["layers"]
    }
    out = []
    for line in t.printed(STEM, "table4_alexnet_layers").itertuples():
        name = f"fc{int(line.layer[2]) + 5}" if line.layer.startswith("fc") else line.layer
        ours = sum(counted.values()) if line.layer == "total" else counted.get(name)
        verdict = t.NOT_MEASURED if not ours else "equal" if ours == line.params else "differs"
        out.append({
            "layer": line.layer, "parameters": f"{line.params:,}",
            "parameters ours": f"{ours:,}" if ours else t.NOT_MEASURED, "count": verdict,
            "Han et al. % left, printed": t.number(line.han_pct),
            "surgery % left, printed": t.number(line.dns_pct),
            "surgery % left, ours": t.number(measured[name], 1) if name in measured
            else t.NOT_MEASURED,
        })  # fmt: skip
    return pd.DataFrame(out)
