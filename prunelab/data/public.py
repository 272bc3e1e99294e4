"""The names of data sets and where their files are: found or not, without importing torch.

A public data set is looked for in `root`, $PRUNELAB_DATA and the cache folder, in torchvision's
layout.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prunelab import paths
from prunelab.checks import shown

EMBEDDED = ("digits", "xor")
WHOLE = "+val"  # ends the name of a data set that holds no validation images out
READERS = {
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
}
FOLDER = "imagefolder:"
NAMES = (*EMBEDDED, *READERS, *(f"{name}{WHOLE}" for name in READERS), f"{FOLDER}<path>")


@dataclass(frozen=True)
class Archive:
    """One file to download and what it unpacks to, as paths below the data folder.

    Args:
        path: the archive, a .gz of one file or a .tar.gz.
        md5: of the archive.
        files: unpacked path -> MD5, or None where only the archive's MD5 is published.
    """

    path: str
    md5: str
    files: Mapping[str, str | None]

    def unpacked(self, place: Path) -> bool:
        """Whether every file is in `place` (whole or not)."""
        return all((place / file).is_file() for file in self.files)

    def present(self, place: Path) -> bool:
        """Whether `place` has the files, or the archive that holds them."""
        return self.unpacked(place) or (place / self.path).is_file()


def _idx(folder: str, md5s: Mapping[str, tuple[str, str | None]]) -> tuple[Archive, ...]:
    """One .gz a file, in the IDX format; `md5s` are those of the archive and of the file."""
    return tuple(
        Archive(f"{folder}/raw/{file}.gz", packed, {f"{folder}/raw/{file}": unpacked})
        for file, (packed, unpacked) in md5s.items()
    )


def _cifar(folder: str, path: str, md5: str, files: Mapping[str, str]) -> tuple[Archive, ...]:
    return (Archive(path, md5, {f"{folder}/{file}": md5 for file, md5 in files.items()}),)


# The archives' names and MD5s are torchvision's own (a test compares them); it does not list the
# MD5s of MNIST's unpacked files.
ARCHIVES: dict[str, tuple[Archive, ...]] = {
    "mnist": _idx(
        "MNIST",
        {
            "train-images-idx3-ubyte": (
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "6bbc9ace898e44ae57da46a324031adb",
            ),
            "train-labels-idx1-ubyte": (
                "d53e105ee54ea40749a09fcbcd1e9432",
                "a25bea736e30d166cdddb491f175f624",
            ),
            "t10k-images-idx3-ubyte": (
                "9fb629c4189551a2d022fa330f9573f3",
                "2646ac647ad5339dbf082846283269ea",
            ),
            "t10k-labels-idx1-ubyte": (
                "ec29112dd5afa0611ce80d1b7f02629c",
                "27ae3e4e09519cfbb04c329615203637",
            ),
        },
    ),
    "fashion_mnist": _idx(
        "FashionMNIST",
        {
            "train-images-idx3-ubyte": ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", None),
            "train-labels-idx1-ubyte": ("25c81989df183df01b3e8a0aad5dffbe", None),
            "t10k-images-idx3-ubyte": ("bef4ecab320f06d8554ea6380940ec79", None),
            "t10k-labels-idx1-ubyte": ("bb300cfdad3c16e7a12a480ee83cd310", None),
        },
    ),
    "cifar10": _cifar(
        "cifar-10-batches-py",
        "cifar-10-python.tar.gz",
        "c58f30108f718f92721af3b95e74349a",
        {
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch": "40351d587109b95175f43aff81a1287e",
            "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
        },
    ),
    "cifar100": _cifar(
        "cifar-100-python",
        "cifar-100-python.tar.gz",
        "eb9058c3a382ffc7106e4002c42a8d85",
        {
            "train": "16019d7e3df5f24257cddd939b257f8d",
            "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
            "meta": "7973b15100ade9c7d40fb424638fde48",
        },
    ),
}


def name_of(name: str, caller: str = "load") -> str:
    """Itself, if it names a data set.

    Raises:
        TypeError: `name` is no string.
        ValueError: an unknown name.
    """
    if not isinstance(name, str):
        raise TypeError(f"{caller}: `name` must be a string; got {type(name).__name__}")
    if name not in NAMES[:-1] and not name.startswith(FOLDER):
        raise ValueError(f"{caller}: `name` must be one of {', '.join(NAMES)}; got {shown(name)}")
    return name


def source_of(name: str) -> str | None:
    """The public data set whose files `name` is read from; None = it is no public one."""
    public = name.removesuffix(WHOLE)
    return public if public in READERS else None


def places(root: str | os.PathLike | None = None) -> list[Path]:
    """The folders that are searched, in order: `root`, $PRUNELAB_DATA, the cache folder.

    Raises:
        TypeError: `root` is no path.
    """
    if root is not None and not isinstance(root, str | os.PathLike):
        raise TypeError(f"load: `root` must be a folder's path or None; got {shown(root)}")
    given = (root, paths.data_folder(), paths.cache_folder())
    return [Path(place).expanduser() for place in given if place]


def find(name: str, root: str | os.PathLike | None = None) -> Path | None:
    """The folder that holds the files of a public data set (whole or not); None = they are nowhere.

    Args:
        name: one of `READERS`, with or without `+val`.
        root: looked in first.

    Raises:
        ValueError: `name` is no public data set.
    """
    public = source_of(name)
    if public is None:
        known = ", ".join(READERS)
        raise ValueError(
            f"find: `name` must be a public data set, one of {known}; got {shown(name)}"
        )
    needed = ARCHIVES[public]
    return next((p for p in places(root) if all(a.present(p) for a in needed)), None)
