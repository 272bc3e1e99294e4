"""Running the series: workers, limits, the bar, the lines, and the state that lets a run go on.

papermill executes one notebook. What it lacks is around it: names checked before anything starts
(`plan`), a limit of the time without progress and a verdict of our own on what is complete
(`execution`), and resuming (here).
"""

from __future__ import annotations

import json
import math
import queue
import sys
import threading
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime
from functools import cached_property
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

from prunelab import paths
from prunelab.study import papers
from prunelab.study.recipes import Recipe
from prunelab.study.runner.committed import committed
from prunelab.study.runner.execution import Execution
from prunelab.study.runner.notebook import Notebook
from prunelab.study.runner.plan import SeriesPlan, gpus, refreshing, shown
from prunelab.study.runner.state import Result, State

LOOK = 0.5  # seconds between two looks at what runs


def carry_out(plan: SeriesPlan, *, progress: bool = True) -> list[Result]:
    """Execute the notebooks that are not finished yet; one line each and one bar on the way.

    Finished notebooks are in `<out>/notebooks`, one with an error stays there as
    `NN-name.failed.ipynb`, what kernels say is in `<out>/logs`, and `<out>/state.json` says what
    is done.

    Args:
        plan: what to run and how.
        progress: show the bar.

    Raises:
        OSError: another run writes to the same folder, or a file cannot be written.
        KeyboardInterrupt: after every kernel is gone.
    """
    try:
        with FileLock(plan.out / "run.lock", timeout=0):  # the system frees it after a kill
            return _Runner(plan, progress).run()
    except Timeout:
        raise OSError(
            f"run: another run writes to '{plan.out}'; wait for it, or give another `out`"
        ) from None


