"""The names of data sets and where their files are: found or not, without importing torch.

A public data set is looked for in `root`, $PRUNELAB_DATA and the cache folder, in torchvision's
layout.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prunelab import checks, paths
from prunelab.checks import shown

EMBEDDED = ("digits", "xor")
WHOLE = "+val"  # in the name of a data set that holds no validation images out
UNIT = "+unit"  # ends the name of one whose pixels lie in [0, 1], not standardised
ENDINGS = (WHOLE, UNIT, WHOLE + UNIT)
PUBLISHED = tomllib.loads((Path(__file__).parent / "public.toml").read_text(encoding="utf-8"))
READERS = {name: source["reader"] for name, source in PUBLISHED.items()}
# Base addresses, tried in order. Add your own: MIRRORS["mnist"].insert(0, "http://my.server/mnist/").
MIRRORS: dict[str, list[str]] = {name: source["mirrors"] for name, source in PUBLISHED.items()}
FOLDER = "imagefolder:"
NAMES = (
    *EMBEDDED,
    *(f"{name}{ending}" for ending in ("", *ENDINGS) for name in READERS),
    f"{FOLDER}<path>",
)


@dataclass(frozen=True)
class Archive:
    """One file to download and what it unpacks to, as paths below the data folder.

    Args:
        path: the archive, a .gz of one file or a .tar.gz.
        md5: of the archive.
        files: unpacked path -> MD5; or the number of bytes, where only the archive's MD5 is
            published.
    """

    path: str
    md5: str
    files: Mapping[str, str | int]

    def unpacked(self, place: Path) -> bool:
        """Whether every file is in `place` (whole or not)."""
        return all((place / file).is_file() for file in self.files)

    def present(self, place: Path) -> bool:
        """Whether `place` has the files, or the archive that holds them."""
        return self.unpacked(place) or (place / self.path).is_file()


ARCHIVES: dict[str, tuple[Archive, ...]] = {
    name: tuple(Archive(**archive) for archive in source["archives"])
    for name, source in PUBLISHED.items()
}


def name_of(name: str, caller: str = "load") -> str:
    """Itself, if it names a data set.

    Raises:
        TypeError: `name` is no string.
        ValueError: an unknown name.
    """
    checks.kind(caller, "name", name, str, "a string")
    if name not in NAMES[:-1] and not name.startswith(FOLDER):
        plain = ", ".join((*EMBEDDED, *READERS, NAMES[-1]))
        raise ValueError(
            f"{caller}: `name` must be one of {plain}, the public ones also with"
            f" {', '.join(ENDINGS)}; got {shown(name)}"
        )
    return name


def source_of(name: str) -> str | None:
    """The public data set whose files `name` is read from; None = it is no public one."""
    public = name.removesuffix(UNIT).removesuffix(WHOLE)
    return public if public in READERS else None


def places(root: str | os.PathLike | None = None) -> list[Path]:
    """The folders that are searched, in order: `root`, $PRUNELAB_DATA, the cache folder.

    Raises:
        TypeError: `root` is no path.
    """
    checks.kind("load", "root", root, str | os.PathLike | None, "a folder's path or None")
    given = (root, paths.data_folder(), paths.cache_folder())
    return [Path(place).expanduser() for place in given if place]


def find(name: str, root: str | os.PathLike | None = None) -> Path | None:
    """The folder that holds the files of a public data set (whole or not); None = they are nowhere.

    Args:
        name: one of `READERS`, with or without `ENDINGS`.
        root: looked in first.

    Raises:
        ValueError: `name` is no public data set.
    """
    public = source_of(name)
    if public is None:
        raise ValueError(
            f"find: `name` must be a public data set, one of {', '.join(READERS)};"
            f" got {shown(name)}"
        )
    needed = ARCHIVES[public]
    return next((p for p in places(root) if all(a.present(p) for a in needed)), None)
