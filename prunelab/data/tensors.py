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
        raise TypeError(f"{caller}: `data` must be {KINDS}; got {_told(source)}{hint}")
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
    for batch in _batches(loader, caller):
        _check_batch(batch, caller)
        x, y = batch[:2]
        if parts:
            _check_like(x, y, *parts[0], len(parts), caller)
        parts.append((x.detach(), y.detach()))
        count += len(y)
        if images is not None and count >= images:
            break
    if not parts:
        raise ValueError(f"{caller}: `data` has no images")
    x, y = zip(*parts)
    return torch.cat(x), torch.cat(y)


def _batches(loader: Iterable, caller: str) -> Iterable:
    """The loader's batches; a clear error where torch cannot collate its samples."""
    try:
        yield from loader
    except (RuntimeError, TypeError) as error:
        if "stack expects each tensor to be equal size" in str(error):
            why = "images that differ in size; resize or crop them to one"
        elif "default_collate" in str(error):
            why = "samples that are no tensors; transforms such as ToTensor make them"
        else:
            raise
        raise ValueError(f"{caller}: `data` must give batches; it has {why}") from error


def _check_batch(batch: object, caller: str) -> None:
    pair = isinstance(batch, tuple | list) and len(batch) >= 2
    alone = pair and (isinstance(batch[1], int) or getattr(batch[1], "shape", None) == ())
    if alone:
        raise TypeError(f"{caller}: `data` must be {KINDS}; it gives single samples: {WRAP}")
    if not _is_batch(batch):
        raise TypeError(
            f"{caller}: `data` must be {KINDS}; it gives batches of kind {_told(batch)}"
        )


def _check_like(x: Tensor, y: Tensor, x0: Tensor, y0: Tensor, number: int, caller: str) -> None:
    """Refuse a batch that cannot be put beside the first one."""
    for what, new, old in (("images", x, x0), ("labels", y, y0)):
        if new.shape[1:] != old.shape[1:] or new.dtype != old.dtype or new.device != old.device:
            one, two = (f"{tuple(t.shape[1:])} {t.dtype} on {t.device}" for t in (old, new))
            raise ValueError(
                f"{caller}: {what} must be of one shape and type; batch 0 has {one}, batch {number}"
                f" has {two}"
            )


def _paired(x: Tensor, y: Tensor, caller: str) -> Split:
    whole = not (y.is_floating_point() or y.is_complex() or y.dtype == torch.bool)
    if y.dim() != 1 or x.dim() < 2 or len(x) != len(y) or not whole:
        raise ValueError(
            f"{caller}: `data` must hold images (N, ...) and integer labels (N,); got"
            f" {tuple(x.shape)} {x.dtype} and {tuple(y.shape)} {y.dtype}{_hint(x, y)}"
        )
    x, y = x.detach(), y.detach().long().to(x.device)
    if x.is_floating_point():
        return Prepared(x, y)
    if x.dtype != torch.uint8 or x.dim() != 4:
        raise ValueError(
            f"{caller}: images must be floats or uint8 (N, C, H, W), got {tuple(x.shape)} {x.dtype}"
        )
    return Split(x, y, (0.0,) * x.shape[1], (1.0,) * x.shape[1])


def _hint(x: Tensor, y: Tensor) -> str:
    """How to turn labels of another form into class indices."""
    if not x.dim() or not y.dim() or len(x) != len(y):
        return ""
    if y.dim() == 2:
        return (
            "; argmax(1) makes indices of one-hot labels"
            if y.shape[1] > 1
            else ("; labels[:, 0] has one axis")
        )
    return "; labels.long() are integers" if y.dim() == 1 else ""


def _told(value: object) -> str:
    """The type of a batch or a source, in words."""
    kind = type(value).__name__
    if isinstance(value, Mapping):
        return f"{kind} with {', '.join(map(repr, value)) or 'no entries'}"
    if isinstance(value, tuple | list):
        return f"{kind} of {', '.join(type(part).__name__ for part in value[:4]) or 'nothing'}"
    return kind
