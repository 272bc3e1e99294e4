"""A folder of photographs, ImageNet's layout, as whole tensors.

Each image is resized to a shorter side of 256 and its middle 224 x 224 is kept: what torchvision's
ImageNet weights are evaluated on.
"""

import hashlib
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

SIZE = 224
SHORTER_SIDE = 256
MOST_IMAGES = 20_000  # 3 GB as uint8


def read(
    path: str, places: Sequence[Path]
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], list[str], str]:
    """The train and val folders of `path`, decoded.

    Args:
        path: holds train/<class>/* and val/<class>/*; absolute, or relative to the current folder
            or to one of `places`.
        places: further folders to look in.

    Returns:
        Train and val, each (N, 3, 224, 224) uint8 and (N,) int64; the classes, in label order;
        16 hex digits over the names and bytes of the files.

    Raises:
        FileNotFoundError: there is no such folder, or it has no train or no val.
        ValueError: no classes, other classes in val, too many images, or an unreadable image.
    """
    folder = _find(path, places)
    train, val = (_listing(folder / part) for part in ("train", "val"))
    if train.classes != val.classes:
        differ = sorted(set(train.classes) ^ set(val.classes))
        raise ValueError(
            f"load: train and val of '{folder}' must have the same classes; "
            f"not in both: {', '.join(differ)}"
        )
    if (count := len(train) + len(val)) > MOST_IMAGES:
        raise ValueError(
            f"load: '{folder}' has {count:,} images, and at most {MOST_IMAGES:,} fit in memory as "
            "tensors; make a folder with a subset (links will do)"
        )
    digest = hashlib.sha256()
    arrays = [_decode(part.samples, folder, digest) for part in (train, val)]
    return *arrays, train.classes, digest.hexdigest()[:16]


def _find(path: str, places: Sequence[Path]) -> Path:
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


def _listing(folder: Path):
    """Torchvision's ImageFolder: the files and their labels, nothing decoded."""
    from torchvision.datasets import ImageFolder

    try:
        return ImageFolder(folder)
    except FileNotFoundError as error:
        raise ValueError(f"load: '{folder}' is unusable: {error}") from error


def _decode(samples: Sequence[tuple[str, int]], folder: Path, digest) -> tuple[Tensor, Tensor]:
    images = torch.empty(len(samples), 3, SIZE, SIZE, dtype=torch.uint8)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = pool.map(_read_image, (path for path, _ in samples))
        for i, (image, md5) in enumerate(tqdm(decoded, desc=folder.name, total=len(samples))):
            images[i] = image
            digest.update(f"{Path(samples[i][0]).relative_to(folder).as_posix()} {md5}\n".encode())
    return images, torch.tensor([label for _, label in samples])


def _read_image(path: str) -> tuple[Tensor, str]:
    """(3, 224, 224) uint8 and the MD5 of the file."""
    from PIL import Image, UnidentifiedImageError
    from torchvision.transforms import functional

    data = Path(path).read_bytes()
    try:
        image = Image.open(io.BytesIO(data)).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        reason = "not an image" if isinstance(error, UnidentifiedImageError) else error
        raise ValueError(f"load: cannot read the image '{path}' ({reason})") from error
    image = functional.center_crop(functional.resize(image, SHORTER_SIDE), SIZE)
    return functional.pil_to_tensor(image), hashlib.md5(data, usedforsecurity=False).hexdigest()
