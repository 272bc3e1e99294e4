"""Keep: what a pruning method decides. Which channels of a group, or which single weights, stay."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prunelab import checks
from prunelab.groups import Groups

LARGEST = 2**31  # entries of one tensor; a shape that says more is no network's


class Keep(Mapping[str, Tensor]):
    """Group or parameter name -> bool tensor; True = kept. Read-only.

    A group's entry is 1-D, one value per channel. A parameter's entry has the parameter's shape.

    Raises:
        TypeError: an entry is no bool tensor with values, or its name no string.
    """

    def __init__(self, entries: Mapping[str, Tensor] = MappingProxyType({}), /):
        checks.kind("Keep", "entries", entries, Mapping, "a mapping of names to bool tensors")
        for name, keep in entries.items():
            checks.kind("Keep", "name", name, str, "a string")
            checks.kind("Keep", name, keep, Tensor, "a bool tensor")
            if keep.dtype != torch.bool or keep.is_meta or keep.layout != torch.strided:
                found = f"{keep.dtype}, {keep.layout}, on {keep.device}"
                raise TypeError(f"Keep: `{name}` must be a bool tensor with values; got {found}")
        self._entries = {name: keep.detach().cpu().clone() for name, keep in entries.items()}

    def __getitem__(self, name: str) -> Tensor:
        return self._entries[name].clone()  # or a write to it would change the keep

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Keep) or set(self) != set(other):
            return NotImplemented if not isinstance(other, Keep) else False
        return all(torch.equal(self[name], other[name]) for name in self)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        kept = (f"{name} {int(k.sum())}/{k.numel()}" for name, k in self.items())
        return f"Keep({', '.join(kept)})"

    def widths(self) -> dict[str, int]:
        """Number of kept channels (or weights) by name."""
        return {name: int(keep.sum()) for name, keep in self.items()}

    def check(self, groups: Groups) -> Keep:
        """Itself, if it fits `groups`.

        Raises:
            TypeError: `groups` are no groups.
            ValueError: unknown group, wrong length, or nothing left of a group.
        """
        checks.kind("Keep", "groups", groups, Groups, "Groups, as trace gives them")
        for name, keep in self.items():
            group = groups[name]
            if keep.shape != (group.size,):
                raise ValueError(
                    f"Keep: `{name}` must have {group.size} entries, got shape {tuple(keep.shape)}"
                )
            if not keep.any():
                raise ValueError(
                    f"Keep: all {group.size} channels of `{name}` would be removed; keep at least 1"
                )
        return self

    def to_json(self) -> str:
        """JSON text: the shape and the kept positions of each entry."""
        return json.dumps(
            {
                name: {"shape": list(keep.shape), "kept": keep.flatten().nonzero()[:, 0].tolist()}
                for name, keep in self.items()
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Keep:
        """The inverse of `to_json`.

        Raises:
            TypeError: `text` is no string.
            ValueError: `text` is not what `to_json` writes.
        """
        checks.kind("Keep", "text", text, str, "a string")
        try:
            return cls({name: _entry(**entry) for name, entry in json.loads(text).items()})
        except (ValueError, TypeError, AttributeError, RecursionError, MemoryError) as error:
            raise ValueError(
                f"Keep: `text` must be written by to_json; got {checks.shown(text)}"
            ) from error


def _entry(shape: list[int], kept: list[int]) -> Tensor:
    """A bool tensor. Errors: ValueError or TypeError, if `to_json` did not write this."""
    lists = isinstance(shape, list) and isinstance(kept, list)
    if not lists or not all(type(n) is int for n in shape + kept):
        raise TypeError("shape and positions are lists of integers")
    size = math.prod(shape)
    if min(shape, default=0) < 0 or size > LARGEST:
        raise ValueError(f"no tensor has the shape {shape}")
    if not all(a < b for a, b in zip([-1, *kept], [*kept, size])):
        raise ValueError("positions rise, and lie in the tensor")
    keep = torch.zeros(size, dtype=torch.bool)
    keep[kept] = True
    return keep.reshape(shape)


def packed(mask: object) -> dict[str, Any]:
    """A bool tensor or array as JSON: its shape, and its bits as compressed text."""
    mask = np.asarray(mask, bool)
    bits = zlib.compress(np.packbits(mask).tobytes(), 9)
    return {"shape": list(mask.shape), "bits": base64.b64encode(bits).decode()}


def unpacked(entry: Mapping[str, Any]) -> np.ndarray:
    """The inverse of `packed`: a bool array.

    Raises:
        ValueError: `entry` is not what `packed` gives.
    """
    try:
        shape = tuple(entry["shape"])
        bits = np.frombuffer(zlib.decompress(base64.b64decode(entry["bits"])), np.uint8)
        return np.unpackbits(bits, count=math.prod(shape)).astype(bool).reshape(shape)
    except (ValueError, LookupError, TypeError, AttributeError, zlib.error) as error:
        raise ValueError(
            f"unpacked: `entry` must be made by `packed`; got {checks.shown(entry)}"
        ) from error
