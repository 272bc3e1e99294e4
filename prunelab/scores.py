"""scores: what a channel is worth, and how many of a group stay at a ratio.

A score is larger for a more important channel. Scores are compared inside a group only.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

import torch
from torch import Tensor, nn

from prunelab import checks
from prunelab.groups import Group, Groups
from prunelab.ratios import check_ratio as check_ratio
from prunelab.ratios import kept as kept
from prunelab.ratios import whole_channels as whole_channels

NORMS = {"l1": 1, "l2": 2}
LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


def filter_norm(weight: Tensor, p: int = 1, axis: int = 0) -> Tensor:
    r"""Importance of each filter: the p-norm of its weights.

    .. math:: s_j = \Big(\sum_{l,k} |w_{j,l,k}|^p\Big)^{1/p}

    Args:
        weight: (O, I, ...) of a convolution or linear layer.
        p: order of the norm, 1 or 2.
        axis: the axis of the filters (1 for a transposed convolution).

    Returns:
        (O,) scores >= 0.

    Raises:
        TypeError: `weight` is no tensor.
        ValueError: `p` is neither 1 nor 2, `weight` has fewer than 2 axes or not this one.

    Source: PFEC, section 3.1.
    """
    checks.kind("filter_norm", "weight", weight, Tensor, "a tensor (O, I, ...)")
    whole = checks.is_count(p) and p in (1, 2)
    checks.need(whole, "filter_norm", "p", "1 or 2", p)
    floating = weight.ndim > 1 and weight.is_floating_point()
    checks.need(floating, "filter_norm", "weight", "(O, I, ...) of a floating type", weight)
    there = checks.is_count(axis, -weight.ndim) and axis < weight.ndim
    checks.need(there, "filter_norm", "axis", f"an axis of {weight.ndim}", axis)
    return torch.linalg.vector_norm(weight.detach().movedim(axis, 0).flatten(1), p, dim=1)


def group_norm(
    group: Group, tensors: Mapping[str, Tensor], p: int = 1, layers: frozenset[str] = frozenset()
) -> Tensor:
    """(size,) sum of the filter norms over all layers that write the group.

    Args:
        group: from `prunelab.groups.trace`.
        tensors: the network's state dict.
        p: order of the norm.
        layers: sum over these layers only, where any of them writes the group.

    Differs: the paper ranks one layer at a time. A group with several writers (a residual stream)
        is ranked by their sum, or, with `layers`, by its shortcut as in section 3.4.
    """
    checks.kind("group_norm", "group", group, Group, "a Group, as `trace` gives")
    checks.kind("group_norm", "tensors", tensors, Mapping, "the network's state dict")
    checks.kind("group_norm", "layers", layers, Set, "a set of names")
    for s in group.slices:
        if not isinstance(tensors.get(s.tensor), Tensor):
            raise ValueError(f"group_norm: `tensors` must be a state dict with `{s.tensor}`")
    outs = [s for s in group.slices if s.role == "out" and tensors[s.tensor].ndim > 1]
    chosen = [s for s in outs if s.layer in layers] or outs
    total = 0
    for s in chosen:
        norm = filter_norm(tensors[s.tensor], p, s.axis)
        norm = norm[s.offset : s.offset + s.repeat * group.size]
        total = total + norm.view(group.size, s.repeat).sum(1)
    return total


def norms(net: nn.Module, groups: Groups, norm: str = "l1") -> dict[str, Tensor]:
    """Group name -> (size,) `group_norm` scores. ValueError if `norm` is not l1 or l2."""
    checks.word("norms", "norm", norm, tuple(NORMS))
    checks.kind("norms", "net", net, nn.Module, "a network")
    checks.kind("norms", "groups", groups, Groups, "what `trace` gives")
    groups.check("norms", net)
    tensors = net.state_dict()
    return {name: group_norm(group, tensors, NORMS[norm]) for name, group in groups.items()}


def best(score: Tensor, count: int) -> Tensor:
    """(C,) bool: the `count` channels of largest score; of equal scores the first ones go.

    Raises:
        TypeError: `score` is no tensor.
        ValueError: a score is not finite, or `count` is not in 0 to C.
    """
    checks.kind("best", "score", score, Tensor, "a tensor (C,)")
    checks.need(score.ndim == 1, "best", "score", "a tensor (C,)", score)
    fits = checks.is_count(count, 0) and count <= len(score)
    checks.need(fits, "best", "count", f"an integer in 0 to {len(score)}", count)
    if not torch.isfinite(score).all():
        raise ValueError(
            f"best: scores must be finite, got {int((~score.isfinite()).sum())} others"
        )
    keep = torch.ones(len(score), dtype=torch.bool)
    order = torch.argsort(score.detach().cpu(), stable=True)
    keep[order[: len(score) - count]] = False
    return keep


def layers_of(net: nn.Module) -> dict[str, nn.Module]:
    """Name -> convolution or linear layer, in the order of the network."""
    checks.kind("layers_of", "net", net, nn.Module, "a network")
    return {name: module for name, module in net.named_modules() if isinstance(module, LAYERS)}


def magnitudes(layer: nn.Module) -> Tensor:
    """(n,) absolute values of the weights, then the biases, of a layer."""
    checks.kind("magnitudes", "layer", layer, LAYERS, "a convolution or linear layer")
    found = [p for p in (layer.weight, layer.bias) if p is not None]
    return torch.cat([p.detach().abs().flatten() for p in found])


def moments(size: Tensor) -> tuple[float, float]:
    """Mean and standard deviation (of the population) of magnitudes that are not zero.

    Source: the authors' Caffe code of Guo et al. 2016 (papers/dns.md section 2).
    """
    checks.kind("moments", "size", size, Tensor, "a tensor")
    size = size[size > 0].double()
    return (size.mean().item(), size.std(correction=0).item()) if len(size) else (0.0, 0.0)
