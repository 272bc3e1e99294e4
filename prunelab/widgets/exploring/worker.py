"""Jobs in the background: the newest one counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

REST = 0.15  # seconds without a move after which a drag has ended
Stop = Callable[[], bool]
Advance = Callable[[float], None]  # told the fraction done; raises StoppedError to end a task


class StoppedError(Exception):
    """Somebody pressed stop."""


class Newest:
    """Runs one job at a time; a new one stops the running one and replaces the waiting one.

    A job is called with `stop`, a function that says whether it should end; it looks at it often
    and handles its own errors. At the end of the main thread all jobs are told to end, and Python
    waits for them: no thread may run torch while the interpreter shuts down.
    """

    def __init__(self):
        self._change = threading.Lock()
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None

    def submit(self, job: Callable[[Stop], None]) -> None:
        """Run `job` in place of the current one."""
        with self._change:
            self._cancelled.set()
            cancelled, before = threading.Event(), self._thread

            def stop() -> bool:
                return cancelled.is_set() or not threading.main_thread().is_alive()

            def work() -> None:
                if before is not None:
                    before.join()
                if not stop():
                    job(stop)

            self._cancelled, self._thread = cancelled, threading.Thread(target=work)
            self._thread.start()

    def cancel(self) -> None:
        """Tell the running job to stop; drop the waiting one."""
        with self._change:
            self._cancelled.set()

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until no job runs or waits; False if that took longer than `timeout` s."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return thread is None or not thread.is_alive()


def at_rest(stop: Stop) -> bool:
    """Wait for the end of a drag: False if something newer was asked for in the meantime."""
    end = time.monotonic() + REST
    while not stop() and time.monotonic() < end:
        time.sleep(0.02)
    return not stop()
