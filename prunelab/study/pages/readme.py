"""Fills in tables of README.md and pages in docs: `python -m prunelab.study.pages.readme`."""

from __future__ import annotations

import re
from functools import cache

import pandas as pd

from prunelab.study import citing, claims, training_cost
from prunelab.study.ledger import COMMITTED, PROJECT, read
from prunelab.study.papers import recursive_bayesian, study
from prunelab.study.results import Results

PAGES = tuple(PROJECT / page for page in ("README.md", "docs/results.md", "docs/scale.md"))
BLOCK = re.compile(r"(<!-- results ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)

# The results in brief: stem, table, row, columns; then how the README names them.
FILTER_NORM = ("filter_norm", "Table 1, cost", "VGG-16-pruned-A", "MACs removed", "weights removed")
SURGERY = ("network_surgery", "Table 1: error", "LeNet-5", "compression", "error % after")
VIBNET = (
    "information_bottleneck",
    "Table 1: LeNet-300-100",
    "VIBNet, all images",
    "weights %",
    "error %",
)
DCP = (
    "discrimination_aware",
    "Which orders of the paper hold (preset standard",
    "DCP before Random DCP",
    "difference",
)
BRIEF = {
    FILTER_NORM: "Li et al. 2017, filter norm: VGG-16, MACs / weights removed (%)",
    SURGERY: "Guo et al. 2016, network surgery: LeNet-5, compression / test error (%)",
    VIBNET: "Dai et al. 2018, VIBNet: LeNet-300-100, weights left (%) / test error (%)",
    DCP: "Zhuang et al. 2018, DCP: ResNet, error less that with drawn channels (points)",
}
RBP = (
    "Zhou et al. 2019, RBP, a reconstruction: its weights at equal error, as times those of noise"
    " on all layers at once / throughout (95% interval)"
)


def filled(text: str) -> str:
    """The text with every block from `<!-- results NAME -->` to `<!-- end -->` made anew.

    NAME is a paper's stem, for its main tables; `in brief`, for one line from each paper; or
    `claims`, for how many printed numbers were met; or `training`, for what the trainings cost.
    """
    return BLOCK.sub(lambda m: m[1] + results(m[2]) + m[3], text)


def results(name: str) -> str:
    """The tables of a block, as Markdown."""
    if name == "in brief":
        lines = [{"result": said} | brief(*where) for where, said in BRIEF.items()]
        lines.append({"result": RBP} | recursive_bayesian.in_brief(_results("recursive_bayesian")))
        return markdown(pd.DataFrame(lines)) + "\n"
    if name == "claims":
        found = (claims.of(one, committed(one.stem)).values() for one in claims.papers())
        return markdown(citing.summary(one for own in found for one in own)) + "\n"
    if name == "training":
        return markdown(training_cost.goal()) + "\n"
    begin = tuple(study(name).said.readme)
    shown = {title: table for title, table in tables(name).items() if title.startswith(begin)}
    return "\n".join(f"**{title}**\n\n{markdown(table)}\n" for title, table in shown.items())


def brief(stem: str, title: str, row: str, *names: str) -> dict[str, str]:
    """The printed and the measured cells of one row of a table, and its verdict."""
    table = next(table for found, table in tables(stem).items() if found.startswith(title))
    cells = table.set_index(table.columns[0]).loc[row].astype(str)
    printed, ours = (
        [cells[next(c for c in cells.index if c.startswith(name) and side in c)] for name in names]
        for side in ("printed", "ours")
    )
    sides = {"printed": " / ".join(printed), "measured here": " / ".join(ours)}
    return sides | {"verdict": cells["verdict"]}


def _results(stem: str) -> Results:
    return study(stem).results(committed(stem))


@cache
def tables(stem: str) -> dict[str, pd.DataFrame]:
    """All tables of a paper, from the committed rows."""
    return study(stem).tables(committed(stem))


def committed(stem: str) -> list[dict]:
    """The committed rows of a paper."""
    return read(COMMITTED / f"{stem}.jsonl")


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown."""
    lines = [list(table.columns), ["---"] * table.shape[1], *table.astype(str).values.tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Rewrite the pages in place."""
    for path in PAGES:
        path.write_text(filled(path.read_text()))


if __name__ == "__main__":
    main()
