"""Execute one notebook in a process of its own, and check that it is complete.

The runner (`series`) starts `python -m prunelab.study.runner.worker`, writes a `NotebookJob` to its
stdin as one line of JSON, and keeps stdin open. When the runner dies, stdin ends, and the worker
ends its kernel and itself: not even kill -9 of the runner leaves a kernel behind.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunelab import paths

DROPPED_TAGS = {"injected-parameters", "papermill-error-cell-tag"}
START = 600  # seconds for a kernel to start: a busy machine takes more than papermill's 60
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO}
TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class NotebookJob:
    """What a worker has to do."""

    source: str
    target: str
    parameters: Mapping[str, Any]

    @property
    def part(self) -> Path:
        """The file written while the notebook runs; it is never mistaken for a finished one."""
        return Path(self.target).with_name(f".part-{Path(self.target).name}")

    @property
    def failed(self) -> Path:
        """Where a notebook that failed is kept for reading."""
        return Path(self.target).with_suffix(".failed.ipynb")


def execute(job: NotebookJob, on_cell: Callable[[int], None] = lambda cell: None) -> str | None:
    """Run one notebook through papermill; move it to `job.target` when it is complete.

    Args:
        job: what to run, and where to.
        on_cell: called with the number of each cell (from 1, as in the source) when it starts.

    Returns:
        None when every cell ran, else one line that says what went wrong and in which cell.
    """
    import papermill

    cells = _source_cells(job)
    now = 0

    def start(cell, cell_index: int) -> None:
        nonlocal now
        now = cells[cell_index]
        on_cell(now)

    error = None
    try:
        papermill.execute_notebook(
            job.source,
            str(job.part),
            parameters=dict(job.parameters),
            kernel_name="python3",
            progress_bar=False,
            cwd=str(Path(job.source).parent),
            start_timeout=START,
            execution_timeout=None,  # the runner limits the time without progress
            on_cell_start=start,
        )
    except Exception as reason:  # whatever happens becomes this notebook's line
        error = f"cell {now}: {_reason(reason, job)}"
    return _settle(job, error)


def _source_cells(job: NotebookJob) -> list[int]:
    """For each executed cell its number in the source: papermill adds a cell of its own."""
    tags = [c["metadata"].get("tags", []) for c in _read(job.source)["cells"]]
    numbers = list(range(1, len(tags) + 1))
    if not job.parameters:
        return numbers
    at = next((i for i, names in enumerate(tags, 1) if "parameters" in names), 0)
    return [*numbers[:at], at, *numbers[at:]]


def _reason(error: Exception, job: NotebookJob) -> str:
    if isinstance(error, OSError) and error.errno in FULL:
        return str(paths.unwritable("run", job.target, error))
    kind = getattr(error, "ename", type(error).__name__)
    return one_line(f"{kind}: {getattr(error, 'evalue', error)}")


def one_line(text: str, length: int = 300) -> str:
    """The first line of `text` that is not blank, cut to `length` characters."""
    line = next((line.strip() for line in str(text).splitlines() if line.strip()), "")
    return line if len(line) <= length else line[: length - 1] + "…"


def _settle(job: NotebookJob, error: str | None) -> str | None:
    if error is None:
        error = incomplete(_read(job.part))
    if error is None:
        os.replace(job.part, job.target)
        job.failed.unlink(missing_ok=True)
    elif job.part.exists():
        _keep(job)
    return error


def _keep(job: NotebookJob) -> None:
    """Keep what ran for reading, unless a full disk truncated the file."""
    try:
        _read(job.part)
    except ValueError:
        job.part.unlink()
    else:
        os.replace(job.part, job.failed)


def incomplete(notebook: Mapping[str, Any]) -> str | None:
    """Why `notebook` is not completely executed, or None.

    papermill's own status is not reliable: after an interrupt it says "completed" for cells that
    never ran, and an exception in a widget's callback leaves only a trace in the widget's state.
    """
    cells = [c for c in notebook["cells"] if DROPPED_TAGS.isdisjoint(tags_of(c))]
    for number, cell in enumerate(cells, 1):
        if cell["cell_type"] != "code" or not text_of(cell["source"]).strip():
            continue
        if cell.get("execution_count") is None:
            return f"cell {number}: was not executed"
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                return f"cell {number}: {one_line(output['ename'] + ': ' + output['evalue'])}"
    state = json.dumps(notebook["metadata"].get("widgets", {}))
    if TRACEBACK in state or '"output_type": "error"' in state:
        return "a widget's saved output holds an exception"
    return None


def tags_of(cell: Mapping) -> list[str]:
    """The tags of a cell."""
    return cell["metadata"].get("tags", [])


def text_of(source: str | list[str]) -> str:
    """Source of a cell or text of a stream: in a file, one string or a list of lines."""
    return source if isinstance(source, str) else "".join(source)


def _read(path: str | Path) -> dict[str, Any]:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def kill_tree(pid: int) -> None:
    """Kill a process and all its descendants, including kernels in sessions of their own."""
    import psutil

    try:
        parent = psutil.Process(pid)
        parent.suspend()  # nothing new is started between looking and killing
        family = [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def kill_kernel(pid: int) -> None:
    """Kill the kernel of a worker; the worker reports that and keeps the notebook as it is."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(pid).children():
            kill_tree(child.pid)


def leave_with_the_parent(*folders: str) -> None:
    """Wait until stdin ends because the parent is gone; then end this process and its children.

    Args:
        folders: to remove.
    """
    sys.stdin.read()
    kill_kernel(os.getpid())
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def main() -> None:
    """Do the job on stdin; print {"cell": n} at each cell and {"error": ...} at the end."""
    job = NotebookJob(**json.loads(sys.stdin.readline()))
    threading.Thread(target=leave_with_the_parent, daemon=True).start()
    # The kernel inherits stdout and stderr: both go to the log; our messages have their own pipe.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(**message: Any) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    say(error=execute(job, on_cell=lambda cell: say(cell=cell)))


if __name__ == "__main__":
    main()
