"""Arguments of a scan: what they may be, said in one line where they are not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from numbers import Integral

from torch import Tensor, nn

from prunelab import groups as tracing
from prunelab import meta, scores
from prunelab.data import Split
from prunelab.groups import Flow, Groups
from prunelab.train.evaluation import check_device


def checked(net: object, split: object, ratios: object) -> tuple[nn.Module, list[float]]:
    """The network without wrappers, and the ratios as a list.

    Raises:
        TypeError, ValueError: as `scan` says.
    """
    check_kind("scan", "net", net, nn.Module, "a torch.nn.Module")
    if not isinstance(split, Split):
        raise TypeError(f"scan: `split` must be a Split, as data.val; got {type(split).__name__}")
    if not isinstance(ratios, Iterable) or isinstance(ratios, str | bytes | Mapping):
        raise TypeError(f"scan: `ratios` must be several fractions, got {short(ratios)}")
    if isinstance(ratios, Tensor):
        ratios = ratios.tolist() if ratios.ndim else [ratios.item()]
    ratios = [scores.check_ratio("scan", ratio) for ratio in ratios]
    if not ratios or any(a >= b for a, b in zip(ratios, ratios[1:])):
        raise ValueError(f"scan: `ratios` must rise and not repeat, got {short(ratios)}")
    if len(split) == 0:
        raise ValueError("scan: `split` has no images")
    net = meta.unwrap(net)
    check_device("scan", net, split)
    return net, ratios


def check_options(images: object, recalibrate: object, cache: object, progress: object) -> None:
    """Refuse options of another kind. Arguments and errors as `scan`."""
    whole = isinstance(images, Integral) and not isinstance(images, bool)
    if images is not None and (not whole or images < 2):
        raise ValueError(f"scan: `images` must be at least 2, a whole number; got {short(images)}")
    several = isinstance(recalibrate, Split) and len(recalibrate) > 1
    if recalibrate is not None and not several:
        raise TypeError(
            f"scan: `recalibrate` must be a Split of 2 images or more, got {short(recalibrate)}"
        )
    if not (cache is None or cache is False or (isinstance(cache, str | os.PathLike) and cache)):
        raise TypeError(f"scan: `cache` must be a folder, False or None; got {short(cache)}")
    if not (isinstance(progress, bool) or callable(progress)):
        raise TypeError(
            f"scan: `progress` must be True, False or a function, got {short(progress)}"
        )


def names_of(groups: object) -> Groups | list[str] | None:
    """The groups as they are, or their names as a list; refuses what is neither.

    Errors as `scan`.
    """
    if groups is None or isinstance(groups, Groups):
        return groups
    if isinstance(groups, str | bytes):
        raise TypeError(f"scan: `groups` must be several names, as [{groups!r}]; got {groups!r}")
    if not isinstance(groups, Iterable):
        raise TypeError(
            f"scan: `groups` must be Groups, several names or None, got {short(groups)}"
        )
    names = list(groups)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"scan: `groups` must hold names, got {short(name)}")
        if names.count(name) > 1:
            raise ValueError(f"scan: `groups` must name each group once, got `{name}` twice")
    return names


def check_kind(caller: str, name: str, value: object, kind: type, allowed: str) -> None:
    """Refuse a value of another kind.

    Raises:
        TypeError: in one line.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{caller}: `{name}` must be {allowed}, got {type(value).__name__}")


def check_switch(name: str, value: object) -> None:
    """Refuse what is neither True nor False: the word "no" would count as true."""
    if not isinstance(value, bool):
        raise TypeError(f"scan: `{name}` must be True or False, got {short(value)}")


def check_entry(logits: object) -> None:
    """Refuse what names no entry of an output."""
    if logits is not None and (isinstance(logits, bool) or not isinstance(logits, str | int)):
        raise TypeError(
            f"scan: `logits` must be a key, a position or an attribute, got {short(logits)}"
        )


def images_of(net: nn.Module, split: Split, count: int) -> Tensor:
    """The first images of a split, in the network's own type."""
    x, _ = split.batch(slice(0, count))
    return x.to(meta.dtype_of(net)) if x.is_floating_point() else x


def traced(net: nn.Module, example: Tensor) -> Flow:
    """What tracing sees of the network on an image of the split."""
    try:
        return tracing.flow(net, example)
    except ValueError as error:
        said = str(error).removeprefix("trace: ").replace("`example`", "an image of `split`")
        raise ValueError(f"scan: {said}") from error


def chosen(flow: Flow, groups: Groups | list[str] | None) -> Groups:
    """The groups to scan. Errors as `scan`."""
    if groups is None:
        return flow.groups
    if isinstance(groups, Groups):
        for name, group in groups.items():
            if flow.groups[name] != group:
                raise ValueError(
                    f"scan: group `{name}` of `groups` is not as in `net`: trace it again"
                )
    return flow.groups.select(groups)


def short(value: object) -> str:
    """An argument as a message shows it: in one line that is not too long."""
    if isinstance(getattr(value, "shape", None), tuple):
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
