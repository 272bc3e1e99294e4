"""shrink: the physically smaller network; masked: the same with zeros."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from prunelab import checks
from prunelab.groups import Groups
from prunelab.groups.group import SELECT
from prunelab.masks import Keep
from prunelab.surgery.rebuilding import KEPT, rebuild, resize, tensors_of, widths
from prunelab.surgery.selection import indices, select


def shrink(net: nn.Module, groups: Groups, keep: Mapping[str, Tensor]) -> nn.Module:
    """The network without the removed channels: plain, dense, smaller. `net` is unchanged.

    Args:
        net: the network that `groups` was traced from.
        groups: as `prunelab.groups.trace` gives.
        keep: group name -> (size,) bool, True = kept; groups not named stay whole.

    Returns:
        A new module of the same classes; channels keep their order. A layer whose `inputs` were
        pruned picks them by an index (`selection.SelectingLinear`, `SelectingConv2d`).

    Raises:
        ValueError: unknown group, entry of the wrong length, or a group that would be emptied.

    Source: PFEC, section 3.1, for one filter; every slice of the group goes with it.
    """
    _check("shrink", net, groups)
    found = cuts(net, groups, keep)
    written = {name: k for name, k in keep.items() if groups[name].slices[0].role != SELECT}
    picked = indices(groups, keep, cuts(net, groups, written), found)

    def cut(name: str, tensor: Tensor) -> Tensor:
        for axis, kept in found.get(name, {}).items():
            tensor = tensor.index_select(axis, kept.nonzero()[:, 0].to(tensor.device))
        return tensor

    small = rebuild(net, cut)
    resize(small, _narrowed(net, groups, keep))
    select(small, picked)
    setattr(small, KEPT, Keep(keep).widths())
    return small


def masked(net: nn.Module, groups: Groups, keep: Mapping[str, Tensor]) -> nn.Module:
    """A copy in the full shape, with zeros wherever a removed channel stood.

    Gives the same outputs as `shrink` (the property that guards the groups).
    Arguments and errors as `shrink`.
    """
    _check("masked", net, groups)
    copied = rebuild(net, lambda _, tensor: tensor)
    masker(copied, groups, keep)()
    return copied


def masker(net: nn.Module, groups: Groups, keep: Mapping[str, Tensor]) -> Callable[..., None]:
    """A function that writes those zeros into `net` in place, whenever it is called.

    Its arguments are ignored, so that it can serve as `after_step` of `train.fit`.
    Arguments and errors as `shrink`.
    """
    _check("masker", net, groups)
    tensors = tensors_of(net)
    zeros = [
        (tensors[name], axis, (~kept).nonzero()[:, 0].to(tensors[name].device))
        for name, axes in cuts(net, groups, keep).items()
        for axis, kept in axes.items()
    ]

    @torch.no_grad()
    def zero(*_: object) -> None:
        for tensor, axis, removed in zeros:
            tensor.index_fill_(axis, removed, 0)

    return zero


def _narrowed(net: nn.Module, groups: Groups, keep: Mapping[str, Tensor]) -> dict[str, int]:
    """The widths of layers without tensors, less what is removed."""
    left = widths(net)
    for name, kept in keep.items():
        for s in groups[name].widths:
            left[s.tensor] -= s.repeat * int((~kept).sum())
    return left


def cuts(
    net: nn.Module, groups: Groups, keep: Mapping[str, Tensor]
) -> dict[str, dict[int, Tensor]]:
    """What a keep means tensor by tensor: name -> axis -> (length,) bool, True = kept.

    Arguments and errors as `shrink`.
    """
    _check("cuts", net, groups)
    keep = Keep(keep).check(groups)
    tensors = tensors_of(net)
    out: dict[str, dict[int, Tensor]] = {}
    for name, kept in keep.items():
        for s in groups[name].slices:
            if s.tensor not in tensors:
                raise ValueError(f"shrink: `net` has no tensor `{s.tensor}` of group `{name}`")
            length = tensors[s.tensor].shape[s.axis]
            end = s.offset + s.repeat * len(kept)
            if length < end:
                raise ValueError(
                    f"shrink: `{s.tensor}` of `net` has {length} entries on axis {s.axis}, `groups`"
                    f" need {end}: is `net` the network they were traced from?"
                )
            axes = out.setdefault(s.tensor, {})
            mask = axes.setdefault(s.axis, torch.ones(length, dtype=torch.bool))
            mask[s.offset : end] &= kept.repeat_interleave(s.repeat)
            if not mask.any():
                raise ValueError(f"shrink: nothing would be left of axis {s.axis} of `{s.tensor}`")
    return out


def _check(caller: str, net: nn.Module, groups: Groups) -> None:
    checks.kind(caller, "net", net, nn.Module, "a network")
    checks.kind(caller, "groups", groups, Groups, "what `prunelab.groups.trace` gives")
