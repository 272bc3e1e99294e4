"""Whether a keep can belong to a network, judged by its shapes and by what `shrink` recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from prunelab.groups.group import INPUTS
from prunelab.masks import Keep

_shrunk: WeakKeyDictionary[nn.Module, dict[str, int]] = WeakKeyDictionary()


def remember(small: nn.Module, keep: Keep) -> None:
    """Note how many channels `small` was left with; `misfit` holds a keep against it."""
    _shrunk[small] = keep.widths()


def misfit(
    keep: Keep,
    tensors: Mapping[str, Tensor],
    small: nn.Module | None = None,
    full: Mapping[str, Tensor] | None = None,
) -> str | None:
    """What of `keep` cannot be of a network with these tensors; None = nothing.

    An entry of the shape of the parameter that it names is of single weights. Any other is of a
    group, of which only the size is known: its channels may fill the output axis of its layer, once
    or several times, or lie there beside those of other groups.

    Args:
        keep: to judge.
        tensors: of the pruned network.
        small: that network, if it is at hand: `shrink` may have made it.
        full: the tensors of the unpruned network, if they are at hand.
    """
    known = _shrunk.get(small, {}) if small is not None else {}
    widths = keep.widths()
    for name, entry in keep.items():
        size, kept = entry.numel(), widths[name]
        if name in tensors and tensors[name].shape == entry.shape:
            continue
        if entry.ndim != 1:
            found = list(tensors[name].shape) if name in tensors else "absent"
            return f"`{name}` is of shape {list(entry.shape)} in `keep` and {found} in the network"
        axes = list(_axes(name, tensors))
        if not axes:
            return f"the network has no layer `{name.removesuffix(INPUTS)}`"
        others = {other for key, other in widths.items() if key != name}
        fits = known.get(name, kept) == kept and any(
            _holds(name, size, kept, tensors[t].shape[a], others)
            and (full is None or _from(size, kept, tensors[t].shape[a], full[t].shape[a]))
            for t, a in axes
        )
        if not fits:
            here = f"{_lengths(tensors, axes)} in the network"
            if full is not None:
                here = f"{_lengths(tensors, axes)} in the file and {_lengths(full, axes)} in `net`"
            return f"`{name}` keeps {kept} of {size} channels, but has {here}"
    return None


def _axes(name: str, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, int]]:
    """The (tensor, axis) pairs that can carry the channels of group `name`."""
    layer = name.removesuffix(INPUTS).split("[")[0]
    weight, bias = (tensors.get(f"{layer}.{last}") for last in ("weight", "bias"))
    if name.endswith(INPUTS):
        if weight is not None and weight.ndim > 1:
            yield f"{layer}.weight", 1
    elif (
        bias is not None
        and weight is not None
        and bias.shape in (weight.shape[:1], weight.shape[1:2])
    ):
        yield f"{layer}.bias", 0  # the outputs, whichever axis of the weight they are
    else:
        for key, tensor in tensors.items():
            if key == layer or key.startswith(f"{layer}."):
                yield from ((key, axis) for axis in range(min(tensor.ndim, 2)))


def _lengths(tensors: Mapping[str, Tensor], axes: list[tuple[str, int]]) -> str:
    return " or ".join(dict.fromkeys(str(tensors[name].shape[axis]) for name, axis in axes))


def _holds(name: str, size: int, kept: int, length: int, others: set[int]) -> bool:
    """Whether `kept` of `size` channels can lie on an axis of this length."""
    if name.endswith(INPUTS):  # a writer may have taken more of them away
        return length <= kept
    if not kept or length < kept:
        return False
    return length % kept == 0 or length > size or length - kept in others


def _from(size: int, kept: int, length: int, full: int) -> bool:
    """Whether the axis can have had `full` entries before."""
    return size < full or (size == full and length <= kept)
