"""Toy notebooks, and runs of them."""

import time
from pathlib import Path

import nbformat
import psutil

from prunelab.study.runner import series
from prunelab.study.runner.plan import plan

PARAMETERS = 'PRESET = "quick"\nSEEDS = (0,)\nREFRESH = False'
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
SAY_PID = "import os, pathlib; pathlib.Path('pid.part').write_text(str(os.getpid()))"
SAY_PID += "; os.replace('pid.part', 'pid')"
SLEEP = "import time; time.sleep(60)"


def add_notebook(project: Path, name: str, *cells: str, parameters: str = PARAMETERS) -> Path:
    """A notebook with a heading, a parameters cell (cell 2) and `cells`."""
    head = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    book = nbformat.v4.new_notebook(metadata={"kernelspec": KERNEL})
    book.cells = [nbformat.v4.new_markdown_cell(f"# All about {name}"), head]
    book.cells += [nbformat.v4.new_code_cell(source) for source in cells]
    path = project / "notebooks" / f"{name}.ipynb"
    nbformat.write(book, path)
    return path


def run(project, *numbers, **options):
    return series.carry_out(plan(numbers, root=project, device="cpu", **options), progress=False)


def wait_for(condition, seconds=300, runner=None):
    end = time.monotonic() + seconds
    while not condition():
        assert runner is None or runner.poll() is None, runner.communicate()
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def gone(pid_file: Path) -> bool:
    pid = int(pid_file.read_text())
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
