"""The state of a run: which notebooks are finished, and under which key."""

from __future__ import annotations

import contextlib
import datetime
import json
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from prunelab.study.plan import Plan
from prunelab.study.worker import write_atomically

if TYPE_CHECKING:
    from prunelab.study.series import Result


class State:
    """What is finished: `state.json`, notebook -> hash, status, seconds, and how it was run."""

    def __init__(self, path: Path):
        self.path = path
        self.lock = threading.Lock()
        self.entries: dict[str, dict] = {}
        with contextlib.suppress(FileNotFoundError, ValueError):  # unreadable: all runs again
            found = json.loads(path.read_text(encoding="utf-8"))
            self.entries = found if is_state(found) else {}

    def put(self, result: Result, plan: Plan, key: str) -> None:
        """Record one result; the file is replaced at once."""
        date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        entry = {**asdict(result), "hash": key, "preset": plan.preset, "device": plan.device}
        del entry["name"], entry["before"]
        with self.lock:
            self.entries[result.name] = {**entry, "date": date}
            text = json.dumps(self.entries, indent=1, sort_keys=True)
            write_atomically(self.path, text + "\n")


def is_state(found: object) -> bool:
    """Whether this is what `state.json` of a run holds: notebook -> how it ended."""
    needed = {"status", "seconds"}
    return isinstance(found, dict) and all(
        isinstance(entry, dict) and needed <= set(entry) for entry in found.values()
    )
