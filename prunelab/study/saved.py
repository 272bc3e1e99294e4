"""Tables of what zeros save (`prunelab.study.savings`), for papers that prune single weights."""

from __future__ import annotations

from collections.abc import Iterator

from prunelab.study import tables as t
from prunelab.study.cells import Numbers, Text
from prunelab.study.results import Line, Results, Run

PART = "savings"
X = "{:.1f}x"


def tables(network: t.Column) -> tuple[t.Table, t.Table]:
    """What zeros save on disk, and in time.

    Args:
        network: the column that names the network.
    """
    disk = (
        network,
        t.PRESET,
        t.number("compression by count", lambda run: run.values["size"] / run.values["kept"], X),
        t.number("dense file, kB", lambda run: run.values["bytes"]["dense"] / 1e3, "{:,.0f}"),
        t.Column("bit mask + values, kB", lambda line: _bytes(line, "bitmask")),
        t.Column("CSR, kB", lambda line: _bytes(line, "csr")),
    )
    products = (
        network,
        t.PRESET,
        t.Column("layer", lambda line: line.runs[0].values["layer"]),
        t.Column("matrix", _matrix),
        t.number("kept %", lambda run: 100 * run.values["kept"] / run.values["size"]),
        t.Column("batch", lambda line: line.runs[0].values["batch"]),
        t.number("dense, µs", lambda run: 1e6 * run.values["dense"], "{:.1f}"),
        t.number("torch CSR / dense", lambda run: _ratio(run, "torch_csr")),
        t.number("scipy CSR / dense", lambda run: _ratio(run, "scipy_csr")),
    )
    return (
        t.Table("What the zeros save on disk", t.each_run(part=PART), disk),
        t.Table("What the zeros save in time", _products, products),
    )


def _products(results: Results, preset: str | None) -> Iterator[Line]:
    """One line per timed product."""
    for run in results.runs(preset, part=PART):
        yield from (Line(run.case, (run.at(product),)) for product in run.values["products"])


def _bytes(line: Line, form: str) -> Text:
    size = line.runs[0].values["bytes"]
    times = X.format(size["dense"] / size[form])
    return Text(f"{size[form] / 1e3:,.0f} ({times} smaller)", rows=line.keys)


def _ratio(run: Run, product: str) -> float:
    """Time of a product relative to the dense one."""
    return run.values[product] / run.values["dense"]


def _matrix(line: Line) -> Numbers:
    values = line.runs[0].values
    return Numbers(f"{values['rows']} x {values['columns']}", rows=line.keys)
