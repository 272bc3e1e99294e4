"""Progress of a long measurement, in a file that another process watches.

The runner of the series names the file in `$PRUNELAB_PROGRESS` and stops a notebook that gives no
sign for too long. Without the variable nothing is written.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from prunelab import paths

PACE = 1.0  # seconds between two beats that are written
Item = TypeVar("Item")

_place: dict[str, str] = {}  # what -> which of how many, from the outermost inwards
_last = -PACE


def beat() -> None:
    """Report progress: a step, a batch, a block of a download. Costs next to nothing."""
    global _last
    now = time.monotonic()
    if now - _last >= PACE:
        _last = now
        _write()


def at(what: str, number: int, total: int) -> None:
    """Report that a part begins, e.g. ("epoch", 2, 4); this ends the one before it."""
    over(what)
    _place[what] = f"{number} of {total}"
    _write()


def over(what: str) -> None:
    """Report that a part and all parts inside it are over."""
    names = list(_place)
    for name in names[names.index(what) :] if what in names else []:
        del _place[name]


def each(what: str, items: Sequence[Item]) -> Iterator[Item]:
    """Iterate over items, announcing each with `at`."""
    try:
        for number, item in enumerate(items, 1):
            at(what, number, len(items))
            yield item
    finally:
        over(what)


@contextmanager
def held(lock: FileLock) -> Iterator[None]:
    """Hold a lock. Waiting for it counts as progress."""
    while True:
        try:
            lock.acquire(timeout=PACE)
            break
        except Timeout:
            beat()
    try:
        yield
    finally:
        lock.release()


def _write() -> None:
    if file := paths.progress():
        with suppress(OSError):  # nobody's measurement ends because nobody can watch it
            parts = list(_place.items())  # at once: a widget measures in a thread of its own
            Path(file).write_text(", ".join(f"{what} {which}" for what, which in parts))
