"""How a row of a network's picture looks: its colour, and how much of it stays."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from matplotlib.colors import to_hex, to_rgb

from prunelab import checks
from prunelab.plots.frame import colours_of
from prunelab.plots.network_flow import LAYERS, MEETINGS
from prunelab.ratios import kept as kept_of

STREAMS = ("#56B4E9", "#CC79A7", "#F0E442", "#E69F00", "#000000")
ROW = {"name", "kind", "out", "writes", "channels"}  # what a row must have
FIXED, LINES, AREA, INK = "#d0d0d0", "#9a9a9a", "#f3f3f3", "#555555"
SIGNS = {"add": "+", "multiply": "×", "cat": ""}


def colours(rows: Sequence[Mapping]) -> dict[str, str]:
    """Group -> colour, in order of execution.

    Groups that meet in an addition or a product (residual streams) take the palette of Okabe and
    Ito, without what is like viridis and the orange that marks a selection; the others take
    viridis, dark near the input.
    """
    groups = dict.fromkeys(g for row in rows if row["kind"] in LAYERS for g in row["channels"])
    met = streams(rows)
    palette = {g: to_hex(c) for g, c in colours_of(g for g in groups if g not in met).items()}
    for number, group in enumerate(g for g in groups if g in met):
        palette[group] = STREAMS[number % len(STREAMS)].lower()
    return {g: palette[g] for g in groups}


def streams(rows: Iterable[Mapping]) -> set[str]:
    """Groups that several layers write: they meet in an addition or a product."""
    return {g for row in rows if row["kind"] in MEETINGS for g in row["channels"]}


def shade(row: Mapping, palette: Mapping[str, str]) -> str:
    """The colour of a row: that of the group it writes; grey for fixed layers, else white."""
    if row["writes"] is not None:
        return palette[row["writes"]]
    if row["kind"] == "cat":
        return LINES
    return FIXED if row["kind"] in LAYERS else "#ffffff"


def kept(row: Mapping, ratios: Mapping[str, float]) -> tuple[int, int]:
    """(channels, of a linear layer: units, that stay, all of them) of a row's output."""
    full = row["out"][-1 if row["kind"] == "linear" else 0] if row["out"] else 0
    stay = {g: kept_of(n, ratios.get(g, 0)) for g, n in row["channels"].items()}
    return full - sum(n - stay[g] for g, n in row["channels"].items()), full


def pale(colour: str) -> str:
    """The colour of the part of a box that is removed."""
    return to_hex([1 - 0.25 * (1 - c) for c in to_rgb(colour)])


def ink(colour: str) -> str:
    """Black or white, whichever is more readable on `colour`."""
    red, green, blue = to_rgb(colour)
    return "#ffffff" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.55 else "#000000"


def check_groups(function: str, argument: str, names: Iterable[str], known: Iterable[str]) -> None:
    """ValueError if one of the names is no group."""
    known = list(known)
    listed = isinstance(names, list | tuple | set | frozenset | Mapping)
    checks.need(listed, function, argument, "names of groups", names)
    for name in names:
        if name not in known:
            raise ValueError(
                f"{function}: `{argument}` has `{name}`, which no layer writes;"
                f" groups are {', '.join(known) or 'none'}"
            )


def check_flags(function: str, flags: Mapping[str, str], known: Collection[str]) -> None:
    """ValueError if a name is no block or layer, or stands for no text."""
    texts = isinstance(flags, Mapping) and all(isinstance(text, str) for text in flags.values())
    checks.need(texts, function, "flags", "a mapping, block or layer -> text", flags)
    for name in flags:
        if name not in known:
            raise ValueError(
                f"{function}: `flags` must name blocks or layers of the network; got {name!r}"
            )


def check_rows(function: str, rows: object) -> None:
    """TypeError unless these are rows of a network, as `groups.diagram` gives."""
    listed = isinstance(rows, list | tuple)
    if not listed or not all(isinstance(r, Mapping) and r.keys() >= ROW for r in rows):
        raise TypeError(
            f"{function}: `rows` must be what `groups.diagram` gives; got {checks.shown(rows)}"
        )


def check_ratios(function: str, ratios: Mapping[str, float], known: Iterable[str]) -> None:
    """ValueError if a name is no group or a ratio no fraction."""
    checks.kind(function, "ratios", ratios, Mapping, "a mapping, group -> fraction removed")
    check_groups(function, "ratios", ratios, known)
    for name, ratio in ratios.items():
        if not checks.is_number(ratio) or not 0 <= ratio < 1:
            raise ValueError(
                f"{function}: `ratios` are fractions removed and must be in [0, 1),"
                f" got {ratio!r} for `{name}`"
            )
