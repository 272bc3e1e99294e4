"""Start a worker process, follow it, and stop it when it makes no progress."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from prunelab import paths
from prunelab.study.runner.notebook import Notebook
from prunelab.study.runner.worker import kill_kernel, kill_tree, one_line

LOOK = 0.5  # seconds between two looks
GRACE = 30.0  # for the worker to keep the notebook as it was when its kernel ended
clock = time.monotonic


class Watch:
    """Follows one worker in a thread, and stops its notebook when it makes no progress.

    What is limited is the time without progress, so that a slow machine is not taken for a hang.
    Progress is a new cell, or a sign in the file (see `prunelab.pulse`): a recipe, an epoch, a
    step. Use it as a context.

    Attributes:
        cell: the cell that runs; set from outside.
        place: where the notebook is, e.g. "cell 7, recipe 3 of 12, epoch 2 of 4".
        stuck: whether it was ended.
    """

    def __init__(self, pid: int, signs: Path, limit: float, show: Callable[[str], None]):
        """See the class.

        Args:
            pid: the worker's.
            signs: the file.
            limit: seconds without progress.
            show: told the place whenever it is another.
        """
        self.pid, self.signs, self.limit, self.show = pid, signs, limit, show
        self.cell, self.place, self.stuck = 0, "cell 0", False
        self._seen, self._since = None, clock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def look(self) -> bool:
        """Look once. Returns whether there was progress within the limit."""
        seen = (self.cell, *self._signs())
        if seen != self._seen:
            self._seen, self._since = seen, clock()
            place = ", ".join(filter(None, (f"cell {self.cell}", seen[-1])))
            if place != self.place:
                self.place = place
                self.show(place)
        return clock() - self._since <= self.limit

    def _signs(self) -> tuple[int, str]:
        with contextlib.suppress(OSError):
            text = self.signs.read_text(encoding="utf-8", errors="replace")
            return self.signs.stat().st_mtime_ns, text
        return 0, ""

    def _follow(self) -> None:
        while not self._ended.wait(LOOK):
            if not self.look():
                self.stuck = True
                kill_kernel(self.pid)
                if not self._ended.wait(GRACE):
                    kill_tree(self.pid)
                return


def clear(out: Path) -> None:
    """Remove half-written files that a killed run left in `out`."""
    for part in out.glob("notebooks/.part-*"):
        part.unlink()
    for folder in (out, *out.glob("*/"), *out.glob("partial/*/")):
        paths.clear(folder)


def opened(log: Path) -> BinaryIO:
    """Open a new log file. Errors: OSError, one line with its path."""
    try:
        log.parent.mkdir(exist_ok=True)
        return log.open("wb")
    except OSError as error:
        raise paths.unwritable("run", log, error) from None


def start(book: Notebook, environment: dict[str, str], log: BinaryIO) -> subprocess.Popen:
    """Start a worker for one notebook; it waits for its job."""
    return subprocess.Popen(
        [sys.executable, "-m", "prunelab.study.runner.worker"],
        stdin=subprocess.PIPE,  # stays open: its end tells the worker that we are gone
        stdout=subprocess.PIPE,
        stderr=log,
        cwd=book.path.parent,
        env=environment,
        start_new_session=True,  # Ctrl-C reaches us alone, and we end the workers
    )


def answers(worker: subprocess.Popen, job: dict) -> Iterator[dict]:
    """Give a worker its job, and yield its messages until it ends."""
    with contextlib.suppress(BrokenPipeError):
        worker.stdin.write(json.dumps(job).encode() + b"\n")
        worker.stdin.flush()
    yield from map(json.loads, worker.stdout)


def last_line(log: Path) -> str:
    """The last line that a worker or its kernel wrote."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return one_line(lines[-1]) if lines else "it wrote nothing"
