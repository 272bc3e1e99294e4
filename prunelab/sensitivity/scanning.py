"""Sensitivity: prune one group alone, at growing ratios, and see what the accuracy does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from prunelab import cost, scores, surgery
from prunelab.data import Split
from prunelab.groups import Groups, trace
from prunelab.sensitivity.criteria import Criterion, ranking
from prunelab.sensitivity.points import outcome
from prunelab.train import evaluate

COLUMNS = "group ratio kept correct accuracy low high loss params macs".split()


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
