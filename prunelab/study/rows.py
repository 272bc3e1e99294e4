"""Files of rows, one JSON object per line: checked when read, appended whole or not at all."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from io import FileIO
from pathlib import Path

from filelock import FileLock

from prunelab import paths, pulse

KEY = re.compile(rb'"key"\s*:\s*"([^"]*)"')
LONE = re.compile(rb"\\u[dD][89a-fA-F]")
BLOCK = 2**16  # bytes looked at together
FIELDS = {"key": str, "values": dict, "seed": int, "recipe": dict}
FIELDS |= dict.fromkeys(("preset", "label", "device", "date"), str)


def read(path: Path, keys: Iterable[str] | None = None) -> list[dict]:
    """The rows of one ledger file; none if there is no such file. Blank lines do not count.

    Args:
        path: of the file.
        keys: of the rows wanted; None = all. Other lines are then neither parsed nor checked, which
            is what a look-up among thousands of rows needs.

    Raises:
        ValueError: a line is no row; names the file, the line and the remedy.
    """
    if not path.is_file():
        return []
    # A kill may have cut off what follows the last newline.
    *lines, _ = path.read_bytes().split(b"\n")
    wanted = None if keys is None else {key.encode() for key in keys}
    return [
        _row(line, number, path)
        for number, line in enumerate(lines, 1)
        if line.strip() and (wanted is None or not wanted.isdisjoint(KEY.findall(line)))
    ]


class Dates:
    """Key -> date of the rows in a folder of ledger files; a look reads only what is new."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._seen: dict[str, tuple[int, int, dict[str, str]]] = {}  # bytes, lines, dates

    def of(self, stem: str) -> dict[str, str]:
        """Of one paper. Errors: ValueError, as `read`."""
        at, count, dates = self._seen.get(stem, (0, 0, {}))
        path = self.folder / f"{stem}.jsonl"
        if path.is_file():
            with path.open("rb") as file:
                file.seek(at)
                new = file.read()
            *lines, rest = new.split(b"\n")
            for number, line in enumerate(lines, count + 1):
                if line.strip():
                    row = _row(line, number, path)
                    dates[row["key"]] = row["date"]
            at, count = at + len(new) - len(rest), count + len(lines)
        self._seen[stem] = at, count, dates
        return dates

    def add(self, row: dict) -> None:
        """Append a row that is not there yet. Errors: OSError, as `append`."""
        if self.of(row["stem"]).get(row["key"]) != row["date"]:
            append(self.folder / f"{row['stem']}.jsonl", row)


def _row(line: bytes, number: int, path: Path) -> dict:
    try:
        row = json.loads(line)
        if LONE.search(line):  # half of a pair, which no file can hold as text
            row = json.loads(json.dumps(row, ensure_ascii=False).encode("utf-8", "replace"))
        reason = fault(row)
    except (ValueError, RecursionError):
        reason = "it is not JSON"
    if reason:
        raise ValueError(
            f"ledger: line {number} of `{path}` is not a row ({reason}); delete that line, and it"
            " is measured again"
        )
    return row


def fault(row: object) -> str | None:
    """Why this is not a row, or None."""
    if not isinstance(row, dict):
        return "it has no fields"
    for name, kind in FIELDS.items():
        if not isinstance(row.get(name), kind):
            return f"its `{name}` is {json.dumps(row.get(name))[:40]}"
    return None


def append(path: Path, row: dict) -> None:
    """Add one row, whole or not at all; what a kill left of another one goes.

    Raises:
        OSError: it cannot be written; one line with the path, the reason and what to do.
    """
    line = memoryview(json.dumps(row, sort_keys=True).encode() + b"\n")
    paths.made(path.parent, "ledger.append")
    # Two notebooks may append at once.
    with pulse.held(FileLock(path.with_suffix(".lock"))):
        try:
            with path.open("ab+", buffering=0) as file:
                end = _end(file)
                file.truncate(end)
                try:
                    while line:
                        line = line[file.write(line) :]
                    os.fsync(file.fileno())
                except BaseException:
                    file.truncate(end)
                    raise
        except OSError as error:
            raise paths.unwritable("ledger.append", path, error) from error


def _end(file: FileIO) -> int:
    """Where the last whole line ends."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
