"""Two versions of the series: the instructor's as it is, the student's without solutions.

Cells carry nbgrader's metadata, and a solution stands between its markers, so that nbgrader's own
`generate_assignment`, `autograde` and `generate_feedback` take these notebooks too.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nbformat

from prunelab import checks, paths
from prunelab.study import new_study
from prunelab.study.runner import notebook

VERSIONS = ("student", "instructor")
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?^ *### END SOLUTION$", re.DOTALL | re.MULTILINE)
FINDING = re.compile(
    r"^<details><summary><b>Finding</b>.*?^</details>\n*", re.DOTALL | re.MULTILINE
)
README = """\
# A course on neural-network pruning

Open `notebooks/` in JupyterLab and begin with 00. A notebook asks before it shows, and says at once
whether an answer is right. It draws its figures from the measured rows in `data/ledger/`.
"""
STUB = r"\1# YOUR CODE HERE\n\1raise NotImplementedError()"


def write(version: str, folder: str | Path) -> Path:
    """Make a study folder with one version of the notebooks.

    Args:
        version: "student" or "instructor".
        folder: to make; it may exist if it is empty.

    Returns:
        Its absolute path.

    Raises:
        ValueError: an unknown version.
        FileExistsError: there is something at `folder`. OSError: it cannot be written.
    """
    checks.word("lab", "version", version, VERSIONS)
    made = new_study.make(folder)
    if version == "student":
        shutil.rmtree(made / "figures")  # they answer what the notebooks ask first
        paths.write_text(made / "README.md", README, "lab")
        for book in notebook.notebooks(made):
            text = nbformat.writes(student(nbformat.read(book.path, 4)))
            paths.write_text(book.path, text + "\n", "lab")
    return made


def student(book: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook with stubs in place of its solutions, and without outputs and findings.

    What an opening says under "Finding" would answer the questions that ask for a prediction.
    """
    for cell in book.cells:
        if cell.cell_type == "markdown":
            cell.source = FINDING.sub("", cell.source)
        if cell.cell_type == "code":
            cell.source = SOLUTION.sub(STUB, cell.source)
            cell.outputs, cell.execution_count = [], None
            cell.metadata.pop("jupyter", None)  # a stub is not folded
    return book
