"""Archive: the rows of a large sweep as Parquet, on any storage that fsspec reaches.

Lines of JSON can be read by eye and merged by git, but a look-up reads all of them. Here one file
holds a paper's rows in the order of their keys, and a look-up reads the parts that hold the keys.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

import pandas as pd
from fsspec.core import url_to_fs

from prunelab import checks, extras
from prunelab.study import rows as files
from prunelab.study.recipes import check_stem

COLUMNS = ["key", "stem", "preset", "label", "seed", "date", "seconds"]
GROUP = 500  # rows that are read together


def named() -> str | None:
    """`$PRUNELAB_ARCHIVE`: a folder, or an address as s3://bucket/prunelab; None if it is unset."""
    return os.environ.get("PRUNELAB_ARCHIVE") or None


def pack(rows: Iterable[dict], url: str) -> dict[str, int]:
    """Write rows to an archive, with those that it has; of equal keys the last date stands.

    A paper's file is replaced when the new one is whole. One packing at a time: each replaces what
    another one adds meanwhile.

    Args:
        rows: ledger rows of any papers.
        url: of the archive.

    Returns:
        Paper -> number of rows in the archive now.

    Raises:
        OSError: it cannot be written. ValueError: a paper of a row is no name.
        ModuleNotFoundError: a package is missing.
    """
    extras.need("prunelab archive", "cluster", "pyarrow")
    named = isinstance(url, str) and bool(url.strip("/ "))
    checks.need(named, "archive", "url", "a folder, or an address as s3://bucket/prunelab", url)
    found: dict[str, list[dict]] = {}
    for row in rows:
        found.setdefault(check_stem("archive", row.get("stem")), []).append(row)
    return {stem: _write(url, stem, own) for stem, own in found.items()}


def _write(url: str, stem: str, rows: list[dict]) -> int:
    latest = {row["key"]: row for row in sorted([*read(url, stem), *rows], key=_date)}
    table = pd.DataFrame(latest.values(), columns=COLUMNS)
    table["row"] = [json.dumps(row, sort_keys=True) for row in latest.values()]
    table = table.sort_values("key")
    try:
        storage, folder = url_to_fs(url)
        storage.makedirs(folder, exist_ok=True)
        part = _place(url, f".{stem}-{os.getpid()}")  # a reader never sees half a file
        table.to_parquet(part, index=False, compression="zstd", row_group_size=GROUP)
        storage.mv(f"{folder}/.{stem}-{os.getpid()}.parquet", f"{folder}/{stem}.parquet")
    except (OSError, ImportError, ValueError) as error:
        raise OSError(f"archive: cannot write `{_place(url, stem)}`: {error}") from None
    return len(table)


def _date(row: dict) -> str:
    return row["date"]


def _place(url: str, stem: str) -> str:
    return f"{url.rstrip('/')}/{stem}.parquet"


def read(url: str, stem: str, keys: Iterable[str] | None = None) -> list[dict]:
    """The rows of a paper in an archive; none if it has no such paper.

    Args:
        url: of the archive.
        stem: of the paper.
        keys: of the rows wanted; None = all.

    Raises:
        ValueError: it is no archive; names the file.
    """
    wanted = None if keys is None else [("key", "in", [*keys])]
    if wanted == [("key", "in", [])]:
        return []
    try:
        table = pd.read_parquet(_place(url, stem), columns=["row"], filters=wanted)
        found = [json.loads(text) for text in table.row]
    except FileNotFoundError:
        return []
    except (OSError, ImportError, ValueError, TypeError) as error:
        reason = str(error).split("\n")[0]
        raise ValueError(f"archive: cannot read `{_place(url, stem)}`: {reason}") from None
    for row in found:
        if reason := files.fault(row):
            raise ValueError(f"archive: `{_place(url, stem)}` holds what is no row: {reason}")
    return found
