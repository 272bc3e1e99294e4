"""Label tensors: the atom at each position of an activation, with no memory beyond the atoms."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def spread(atoms: np.ndarray | Tensor, axis: int, shape: torch.Size) -> Tensor:
    """Labels of `shape` that carry `atoms` along `axis`."""
    view = [1] * len(shape)
    view[axis] = -1
    return torch.as_tensor(atoms).reshape(view).expand(shape)


def thin(labels: Tensor, spare: tuple[int, ...] = ()) -> Tensor:
    """Labels with every axis cut to length 1 along which they are one entry seen many times."""
    for d, stride in enumerate(labels.stride()):
        if stride == 0 and d not in spare and labels.shape[d] > 1:
            labels = labels.narrow(d, 0, 1)
    return labels


def atoms_in(labels: Tensor) -> np.ndarray:
    """The atoms that occur, sorted, each once."""
    return np.unique(thin(labels).numpy())


def varying(labels: Tensor) -> list[int]:
    """Axes along which the labels differ."""
    few = thin(labels)
    return [
        d for d, n in enumerate(few.shape) if n > 1 and bool((few != few.narrow(d, 0, 1)).any())
    ]


def along(labels: Tensor, axis: int) -> np.ndarray | None:
    """(n,) atoms along `axis`, or None where the labels differ along another axis."""
    if set(varying(labels)) - {axis % labels.ndim}:
        return None
    index = [0] * labels.ndim
    index[axis] = slice(None)
    return labels[tuple(index)].numpy()


def narrowed(labels: Tensor, axes: set[int] | list[int]) -> Tensor:
    """The first entry along each of these axes."""
    for d in axes:
        labels = labels.narrow(d, 0, 1)
    return labels
