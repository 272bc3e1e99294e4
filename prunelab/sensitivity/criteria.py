"""Criteria: how the channels of a group are scored, by name, by mapping or by function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from prunelab import checks, meta, scores
from prunelab.data.tensors import as_split
from prunelab.groups import Group, Groups
from prunelab.sensitivity.criterion import OwnCriterion
from prunelab.sensitivity.examples import EXAMPLES

Criterion = str | Mapping[str, Tensor] | Callable[[Group], Tensor] | OwnCriterion
NAMES = (*scores.NORMS, "largest", "random", *EXAMPLES)


def ranking(
    net: nn.Module,
    groups: Groups,
    criterion: Criterion,
    data: object = None,
    logits: str | int | None = None,
) -> dict[str, Tensor]:
    """Group name -> (size,) scores, as `scan` uses them.

    Args:
        net: a trained network.
        groups: of this network.
        criterion: as for `scan`.
        data: images and labels for a criterion that looks at them: a Split, a DataLoader or a pair
            of tensors.
        logits: as for `scan`.

    Raises:
        TypeError, ValueError: as `scan`; or there are no images, and the criterion needs some.
    """
    checks.kind("ranking", "net", net, nn.Module, "a torch.nn.Module")
    checks.kind("ranking", "groups", groups, Groups, "Groups, as trace gives")
    net = meta.unwrap(net)
    groups.check("ranking", net)
    own = own_of(criterion)
    if own is None:
        return {name: _scores(net, group, criterion) for name, group in groups.items()}
    split = None
    if own.looks and data is not None:
        split = as_split(data, images=own.images, caller="ranking")
    with meta.in_mode(net, False):
        found = own.scores(net, groups, split, logits)
    return {name: _checked(group, found[name]) for name, group in groups.items()}


def own_of(criterion: Criterion) -> OwnCriterion | None:
    """The function behind a criterion that `prunelab.criterion` made, or its name; else None."""
    found = EXAMPLES.get(criterion) if isinstance(criterion, str) else criterion
    return found if isinstance(found, OwnCriterion) else None


def _scores(net: nn.Module, group: Group, criterion: Any) -> Tensor:
    kinds = (str, Mapping, Callable)
    checks.kind("scan", "criterion", criterion, kinds, "a name, scores by group or a function")
    if isinstance(criterion, str):
        return _named(net, group, criterion)
    if isinstance(criterion, Mapping) and group.name not in criterion:
        raise ValueError(f"scan: `criterion` has no scores for group `{group.name}`")
    if callable(criterion):
        checks.function("scan", "criterion", criterion, "group")
        return _checked(group, checks.call("scan", "criterion", criterion, group))
    return _checked(group, criterion[group.name])


def _checked(group: Group, given: object) -> Tensor:
    """The scores of a group, if they are that."""
    try:
        score = torch.as_tensor(given)
        finite = score.shape == (group.size,) and bool(score.isfinite().all())
    except (TypeError, ValueError, RuntimeError):
        finite = False
    if not finite or score.is_complex():
        got = checks.shown(given)
        if isinstance(given, Tensor) and given.is_floating_point():
            got += f", {int((~given.isfinite()).sum())} of them not finite"
        raise ValueError(
            f"scan: `criterion` must be a source of {group.size} finite scores for"
            f" `{group.name}`; got {got}"
        )
    return score


def _named(net: nn.Module, group: Group, criterion: str) -> Tensor:
    checks.word("scan", "criterion", criterion, NAMES)
    if criterion == "random":  # one fixed order per group, so that ratios are nested
        seed = sum(group.name.encode())
        return torch.rand(group.size, generator=torch.Generator().manual_seed(seed))
    if criterion == "largest":
        return -scores.group_norm(group, net.state_dict())
    return scores.group_norm(group, net.state_dict(), scores.NORMS[criterion])
