"""Fills in README.md's results from the ledger: `python -m prunelab.study.pages.readme`."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from prunelab.study.ledger import COMMITTED, PROJECT, read
from prunelab.study.papers import study

README = PROJECT / "README.md"
BLOCK = re.compile(r"(<!-- results (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """The text with every block from `<!-- results STEM -->` to `<!-- end -->` made anew."""
    return BLOCK.sub(lambda m: m[1] + results(m[2]) + m[3], text)


def results(stem: str) -> str:
    """The tables of a paper that a README has room for, as Markdown."""
    paper = study(stem)
    made, begin = paper.tables(read(COMMITTED / f"{stem}.jsonl")), tuple(paper.said.readme)
    shown = {title: table for title, table in made.items() if title.startswith(begin)}
    return "\n".join(f"**{title}**\n\n{markdown(table)}\n" for title, table in shown.items())


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown."""
    lines = [list(table.columns), ["---"] * table.shape[1], *table.astype(str).values.tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(path: Path = README) -> None:
    """Rewrite README.md in place."""
    path.write_text(filled(path.read_text()))


if __name__ == "__main__":
    main()
