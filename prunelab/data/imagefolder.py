"""A folder of photographs in ImageNet's layout: decoded at once if it is small, else `Photos`."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from prunelab import processes
from prunelab.data.download import md5_of
from prunelab.data.listing import check_apart, listed
from prunelab.data.photos import SIZE, Photos, decode, middle, pixels

IN_MEMORY = 20_000  # images, 3 GB as uint8; a larger folder is read from disk all the time

Part = tuple[Tensor | Photos, Tensor]


def read(path: str, places: Sequence[Path]) -> tuple[Part, Part, list[str], str]:
    """The train and val folders of `path`.

    Args:
        path: holds train/<class>/* and val/<class>/*; absolute, or relative to the current folder
            or to one of `places`.
        places: further folders to look in.

    Returns:
        Train and val, each (N, 3, 224, 224) uint8 (of more than `IN_MEMORY` images: `Photos`) and
        (N,) int64; the classes, in label order; 16 hex digits over the names and bytes of the
        files (`Photos`: names and sizes).

    Raises:
        FileNotFoundError: there is no such folder, or it has no train or no val.
        ValueError: no classes, other classes in val, a file that stands in two places, or an
            unreadable image.
    """
    folder = find(path, places)
    (classes, train), (others, val) = (listed(folder / part) for part in ("train", "val"))
    if classes != others:
        differ = sorted(set(classes) ^ set(others))
        raise ValueError(
            f"load: train and val of '{folder}' must have the same classes; "
            f"not in both: {', '.join(differ)}"
        )
    check_apart(train, val)
    take = _decode if len(train) + len(val) <= IN_MEMORY else _leave
    digest = hashlib.sha256()
    parts = [take([*samples.values()], folder, digest) for samples in (train, val)]
    return *parts, classes, digest.hexdigest()[:16]


def find(path: str, places: Sequence[Path]) -> Path:
    """The folder itself. Errors: FileNotFoundError as `read`."""
    wanted = Path(path).expanduser()
    tries = [place / wanted for place in (Path(), *places)]
    folder = next((t for t in tries if path and t.is_dir()), None)
    if folder is None:
        looked = ", ".join(f"'{t}'" for t in dict.fromkeys(tries))
        raise FileNotFoundError(f"load: no folder {path!r} for imagefolder:<path>; tried {looked}")
    for part in ("train", "val"):
        if not (folder / part).is_dir():
            raise FileNotFoundError(
                f"load: '{folder}' has no {part} folder; "
                "imagefolder:<path> needs train/<class>/ and val/<class>/"
            )
    return folder


def _decode(samples: Sequence[tuple[str, int]], folder: Path, digest) -> Part:
    images = torch.empty(len(samples), 3, SIZE, SIZE, dtype=torch.uint8)
    hidden = not processes.is_first()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = pool.map(_read, (path for path, _ in samples))
        for i, (image, md5) in enumerate(
            tqdm(decoded, desc=folder.name, total=len(samples), disable=hidden)
        ):
            images[i] = image
            digest.update(f"{_name(samples[i], folder)} {md5}\n".encode())
    return images, _labels(samples)


def _read(path: str) -> tuple[Tensor, str]:
    """(3, 224, 224) uint8 and the MD5 of the file."""
    return pixels(middle(decode(path))), md5_of(Path(path))


def _leave(samples: Sequence[tuple[str, int]], folder: Path, digest) -> Part:
    for sample in tqdm(samples, desc=folder.name, disable=not processes.is_first()):
        digest.update(f"{_name(sample, folder)} {os.stat(sample[0]).st_size}\n".encode())
    return Photos.of([path for path, _ in samples]), _labels(samples)


def _name(sample: tuple[str, int], folder: Path) -> str:
    return Path(sample[0]).relative_to(folder).as_posix()


def _labels(samples: Sequence[tuple[str, int]]) -> Tensor:
    return torch.tensor([label for _, label in samples])
