"""Running the series: workers, limits, the bar, the lines, and the state that lets a run go on.

papermill executes one notebook. What it lacks is around it: names checked before anything starts
(`plan`), a limit of the time without progress (`watching`), resuming (here), and a verdict of our
own on what is complete (`worker`).
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

from prunelab import paths
from prunelab.study.moment import is_since, moment
from prunelab.study.runner.committed import committed
from prunelab.study.runner.notebook import Notebook
from prunelab.study.runner.plan import SeriesPlan, gpus, plan, refreshing
from prunelab.study.runner.state import Result, State
from prunelab.study.runner.watching import Watch, answers, clear, last_line, opened, start
from prunelab.study.runner.worker import kill_tree

DIED = "the worker died"
AGAIN = "the same command goes on where it stopped"


def run(
    numbers: Iterable[str] = (), preset: str = "quick", *, progress: bool = True, **options
) -> list[Result]:
    """Execute the notebooks that are not finished yet; one line each and one bar on the way.

    Finished notebooks are in `<out>/notebooks`, one with an error stays there as
    `NN-name.failed.ipynb`, what kernels say is in `<out>/logs`, and `<out>/state.json` says what
    is done.

    Args:
        numbers: which notebooks, see `notebook.select`; all without any.
        preset: smoke, quick, standard or paper.
        progress: show the bar.
        options: device, data_root, out, workers, refresh, write, parameters, limit: see `plan`.

    Raises:
        ValueError, OSError: see `plan`; nothing has started then.
        KeyboardInterrupt: after every worker and kernel is gone.
    """
    return carry_out(plan(numbers, preset, **options), progress=progress)


def carry_out(plan: SeriesPlan, *, progress: bool = True) -> list[Result]:
    """`run` for a `SeriesPlan` that is made already."""
    try:
        with FileLock(plan.out / "run.lock", timeout=0):  # the system frees it after a kill
            return _Runner(plan, progress).run()
    except Timeout:
        raise OSError(
            f"run: another run writes to '{plan.out}'; wait for it, or give another `out`"
        ) from None


class _Runner:
    def __init__(self, plan: SeriesPlan, progress: bool):
        self.plan = plan
        self.stopping = threading.Event()
        self.workers: set[int] = set()  # process ids
        self.state = State(plan.out / "state.json")
        self.gpus: queue.SimpleQueue = queue.SimpleQueue()
        for gpu in gpus(plan):
            self.gpus.put(gpu)
        cells = sum(len(book.content["cells"]) for book in plan.notebooks)
        # A file that collects the output gets a bar now and then, a terminal a live one.
        pace = 0.1 if sys.stderr.isatty() else 10.0
        self.bar = tqdm(
            total=cells,
            unit="cell",
            disable=not progress,
            mininterval=pace,
            miniters=0,
            leave=False,
        )
        self.width = max((len(book.name) for book in plan.notebooks), default=0)

    def run(self) -> list[Result]:
        clear(self.plan.out)
        pool = ThreadPoolExecutor(self.plan.workers)
        try:
            futures = {book: pool.submit(self._notebook, book) for book in self._order()}
            waiting = set(futures.values())
            while waiting:  # a Ctrl-C that another thread caught is seen after a second
                done, waiting = wait(waiting, timeout=1, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
        except BaseException:
            self._stop()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            self.bar.close()
        results = [futures[book].result() for book in self.plan.notebooks]
        if self.plan.since and all(result.status == "ok" for result in results):
            refreshing(self.plan.out).unlink(missing_ok=True)
        return results

    def _order(self) -> list[Notebook]:
        """In which notebooks start: with several workers, the longest first."""
        books = list(self.plan.notebooks)
        if self.plan.workers > 1:
            books.sort(key=self._expected, reverse=True)
        return books

    def _expected(self, book: Notebook) -> float:
        """Seconds: of its last run into this folder, or as the notebook states."""
        entry = self.state.entries.get(book.name, {})
        done = entry.get("status") == "ok"
        return entry["seconds"] if done else book.expected(self.plan.preset)

    def _notebook(self, book: Notebook) -> Result:
        result = self._done_before(book)
        if result is None:
            result = self._execute(book)
            if not self.stopping.is_set():
                self.state.put(result, self.plan, self.plan.key(book))
        else:
            self.bar.update(len(book.content["cells"]))
        if not self.stopping.is_set():
            self.bar.write(result.line(self.width), file=sys.stdout)
            sys.stdout.flush()
        return result

    def _done_before(self, book: Notebook) -> Result | None:
        entry = self.state.entries.get(book.name, {})
        finished = entry.get("status") == "ok" and entry.get("hash") == self.plan.key(book)
        if (
            not finished
            or (self.plan.since and not is_since(entry.get("date"), self.plan.since))
            or not self._target(book).exists()
            or (self.plan.write and not _is_up_to_date(entry, self.plan.root))
        ):
            return None
        return Result(book.name, "ok", entry["seconds"], before=True)

    def _target(self, book: Notebook) -> Path:
        return self.plan.out / "notebooks" / f"{book.name}.ipynb"

    def _execute(self, book: Notebook) -> Result:
        begun = time.monotonic()
        gpu = self.gpus.get()
        try:
            error = self._watch(book, self.plan.environment(gpu))
        finally:
            self.gpus.put(gpu)
        if error is None and self.plan.write:
            self._commit(book)
        seconds = round(time.monotonic() - begun, 1)
        return Result(book.name, "failed" if error else "ok", seconds, error)

    def _watch(self, book: Notebook, environment: dict[str, str]) -> str | None:
        """Follow one worker to its end; what went wrong, or None."""
        log, signs = (self.plan.out / "logs" / f"{book.name}.{end}" for end in ("log", "progress"))
        error, environment[paths.PROGRESS] = DIED, str(signs)
        with opened(log) as noise, start(book, environment, noise) as worker:
            self._admit(worker.pid)
            show = partial(self._show, book)
            try:
                with Watch(worker.pid, signs, self.plan.limit, show) as watch:
                    for answer in answers(worker, self._job(book)):
                        error = answer.get("error", error)
                        self._advance(watch, answer.get("cell", watch.cell))
            finally:
                self.workers.discard(worker.pid)
                signs.unlink(missing_ok=True)
        self.bar.update(len(book.content["cells"]) - watch.cell)
        if watch.stuck:
            error = f"{watch.place}: no progress for {self.plan.limit:g} s (see --limit); {AGAIN}"
        elif error == DIED:
            error = f"cell {watch.cell}: {DIED}; {last_line(log)}"
        return error

    def _advance(self, watch: Watch, cell: int) -> None:
        self.bar.update(max(0, cell - watch.cell))
        watch.cell = cell

    def _show(self, book: Notebook, place: str) -> None:
        self.bar.set_description_str(f"{book.name} {place}", refresh=False)
        self.bar.update(0)  # draws, if the last drawing is some time ago

    def _admit(self, pid: int) -> None:
        self.workers.add(pid)
        if self.stopping.is_set():
            kill_tree(pid)

    def _stop(self) -> None:
        self.stopping.set()
        for pid in list(self.workers):
            kill_tree(pid)

    def _job(self, book: Notebook) -> dict:
        return {
            "source": str(book.path),
            "target": str(self._target(book)),
            "parameters": dict(self.plan.parameters),
        }

    def _commit(self, book: Notebook) -> None:
        home, root = Path.home(), self.plan.root
        places = {f"{self.plan.out}/": "", f"{root}/": "", str(root): ".", f"{home}/": "~/"}
        executed = json.loads(self._target(book).read_text(encoding="utf-8"))
        text = json.dumps(committed(executed, places), indent=1, ensure_ascii=False)
        paths.write_text(book.path, text + "\n", "run")


def _is_up_to_date(entry: dict, root: Path) -> bool:
    """Whether a notebook finished after the committed ledger, which `--write` shows, got a row."""
    finished = moment(entry.get("date"))
    times = [path.stat().st_mtime for path in root.glob("data/ledger/*.jsonl")]
    return finished is not None and int(max(times, default=0)) <= finished.timestamp()
