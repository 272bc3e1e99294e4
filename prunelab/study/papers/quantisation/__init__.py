"""Quantisation: size on disk against error; `cases` says what is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pandas as pd

from prunelab.study import ledger
from prunelab.study import measures as m
from prunelab.study import tables as t
from prunelab.study.cells import Printed, Text
from prunelab.study.papers.quantisation.cases import FLOAT, SETTINGS, STEM, cases
from prunelab.study.results import Line, Results, Run
from prunelab.study.study import Study

__all__ = ["SETTINGS", "STUDY", "points", "spreads"]

NAMES = {"lenet-5": "LeNet-5", "preresnet-20": "pre-activation ResNet-20"}
WORDS = {"standard": "preset standard", "quick": "preset quick", "smoke": "preset smoke"}
STAGES = ("pruned", "shared", "huffman")
SURGERY = "network_surgery"  # the study whose file of LeNet-5 is compared


def size(run: Run) -> int:
    """Bytes of its smallest file."""
    return min(run.values["bytes"].values())


def _name(line: Line) -> str:
    return f"{NAMES[line.case.model]}, {line.case.data}"


def _beside_float(results: Results, preset: str | None) -> Iterator[Line]:
    """Each case beside the float network of its seed."""
    for line in results.lines(preset):
        whole = results.line(preset, part="float", network=line.case.network)
        yield line.over(whole)


def _form(line: Line) -> Text | t.Missing | str:
    """The form of the smallest file."""
    if not line.runs:
        return line.missing
    forms = {min(run.values["bytes"], key=run.values["bytes"].__getitem__) for run in line.runs}
    return Text(", ".join(sorted(forms)), rows=line.keys)


def _stages(results: Results, preset: str | None) -> Iterator[Line]:
    """What is pruned and shared, and the rows in print, of which none is run here."""
    yield from results.lines(preset, part="shared")
    for row in results.study.printed("deep_compression").itertuples(index=False):
        yield Line(printed=row, missing="not run here")


def _stage(stage: str) -> tuple[t.Column, t.Column]:
    """Bytes after a stage, and how many times fewer than in float."""

    def fewer(run: Run) -> float:
        return run.values["bytes"]["dense"] / run.values["bytes"][stage]

    return (
        t.span(f"{stage}, kB", lambda run: run.values["bytes"][stage] / 1e3, "{:.1f}"),
        t.span(f"{stage}, times", fewer, "{:.1f}x"),
    )


def _files(results: Results, preset: str | None) -> Iterator[Line]:
    """LeNet-5 on MNIST: Deep Compression's files, and network surgery's as its own study has it."""
    yield from results.lines(preset, part="shared", model="lenet-5")
    from prunelab.study.papers import study

    theirs = study(SURGERY).results(ledger.rows(SURGERY))
    for line in theirs.lines("paper", part="savings", model="lenet-5", data="mnist"):
        yield replace(line, case=replace(line.case, name="network surgery, its own study"))


STUDY = Study(
    STEM,
    cases,
    (
        t.Table(
            "Size on disk and error ({})",
            _beside_float,
            (
                t.Column("network", _name),
                t.of_case("label", "method"),
                t.Column("error % printed", lambda line: Printed(None)),
                t.span("smallest file, kB", lambda run: size(run) / 1e3, "{:.1f}"),
                t.Column("its form", _form),
                t.span(
                    "times smaller", lambda run: run.values["bytes"]["dense"] / size(run), "{:.1f}x"
                ),
                t.span("error %", m.error),
                t.spread("change, points", m.change),
                t.SEEDS,
            ),
            presets=WORDS,
        ),
        t.Table(
            "Deep Compression, stage by stage ({})",
            _stages,
            (
                t.Column(
                    "network", lambda line: _name(line) if line.case else line.printed.network
                ),
                t.Column(
                    "method", lambda line: line.case.label if line.case else "Deep Compression"
                ),
                t.Column(
                    "times printed",
                    lambda line: Printed(getattr(line.printed, "rate", None), unit="x"),
                ),
                t.span("kept %", m.kept_percent),
                *(column for stage in STAGES for column in _stage(stage)),
                t.SEEDS,
            ),
            presets=WORDS,
        ),
        t.Table(
            "LeNet-5's file beside network surgery's (MNIST)",
            _files,
            (
                t.of_case("label", "method"),
                t.span("kept", m.kept, "{:,.0f}"),
                t.span("smallest file, kB", lambda run: size(run) / 1e3, "{:.1f}"),
                t.Column("its form", _form),
                t.span("error %", m.error),
                t.SEEDS,
            ),
            preset="standard",
        ),
    ),
)


def points(rows: Iterable[dict], preset: str) -> pd.DataFrame:
    """All runs: network, method, setting, seed, error (fraction), and bytes in % of float's."""
    found = [
        {
            "network": _name(Line(run.case)),
            "method": run.case.name,
            "setting": run.case.setting,
            "seed": run.seed,
            "error": 1 - run.values["accuracy"],
            "bytes_pct": 100 * size(run) / run.values["bytes"]["dense"],
        }
        for run in STUDY.results(rows).runs(preset)
    ]
    columns = ["network", "method", "setting", "seed", "error", "bytes_pct"]
    return pd.DataFrame(found, columns=columns)


def spreads(rows: Iterable[dict], preset: str, model: str) -> pd.DataFrame:
    """Weights of the largest layer, first seed: method, layer, weight (bin), before, after."""
    found = []
    for line in STUDY.results(rows).lines(preset, model=model):
        if line.case.name == FLOAT or not line.runs:
            continue
        own = line.runs[0].values["histogram"]
        step = 2 * own["limit"] / len(own["before"])
        for number, pair in enumerate(zip(own["before"], own["after"])):
            weight = -own["limit"] + (number + 0.5) * step
            found.append((line.case.label, own["layer"], weight, *pair))
    return pd.DataFrame(found, columns=["method", "layer", "weight", "before", "after"])
