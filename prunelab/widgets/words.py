"""What the widgets say, as HTML: numbers in words, and the macros of `words.html`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import jinja2
from matplotlib.ticker import EngFormatter

from prunelab.widgets.source import PREDICTED, Answer

GREEN, ORANGE = "#007a5a", "#D55E00"


short = EngFormatter(places=2)  # 1234567 -> "1.23 M"
time = EngFormatter("s", places=2)  # 0.00123 -> "1.23 ms"


def percent(fraction: float, places: int = 1) -> str:
    """0.98765 -> "98.8%"."""
    return f"{100 * fraction:.{places}f}%"


def points(change: float) -> str:
    """-0.0123 -> "−1.2"."""
    return f"{100 * change:+.1f}".replace("-", "−")


def _macros() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    options = {"trim_blocks": True, "lstrip_blocks": True, "undefined": jinja2.StrictUndefined}
    environment = jinja2.Environment(loader=loader, autoescape=True, **options)
    filters = {"short": short, "percent": percent, "points": points, "thousands": "{:,.0f}".format}
    environment.filters |= filters
    environment.globals |= {"GREEN": GREEN, "ORANGE": ORANGE}
    return environment.get_template("words.html")


_html = _macros().module


def say(macro: str, *arguments: object, **options: object) -> str:
    """The HTML that a macro of `words.html` makes of these values."""
    return " ".join(str(getattr(_html, macro)(*arguments, **options)).split())


def note(text: str) -> str:
    """A plain remark."""
    return say("note", text)


def answer(now: Answer | None, cost: tuple[int, int], whole: Mapping, fresh: bool = True) -> str:
    """The accuracy in large type, how it is known, and what the network costs.

    The answer is None at first, and not `fresh` while it is of the network before.
    """
    return say(
        "answer",
        now,
        fresh,
        brief(now) if now else "…",
        _costs(cost, now if fresh else None, whole),
    )


def brief(now: Answer) -> str:
    """The accuracy in a word: "98.8%", or "62 to 99%" of a prediction."""
    return span(now) if now.how == PREDICTED else percent(now.accuracy)


def span(guess: Answer) -> str:
    """The range of a prediction, rounded outwards: "92 to 100%", below two points "98.2 to 98.9%".

    `explorer.js` says the same.
    """
    low, high = (100 * (guess.whole + change) for change in (guess.low or 0.0, guess.high or 0.0))
    places = 1 if high - low < 2 else 0
    scale = 10**places
    down, up = math.floor(low * scale + 1e-6) / scale, math.ceil(high * scale - 1e-6) / scale
    return f"{down:.{places}f} to {up:.{places}f}%"


def _costs(cost: tuple[int, int], now: Answer | None, whole: Mapping) -> list[tuple[str, ...]]:
    rows = [
        (label, short(part), _share(part, full), short(full))
        for label, part, full in zip(
            ("parameters", "MACs per image"), cost, (whole["params"], whole["macs"])
        )
    ]
    mine = now.seconds if now else None
    full = (now.whole_seconds if now else None) or whole.get("seconds")
    same = mine == full  # the same network: no longer, no shorter
    share = ("" if same else "≈ ") + _share(mine, full) if mine is not None and full else ""
    known = "not known" if mine is None else f"≈ {time(mine)}"
    latency = known if now else "…"
    return [*rows, ("latency, one image", latency, share, f"≈ {time(full)}" if full else "")]


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f}%"


def budget(macs: int, whole: int, allowed: int) -> str:
    """A bar: the MACs in use, and a mark where the budget ends; green within, orange over."""
    limit = limit_of(whole, allowed)
    return say("budget", round(100 * macs / whole, 1), allowed, macs > limit, macs, limit)


def limit_of(whole: int, allowed: int) -> int:
    """The budget in MACs: the largest integer within so many percent of the whole network's."""
    return whole * allowed // 100


def headline(source_title: str, now: Answer | None) -> str:
    """The title of a picture, in plain text."""
    if now is None:
        return source_title
    return f"{source_title}: {now.how} {brief(now)}, whole {percent(now.whole)}"