class _Runner:
    def __init__(self, plan: SeriesPlan, progress: bool):
        self.plan, self.progress = plan, progress
        self.stopping = threading.Event()
        self.running: list[Execution] = []
        self.state = State(plan.out / "state.json")
        self.gpus: queue.SimpleQueue = queue.SimpleQueue()
        for gpu in gpus(plan):
            self.gpus.put(gpu)
        self.measured: Counter[str] = Counter()  # paper -> seconds that workers took for its rows
        self.wanted: dict[str, Recipe] = {}  # what notebooks measure themselves
        self.done = 0  # cells of finished notebooks
        self.width = max((len(book.name) for book in plan.notebooks), default=0)

    @cached_property
    def bar(self) -> tqdm:
        """Of all cells; it is drawn from the first use on, when recipes have been measured."""
        return tqdm(
            total=sum(len(book.content["cells"]) for book in self.plan.notebooks),
            unit="cell",
            **shown(self.progress),
        )

    def run(self) -> list[Result]:
        _clear(self.plan.out)
        self._measure()
        pool = ThreadPoolExecutor(self.plan.workers)
        futures = {book: pool.submit(self._notebook, book) for book in self._order()}
        waiting = set(futures.values())
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=LOOK, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                self._look()
        except BaseException:
            self._stop(waiting)
            raise
        finally:
            pool.shutdown()
            self.bar.close()
            self._tell()
        results = [futures[book].result() for book in self.plan.notebooks]
        if self.plan.since and all(result.status == "ok" for result in results):
            refreshing(self.plan.out).unlink(missing_ok=True)
        return results

    def _measure(self) -> None:
        """Have the recipes of the notebooks measured that are not finished, or say how many."""
        stems = [book.stem for book in self.plan.notebooks if not self._done_before(book)]
        stems = [stem for stem in stems if stem in papers.stems()]
        if not stems:
            return
        from prunelab.study.runner import estimates, fanout  # slow to import

        wanted = fanout.wanted(self.plan, stems)
        if self.plan.scheduler:
            for done in fanout.carry_out(self.plan, wanted, progress=self.progress):
                self.measured[done.recipe.stem] += done.seconds
        elif wanted:
            self.wanted = wanted
            guess = estimates.Estimates(fanout.folder(self.plan), self.plan.device)
            seconds = [guess.seconds(recipe) for recipe in wanted.values()]
            print(f"measuring {len(wanted)} recipes {estimates.said(seconds, 1)}", flush=True)

    def _tell(self) -> None:
        """The table of what notebooks measured, also after an interruption."""
        if self.wanted:
            from prunelab.study.runner import done, fanout

            folder = fanout.folder(self.plan)
            table = done.told(done.among(folder, self.wanted, self.plan.since))
            print(table, end="\n" if table else "", flush=True)

    def _look(self) -> None:
        for execution in list(self.running):
            execution.look()
            self.bar.set_description_str(f"{execution.book.name} {execution.place}", refresh=False)
        cells = self.done + sum(execution.cell for execution in self.running)
        self.bar.update(cells - self.bar.n)  # draws, if the last drawing is some time ago

    def _stop(self, waiting: set[Future]) -> None:
        """Kill kernels until none is left; one may just be starting."""
        self.stopping.set()
        waiting = {future for future in waiting if not future.cancel()}
        while waiting:
            for execution in list(self.running):
                execution.kill()
            waiting = wait(waiting, timeout=LOOK).not_done

    def _order(self) -> list[Notebook]:
        """In which notebooks start: with several workers, those that took longest last time."""
        books = list(self.plan.notebooks)
        if self.plan.workers > 1:
            times = {name: entry["seconds"] for name, entry in self.state.entries.items()}
            books.sort(key=lambda book: times.get(book.name, math.inf), reverse=True)
        return books

    def _notebook(self, book: Notebook) -> Result:
        result = self._done_before(book)
        if result is None:
            result = self._execute(book)
            if not self.stopping.is_set():
                self.state.put(result, self.plan, self.plan.key(book))
        if not self.stopping.is_set():
            self.done += len(book.content["cells"])
            self.bar.write(result.line(self.width), file=sys.stdout)
            sys.stdout.flush()
        return result

    def _done_before(self, book: Notebook) -> Result | None:
        entry = self.state.entries.get(book.name, {})
        finished = entry.get("status") == "ok" and entry.get("hash") == self.plan.key(book)
        if (
            not finished
            or entry["date"] <= self.plan.since
            or not self.plan.target(book).exists()
            or (self.plan.write and not _is_up_to_date(entry, self.plan.root))
        ):
            return None
        return Result(book.name, "ok", entry["seconds"], before=True)

    def _execute(self, book: Notebook) -> Result:
        begun = time.monotonic()
        execution = Execution(book, self.plan)
        gpu = self.gpus.get()
        self.running.append(execution)
        try:
            error = execution.run(gpu)
        finally:
            self.running.remove(execution)
            self.gpus.put(gpu)
        if error is None and self.plan.write:
            self._commit(book)
        seconds = round(time.monotonic() - begun + self.measured[book.stem], 1)
        return Result(book.name, "failed" if error else "ok", seconds, error)

    def _commit(self, book: Notebook) -> None:
        home, root = Path.home(), self.plan.root
        places = {f"{self.plan.out}/": "", f"{root}/": "", str(root): ".", f"{home}/": "~/"}
        executed = json.loads(self.plan.target(book).read_text(encoding="utf-8"))
        text = json.dumps(committed(executed, places), indent=1, ensure_ascii=False)
        paths.write_text(book.path, text + "\n", "run")


def _clear(out: Path) -> None:
    """Remove half-written files that a killed run left in `out`."""
    for part in out.glob("notebooks/.part-*"):
        part.unlink()
    for folder in (out, *out.glob("*/"), *out.glob("partial/*/")):
        paths.clear(folder)


def _is_up_to_date(entry: dict, root: Path) -> bool:
    """Whether a notebook finished after the committed ledger, which `--write` shows, got a row."""
    times = [path.stat().st_mtime for path in root.glob("data/ledger/*.jsonl")]
    return int(max(times, default=0)) <= datetime.fromisoformat(entry["date"]).timestamp()
