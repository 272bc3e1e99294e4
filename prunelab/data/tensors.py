"""A user's own images as a Split: from a pair of tensors, a DataLoader or another split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

from prunelab.checks import shown
from prunelab.data.split import Split, whole_number

WRAP = "wrap it in a DataLoader with a batch_size"
KINDS = "a Dataset, a Split, a DataLoader of (images, labels) or a pair of tensors"


@dataclass(frozen=True, eq=False)
class Prepared(Split):
    """Images as the network takes them: floats, already normalised.

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
            uint8 (N, C, H, W), and labels (N,); or a DataLoader, list or generator of such pairs,
            read once. Further entries of a batch, such as paths, are ignored. An endless source
            needs `images`.
        images: only this many, the first ones; None = all.
        caller: named in errors.

    Returns:
        The split; uint8 images become pixel/255 and nothing else.

    Raises:
        TypeError: `source` is something else.
        ValueError: images and labels do not fit together, or there are none.
    """
    if images is not None and not (whole_number(images) and images >= 1):
        raise ValueError(f"{caller}: `images` must be an integer >= 1 or None, got {shown(images)}")
    if isinstance(source, Split):
        found = source
    elif _is_batch(source) and len(source) == 2:
        found = _paired(*source, caller)
    elif isinstance(source, Iterable) and not isinstance(source, str | bytes | Tensor | Mapping):
        found = _paired(*_read(source, images, caller), caller)
    else:
        hint = f": {WRAP}" if isinstance(source, Dataset) else ""
        raise TypeError(f"{caller}: `data` must be {KINDS}; got {told(source)}{hint}")
    if not len(found):
        raise ValueError(f"{caller}: `data` has no images")
    return found[:images]


def _is_batch(source: object) -> bool:
    """Whether it begins with images and labels."""
    long = isinstance(source, tuple | list) and len(source) >= 2
    return long and all(isinstance(part, Tensor) for part in source[:2])


def _read(loader: Iterable, images: int | None, caller: str) -> tuple[Tensor, Tensor]:
    """The batches of one pass, concatenated; no more than are needed."""
    parts: list[tuple[Tensor, Tensor]] = []
    count = 0
    for batch in loader:
        _check_batch(batch, caller)
        parts.append((batch[0].detach(), batch[1].detach()))
        count += len(batch[1])
        if images is not None and count >= images:
            break
    if not parts:
        raise ValueError(f"{caller}: `data` has no images")
    try:
        x, y = map(torch.cat, zip(*parts))
    except RuntimeError as error:
        raise ValueError(f"{caller}: `data` must give batches of one shape; {error}") from error
    return x, y


def _check_batch(batch: object, caller: str) -> None:
    pair = isinstance(batch, tuple | list) and len(batch) >= 2
    alone = pair and (isinstance(batch[1], int) or getattr(batch[1], "shape", None) == ())
    if alone:
        raise TypeError(f"{caller}: `data` must be {KINDS}; it gives single samples: {WRAP}")
    if not _is_batch(batch):
        raise TypeError(f"{caller}: `data` must be {KINDS}; it gives batches of kind {told(batch)}")


def _paired(x: Tensor, y: Tensor, caller: str) -> Split:
    whole = not (y.is_floating_point() or y.is_complex() or y.dtype == torch.bool)
    if y.dim() != 1 or x.dim() < 2 or len(x) != len(y) or not whole:
        raise ValueError(
            f"{caller}: `data` must hold images (N, ...) and integer labels (N,); got"
            f" {tuple(x.shape)} {x.dtype} and {tuple(y.shape)} {y.dtype}"
        )
    x, y = x.detach(), y.detach().long().to(x.device)
    if x.is_floating_point():
        return Prepared(x, y)
    if x.dtype != torch.uint8 or x.dim() != 4:
        raise ValueError(
            f"{caller}: images must be floats or uint8 (N, C, H, W), got {tuple(x.shape)} {x.dtype}"
        )
    return Split(x, y, (0.0,) * x.shape[1], (1.0,) * x.shape[1])


def told(value: object) -> str:
    """The type of a batch, a source or an output, in words."""
    kind = type(value).__name__
    if isinstance(value, Mapping):
        return f"{kind} with {', '.join(map(repr, value)) or 'no entries'}"
    if isinstance(value, tuple | list):
        return f"{kind} of {', '.join(type(part).__name__ for part in value[:4]) or 'nothing'}"
    return kind
