"""Execute one notebook with papermill, check that it is complete, and end it when it stands still.

The kernel is a child of the runner, and ends by itself when the runner is gone (ipykernel sees to
that): not even kill -9 of the runner leaves a kernel behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import papermill
import psutil
from jupyter_core.utils import ensure_event_loop
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.log import logger

from prunelab import paths
from prunelab.study.runner.notebook import DROPPED_TAGS, Notebook, tags_of, text_of
from prunelab.study.runner.plan import SeriesPlan

ENGINE = "prunelab"
START = 600  # seconds for a kernel to start: a busy machine takes more than papermill's 60
TRACEBACK = "Traceback (most recent call last)"
AGAIN = "the same command goes on where it stopped"
clock = time.monotonic


class _Engine(NBClientEngine):
    """papermill's own, but the kernel gets an environment, and what it says goes to a file."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, execution: Execution, kernel: Mapping, **_: Any
    ) -> None:
        client = PapermillNotebookClient(
            nb_man,
            kernel_name=kernel_name,
            startup_timeout=START,
            log=logger,
            on_cell_start=lambda cell, cell_index: execution.begin(client, cell_index),
        )
        client.execute(**kernel)


papermill_engines.register(ENGINE, _Engine)


class Execution:
    """The execution of one notebook.

    What is limited is the time without progress, so that a slow machine is not taken for a hang.
    Progress is a new cell, or a sign in a file (see `prunelab.pulse`): a recipe, an epoch, a step.

    Attributes:
        cell: the cell that runs, from 1, as in the source.
        place: where the notebook is, e.g. "cell 7, recipe 3 of 12, epoch 2 of 4".
        stuck: whether it was ended because it made no progress.
    """

    def __init__(self, book: Notebook, plan: SeriesPlan):
        self.book, self.plan = book, plan
        logs = plan.out / "logs"
        self.log, self.signs = (logs / f"{book.name}.{end}" for end in ("log", "progress"))
        self.cell, self.place, self.stuck = 0, "cell 0", False
        self._kernel: int | None = None
        self._seen, self._since = None, clock()

    def run(self, gpu: str | None = None) -> str | None:
        """Execute it; when it is complete, it is at `plan.target`, else in `NN-name.failed.ipynb`.

        Args:
            gpu: what the kernel sees as CUDA_VISIBLE_DEVICES; None = as it is.

        Returns:
            None when every cell ran, else one line that says what went wrong and in which cell.
        """
        target = self.plan.target(self.book)
        # What is written meanwhile is never mistaken for a finished notebook.
        part, failed = target.with_name(f".part-{target.name}"), target.with_suffix(".failed.ipynb")
        error = self._papermill(part, gpu)
        if error is None:
            os.replace(part, target)
            failed.unlink(missing_ok=True)
        elif part.exists():
            os.replace(part, failed)
        if error and self.stuck:
            return f"{self.place}: no progress for {self.plan.limit:g} s (see --limit); {AGAIN}"
        return error

    def _papermill(self, part: Path, gpu: str | None) -> str | None:
        environment = {**self.plan.environment(gpu), paths.PROGRESS: str(self.signs)}
        folder = str(self.book.path.parent)
        try:
            self.log.parent.mkdir(exist_ok=True)
            with self.log.open("wb") as log:
                kernel = {"env": environment, "cwd": folder, "stdout": log, "stderr": log}
                executed = papermill.execute_notebook(
                    str(self.book.path),
                    str(part),
                    parameters=dict(self.plan.parameters),
                    kernel_name="python3",
                    engine_name=ENGINE,
                    progress_bar=False,
                    execution=self,
                    kernel=kernel,
                )
            return incomplete(executed)
        except Exception as error:  # whatever happens becomes this notebook's line
            kind = getattr(error, "ename", type(error).__name__)
            return one_line(f"cell {self.cell}: {kind}: {getattr(error, 'evalue', error)}")
        finally:
            ensure_event_loop().close()
            self.signs.unlink(missing_ok=True)

    def begin(self, client: PapermillNotebookClient, index: int) -> None:
        """Note that a cell begins; `index` counts the one that papermill has added."""
        self._kernel = client.km.provisioner.pid
        before = client.nb.cells[: index + 1]
        self.cell = sum(DROPPED_TAGS.isdisjoint(tags_of(cell)) for cell in before)

    def look(self) -> None:
        """Note where it is; end it if there was no progress for too long."""
        if self.stuck:
            return
        seen = (self.cell, *self._signs())
        if seen != self._seen:
            self._seen, self._since = seen, clock()
            self.place = ", ".join(filter(None, (f"cell {self.cell}", seen[-1])))
        elif clock() - self._since > self.plan.limit:
            self.stuck = self.kill()

    def _signs(self) -> tuple[int, str]:
        with contextlib.suppress(OSError):
            text = self.signs.read_text(encoding="utf-8", errors="replace")
            return self.signs.stat().st_mtime_ns, text
        return 0, ""

    def kill(self) -> bool:
        """Kill the kernel and all its descendants, in any session; False if no cell runs yet."""
        if self._kernel is None:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            kernel = psutil.Process(self._kernel)
            for process in [*kernel.children(recursive=True), kernel]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        return True


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


def one_line(text: str, length: int = 300) -> str:
    """The first line of `text` that is not blank, cut to `length` characters."""
    line = next((line.strip() for line in str(text).splitlines() if line.strip()), "")
    return line if len(line) <= length else line[: length - 1] + "…"
