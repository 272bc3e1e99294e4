"""A thread that answers the newest request only."""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Callable

Work = Callable[[Callable[[], bool]], None]


class Newest:
    """A daemon thread for jobs; a new job stops the running one and replaces the waiting one.

    A job is called with `stop`, a function that says whether it should end; it looks at it often
    and handles its own errors.
    """

    def __init__(self):
        self._change = threading.Condition()
        self._number = 0  # of the newest request
        self._job: tuple[int, Work] | None = None  # waits to be done
        self._busy = self._closed = False
        self._thread: threading.Thread | None = None
        _all.add(self)

    def submit(self, job: Work) -> None:
        """Run `job` in place of the current one; does nothing after `close`."""
        with self._change:
            if self._closed:
                return
            self._number += 1
            self._job = (self._number, job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
            self._change.notify_all()

    def cancel(self) -> None:
        """Tell the running job to stop; drop the waiting one."""
        with self._change:
            self._number += 1
            self._job = None
            self._change.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until no job runs or waits; False if that took longer than `timeout` s."""
        with self._change:
            return self._change.wait_for(lambda: not self._busy and self._job is None, timeout)

    def close(self) -> None:
        """Stop the running job, and end the thread."""
        with self._change:
            self._closed = True
        self.cancel()

    def join(self, timeout: float | None = None) -> None:
        """Block until the thread has ended; see `close`."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _work(self) -> None:
        while True:
            with self._change:
                self._busy = False
                self._change.notify_all()
                self._change.wait_for(lambda: self._job is not None or self._closed)
                if self._job is None:
                    return
                (number, job), self._job, self._busy = self._job, None, True
            job(lambda number=number: self._number != number)


_all: weakref.WeakSet[Newest] = weakref.WeakSet()
PATIENCE = 60.0  # seconds for what is at work when the interpreter ends


@atexit.register
def _end() -> None:
    """No thread may run torch while the interpreter shuts down: C++ would abort the process."""
    threads = list(_all)
    for newest in threads:
        newest.close()
    for newest in threads:
        newest.join(PATIENCE)
