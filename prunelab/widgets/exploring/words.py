"""What the explorer says, as HTML."""

from __future__ import annotations

import html
from collections.abc import Mapping

from prunelab.widgets.source import MEASURED, PREDICTED, RECORDED, Answer

GREEN, ORANGE, GREY, INK = "#007a5a", "#D55E00", "#767676", "#222222"
HOW = {
    MEASURED: "measured on the really shrunk network",
    RECORDED: "recorded: this very network was shrunk and measured before",
    PREDICTED: "a <b>prediction, not a measurement</b>: the changes of single layers, added up",
}


def count(number: float) -> str:
    """1234567 -> "1.23 M"."""
    for size, suffix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            value = number / size
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}{suffix}"
    return f"{number:.0f}"


def time(seconds: float | None) -> str:
    """0.00123 -> "1.23 ms"."""
    if seconds is None:
        return "not known"
    return f"{1000 * seconds:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def percent(fraction: float) -> str:
    """0.98765 -> "98.8%"."""
    return f"{100 * fraction:.1f}%"


def points(change: float) -> str:
    """-0.0123 -> "−1.2"."""
    return f"{100 * change:+.1f}".replace("-", "−")


def answer(now: Answer | None, cost: tuple[int, int], whole: Mapping, fresh: bool = True) -> str:
    """The accuracy, big; how it is known; and what the network costs.

    Args:
        now: the answer; None = there is none yet.
        cost: parameters and MACs of the network on show.
        whole: those of the whole network, and its seconds if known.
        fresh: whether `now` is of the network on show, or of the one before.
    """
    if now is None or not fresh:
        last = "…" if now is None else percent(now.accuracy)
        return _page(_big(last, GREY) + _line("measuring …"), _costs(cost, None, whole))
    big = percent(now.accuracy) if now.accuracy >= 0 else "&lt; 0%"
    lines = _big(big, INK) + _line(_change(now))
    return _page(lines + _line(_known(now), GREY), _costs(cost, now, whole))


def _change(now: Answer) -> str:
    whole = f"against the whole network's {percent(now.whole)}"
    if now.low is None:
        beyond = "; single layers cannot predict so much" if now.accuracy < 0 else ""
        return f"<b>{points(now.accuracy - now.whole)}</b> points {whole}{beyond}"
    interval = f"95% interval of the change: {points(now.low)} to {points(now.high)} points"
    return f"<b>{points(now.accuracy - now.whole)}</b> points {whole}<br>{interval}"


def _known(now: Answer) -> str:
    tuned = f" after {now.epochs:g} epoch{'s' * (now.epochs != 1)} of fine-tuning"
    if now.how == PREDICTED:
        return HOW[now.how]
    seen = f"{now.total:,} images"
    if now.images < now.total:
        seen = f"{now.images:,} of {seen} so far"
    return f"{HOW[now.how]}{tuned if now.epochs else ''}; {seen}"


def _costs(cost: tuple[int, int], now: Answer | None, whole: Mapping) -> str:
    rows = [
        (label, count(part), _share(part, full), count(full))
        for label, part, full in zip(
            ("parameters", "MACs an image"), cost, (whole["params"], whole["macs"])
        )
    ]
    mine, full = now.seconds if now else None, whole.get("seconds")
    about = "≈ " if now and now.how != MEASURED and mine is not None else ""
    share = _share(mine, full) if mine is not None and full else ""
    rows.append(("latency, one image", about + (time(mine) if now else "…"), share,
                 time(full) if full else ""))  # fmt: skip
    return _table(("", "now", "of the whole", "whole"), rows)


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f}%"


def budget(macs: int, whole: int, percent_allowed: float) -> str:
    """A bar: the MACs in use, and a mark where the budget ends; green within, orange over."""
    used = 100 * macs / whole
    over = used > percent_allowed + 1e-9
    colour, word = (ORANGE, "over") if over else (GREEN, "within")
    limit = whole * percent_allowed / 100
    return (
        f"<div style='color:{INK};line-height:1.4'><div style='position:relative;height:14px;"
        f"background:#e6e6e6;border-radius:3px'>"
        f"<div style='width:{min(used, 100):.1f}%;height:14px;background:{colour};"
        f"border-radius:3px'></div><div style='position:absolute;left:calc({percent_allowed:.1f}% "
        f"- 1px);top:-3px;width:2px;height:20px;background:{INK}'></div></div>"
        f"<span style='color:{colour}'><b>{word} the budget</b></span>: {count(macs)} MACs "
        f"({used:.0f}%) of at most {count(limit)} ({percent_allowed:.0f}%)</div>"
    )


def comparison(rows: list[tuple[str, ...]]) -> str:
    """Your setting beside the solver's."""
    head = ("", "MACs", "parameters", "predicted", "measured")
    note = (
        "Accuracy; the solver takes at most as many MACs. Both are predicted alike: the changes of"
        " single layers, added up."
    )
    return _page(_table(head, rows) + _line(note, GREY))


def note(text: str) -> str:
    """A plain remark."""
    return _page(_line(html.escape(text), GREY))


def headline(source_title: str, now: Answer | None) -> str:
    """The title of a picture, in plain text."""
    if now is None:
        return source_title
    how = f"{now.how} {percent(now.accuracy)}, whole {percent(now.whole)}"
    return f"{source_title}: {how}"


def title(source_title: str, made: str = "") -> str:
    """The headline of the explorer."""
    where = f"<span style='color:{GREY}'> · {html.escape(made)}</span>" if made else ""
    return (
        f"<div style='font-size:16px;color:{INK}'><b>{html.escape(source_title)}</b>{where}</div>"
    )


def _page(*parts: str) -> str:
    return f"<div style='color:{INK};line-height:1.45;font-size:13px'>{''.join(parts)}</div>"


def _big(text: str, colour: str) -> str:
    return (
        "<div style='line-height:1.15'>"
        f"<span style='font-size:34px;font-weight:600;color:{colour}'>{text}</span>"
        f" <span style='color:{GREY}'>accuracy</span></div>"
    )


def _line(text: str, colour: str = INK) -> str:
    return f"<div style='color:{colour}'>{text}</div>"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    def cells(row: tuple[str, ...], tag: str, colour: str) -> str:
        style = "padding:1px 14px 1px 0;font-weight:normal;white-space:nowrap"
        sides = ["left"] + ["right"] * (len(row) - 1)
        return "".join(
            f"<{tag} style='{style};text-align:{side};color:{colour}'>{cell}</{tag}>"
            for side, cell in zip(sides, row)
        )

    body = "".join(f"<tr>{cells(row, 'td', INK)}</tr>" for row in rows)
    return (
        f"<table style='border-collapse:collapse;margin:4px 0'><tr>{cells(head, 'th', GREY)}</tr>"
        f"{body}</table>"
    )
