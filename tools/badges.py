"""Badges that open a notebook in Colab or Binder, once the project has a public address.

    .venv/bin/python tools/badges.py OWNER/NAME [--branch main]     print the table
    .venv/bin/python tools/badges.py OWNER/NAME --colab FILE        write the notebook for Colab

Colab has neither the package nor its data: the notebook clones, installs and links to the series.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from urllib.parse import quote

import nbformat

ROOT = Path(__file__).resolve().parents[1]
COLAB = "https://colab.research.google.com/github"
BINDER = "https://mybinder.org/v2/gh"


def main() -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("project", metavar="OWNER/NAME")
    parser.add_argument("--branch", default="main")
    parser.add_argument("--colab", metavar="FILE", help="write the notebook for Colab")
    options = parser.parse_args()
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", options.project):
        print(f"badges: OWNER/NAME is asked for; got {options.project!r}", file=sys.stderr)
        return 2
    if options.colab is not None:
        nbformat.write(starter(options.project, options.branch), options.colab)
        print(f"badges: {options.colab}")
    else:
        print(table(options.project, options.branch))
    return 0


def table(project: str, branch: str) -> str:
    """One line for each notebook, with a link to each host."""
    lines = ["| notebook | Colab | Binder |", "| --- | --- | --- |"]
    for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]-*.ipynb")):
        place = f"notebooks/{path.name}"
        colab = f"{COLAB}/{project}/blob/{branch}/{place}"
        binder = f"{BINDER}/{project}/{branch}?labpath={quote(place, safe='')}"
        lines.append(f"| {path.stem} | [open]({colab}) | [open]({binder}) |")
    return "\n".join(lines)


def starter(project: str, branch: str) -> nbformat.NotebookNode:
    """The notebook for Colab: clone, install, run one notebook of the series."""
    new, name = nbformat.v4, project.rpartition("/")[2]
    cells = [
        new.new_markdown_cell(
            "# prunelab on Colab\n\nRun the next cell once in a session. Then run a notebook of the"
            " series as below, or open one and set `PRESET`."
        ),
        new.new_code_cell(
            f"!git clone --depth 1 --branch {branch} https://github.com/{project}.git\n"
            f"%cd {name}\n"
            '%pip install --quiet --editable ".[study,onnx]"'
        ),
        new.new_code_cell("!prunelab run 10 --preset quick"),
    ]
    for number, cell in enumerate(cells):
        cell.id = f"colab-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new.new_notebook(cells=cells, metadata={"kernelspec": kernel})


if __name__ == "__main__":
    sys.exit(main())
