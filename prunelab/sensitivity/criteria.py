"""Criteria: how the channels of a group are scored, by name, by mapping or by function."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from prunelab import checks, meta, scores
from prunelab.groups import Group, Groups

Criterion = str | Mapping[str, Tensor] | Callable[[Group], Tensor]


def ranking(net: nn.Module, groups: Groups, criterion: Criterion) -> dict[str, Tensor]:
    """Group name -> (size,) scores, as `scan` uses them. Arguments and errors as for `scan`."""
    checks.kind("ranking", "net", net, nn.Module, "a torch.nn.Module")
    checks.kind("ranking", "groups", groups, Groups, "Groups, as trace gives")
    net = meta.unwrap(net)
    scores.check_groups("ranking", net, groups)
    return {name: _scores(net, group, criterion) for name, group in groups.items()}


def _scores(net: nn.Module, group: Group, criterion: Criterion) -> Tensor:
    if isinstance(criterion, str):
        given: object = _named(net, group, criterion)
    elif isinstance(criterion, Mapping):
        if group.name not in criterion:
            raise ValueError(f"scan: `criterion` has no scores for group `{group.name}`")
        given = criterion[group.name]
    elif callable(criterion):
        checks.function("scan", "criterion", criterion, "group")
        given = checks.call("scan", "criterion", criterion, group)
    else:
        raise TypeError(
            "scan: `criterion` must be a name, scores by group or a function; got"
            f" {checks.shown(criterion)}"
        )
    score = _tensor(given, group)
    finite = score.shape == (group.size,) and bool(score.isfinite().all())
    allowed = f"a source of {group.size} finite scores for `{group.name}`"
    checks.need(finite, "scan", "criterion", allowed, score)
    return score


def _tensor(score: object, group: Group) -> Tensor:
    try:
        tensor = torch.as_tensor(score)
        real = not tensor.is_complex()
    except (TypeError, ValueError, RuntimeError):
        real = False
    if not real:
        raise TypeError(
            f"scan: `criterion` must give {group.size} numbers for `{group.name}`; got"
            f" {checks.shown(score)}"
        )
    return tensor


def _named(net: nn.Module, group: Group, criterion: str) -> Tensor:
    if criterion in scores.NORMS:
        return scores.group_norm(group, net.state_dict(), scores.NORMS[criterion])
    if criterion == "largest":
        return -scores.group_norm(group, net.state_dict())
    if criterion == "random":  # one fixed order per group, so that ratios are nested
        seed = sum(group.name.encode())
        return torch.rand(group.size, generator=torch.Generator().manual_seed(seed))
    options = ", ".join([*scores.NORMS, "largest", "random"])
    raise ValueError(
        f"scan: `criterion` must be one of {options}, scores or a function; got"
        f" {checks.shown(criterion)}"
    )
