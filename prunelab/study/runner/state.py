"""State of a run: which notebooks are finished, and under which key."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from prunelab import paths
from prunelab.checks import is_number
from prunelab.study.runner.plan import SeriesPlan, now


@dataclass(frozen=True)
class Result:
    """How one notebook ended. `status` is ok or failed."""

    name: str
    status: str
    seconds: float
    error: str | None = None
    before: bool = False

    def line(self, width: int) -> str:
        note = "(done before)" if self.before else self.error or ""
        return f"{self.name:<{width}}  {self.status:>6}  {self.seconds:7.1f} s  {note}".rstrip()


class State:
    """`state.json`: notebook -> hash, status, seconds, and how it was run."""

    def __init__(self, path: Path):
        self.path = path
        self.lock = threading.Lock()
        try:
            self.entries = entries(path)
        except ValueError as error:
            print(f"prunelab: {error}; every notebook runs again", file=sys.stderr)
            self.entries = {}

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


def entries(path: Path) -> dict[str, dict]:
    """The entries of a `state.json`; none if there is no such file. ValueError: it is damaged."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        found = None
    if not (isinstance(found, dict) and all(map(_is_sound, found.values()))):
        raise ValueError(f"{path} is not the state of a run")
    return found


def _is_sound(entry: object) -> bool:
    sound = isinstance(entry, dict) and entry.get("status") in ("ok", "failed")
    return sound and is_number(entry.get("seconds"))
