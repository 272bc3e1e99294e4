"""State of a run: which notebooks are finished, and under which key."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from prunelab import paths
from prunelab.checks import is_number
from prunelab.study import notes
from prunelab.study.moment import now
from prunelab.study.runner.plan import SeriesPlan

STATUSES = ("ok", "failed")


@dataclass(frozen=True)
class Result:
    """How one notebook ended. `status` is ok or failed."""

    name: str
    status: str
    seconds: float
    error: str | None = None
    before: bool = False

    def line(self, width: int) -> str:
        """The line shown in the terminal."""
        note = "(done before)" if self.before else self.error or ""
        return f"{self.name:<{width}}  {self.status:>6}  {self.seconds:7.1f} s  {note}".rstrip()


class State:
    """`state.json`: notebook -> hash, status, seconds, and how it was run."""

    def __init__(self, path: Path):
        self.path = path
        self.lock = threading.Lock()
        self.entries, faults = _read(path)
        for line, what in faults:
            print(f"prunelab: {line}; {what} runs again", file=sys.stderr)

    def put(self, result: Result, plan: SeriesPlan, key: str) -> None:
        """Record one result; the file is replaced atomically.

        Raises:
            OSError: it cannot be written; one line with the path.
        """
        entry = {**asdict(result), "hash": key, "preset": plan.preset, "device": plan.device}
        del entry["name"], entry["before"]
        with self.lock:
            self.entries[result.name] = {**entry, "date": now()}
            text = json.dumps(self.entries, indent=1, sort_keys=True)
            paths.write_text(self.path, text + "\n", "run")


def _read(path: Path) -> tuple[dict[str, dict], list[tuple[str, str]]]:
    """The valid entries of a `state.json`, and for each fault a line and what must run again."""
    try:
        found = notes.read(path)
    except FileNotFoundError:
        return {}, []
    except notes.DamagedError as error:
        return {}, [(str(error), "every notebook")]
    if not isinstance(found, dict):
        return {}, [(f"{path} is not the state of a run", "every notebook")]
    faults = {name: reason for name, entry in found.items() if (reason := fault(entry))}
    sound = {name: entry for name, entry in found.items() if name not in faults}
    told = f"{path} is not the state of a run: "
    return sound, [(f"{told}{name!r} {reason}", "it") for name, reason in faults.items()]


def checked(path: Path) -> dict[str, dict]:
    """The entries of a `state.json`; none if there is no such file.

    Raises:
        ValueError: it is damaged; names the file, the entry and the remedy.
    """
    entries, faults = _read(path)
    for line, _ in faults:
        raise ValueError(f"report: {line}; delete it and run again")
    return entries


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
