"""The arguments of a scan, checked; every error is one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from prunelab import checks, meta, scores
from prunelab import groups as tracing
from prunelab.data import Split
from prunelab.data.tensors import as_split
from prunelab.groups import Flow, Groups
from prunelab.train.evaluation import check_device


def as_pair(split: object) -> Any:
    """A pair of tensors as a split; anything else as it is. Errors as for `as_split`."""
    pair = isinstance(split, tuple | list) and len(split) == 2
    if pair and all(isinstance(part, Tensor) for part in split):
        return as_split(split, caller="scan")
    return split


def checked(
    net: nn.Module, split: Split, ratios: object, logits: object
) -> tuple[nn.Module, list[float]]:
    """The network without wrappers, and the ratios as a list. Errors as for `scan`."""
    checks.kind("scan", "net", net, nn.Module, "a torch.nn.Module")
    allowed = "a Split, as data.val, or a pair of tensors (images, labels)"
    checks.kind("scan", "split", split, Split, allowed)
    several = _several("ratios", ratios, "several fractions")
    ratios = [scores.check_ratio("scan", ratio) for ratio in several]
    rising = all(a < b for a, b in zip(ratios, ratios[1:]))
    checks.need(bool(ratios) and rising, "scan", "ratios", "rising, without repeats", ratios)
    if len(split) == 0:
        raise ValueError("scan: `split` has no images")
    named = logits is None or isinstance(logits, str) or checks.is_count(logits, -(2**31))
    checks.need(named, "scan", "logits", "a key, a position or an attribute", logits)
    net = meta.unwrap(net)
    check_device("scan", net, split)
    return net, ratios


def _several(name: str, value: object, allowed: str) -> list:
    value = value.reshape(-1).tolist() if isinstance(value, Tensor) else value
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise TypeError(f"scan: `{name}` must be {allowed}; got {checks.shown(value)}")
    return list(value)


def check_options(images: object, cache: object, progress: object) -> None:
    """Check the options. Errors as for `scan`."""
    few = images is not None and not checks.is_count(images, 2)
    checks.need(not few, "scan", "images", "an integer >= 2", images)
    if cache is not None and cache is not False:
        checks.path("scan", "cache", cache)
    if callable(progress):
        checks.function("scan", "progress", progress, "fraction")
    else:
        known = isinstance(progress, bool)
        checks.need(known, "scan", "progress", "True, False or a function", progress)


def traced(net: nn.Module, example: Tensor) -> Flow:
    """The traced network, with errors in terms of the split."""
    try:
        return tracing.flow(net, example)
    except ValueError as error:
        said = str(error).removeprefix("trace: ").replace("`example`", "an image of `split`")
        raise ValueError(f"scan: {said}") from error


def chosen(flow: Flow, groups: object) -> Groups:
    """The groups to scan. Errors as for `scan`."""
    if groups is None:
        return flow.groups
    if not isinstance(groups, Groups):
        groups = _several("groups", groups, "Groups, several names (as ['conv1']) or None")
        for name in groups:
            checks.kind("scan", "groups", name, str, "names of groups")
            checks.need(groups.count(name) == 1, "scan", "groups", "names without repeats", name)
    for name, group in groups.items() if isinstance(groups, Groups) else ():
        if flow.groups[name] != group:
            raise ValueError(f"scan: group `{name}` of `groups` is not as in `net`: trace it again")
    return flow.groups.select(groups)
