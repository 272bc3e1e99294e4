"""DCP: the lines of its tables, and how they are judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd

from prunelab.methods import DiscriminationAware
from prunelab.study import tables as t
from prunelab.study.cells import Number
from prunelab.study.papers.discrimination_aware.settings import SETTINGS
from prunelab.study.results import Line, Results, Run


def over(results: Results, preset: str, line: Line) -> Line:
    """The line beside the unpruned network."""
    return line.over(results.line(preset, part="unpruned", model=line.case.model))


def methods(results: Results, preset: str) -> Iterator[Line]:
    """Each method, with its printed row if it has one."""
    rows = results.study.printed("table1_cifar10").itertuples()
    printed = {(row.network, row.method): row for row in rows}
    for line in results.lines(preset, part="methods"):
        yield replace(over(results, preset, line), printed=printed.get(line.case.printed, NONE))


NAN = float("nan")


class _None:
    """A printed row without numbers."""

    def __getattr__(self, name: str) -> float:
        return NAN


NONE = _None()


def times(name: str, key: str, field: str) -> t.Pair:
    """How many times fewer parameters or MACs than the unpruned network has."""
    return t.Pair(name, field, partial(fewer, key), "{:.2f}", Number)


def fewer(key: str, run: Run) -> float | None:
    """How many times fewer parameters or MACs a run has than its base."""
    return None if run.base is None else run.base.values[key] / run.values[key]


def counts(results: Results, preset: str | None) -> Iterator[Line]:
    """Each printed shape, really shrunk."""
    lines = t.beside("complexity", "network", "prune_rate_pct", part="counts")
    for line in lines(results, preset):
        whole = results.line(preset, part="counts", printed=(line.printed.network, "0"))
        yield line.over(whole)


def imagenet(results: Results, preset: str) -> Iterator[Line]:
    """Table 3: the methods that have a recipe, beside the unpruned network."""
    found = t.beside("table3_ilsvrc12_resnet50", "method", part="imagenet")
    whole = results.line(preset, part="imagenet", name="unpruned")
    missing = t.Missing("prunelab run 07 --preset paper")
    for line in found(results, preset):
        yield replace(line.over(whole), missing=missing if line.case else line.missing)


def selected(key: str, run: Run) -> float:
    """Error after the last selection, before any fine-tuning, in percent."""
    return 100 * (1 - run.values["stages"][-1][key])


# Of a sweep: the method, the parts of the study that have it, and what its setting is.
VARIED: dict[str, tuple[str, set[str], Callable[[DiscriminationAware], str]]] = {
    "lambda": (
        "DCP",
        {"lambda"},
        lambda method: f"{method.lam:g}" if method.reconstruction else "L_S only",
    ),
    "epsilon": ("DCP-Adapt", {"methods", "epsilon"}, lambda method: f"{method.epsilon:g}"),
    "rates": ("DCP", {"methods", "rates"}, lambda method: f"{100 * method.ratios:g}"),
    "losses": ("DCP", {"methods", "losses"}, lambda method: f"{method.losses or 0}"),
}


def setting(what: str, line: Line) -> str:
    """The value of what is varied, as text."""
    method = line.case.task.method
    if what == "losses" and method.losses is None:
        return "3"  # of all networks that leave it open
    return VARIED[what][2](method)


def varied(what: str, results: Results, preset: str) -> list[Line]:
    """Lambda and losses of the first network, epsilon of the last, each beside the unpruned one."""
    networks = [one.network.model for one in SETTINGS[preset].values()]
    name, parts, _ = VARIED[what]
    model = networks[-1 if what == "epsilon" else 0]
    found = results.lines(preset, name=name, part=parts, model=model)
    order = sorted(found, key=lambda line: _place(setting(what, line)))
    return [over(results, preset, line) for line in order]


def _place(text: str) -> tuple[bool, float]:
    """Numbers from small to large, then words."""
    number = pd.to_numeric(text, errors="coerce")
    return (bool(pd.isna(number)), float(number))


def sweep(what: str, table: str, column: str) -> t.Lines:
    """Each setting, beside its printed row."""

    def lines(results: Results, preset: str) -> Iterator[Line]:
        rows = {text(getattr(r, column)): r for r in results.study.printed(table).itertuples()}
        for line in varied(what, results, preset):
            yield replace(line, printed=rows.get(setting(what, line), NONE))

    return lines


def rates(results: Results, preset: str) -> Iterator[Line]:
    """Each rate, beside the printed gaps in the top-1 error of both networks."""
    rows = results.study.printed("table5_pruning_rate").itertuples()
    top1 = {(row.network, f"{row.prune_rate_pct:g}"): row.top1_err for row in rows}
    for line in varied("rates", results, preset):
        rate = setting("rates", line)
        gaps = {
            name: top1.get((name, rate), NAN) - top1[name, "0"]
            for name in ("ResNet-18", "ResNet-50")
        }
        yield replace(line, printed=_Gaps(gaps["ResNet-18"], gaps["ResNet-50"]))


@dataclass(frozen=True)
class _Gaps:
    """Printed error gaps, in points."""

    small: float
    large: float


def pretrained(results: Results, preset: str) -> Iterator[Line]:
    """The unpruned network and each method, after a share of the training and after all of it.

    A gap is against the network that was trained to the end.
    """
    rows = list(results.study.printed("tableS2_pretrained_quality").itertuples())
    model = next(iter(SETTINGS[preset].values())).network.model
    early = results.lines(preset, part="pretrained", model=model)
    if not early:
        return
    last = results.lines(preset, part={"unpruned", "methods"}, model=model)
    names = {line.case.name for line in early}
    for line in (*early, *(line for line in last if line.case.name in names)):
        share = line.case.setting or "100%"
        epoch, name = round(rows[-1].epoch * int(share[:-1]) / 100), line.case.name
        of = [row for row in rows if row.epoch == epoch and name in ("unpruned", row.method)]
        seen = of[0] if of else NONE
        said = (seen.baseline_err, NAN) if name == "unpruned" else (NAN, seen.err_gap)
        yield replace(over(results, preset, line), printed=_Early(*said), note=share)


@dataclass(frozen=True)
class _Early:
    """What is printed of a network that was trained so far."""

    error: float
    err_gap: float


def text(value: object) -> str:
    """A printed setting as ours are written."""
    return value if isinstance(value, str) else f"{value:g}"
