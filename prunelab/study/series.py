"""Running the series: workers, limits, the bar, the lines, and the state that lets a run go on.

papermill executes one notebook. What it lacks is around it: names checked before anything starts
(`plan`), a wall-clock limit and resuming (here), and a verdict of our own on what is complete
(`worker`).
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

from prunelab.study.committed import committed
from prunelab.study.notebook import Notebook
from prunelab.study.plan import Plan, gpus, plan, refreshing
from prunelab.study.state import State
from prunelab.study.worker import kill_tree, one_line, write_atomically

DIED = "the worker died"


@dataclass(frozen=True)
class Result:
    """How one notebook ended. `status` is ok or failed."""

    name: str
    status: str
    seconds: float
    error: str | None = None
    before: bool = False

    def line(self, width: int) -> str:
        """One line for the terminal."""
        note = "(done before)" if self.before else self.error or ""
        return f"{self.name:<{width}}  {self.status:>6}  {self.seconds:7.1f} s  {note}".rstrip()


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


def carry_out(plan: Plan, *, progress: bool = True) -> list[Result]:
    """`run` for a `Plan` that is made already."""
    try:
        with FileLock(plan.out / "run.lock", timeout=0):  # the system frees it after a kill
            return _Runner(plan, progress).run()
    except Timeout:
        raise OSError(
            f"run: another run writes to '{plan.out}'; wait for it, or give another `out`"
        ) from None


class _Runner:
    def __init__(self, plan: Plan, progress: bool):
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
            total=cells, unit="cell", disable=not progress, mininterval=pace, leave=False
        )
        self.width = max((len(book.name) for book in plan.notebooks), default=0)

    def run(self) -> list[Result]:
        for part in self.plan.out.glob("notebooks/.part-*"):
            part.unlink()  # an earlier run was killed here
        pool = ThreadPoolExecutor(self.plan.workers)
        try:
            futures = [pool.submit(self._notebook, book) for book in self.plan.notebooks]
            waiting = set(futures)
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
        results = [future.result() for future in futures]
        if self.plan.since and all(result.status == "ok" for result in results):
            refreshing(self.plan.out).unlink(missing_ok=True)
        return results

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
            or entry.get("date", "") <= self.plan.since
            or not self._target(book).exists()
            or (self.plan.write and entry.get("date", "") < _measured(self.plan.root))
        ):
            return None
        return Result(book.name, "ok", entry["seconds"], before=True)

    def _target(self, book: Notebook) -> Path:
        return self.plan.out / "notebooks" / f"{book.name}.ipynb"

    def _execute(self, book: Notebook) -> Result:
        start = time.monotonic()
        gpu = self.gpus.get()
        try:
            error = self._watch(book, self.plan.environment(gpu))
        finally:
            self.gpus.put(gpu)
        if error is None and self.plan.write:
            self._commit(book)
        seconds = round(time.monotonic() - start, 1)
        return Result(book.name, "failed" if error else "ok", seconds, error)

    def _watch(self, book: Notebook, environment: dict[str, str]) -> str | None:
        """Follow one worker to its end; what went wrong, or None."""
        limit, over, cell = self.plan.limit, threading.Event(), 0
        log = self.plan.out / "logs" / f"{book.name}.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("wb") as noise, _start(book, environment, noise) as worker:
            self._admit(worker.pid)
            timer = threading.Timer(limit, lambda: (over.set(), kill_tree(worker.pid)))
            timer.start()
            error = DIED
            try:
                for answer in _answers(worker, self._job(book)):
                    error = answer.get("error", error)
                    cell = self._advance(book, cell, answer.get("cell", cell))
            finally:
                timer.cancel()
                self.workers.discard(worker.pid)
        self.bar.update(len(book.content["cells"]) - cell)
        if over.is_set():
            return f"cell {cell}: over the wall-clock limit of {limit:g} s; see --limit"
        if error == DIED:
            error = f"cell {cell}: {DIED}; {_last_line(log)}"
        return error

    def _advance(self, book: Notebook, cell: int, now: int) -> int:
        self.bar.set_description_str(book.name, refresh=False)
        self.bar.update(max(0, now - cell))
        return now

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
            "cell_limit": max(1, int(0.95 * self.plan.limit)),  # its error says more than a kill
        }

    def _commit(self, book: Notebook) -> None:
        home, root = Path.home(), self.plan.root
        places = {f"{self.plan.out}/": "", f"{root}/": "", str(root): ".", f"{home}/": "~/"}
        executed = json.loads(self._target(book).read_text(encoding="utf-8"))
        text = json.dumps(committed(executed, places), indent=1, ensure_ascii=False)
        write_atomically(book.path, text + "\n")


def _measured(root: Path) -> str:
    """When a row last came into the committed ledger, which `--write` shows; "" = there is none."""
    times = [path.stat().st_mtime for path in root.glob("data/ledger/*.jsonl")]
    return datetime.fromtimestamp(max(times), UTC).isoformat(timespec="seconds") if times else ""


def _start(book: Notebook, environment: dict[str, str], log) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "prunelab.study.worker"],
        stdin=subprocess.PIPE,  # stays open: its end tells the worker that we are gone
        stdout=subprocess.PIPE,
        stderr=log,
        cwd=book.path.parent,
        env=environment,
        start_new_session=True,  # Ctrl-C reaches us alone, and we end the workers
    )


def _answers(worker: subprocess.Popen, job: dict) -> Iterator[dict]:
    with contextlib.suppress(BrokenPipeError):
        worker.stdin.write(json.dumps(job).encode() + b"\n")
        worker.stdin.flush()
    yield from map(json.loads, worker.stdout)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return one_line(lines[-1]) if lines else "it said nothing"
