"""Split and Dataset: images and labels that live on one device, and how batches come out of them.

A split of MNIST or CIFAR is one uint8 tensor, and a batch is a gather, a cast and a normalisation.
A split of ImageNet's size stays on disk as `Photos`; everything above here treats both alike.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral

import torch
from torch import Tensor

from prunelab import pulse
from prunelab.checks import kind, shown
from prunelab.data.photos import Change, Own, Photos


def whole_number(value: object) -> bool:
    """Whether it is an integer of Python or NumPy; True and False are not."""
    return isinstance(value, Integral) and not isinstance(value, bool)


@dataclass(frozen=True, eq=False)
class Split:
    """Images and labels of one split, on one device.

    Args:
        images: (N, C, H, W) uint8; a folder of ImageNet's size gives `Photos` in its place.
        labels: (N,) int64, class indices.
        mean: per channel, of pixel/255.
        std: per channel, of pixel/255.

    Raises:
        TypeError: images or labels are missing, or no tensors.
        ValueError: another number of images than of labels.
    """

    images: Tensor | Photos
    labels: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        kind("Split", "images", self.images, (Tensor, Photos), "a tensor (N, C, H, W)")
        kind("Split", "labels", self.labels, Tensor, "a tensor (N,) of class numbers")
        if len(self.images) != len(self.labels):
            raise ValueError(
                f"Split: `images` and `labels` must be equally many; got {len(self.images)} and"
                f" {len(self.labels)}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: slice | Tensor) -> "Split":
        """The split of the images in `index`; a slice shares memory with this one.

        Raises:
            TypeError: `index` is neither a slice nor a 1-D tensor of integers or bools.
            ValueError: it lies outside the split.
        """
        self._check(index)
        return dataclasses.replace(self, images=self.images[index], labels=self.labels[index])

    def _check(self, index: object) -> None:
        count = len(self)
        if isinstance(index, slice):
            ends = [end for end in (index.start, index.stop, index.step) if end is not None]
            if not all(map(whole_number, ends)):
                raise TypeError(f"Split: a slice must have integers, got {index}")
            if index.step is not None and index.step < 1:
                raise ValueError(f"Split: a slice must have a step >= 1, got {index}")
            return
        if not isinstance(index, Tensor) or index.dim() != 1 or index.dtype.is_floating_point:
            raise TypeError(
                "Split: an index must be a slice or a 1-D tensor of integers or bools, got"
                f" {shown(index)}"
            )
        if index.dtype == torch.bool and len(index) != count:
            raise ValueError(f"Split: a mask must have {count} entries, got {len(index)}")
        if index.dtype != torch.bool and len(index) and not index.is_meta:
            low, high = (int(end) for end in index.aminmax())
            if low < -count or high >= count:
                raise ValueError(f"Split: an index must be in [0, {count}), got {low}..{high}")

    @property
    def device(self) -> torch.device:
        """The device that holds the images and the labels."""
        return self.images.device

    def to(self, device: str | torch.device) -> "Split":
        """The same split on `device`."""
        images, labels = self.images.to(device), self.labels.to(device)
        return dataclasses.replace(self, images=images, labels=labels)

    def batch(
        self, index: slice | Tensor, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        """Normalised images and labels.

        Args:
            index: a slice, or (n,) int64 on the split's device, each in [0, N).
            dtype: of the images that come out.

        Returns:
            (n, C, H, W), (pixel/255 - mean) / std per channel, and (n,) int64 labels.
        """
        images, labels = self._pick(index)
        return self.normalise(images, dtype), labels

    def normalise(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """(n, C, H, W) uint8 -> floats, (pixel/255 - mean) / std per channel, made in float32."""
        scale, shift = self._affine
        return images.float().mul_(scale).add_(shift).to(dtype)

    def batches(
        self, size: int, dtype: torch.dtype = torch.float32
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of `size` in order, images of type `dtype`; the last one may be smaller.

        Raises:
            ValueError: `size` is no integer >= 1.
        """
        if not whole_number(size) or size < 1:
            raise ValueError(f"Split.batches: `size` must be an integer >= 1, got {shown(size)}")
        if isinstance(self.images, Photos):
            raw = self.draw(torch.arange(len(self), device=self.device), size)
            return ((self.normalise(images, dtype), labels) for images, labels in raw)
        return (self.batch(slice(i, i + size), dtype) for i in range(0, len(self), size))

    def draw(
        self, order: Tensor, size: int, change: Change | None = None, own: Own | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Raw batches in a given order.

        Args:
            order: (n,) int64 on the split's device, each in [0, N).
            size: images a batch; the last one may be smaller.
            change: (image, its position in `order`) -> image, applied to each one alone.
            own: number of images in a batch -> (n,) the positions of those that are read and
                yielded; None = all.

        Yields:
            (size, C, H, W) uint8, not normalised, and (size,) int64 labels.
        """
        places = torch.arange(len(order), device=order.device).split(size)
        if own is not None:
            places = [place[own(len(place)).to(order.device)] for place in places]
        if isinstance(self.images, Photos):
            read = self.images.read(order, size, change, own)
            yield from zip(read, (self.labels[order[place]] for place in places))
            return
        for place in places:
            images, labels = self._pick(order[place])
            if change is not None:
                images = torch.stack([change(x, i) for x, i in zip(images, place.tolist())])
            yield images, labels

    def _pick(self, index: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Raw images and their labels."""
        pulse.beat()
        if isinstance(self.images, Photos):
            part = self[index]
            (images,) = part.images.read(torch.arange(len(part)), len(part))
            return images, part.labels
        if isinstance(index, slice):
            return self.images[index], self.labels[index]
        # index_select costs a quarter of advanced indexing here
        return self.images.index_select(0, index), self.labels.index_select(0, index)

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
    def identity(self) -> dict[str, object]:
        """What a checkpoint holds of the data: a prefix or another normalisation is another one."""
        norm = {"mean": list(self.mean), "std": list(self.std)}
        return {"data": self.checksum, "images": len(self.train), **norm}

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
