"""The arguments of a scan, checked; every error is one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from prunelab import checks, meta, scores
from prunelab import groups as tracing
from prunelab.data import Split
from prunelab.groups import Flow, Groups
from prunelab.train.evaluation import check_device


def checked(
    net: nn.Module, split: Split, ratios: object, logits: object = None
) -> tuple[nn.Module, list[float]]:
    """The network without wrappers, and the ratios as a list.

    Raises:
        TypeError, ValueError: as for `scan`.
    """
    checks.kind("scan", "net", net, nn.Module, "a torch.nn.Module")
    checks.kind("scan", "split", split, Split, "a Split, as data.val")
    ratios = [
        scores.check_ratio("scan", r) for r in _several("ratios", ratios, "several fractions")
    ]
    rising = all(a < b for a, b in zip(ratios, ratios[1:]))
    checks.need(bool(ratios) and rising, "scan", "ratios", "rising, without repeats", ratios)
    if len(split) == 0:
        raise ValueError("scan: `split` has no images")
    named = logits is None or isinstance(logits, str) or checks.is_count(logits, -(2**31))
    checks.need(named, "scan", "logits", "a key, a position or an attribute", logits)
    net = meta.unwrap(net)
    check_device("scan", net, split)
    return net, ratios


def check_options(images: object, recalibrate: object, cache: object, progress: object) -> None:
    """Check the options. Arguments and errors as for `scan`."""
    few = images is not None and not checks.is_count(images, 2)
    checks.need(not few, "scan", "images", "an integer >= 2", images)
    if recalibrate is not None:
        several = isinstance(recalibrate, Split) and len(recalibrate) > 1
        checks.need(several, "scan", "recalibrate", "a Split of 2 images or more", recalibrate)
    if cache is not None and cache is not False:
        checks.path("scan", "cache", cache)
    if callable(progress):
        checks.function("scan", "progress", progress, "fraction")
    else:
        checks.need(
            isinstance(progress, bool), "scan", "progress", "True, False or a function", progress
        )


def names_of(groups: object) -> Groups | list[str] | None:
    """The groups as they are, or their names as a list. Errors as for `scan`."""
    if groups is None or isinstance(groups, Groups):
        return groups
    names = _several("groups", groups, "Groups, several names (as ['conv1']) or None")
    for name in names:
        checks.kind("scan", "groups", name, str, "names of groups")
        checks.need(names.count(name) == 1, "scan", "groups", "names without repeats", name)
    return names


def _several(name: str, value: object, allowed: str) -> list:
    if isinstance(value, Tensor):
        value = value.reshape(-1).tolist()
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise TypeError(f"scan: `{name}` must be {allowed}; got {checks.shown(value)}")
    return list(value)


def images_of(net: nn.Module, split: Split, count: int) -> Tensor:
    """The first images of a split, in the network's own type."""
    x, _ = split.batch(slice(0, count))
    return x.to(meta.dtype_of(net)) if x.is_floating_point() else x


def traced(net: nn.Module, example: Tensor) -> Flow:
    """The traced network, with errors in terms of the split."""
    try:
        return tracing.flow(net, example)
    except ValueError as error:
        said = str(error).removeprefix("trace: ").replace("`example`", "an image of `split`")
        raise ValueError(f"scan: {said}") from error


def chosen(flow: Flow, groups: Groups | list[str] | None) -> Groups:
    """The groups to scan. Errors as for `scan`."""
    if groups is None:
        return flow.groups
    if isinstance(groups, Groups):
        for name, group in groups.items():
            if flow.groups[name] != group:
                raise ValueError(
                    f"scan: group `{name}` of `groups` is not as in `net`: trace it again"
                )
    return flow.groups.select(groups)
