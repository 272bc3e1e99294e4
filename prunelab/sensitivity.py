"""Sensitivity: prune one group alone, at growing ratios, and see what the accuracy does."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from prunelab import cost, scores, surgery
from prunelab.data import Split
from prunelab.groups import Group, Groups, trace
from prunelab.train import Evaluation, evaluate

COLUMNS = "group ratio kept correct accuracy low high loss params macs".split()
Z95 = 1.959963984540054  # the 97.5% quantile of the normal distribution

Criterion = str | Mapping[str, Tensor] | Callable[[Group], Tensor]


def scan(
    net: nn.Module,
    split: Split,
    *,
    ratios: Sequence[float],
    groups: Groups | Iterable[str] | None = None,
    criterion: Criterion = "l1",
    progress: bool = True,
) -> pd.DataFrame:
    """Prune each group alone at each ratio, and evaluate the really shrunk network.

    Args:
        net: a trained network; unchanged.
        split: the images to evaluate on.
        ratios: fractions removed, rising, each in [0, 1).
        groups: the groups to scan, or their names; None = all that `trace` finds.
        criterion: "l1", "l2", or "largest", "random" (PFEC's controls); or scores by group name; or
            a function score(group) -> (size,). The smallest scores go first.
        progress: show a bar.

    Returns:
        One row per (group, ratio): group, ratio, kept (channels), correct (images), accuracy, low
        and high (95% interval of the accuracy's change against the unpruned network, paired on the
        same images), loss, params, macs (of the shrunk network).

    Raises:
        ValueError: ratios not rising or outside [0, 1), an unknown group or criterion, scores that
            are missing, of the wrong length or not finite, an empty split.
        TypeError: an argument is of another kind.

    Source: PFEC, section 3.2 and Figure 2(b).
    """
    if not isinstance(split, Split):
        raise TypeError(f"scan: `split` must be a Split, as data.val; got {type(split).__name__}")
    if not isinstance(ratios, Iterable) or isinstance(ratios, str):
        raise TypeError(f"scan: `ratios` must be several fractions, got {ratios!r}")
    if isinstance(groups, str):
        raise TypeError(f"scan: `groups` must be several names, as [{groups!r}]; got {groups!r}")
    ratios = list(ratios)
    _check_ratios(ratios)
    if len(split) == 0:
        raise ValueError("scan: `split` has no images")
    example, _ = split.batch(slice(0, 1))
    groups = _groups(net, example, groups)
    order = ranking(net, groups, criterion)
    base = evaluate(net, split)
    points = [(name, ratio) for name in groups for ratio in ratios]
    rows = []
    for name, ratio in tqdm(points, desc="scan", leave=False, disable=not progress):
        count = scores.kept(groups[name].size, ratio)
        small = surgery.shrink(net, groups, {name: scores.best(order[name], count)})
        price = cost.measure(small, example)
        point = evaluate(small.to(memory_format=torch.channels_last), split)
        seen = outcome(base, point)
        rows.append({"group": name, "ratio": ratio, "kept": count, **seen, **vars(price)})
    return pd.DataFrame(rows, columns=COLUMNS)


def outcome(before: Evaluation, after: Evaluation) -> dict[str, float]:
    """The columns correct, accuracy, low, high and loss of one point of a scan."""
    low, high = paired_interval(before.correct, after.correct)
    return {
        "correct": int(after.correct.sum()),
        "accuracy": after.accuracy,
        "low": low,
        "high": high,
        "loss": after.loss,
    }


def paired_interval(before: Tensor, after: Tensor) -> tuple[float, float]:
    """95% interval of the change of accuracy, from (N,) correct-flags on the same images.

    Each image changes by -1, 0 or +1; the interval is the mean plus and minus 1.96 standard errors.
    Half an image is added on either side, so that no change at all still has a width.
    """
    change = after.double() - before.double()
    n = len(change)
    spread = Z95 * float(change.std(correction=0)) / math.sqrt(n) + 0.5 / n
    mean = float(change.mean())
    return max(-1.0, mean - spread), min(1.0, mean + spread)


def _check_ratios(ratios: Sequence[float]) -> None:
    for ratio in ratios:
        scores.check_ratio("scan", ratio)
    if not ratios or any(a >= b for a, b in zip(ratios, ratios[1:])):
        raise ValueError(f"scan: `ratios` must rise and not repeat, got {list(ratios)}")


def _groups(net: nn.Module, example: Tensor, groups: Groups | Iterable[str] | None) -> Groups:
    if isinstance(groups, Groups):
        return groups
    found = trace(net, example)
    return found if groups is None else found.select(groups)


def ranking(net: nn.Module, groups: Groups, criterion: Criterion) -> dict[str, Tensor]:
    """Group name -> (size,) scores, as `scan` uses them. Arguments and errors as `scan`."""
    return {name: _scores(net, group, criterion) for name, group in groups.items()}


def _scores(net: nn.Module, group: Group, criterion: Criterion) -> Tensor:
    if isinstance(criterion, str):
        score = _named(net, group, criterion)
    elif isinstance(criterion, Mapping):
        if group.name not in criterion:
            raise ValueError(f"scan: `criterion` has no scores for group `{group.name}`")
        score = criterion[group.name]
    elif callable(criterion):
        score = criterion(group)
    else:
        raise TypeError(
            "scan: `criterion` must be a name, scores by group or a function,"
            f" got {type(criterion).__name__}"
        )
    score = torch.as_tensor(score)
    if score.shape != (group.size,) or not score.isfinite().all():
        raise ValueError(
            f"scan: `criterion` must give {group.size} finite scores for `{group.name}`,"
            f" got shape {tuple(score.shape)} with {int((~score.isfinite()).sum())} not finite"
        )
    return score


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
        f"scan: `criterion` must be one of {options}, scores or a function; got {criterion!r}"
    )
