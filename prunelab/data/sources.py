"""The raw files of the public data sets: where they are, whether they are whole, how to fetch them.

Only when they are in none of `places` are they downloaded, to the first of them. With
PRUNELAB_OFFLINE=1 nothing is downloaded.
"""

import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from prunelab import paths, pulse
from prunelab.data import public
from prunelab.data.download import fetch, md5_of, size_of
from prunelab.data.public import MIRRORS, Archive


def locate(name: str, root: str | os.PathLike | None = None) -> tuple[Path, str]:
    """The folder that holds data set `name`, checked; the files are downloaded when nowhere.

    Args:
        name: one of `READERS`.
        root: the first folder to look in, and the one to write to.

    Returns:
        The folder, and 16 hex digits over the MD5s of the files.

    Raises:
        FileNotFoundError: the files are nowhere and downloads are switched off.
        PermissionError: the folder to write to cannot be written to.
        OSError: the disk is full.
        RuntimeError: no mirror gave the file.
        ValueError: a file is damaged.
    """
    parts, searched = public.ARCHIVES[name], public.places(root)
    place = public.find(name, root)
    if place is None:
        place = searched[0]
        if paths.offline():
            raise FileNotFoundError(_missing(name, parts, searched))
    if not all(a.unpacked(place) for a in parts):
        _complete(name, parts, place)
    found = [f"{file} {md5}" for a in parts for file, md5 in verify(a, place).items()]
    return place, hashlib.sha256("\n".join(found).encode()).hexdigest()[:16]


def verify(archive: Archive, place: Path) -> dict[str, str]:
    """The MD5 of each unpacked file of `archive` in `place`.

    Of a file without a published MD5, the size is compared.

    Raises:
        ValueError: a file differs from what was published; names it, with expected and found.
    """
    found = {}
    for file, expected in archive.files.items():
        path = place / file
        found[file] = md5_of(path)
        if expected not in (found[file], size_of(path)):
            told = f"{expected:,} bytes" if isinstance(expected, int) else f"MD5 {expected}"
            raise _damaged(path, told)
    return found


def _complete(name: str, parts: Sequence[Archive], place: Path) -> None:
    """Download and unpack what `place` lacks; one process at a time."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise PermissionError(
            f"load: cannot write {name} to '{place}' ({error.strerror}); "
            "set `root` or PRUNELAB_DATA to a folder you may write to"
        ) from error
    try:
        with pulse.held(FileLock(place / ".prunelab.lock")):
            for archive in parts:
                if not archive.present(place):
                    urls = [base + archive.path.rsplit("/", 1)[-1] for base in MIRRORS[name]]
                    fetch(urls, place / archive.path, archive.md5)
                if not archive.unpacked(place):
                    unpack(archive, place)
    except OSError as error:  # a full disk
        raise paths.unwritable("load", place, error) from error


def unpack(archive: Archive, place: Path) -> None:
    """Unpack `archive` in `place`; each file takes its name only when it is whole.

    One process at a time: the caller holds the lock.

    Raises:
        ValueError: the archive does not have its MD5.
    """
    packed = place / archive.path
    if md5_of(packed) != archive.md5:
        raise _damaged(packed, f"MD5 {archive.md5}")
    temporary = place / ".prunelab.unpacking"
    shutil.rmtree(temporary, ignore_errors=True)  # what a killed run left
    temporary.mkdir()
    try:
        if packed.name.endswith(".tar.gz"):
            with tarfile.open(packed) as tar:
                tar.extractall(temporary, filter="data")
        else:
            target = temporary.joinpath(*archive.files)
            target.parent.mkdir(parents=True)
            with gzip.open(packed) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
        for file in archive.files:
            (place / file).parent.mkdir(parents=True, exist_ok=True)
            (temporary / file).replace(place / file)
    finally:
        shutil.rmtree(temporary)


def _missing(name: str, parts: Sequence[Archive], searched: Sequence[Path]) -> str:
    lacks = [
        file for a in parts for file in a.files if not any((p / file).is_file() for p in searched)
    ]
    looked = ", ".join(f"'{place}'" for place in searched)
    return (
        f"load: {name} is not here, and PRUNELAB_OFFLINE forbids the download; looked in {looked} "
        f"for {', '.join(lacks) or 'all its files in one folder'} "
        "(torchvision's layout; packed as .gz will do)"
    )


def _damaged(path: Path, expected: str) -> ValueError:
    return ValueError(
        f"load: '{path}' is damaged: expected {expected}, found MD5 {md5_of(path)},"
        f" {size_of(path):,} bytes; delete it, and it is downloaded again"
    )
