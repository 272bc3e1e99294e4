"""Files of rows, one JSON object per line: checked when read, appended whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

from filelock import FileLock

from prunelab import paths, pulse
from prunelab.study.recipes import PRESETS

BOM = b"\xef\xbb\xbf"  # some editors begin a file with it
FIELDS = {"key": str, "values": dict, "seed": int, "recipe": dict}
FIELDS |= dict.fromkeys(("preset", "label", "device", "date"), str)


def read(path: Path) -> list[dict]:
    """The rows of one ledger file; none if there is no such file. Blank lines do not count.

    Raises:
        ValueError: a line is no row; names the file, the line and the remedy.
    """
    if not path.is_file():
        return []
    # A kill may have cut off what follows the last newline.
    *lines, _ = path.read_bytes().removeprefix(BOM).split(b"\n")
    return [_row(line, number, path) for number, line in enumerate(lines, 1) if line.strip()]


def _row(line: bytes, number: int, path: Path) -> dict:
    try:
        row = json.loads(line)
        reason = fault(row)
    except UnicodeDecodeError:
        reason = "it is not UTF-8"
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
        if name not in row:
            return f"it has no `{name}`"
        if not isinstance(row[name], kind) or isinstance(row[name], bool):
            return f"its `{name}` is {json.dumps(row[name])[:40]}"
    if row["preset"] not in PRESETS:
        return f"its `preset` is {json.dumps(row['preset'])[:40]}"
    task = row["recipe"].get("task")
    return None if isinstance(task, dict) and "kind" in task else "its `recipe` has no task"


def append(path: Path, row: dict) -> None:
    """Add one row, whole or not at all; what a kill left of another one goes.

    Raises:
        OSError: it cannot be written; one line with the path, the reason and what to do.
    """
    line = json.dumps(row, sort_keys=True).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Two notebooks may append at once; a line half written by one must not be cut by the other.
        with pulse.held(FileLock(path.with_suffix(".lock"))), open(path, "ab+", buffering=0) as f:
            f.seek(0)
            end = f.read().rfind(b"\n") + 1
            f.truncate(end)
            try:
                _write(f.fileno(), line)
            except OSError:
                f.truncate(end)
                raise
    except OSError as error:
        raise paths.unwritable("ledger.append", path, error) from error


def _write(file: int, line: bytes) -> None:
    while line:  # a disk that is nearly full takes a part, and then complains
        line = line[os.write(file, line) :]
    os.fsync(file)
