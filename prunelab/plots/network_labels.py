"""Short names for layers, where there is little room."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

LETTER = 0.6  # width of a letter, in font sizes


def endings(name: str, others: Collection[str], module: str = "") -> list[str]:
    """What a layer may be called among others, the longest first; if possible with a letter.

    A last word "conv" goes where the module has no other layer: "branch1.conv" is "branch1".

    Args:
        name: the layer's full name.
        others: full names of those it must not be mistaken for.
        module: what is said elsewhere and need not be repeated.
    """
    rest = [f".{_stem(other, others)}" for other in others if other != name]
    short = _stem(name, others).removeprefix(f"{module}.")
    found = [e for e in tails(short) if not any(o.endswith(f".{e}") for o in rest)]
    telling = [e for e in found if re.search("[A-Za-z]", e)]
    return telling or found or [short]


def _stem(name: str, others: Collection[str]) -> str:
    stem, _, last = name.rpartition(".")
    alone = not any(o.startswith(f"{stem}.") for o in others if o != name)
    return stem if last == "conv" and alone else name


def tails(name: str) -> list[str]:
    """The name, and what is left when words go from its front, e.g. a.b, b."""
    parts = name.split(".")
    return [".".join(parts[i:]) for i in range(len(parts))]


def fitted(names: Sequence[str], room: float, font: float) -> str:
    """The first of the names that fits; else the last one, its words cut to their initials.

    The last word is cut only as far as needed. Numbers stay.

    Args:
        names: the best first.
        room: in pixels.
        font: height of the letters in pixels.
    """
    most = int(room / (LETTER * font))
    for name in names:
        if len(name) <= most:
            return name
    *parts, last = names[-1].split(".")
    for i, part in enumerate(parts):
        parts[i] = re.sub(r"^([A-Za-z])[A-Za-z_]*", r"\1", part)
        short = ".".join([*parts, last])
        if len(short) <= most:
            return short
    word, rest = re.match(r"([A-Za-z_]*)(.*)", last).groups()
    left = max(1, most - len(".".join([*parts, rest])))
    short = ".".join([*parts, word[:left] + rest])
    return short if len(short) <= most else "…" + short[1 - most :]
