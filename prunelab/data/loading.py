"""Load a name, get three splits that live on one device. Where the files come from: `sources`."""

import os

import numpy as np
import torch
from torch import Tensor

from prunelab.checks import shown
from prunelab.data import digits, imagefolder, public, sources, xor
from prunelab.data.public import EMBEDDED, FOLDER
from prunelab.data.split import Dataset, Split
from prunelab.data.tensors import Prepared

CUT_SEED = 0  # of the validation cut; never changes, or old rows no longer compare
VALIDATION_SIZE = 5_000

# (mean, std) per channel, over all pixels/255 of the official training images (before the
# validation cut), to the four digits in common use. Digits: over our own train split. A test
# computes them again from the images.
STATISTICS = {
    "digits": ((0.3054,), (0.3247,)),
    "mnist": ((0.1307,), (0.3081,)),
    "fashion_mnist": ((0.2860,), (0.3530,)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "imagefolder": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),  # ImageNet's, by convention
}


def load(name: str, *, root: str | os.PathLike | None = None, device: str = "cpu") -> Dataset:
    """A data set on `device`: whole tensors, or `Photos` where a folder is too large for that.

    Args:
        name: digits (embedded, no network), xor (points, made here), mnist, fashion_mnist,
            cifar10, cifar100, or imagefolder:<path>, a folder with train/<class>/ and val/<class>/.
            mnist+val: all 60,000 images in `train` and none in `val`, for a last training when
            every choice is made. mnist+unit: pixels/255, not standardised. mnist+val+unit: both.
            So with the other three public ones.
        root: looked in before $PRUNELAB_DATA and the cache folder (`prunelab.paths.cache_folder`);
            downloads go to the first of them.
        device: cpu, cuda, cuda:1, ...

    Returns:
        Splits that are the same on every call and machine: `val` is cut from the official
        training images by a fixed seed (5,000 images, at most a tenth), `test` is the official
        test split (the val folder of an image folder). The images of a folder are mixed, so
        that the first n hold all classes.

    Raises:
        TypeError: `name` is no string, or `root` no path.
        ValueError: unknown name, no such device, a damaged file, an unusable image folder.
        FileNotFoundError: no such image folder; or files that are nowhere, with PRUNELAB_OFFLINE=1.
        PermissionError: the folder to download to cannot be written to.
        OSError: its disk is full.
        RuntimeError: no mirror gave the file.
    """
    device = _device(device)
    public.name_of(name)
    if name == "digits":
        dataset = _digits()
    elif name == "xor":
        dataset = _xor()
    elif public.source_of(name):
        dataset = _public(name, root)
    else:
        dataset = _image_folder(name, root)
    return dataset.to(device)


def available(name: str, *, root: str | os.PathLike | None = None) -> bool:
    """Whether `load` would find data set `name` without a download (damaged or not).

    Arguments as `load`. Errors: ValueError, an unknown name.
    """
    if public.source_of(public.name_of(name)):
        return public.find(name, root) is not None
    if name in EMBEDDED:
        return True
    try:
        return imagefolder.find(name.removeprefix(FOLDER), public.places(root)).is_dir()
    except FileNotFoundError:
        return False


def _device(device: str | torch.device) -> torch.device:
    here = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    here += ["mps"] * torch.backends.mps.is_available()
    try:  # a number would be a device of the accelerator, one is here or not
        found = torch.device(device) if isinstance(device, str | torch.device) else None
    except RuntimeError:
        found = None
    if found is None or not any(found in (torch.device(h), torch.device(h).type) for h in here):
        raise ValueError(
            f"load: `device` must be one of {', '.join(here)}; got {shown(str(device))}"
        )
    return found


def _digits() -> Dataset:
    parts, checksum = digits.read()
    splits = [Split(images, labels, *STATISTICS["digits"]) for images, labels in parts]
    return Dataset("digits", *splits, 10, *STATISTICS["digits"], checksum)


def _xor() -> Dataset:
    parts, checksum = xor.read()
    return Dataset("xor", *(Prepared(*part) for part in parts), 2, (), (), checksum)


def _public(name: str, root: str | os.PathLike | None) -> Dataset:
    from torchvision import datasets

    source = public.source_of(name)
    place, checksum = sources.locate(source, root)
    reader = getattr(datasets, public.READERS[source])
    parts = [reader(place, train=train, download=False) for train in (True, False)]
    arrays = [(_channels_first(part.data), torch.as_tensor(part.targets)) for part in parts]
    held_out = 0 if public.WHOLE in name else VALIDATION_SIZE
    mean, std = STATISTICS[source]
    if name.endswith(public.UNIT):
        mean, std = (0.0,) * len(mean), (1.0,) * len(std)
    return _cut(name, *arrays, len(parts[0].classes), (mean, std), checksum, held_out)


def _channels_first(images: np.ndarray | Tensor) -> Tensor:
    """(N, H, W) or (N, H, W, C) -> (N, C, H, W)."""
    images = torch.as_tensor(images)
    return images[:, None] if images.dim() == 3 else images.permute(0, 3, 1, 2).contiguous()


def _image_folder(name: str, root: str | os.PathLike | None) -> Dataset:
    *parts, classes, checksum = imagefolder.read(name.removeprefix(FOLDER), public.places(root))
    return _cut(name, *map(_mixed, parts), len(classes), STATISTICS["imagefolder"], checksum)


def _mixed(part: imagefolder.Part) -> imagefolder.Part:
    """In a fixed random order: on disk one class follows the other, and prefixes are used."""
    images, labels = part
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(CUT_SEED))
    return images[order], labels[order]


def _cut(
    name: str,
    train: imagefolder.Part,
    test: imagefolder.Part,
    classes: int,
    statistics: tuple[tuple[float, ...], tuple[float, ...]],
    checksum: str,
    held_out: int = VALIDATION_SIZE,
) -> Dataset:
    """The data set, with a validation split cut from the official training images."""
    count = len(train[1])
    size = min(held_out, max(1, count // 10))
    order = torch.randperm(count, generator=torch.Generator().manual_seed(CUT_SEED))
    kept, cut = order[size:].sort().values, order[:size].sort().values
    parts = ((train[0][kept], train[1][kept]), (train[0][cut], train[1][cut]), test)
    splits = [Split(images, labels, *statistics) for images, labels in parts]
    return Dataset(name, *splits, classes, *statistics, checksum)
