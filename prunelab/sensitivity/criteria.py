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
    groups.check("ranking", net)
    return {name: _scores(net, group, criterion) for name, group in groups.items()}


def _scores(net: nn.Module, group: Group, criterion: Criterion) -> Tensor:
    kinds = (str, Mapping, Callable)
    checks.kind("scan", "criterion", criterion, kinds, "a name, scores by group or a function")
    if isinstance(criterion, str):
        given: object = _named(net, group, criterion)
    elif isinstance(criterion, Mapping):
        if group.name not in criterion:
            raise ValueError(f"scan: `criterion` has no scores for group `{group.name}`")
        given = criterion[group.name]
    else:
        checks.function("scan", "criterion", criterion, "group")
        given = checks.call("scan", "criterion", criterion, group)
    try:
        score = torch.as_tensor(given)
        finite = score.shape == (group.size,) and bool(score.isfinite().all())
    except (TypeError, ValueError, RuntimeError):
        finite = False
    allowed = f"a source of {group.size} finite scores for `{group.name}`"
    checks.need(finite and not score.is_complex(), "scan", "criterion", allowed, given)
    return score


def _named(net: nn.Module, group: Group, criterion: str) -> Tensor:
    checks.word("scan", "criterion", criterion, [*scores.NORMS, "largest", "random"])
    if criterion == "random":  # one fixed order per group, so that ratios are nested
        seed = sum(group.name.encode())
        return torch.rand(group.size, generator=torch.Generator().manual_seed(seed))
    if criterion == "largest":
        return -scores.group_norm(group, net.state_dict())
    return scores.group_norm(group, net.state_dict(), scores.NORMS[criterion])
