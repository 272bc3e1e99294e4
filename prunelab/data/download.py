"""Fetching one file over HTTP: several addresses, a checksum, a bar, resumed where it broke off.

The bytes go to `<file>.part`, which stays after a broken connection, Ctrl-C or kill, and takes the
file's name only when the checksum matches.
"""

from __future__ import annotations

import hashlib
import urllib.request
from collections.abc import Iterator, Sequence
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError

from tqdm import tqdm

from prunelab import pulse

ATTEMPTS = 8  # per address; each goes on where the last one broke off
TIMEOUT = 30.0  # seconds without a byte


class Failed(Exception):  # noqa: N818
    """An address did not give the file, and the next one may. Disk errors are not of this kind."""


def fetch(urls: Sequence[str], target: Path, md5: str) -> None:
    """Download `target` from the first of `urls` that gives a file with this MD5.

    Raises:
        RuntimeError: none did; names each, with the reason, and how to place the file by hand.
        OSError: the bytes cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    tried = []
    for url in urls:
        try:
            _fetch_from(url, part, md5)
        except Failed as error:
            tried.append(f"{url}: {' '.join(str(error).split())}")
        else:
            part.replace(target)
            return
    raise RuntimeError(
        f"load: cannot download {target.name} (tried {'; '.join(tried)}); "
        f"to place it by hand, put the file with MD5 {md5} at '{target}'"
    )


def _fetch_from(url: str, part: Path, md5: str) -> None:
    for _ in range(ATTEMPTS):
        before = size_of(part)
        if _receive(url, part):
            if (found := md5_of(part)) == md5:
                return
            part.unlink()
            if not before:
                raise Failed(f"gave MD5 {found}, expected {md5}")
            # Else the bad bytes may be those of an earlier mirror: once more from the start.
        elif size_of(part) <= before:
            raise Failed(f"broke off at {size_of(part):,} bytes")
    raise Failed(f"not whole after {ATTEMPTS} attempts")


def _receive(url: str, part: Path) -> bool:
    """Append to `part` what is missing; True when the server has sent all it has."""
    start = size_of(part)
    response = _ask(url, start)
    if response is None:
        return True
    with response:
        if response.status != 206:  # no resume here: the file comes from its first byte
            start = 0
        length = response.headers["Content-Length"]
        total = start + int(length) if length else None
        bar = tqdm(desc=part.stem, initial=start, total=total, unit="B", unit_scale=True)
        with part.open("ab" if start else "wb") as file, bar:
            for chunk in _chunks(response):
                file.write(chunk)
                bar.update(len(chunk))
                pulse.beat()
    return total is None or size_of(part) >= total


def _ask(url: str, start: int) -> HTTPResponse | None:
    """The response, from byte `start` on; None = there are no more bytes."""
    headers = {"User-Agent": "prunelab"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), None, TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == 416 and start:
            return None
        raise Failed(str(error)) from error
    except (OSError, HTTPException, ValueError) as error:
        raise Failed(str(error)) from error


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read(1 << 16)
        except (OSError, HTTPException):  # broken off: what came is kept
            return
        if not chunk:
            return
        yield chunk


def md5_of(path: Path) -> str:
    """The MD5 of a file, 32 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def size_of(path: Path) -> int:
    """The size of a file in bytes; 0 when there is none."""
    return path.stat().st_size if path.exists() else 0
