"""Quantisation: size on disk against error; `cases` says what is run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from prunelab.study import ledger
from prunelab.study import measures as m
from prunelab.study import tables as t
from prunelab.study.cells import Printed, Text
from prunelab.study.papers import study
from prunelab.study.papers.quantisation import views
from prunelab.study.papers.quantisation.cases import SETTINGS, STEM, cases
from prunelab.study.results import Line, Results, Run
from prunelab.study.study import Study

__all__ = ["SETTINGS", "STUDY", "views"]

WORDS = {"standard": "preset standard", "quick": "preset quick", "smoke": "preset smoke"}
STAGES = ("pruned", "shared", "huffman")
SURGERY = "network_surgery"  # the study whose file of LeNet-5 is compared


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


def _fewer(stage: str, run: Run) -> float:
    """How many times fewer bytes than in float."""
    return run.values["bytes"]["dense"] / run.values["bytes"][stage]


def _stage(stage: str) -> tuple[t.Column, t.Column]:
    """Bytes after a stage, and how many times fewer than in float."""
    return (
        t.span(f"{stage}, kB", lambda run: run.values["bytes"][stage] / 1e3, "{:.1f}"),
        t.span(f"{stage}, times", partial(_fewer, stage), "{:.1f}x"),
    )


def _files(results: Results, preset: str | None) -> Iterator[Line]:
    """LeNet-5 on MNIST: Deep Compression's files, and network surgery's as its own study has it."""
    yield from results.lines(preset, part="shared", model="lenet-5")
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
                t.Column("network", lambda line: views.network(line.case)),
                t.of_case("label", "method"),
                t.Column("error % printed", lambda line: Printed(None)),
                t.span("smallest file, kB", lambda run: views.size(run) / 1e3, "{:.1f}"),
                t.Column("its form", _form),
                t.span(
                    "times smaller",
                    lambda run: run.values["bytes"]["dense"] / views.size(run),
                    "{:.1f}x",
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
                    "network",
                    lambda line: views.network(line.case) if line.case else line.printed.network,
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
            claimed=(t.Pair("times", "rate", partial(_fewer, STAGES[-1]), "{:.1f}x", unit="x"),),
        ),
        t.Table(
            "LeNet-5's file beside network surgery's (MNIST)",
            _files,
            (
                t.of_case("label", "method"),
                t.span("kept", m.kept, "{:,.0f}"),
                t.span("smallest file, kB", lambda run: views.size(run) / 1e3, "{:.1f}"),
                t.Column("its form", _form),
                t.span("error %", m.error),
                t.SEEDS,
            ),
            preset="standard",
        ),
    ),
)
