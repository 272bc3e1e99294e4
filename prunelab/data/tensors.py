"""Own images as a Split: a pair of tensors, a DataLoader, or a split that is there already."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from prunelab.data.split import Split

KINDS = "a Dataset, a Split, a DataLoader of (images, labels) or a pair of tensors"


@dataclass(frozen=True, eq=False)
class Prepared(Split):
    """Images as the network takes them: floats, normalised by their owner.

    Args:
        images: (N, ...) of a floating type.
        labels: (N,) int64, class indices.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def normalise(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """The images themselves, as `dtype`."""
        return images.to(dtype)


def as_split(source: object, *, images: int | None = None, caller: str = "as_split") -> Split:
    """Images and labels as a split.

    Args:
        source: a Split; a pair of tensors: images (N, ...), floats as the network takes them or
            uint8 (N, C, H, W), and labels (N,); or a DataLoader of such pairs, read once.
        images: only this many, the first ones; None = all.
        caller: named in errors.

    Returns:
        The split; uint8 images become pixel/255 and nothing else.

    Raises:
        TypeError: `source` is something else.
        ValueError: images and labels do not fit together, or there are none.
    """
    whole = isinstance(images, int) and not isinstance(images, bool) and images >= 1
    if images is not None and not whole:
        raise ValueError(f"{caller}: `images` must be an integer >= 1 or None, got {images!r}")
    if isinstance(source, Split):
        found = source
    elif _is_pair(source):
        found = _paired(*source, caller)
    elif isinstance(source, Iterable) and not isinstance(source, str | Tensor):
        found = _paired(*_read(source, images, caller), caller)
    else:
        raise TypeError(f"{caller}: `data` must be {KINDS}; got {type(source).__name__}")
    if not len(found):
        raise ValueError(f"{caller}: `data` has no images")
    return found[:images]


def _is_pair(source: object) -> bool:
    pair = isinstance(source, tuple | list) and len(source) == 2
    return pair and all(isinstance(part, Tensor) for part in source)


def _read(loader: Iterable, images: int | None, caller: str) -> tuple[Tensor, Tensor]:
    """The batches of one pass, together; no more than are needed."""
    parts, count = [], 0
    for batch in loader:
        if not _is_pair(batch):
            kind = type(batch).__name__
            raise TypeError(f"{caller}: `data` must be {KINDS}; it gives batches of kind {kind}")
        parts.append(batch)
        count += len(batch[1])
        if images is not None and count >= images:
            break
    if not parts:
        raise ValueError(f"{caller}: `data` has no images")
    x, y = zip(*parts)
    return torch.cat(x), torch.cat(y)


def _paired(x: Tensor, y: Tensor, caller: str) -> Split:
    whole = not y.is_floating_point() and y.dtype != torch.bool
    if y.dim() != 1 or x.dim() < 2 or len(x) != len(y) or not whole:
        raise ValueError(
            f"{caller}: `data` must hold images (N, ...) and integer labels (N,); got"
            f" {tuple(x.shape)} {x.dtype} and {tuple(y.shape)} {y.dtype}"
        )
    if x.is_floating_point():
        return Prepared(x, y.long())
    if x.dtype != torch.uint8 or x.dim() != 4:
        raise ValueError(
            f"{caller}: images must be floats or uint8 (N, C, H, W), got {tuple(x.shape)} {x.dtype}"
        )
    return Split(x, y.long(), (0.0,) * x.shape[1], (1.0,) * x.shape[1])
