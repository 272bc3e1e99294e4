"""Image data sets as whole tensors: load a name, get three splits that live on one device.

    data -> train -> method.prune -> ...

No DataLoader, no worker processes: a split of MNIST or CIFAR is one uint8 tensor, and a batch is a
gather, a cast and a normalisation. Where the files come from: `sources`.
"""

import dataclasses
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from prunelab import digits, imagefolder, sources

NAMES = ("digits", *sources.READERS, "imagefolder:<path>")
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


@dataclass(frozen=True, eq=False)
class Split:
    """Images and labels of one split, on one device.

    Args:
        images: (N, C, H, W) uint8.
        labels: (N,) int64, class indices.
        mean: per channel, of pixel/255.
        std: per channel, of pixel/255.
    """

    images: Tensor
    labels: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: slice | Tensor) -> "Split":
        """The split of the images in `index`; a slice shares memory with this one."""
        if not isinstance(index, slice | Tensor) or (isinstance(index, Tensor) and not index.dim()):
            raise TypeError(f"Split: an index must be a slice or a 1-D tensor, got {index!r}")
        return dataclasses.replace(self, images=self.images[index], labels=self.labels[index])

    @property
    def device(self) -> torch.device:
        """The device that holds the images and the labels."""
        return self.images.device

    def to(self, device: str | torch.device) -> "Split":
        """The same split on `device`."""
        images, labels = self.images.to(device), self.labels.to(device)
        return dataclasses.replace(self, images=images, labels=labels)

    def batch(self, index: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Normalised images and labels.

        Args:
            index: a slice, or (n,) int64 on the split's device, each in [0, N).

        Returns:
            (n, C, H, W) float32, (pixel/255 - mean) / std per channel, and (n,) int64 labels.
        """
        if isinstance(index, slice):
            images, labels = self.images[index], self.labels[index]
        else:  # index_select costs a quarter of advanced indexing here
            images, labels = self.images.index_select(0, index), self.labels.index_select(0, index)
        return self.normalise(images), labels

    def normalise(self, images: Tensor) -> Tensor:
        """(n, C, H, W) uint8 -> float32, (pixel/255 - mean) / std per channel."""
        scale, shift = self._affine
        return images.float().mul_(scale).add_(shift)

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of `size` in order; the last one may be smaller.

        Raises:
            ValueError: `size` is below 1.
        """
        if size < 1:
            raise ValueError(f"Split.batches: `size` must be at least 1, got {size}")
        return (self.batch(slice(i, i + size)) for i in range(0, len(self), size))

    @cached_property
    def _affine(self) -> tuple[Tensor, Tensor]:
        """Scale and shift, each (C, 1, 1), with (pixel/255 - mean)/std = pixel*scale + shift."""
        mean, std = (
            torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (self.mean, self.std)
        )
        return tuple(t.float().to(self.device) for t in (1 / (255 * std), -mean / std))


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three splits of one data set. `val` is cut from the official training images.

    Args:
        name: as given to `load`.
        train: what is trained on.
        val: what selection may look at.
        test: the official test split: looked at once, at the end.
        num_classes: labels are in [0, num_classes).
        mean: per channel, of pixel/255.
        std: per channel, of pixel/255.
        checksum: 16 hex digits over the raw files (digits: over the arrays).
    """

    name: str
    train: Split
    val: Split
    test: Split
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    checksum: str

    @property
    def example(self) -> Tensor:
        """The first training image, normalised: (1, C, H, W) float32."""
        return self.train.batch(slice(0, 1))[0]

    @property
    def device(self) -> torch.device:
        """The device that holds the splits."""
        return self.train.device

    def to(self, device: str | torch.device) -> "Dataset":
        """The same data on `device`."""
        splits = {part: getattr(self, part).to(device) for part in ("train", "val", "test")}
        return dataclasses.replace(self, **splits)


def load(name: str, *, root: str | os.PathLike | None = None, device: str = "cpu") -> Dataset:
    """A data set as whole tensors on `device`.

    Args:
        name: digits (embedded, no network), mnist, fashion_mnist, cifar10, cifar100, or
            imagefolder:<path>, a folder with train/<class>/ and val/<class>/.
        root: looked in before $PRUNELAB_DATA and data/cache; downloads go to the first of them.
        device: cpu, cuda, cuda:1, ...

    Returns:
        Splits that are the same on every call and machine: `val` is cut from the official
        training images by a fixed seed (5,000 images, at most a tenth), `test` is the official
        test split (the val folder of an image folder).

    Raises:
        ValueError: unknown name, no such device, a damaged file, an unusable image folder.
        FileNotFoundError: no such image folder; or files that are nowhere, with PRUNELAB_OFFLINE=1.
        PermissionError: the folder to download to cannot be written to.
        RuntimeError: no mirror gave the file.
    """
    device = _device(device)
    if name == "digits":
        dataset = _digits()
    elif name in sources.READERS:
        dataset = _public(name, root)
    elif str(name).startswith("imagefolder:"):
        dataset = _image_folder(name, root)
    else:
        raise ValueError(f"load: `name` must be one of {', '.join(NAMES)}; got {name!r}")
    return dataset.to(device)


def _device(device: str | torch.device) -> torch.device:
    here = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    here += ["mps"] * torch.backends.mps.is_available()
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError):
        found = None
    if found is None or not any(found in (torch.device(h), torch.device(h).type) for h in here):
        raise ValueError(f"load: `device` must be one of {', '.join(here)}; got {str(device)!r}")
    return found


def _digits() -> Dataset:
    parts, checksum = digits.read()
    splits = [Split(images, labels, *STATISTICS["digits"]) for images, labels in parts]
    return Dataset("digits", *splits, 10, *STATISTICS["digits"], checksum)


def _public(name: str, root: str | os.PathLike | None) -> Dataset:
    from torchvision import datasets

    place, checksum = sources.locate(name, root)
    reader = getattr(datasets, sources.READERS[name])
    parts = [reader(place, train=train, download=False) for train in (True, False)]
    arrays = [(_channels_first(part.data), torch.as_tensor(part.targets)) for part in parts]
    return _cut(name, *arrays, len(parts[0].classes), STATISTICS[name], checksum)


def _channels_first(images: np.ndarray | Tensor) -> Tensor:
    """(N, H, W) or (N, H, W, C) -> (N, C, H, W)."""
    images = torch.as_tensor(images)
    return images[:, None] if images.dim() == 3 else images.permute(0, 3, 1, 2).contiguous()


def _image_folder(name: str, root: str | os.PathLike | None) -> Dataset:
    train, test, classes, checksum = imagefolder.read(
        name.removeprefix("imagefolder:"), sources.places(root)
    )
    return _cut(name, train, test, len(classes), STATISTICS["imagefolder"], checksum)


def _cut(
    name: str,
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    classes: int,
    statistics: tuple[tuple[float, ...], tuple[float, ...]],
    checksum: str,
) -> Dataset:
    """The data set, with a validation split cut from the official training images."""
    count = len(train[1])
    size = min(VALIDATION_SIZE, max(1, count // 10))
    order = torch.randperm(count, generator=torch.Generator().manual_seed(CUT_SEED))
    kept, cut = order[size:].sort().values, order[:size].sort().values
    parts = ((train[0][kept], train[1][kept]), (train[0][cut], train[1][cut]), test)
    splits = [Split(images, labels, *statistics) for images, labels in parts]
    return Dataset(name, *splits, classes, *statistics, checksum)
