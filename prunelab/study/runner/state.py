"""The state of a run: which notebooks are finished, and under which key."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from prunelab.checks import is_number
from prunelab.study import notes
from prunelab.study.moment import now
from prunelab.study.runner.plan import Plan
from prunelab.study.runner.worker import write_atomically

if TYPE_CHECKING:
    from prunelab.study.runner.series import Result

STATUSES = ("ok", "failed")
REMEDY = "delete it and run again"


class State:
    """What is finished: `state.json`, notebook -> hash, status, seconds, and how it was run."""

    def __init__(self, path: Path):
        self.path = path
        self.lock = threading.Lock()
        self.entries: dict[str, dict] = {}
        try:
            found = notes.read(path)
        except FileNotFoundError:
            return
        except notes.DamagedError as error:
            found = {}
            _warn(f"{error}; every notebook runs again")
        if not isinstance(found, dict):
            found = {}
            _warn(f"{path} is not the state of a run; every notebook runs again")
        for name, entry in found.items():
            if reason := fault(entry):
                _warn(f"{path}: {name!r} {reason}; it runs again")
            else:
                self.entries[name] = entry

    def put(self, result: Result, plan: Plan, key: str) -> None:
        """Record one result; the file is replaced at once.

        Raises:
            OSError: it cannot be written; one line with the path.
        """
        entry = {**asdict(result), "hash": key, "preset": plan.preset, "device": plan.device}
        del entry["name"], entry["before"]
        with self.lock:
            self.entries[result.name] = {**entry, "date": now()}
            text = json.dumps(self.entries, indent=1, sort_keys=True)
            write_atomically(self.path, text + "\n")


def _warn(line: str) -> None:
    print(f"prunelab: {line}", file=sys.stderr)


def checked(path: Path) -> dict[str, dict]:
    """The entries of a `state.json`; none if there is no such file.

    Raises:
        ValueError: it is damaged; names the file, the entry and the remedy.
    """
    try:
        found = notes.read(path)
    except FileNotFoundError:
        return {}
    except notes.DamagedError as error:
        raise ValueError(f"report: {error}; {REMEDY}") from None
    if not isinstance(found, dict):
        raise ValueError(f"report: {path} is not the state of a run; {REMEDY}")
    for name, entry in found.items():
        if reason := fault(entry):
            raise ValueError(
                f"report: {path} is not the state of a run: {name!r} {reason}; {REMEDY}"
            )
    return found


def fault(entry: object) -> str | None:
    """What is wrong with the entry of one notebook, or None."""
    if not isinstance(entry, dict):
        return "has no fields"
    if entry.get("status") not in STATUSES:
        return f"has the status {entry.get('status')!r}, not ok or failed"
    if not is_number(entry.get("seconds")) or entry["seconds"] < 0:
        return f"has the seconds {entry.get('seconds')!r}, no number"
    for name in ("hash", "preset", "device", "date"):
        if not isinstance(entry.get(name, ""), str):
            return f"has the {name} {entry[name]!r}, no text"
    if not isinstance(entry.get("error", ""), str | None):
        return f"has the error {entry['error']!r}, no text"
    return None
