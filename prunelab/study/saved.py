"""What zeros save: the tables of `prunelab.study.savings`, for every paper that leaves zeros."""

from __future__ import annotations

from collections.abc import Iterator

from prunelab.study.cells import Numbers, Text
from prunelab.study.results import Line, Results, Run
from prunelab.study.tables import PRESET, Column, Table, each_run, number

PART = "savings"


def tables(network: Column) -> tuple[Table, Table]:
    """On disk and in time.

    Args:
        network: names the network of a line.
    """
    disk = (
        network,
        PRESET,
        number(
            "compression by count", lambda run: run.values["size"] / run.values["kept"], "{:.1f}x"
        ),
        number("dense file, kB", lambda run: run.values["bytes"]["dense"] / 1e3, "{:,.0f}"),
        _bytes("bit mask + values", "bitmask"),
        _bytes("CSR", "csr"),
    )
    products = (
        network,
        PRESET,
        _of("layer"),
        Column("matrix", _matrix),
        number("kept %", lambda run: 100 * run.values["kept"] / run.values["size"]),
        _of("batch"),
        number("dense, µs", lambda run: 1e6 * run.values["dense"], "{:.1f}"),
        number("torch CSR / dense", lambda run: run.values["torch_csr"] / run.values["dense"]),
        number("scipy CSR / dense", lambda run: run.values["scipy_csr"] / run.values["dense"]),
    )
    return (
        Table("What the zeros save on disk", each_run(part=PART), disk),
        Table("What the zeros save in time", _products, products),
    )


def _products(results: Results, preset: str | None) -> Iterator[Line]:
    """A line for each product that was timed."""
    for run in results.runs(preset, part=PART):
        yield from (Line(run.case, (run.at(product),)) for product in run.values["products"])


def _bytes(name: str, form: str) -> Column:
    def cell(line: Line) -> Text:
        run = _run(line)
        size = run.values["bytes"]
        times = size["dense"] / size[form]
        return Text(f"{size[form] / 1e3:,.0f} ({times:.1f}x smaller)", rows=(run.key,))

    return Column(f"{name}, kB", cell)


def _of(name: str) -> Column:
    return Column(name, lambda line: _run(line).values[name])


def _matrix(line: Line) -> Numbers:
    run = _run(line)
    return Numbers(f"{run.values['rows']} x {run.values['columns']}", rows=(run.key,))


def _run(line: Line) -> Run:
    (run,) = line.runs
    return run
