"""DCP: what is compared with print; `cases` says what is run.

Zhuang, Tan, Zhuang, Liu, Guo, Wu, Huang, Zhu. Discrimination-aware Channel Pruning for Deep Neural
Networks. NeurIPS 2018.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from prunelab.study import measures as m
from prunelab.study import tables as t
from prunelab.study.cells import Number, Printed
from prunelab.study.papers.discrimination_aware import lines, orders, views
from prunelab.study.papers.discrimination_aware.cases import cases
from prunelab.study.papers.discrimination_aware.settings import SETTINGS, STEM
from prunelab.study.recipes import PRESETS
from prunelab.study.study import Study

__all__ = ["SETTINGS", "STUDY", "findings", "views"]

WORDS = {
    "paper": "preset paper",
    "standard": "preset standard, pre-activation ResNet-20; printed are those of {}",
    "quick": "preset quick, digits; printed are those of {} on {}",
    "smoke": "preset smoke",
}
MISPRINTS = {"VGGNet adapt": "20.0 / 1.284 million is 15.58, but the exact counts give 15.61"}
SIZES = (
    lines.times("times fewer parameters,", "params", "param_ratio"),
    lines.times("times fewer MACs,", "macs", "flops_ratio"),
)
COUNTS = tuple(
    t.Pair(name, field, lambda run, key=key: run.values[key], "{:,}", Number)
    for name, key, field in (("parameters", "params", "params"), ("MACs", "macs", "flops_mac"))
)
GAP = t.Pair("error gap, points,", "err_gap", m.change, "{:+.2f}")
AFTER = t.span("error %, fine-tuned", m.error)


def _each(
    title: str, of: str, found: t.Lines, *columns: t.Columns | str, on: str = "CIFAR-10"
) -> t.Table:
    """A table for each preset that was run; printed are numbers `of` a network `on` some data."""
    words = {preset: WORDS[preset].format(of, on) for preset in PRESETS[::-1]}
    return t.Table(f"{title} ({{}})", found, columns, presets=words)


STUDY = Study(
    STEM,
    cases,
    (
        t.Table(
            "Tables S4 to S6: parameters and MACs of really shrunk networks",
            lines.counts,
            (
                "network",
                t.printed("prune_rate_pct", "removed %"),
                m.Equal((*COUNTS, *SIZES), MISPRINTS),
                *COUNTS,
                *SIZES,
            ),
        ),
        _each(
            "Table 1",
            "ResNet-56",
            lines.methods,
            t.of_case("name", "method"),
            *SIZES,
            GAP,
            t.Column("95% interval", orders.gap),
            t.span("error %, not fine-tuned", m.error_before_retraining),
            t.span("error %, last", m.error),
            t.span("error %, best", m.best_error),
            t.SEEDS,
        ),
        t.Table(
            "Table 3: half of the channels of ResNet-50 on ILSVRC-12 ({})",
            lines.imagenet,
            (
                t.printed("method"),
                *SIZES,
                replace(GAP, field="top1_gap"),
                AFTER,
                t.SEEDS,
            ),
            presets={"paper": WORDS["paper"]},
        ),
        _each(
            "Which orders of the paper hold",
            "ResNet-56",
            orders.orders,
            t.Column("order", lambda line: line.printed.name),
            t.Column("network", lambda line: line.printed.when),
            orders.Before(),
            t.Pair("difference, points,", "difference", m.change, "{:+.2f}", places=2),
            t.Column("95% interval", orders.gap),
            t.SEEDS,
        ),
        _each(
            "Table 5: pruning rate",
            "ResNet-18 and ResNet-50",
            lines.rates,
            t.Column("removed %", partial(lines.setting, "rates")),
            replace(GAP, field="small", places=2, heads=("printed, ResNet-18", "ours")),
            t.printed("large", "printed, ResNet-50", partial(Printed, places=2)),
            AFTER,
            on="ILSVRC-12, top-1",
        ),
        _each(
            "Table 6: lambda, 30% removed, before fine-tuning",
            "ResNet-56",
            lines.sweep("lambda", "table6_lambda", "lam"),
            t.Column("lambda", partial(lines.setting, "lambda")),
            t.Pair("training error %,", "train_err", partial(lines.selected, "train_accuracy")),
            t.Pair("test error %,", "test_err", partial(lines.selected, "accuracy")),
        ),
        _each(
            "Table 7: epsilon of DCP-Adapt",
            "VGGNet",
            lines.sweep("epsilon", "table7_epsilon", "epsilon"),
            t.Column("epsilon", partial(lines.setting, "epsilon")),
            t.Pair("error %,", "test_err", m.error),
            *SIZES,
        ),
        _each(
            "Table S1: number of losses",
            "ResNet-56",
            lines.sweep("losses", "tableS1_num_losses", "num_losses"),
            t.Column("losses", partial(lines.setting, "losses")),
            GAP,
            AFTER,
        ),
        _each(
            "Table S2: quality of the network before pruning",
            "ResNet-56",
            lines.pretrained,
            t.Column("trained for", lambda line: line.note),
            t.of_case("name", "method"),
            t.Pair("error %,", "error", m.error),
            GAP,
        ),
    ),
)


def findings(rows: Iterable[dict], preset: str) -> list[str]:
    """Sentences on the paper's claims, from ledger rows."""
    return orders.findings(STUDY.results(rows), preset)
