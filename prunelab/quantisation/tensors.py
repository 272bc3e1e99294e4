"""A tensor in parts that take fewer bytes, and back.

    dense      values
    packed     levels, scales, numbers
    pruned     sizes, distances, values
    shared     levels, scales, sizes, distances, numbers
    huffman    levels, scales, sizes, and of distances and of numbers: codeword lengths, codewords

An entry is levels[number], times the scale of its filter where there are scales. Sizes are the bits
of a distance, and how many there are.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from prunelab.quantisation import coding

FORMS = ("dense", "packed", "pruned", "shared", "huffman")
MOST = 256  # different levels that numbers of 8 bits can stand for
Parts = list[Tensor]


def smallest(tensor: Tensor, form: str) -> tuple[str, Parts]:
    """The form and its parts, or the dense form where that is smaller or the only one."""
    found = [("dense", [tensor])]
    if tensor.is_floating_point() and tensor.numel() and tensor.isfinite().all():
        found += [(form, parts) for parts in _forms(tensor, form)]
    return min(found, key=lambda one: sum(map(size, one[1])))


def size(part: Tensor) -> int:
    """Bytes of a part, and of its length."""
    return part.nbytes + 4


def _forms(tensor: Tensor, form: str) -> Iterator[Parts]:
    """The parts in a form, for every number of bits that a distance can have."""
    if form == "dense":
        return
    if form == "pruned":
        yield from (_sparse(tensor.reshape(-1), bits, form) for bits in range(1, 9))
        return
    for levels, scales, codes in _levels(tensor, form != "packed"):
        if form == "packed":
            numbers = coding.packed(codes, coding.width(len(levels) - 1))
            yield [levels, scales, _bytes(numbers)]
            continue
        for bits in range(1, 9):
            parts = _sparse(tensor.reshape(-1), bits, form, codes, levels)
            yield [levels, scales, *parts]


def _levels(tensor: Tensor, zero: bool) -> Iterator[tuple[Tensor, Tensor, np.ndarray]]:
    """Levels, scales and numbers, without scales and with, if there are not too many levels.

    Args:
        tensor: finite values.
        zero: let level 0 be zero, for padding.
    """
    flat = tensor.reshape(-1)
    for scales in (flat[:0], _largest(tensor)):
        rows = flat.reshape(len(scales), -1) / scales[:, None] if len(scales) else flat
        levels = rows.unique()
        if zero:
            levels = torch.cat([flat.new_zeros(1), levels[levels != 0]])
        if len(levels) > MOST:
            continue
        order = levels.argsort()
        codes = order[torch.searchsorted(levels[order], rows.reshape(-1))]
        if torch.equal(_scaled(levels[codes], scales), flat):
            yield levels, scales, codes.numpy().astype(np.uint8)


def _largest(tensor: Tensor) -> Tensor:
    """The largest |w| of each filter; 1 where all are zero."""
    found = tensor.reshape(len(tensor) if tensor.ndim > 1 else 1, -1).abs().amax(1)
    return found.where(found > 0, 1)


def _scaled(flat: Tensor, scales: Tensor) -> Tensor:
    """Each value times the scale of its filter, if there are scales."""
    if not len(scales):
        return flat
    return (flat.reshape(len(scales), -1) * scales[:, None]).reshape(-1)


def _sparse(
    flat: Tensor,
    bits: int,
    form: str,
    codes: np.ndarray | None = None,
    levels: Tensor | None = None,
) -> Parts:
    """Sizes, distances of so many bits, and values or numbers."""
    places = (flat != 0).nonzero()[:, 0].numpy()
    gaps, real = coding.gaps(places, bits)
    sizes = torch.tensor([bits, len(gaps)], dtype=torch.int32)
    if codes is None or levels is None:
        values = flat.new_zeros(len(gaps))
        values[torch.from_numpy(real)] = flat[torch.from_numpy(places)]
        return [sizes, _bytes(coding.packed(gaps, bits)), values]
    numbers = np.zeros(len(gaps), np.uint8)  # a padding zero is level 0
    numbers[real] = codes[places]
    if form == "shared":
        widths = (gaps, bits), (numbers, coding.width(len(levels) - 1))
        return [sizes, *(_bytes(coding.packed(*one)) for one in widths)]
    return [sizes, *(_bytes(part) for one in (gaps, numbers) for part in coding.huffman(one))]


def _bytes(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.uint8))


def read(form: str, parts: Iterator[Tensor], like: Tensor) -> Tensor:
    """The inverse of `smallest`.

    Args:
        form: one of `FORMS`.
        parts: bytes, of which it takes its own.
        like: a tensor of the type and shape that was written.
    """

    def values() -> Tensor:
        return next(parts).clone().view(like.dtype)

    if form == "dense":
        return values().reshape(like.shape)
    none = like.new_empty(0)
    levels, scales = (none, none) if form == "pruned" else (values(), values())
    width = coding.width(len(levels) - 1)
    if form == "packed":
        numbers = coding.unpacked(next(parts).numpy(), width, like.numel())
        return _scaled(levels[torch.from_numpy(numbers).long()], scales).reshape(like.shape)
    bits, n = next(parts).clone().view(torch.int32).tolist()
    if form == "huffman":
        gaps, numbers = (_symbols(next(parts), next(parts), n) for _ in range(2))
    else:
        gaps = coding.unpacked(next(parts).numpy(), bits, n)
    if form == "shared":
        numbers = coding.unpacked(next(parts).numpy(), width, n)
    entries = values() if form == "pruned" else levels[torch.from_numpy(numbers).long()]
    flat = like.new_zeros(like.numel())
    flat[torch.from_numpy(coding.places(gaps))] = entries
    return _scaled(flat, scales).reshape(like.shape)


def _symbols(sizes: Tensor, stream: Tensor, n: int) -> np.ndarray:
    return coding.symbols(stream.numpy(), sizes.numpy(), n)
