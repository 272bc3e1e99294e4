"""Files of rows, one JSON object per line: checked when read, appended whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

from filelock import FileLock

from prunelab import paths, pulse

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
    *lines, _ = path.read_bytes().split(b"\n")
    return [_row(line, number, path) for number, line in enumerate(lines, 1) if line.strip()]


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
    line = json.dumps(row, sort_keys=True).encode() + b"\n"
    paths.made(path.parent, "ledger.append")
    # Two notebooks may append at once.
    with pulse.held(FileLock(path.with_suffix(".lock"))):
        before = path.read_bytes() if path.is_file() else b""
        with paths.whole(path, "ledger.append") as partial:
            partial.write_bytes(before[: before.rfind(b"\n") + 1] + line)
