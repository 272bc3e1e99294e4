"""What RBP's study found, in sentences made from its rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from prunelab.study import measures as m
from prunelab.study.cells import DASH, NOT_MEASURED
from prunelab.study.contest import LEVEL
from prunelab.study.papers.recursive_bayesian.arms import EQUAL, ERROR, WEIGHTS, paired
from prunelab.study.results import Line, Results

NETWORKS = {
    "lenet-300-100": "LeNet-300-100",
    "lenet-5-relu": "LeNet-5",
    "preresnet-20": "pre-activation ResNet-20",
}
RIVALS = ("at once", "throughout")  # noise on all layers
NOT_PROVED = "no difference is proved"
ONE_SEED = "one seed decides nothing"


def sign(line: Line, measure: str) -> int:
    """-1 if RBP is proved lower than the other arm, 1 if higher, 0 if neither is proved."""
    proved = line.printed.p[measure] < LEVEL
    return int(math.copysign(proved, sum(line.printed.values[measure])))


def limited(limits: Mapping[str, str]) -> str:
    """Why two arms cannot be compared at their strengths: each reason, and the arms it holds of."""
    reasons = dict.fromkeys(limits.values())
    arms = {why: [arm for arm, own in limits.items() if own == why] for why in reasons}
    return "; ".join(f"{why}: {', '.join(own)}" for why, own in arms.items())


def factor(values: Sequence[float]) -> str:
    """Mean and interval of logarithms, as factors."""
    middle, half = m.interval(values)
    found = [math.exp(middle + shift) for shift in (0, -half, half)]
    return "{:.2f} ({:.2f} to {:.2f})".format(*found)


def findings(lines: Iterable[Line]) -> list[str]:
    """Of `paired` lines, a sentence each, and one that says what both comparisons prove.

    A network of which nothing is measured has none.
    """
    lines = [*lines]
    begun = {line.case.model for line in lines if line.printed.values[ERROR]}
    told = [line for line in lines if line.case.model in begun]
    return [_at_strengths(line) + _at_equal_error(line) for line in told] + _in_both(told)


def _at_strengths(line: Line) -> str:
    text = f"{NETWORKS[line.case.model]}, RBP beside *{line.note}*: "
    values = line.printed.values
    if not values[ERROR]:
        return text + NOT_MEASURED
    if line.printed.limits:
        return f"{text}at the strengths of the rule no verdict, {limited(line.printed.limits)}"
    if len(values[ERROR]) < 2:
        return text + ONE_SEED
    told = {name: "{:+.2f} ± {:.2f}".format(*m.interval(values[name])) for name in (WEIGHTS, ERROR)}
    text += f"at the strengths of the rule {told[WEIGHTS]} points of the weights"
    text += f"{_proved(line, WEIGHTS)} and {told[ERROR]} points of test error"
    return text + _proved(line, ERROR)


def _proved(line: Line, measure: str) -> str:
    return f" ({'proved' if sign(line, measure) else 'not proved'})"


def _at_equal_error(line: Line) -> str:
    values = line.printed.values[EQUAL]
    if len(values) < 2:
        return "."
    return f"; at equal test error {factor(values)} times its weights{_proved(line, EQUAL)}."


def _in_both(lines: Sequence[Line]) -> list[str]:
    several = [line for line in lines if len(line.printed.values[EQUAL]) > 1]
    if not several:
        return []
    found: dict[int, list[str]] = {-1: [], 1: []}
    for line in several:
        signs = {sign(line, EQUAL), 0 if line.printed.limits else sign(line, WEIGHTS)}
        if len(signs) == 1 and (both := signs.pop()):
            found[both].append(f"*{line.note}* on {NETWORKS[line.case.model]}")
    told = [
        f"RBP is {word} beside {', '.join(found[key]) or 'no arm'}"
        for key, word in ((-1, "smaller"), (1, "larger"))
    ]
    return [f"Proved both at the strengths of the rule and at equal error: {'; '.join(told)}."]


def in_brief(results: Results, preset: str = "paper") -> dict[str, str]:
    """For the README: RBP's weights at equal test error, beside all layers `RIVALS`."""
    found: dict[str, dict[str, Line]] = {}
    for line in paired(results, preset):
        if line.note in RIVALS and len(line.printed.values[EQUAL]) > 1:
            found.setdefault(NETWORKS[line.case.model], {})[line.note] = line
    told = "; ".join(
        f"{name}: {' / '.join(_brief(lines.get(rival)) for rival in RIVALS)}"
        for name, lines in found.items()
    )
    proved = [bool(sign(line, EQUAL)) for lines in found.values() for line in lines.values()]
    verdict = f"{sum(proved)} of {len(proved)} differences proved"
    measured = {"measured here": told, "verdict": verdict} if found else {}
    return {"printed": DASH, "measured here": NOT_MEASURED, "verdict": NOT_MEASURED} | measured


def _brief(line: Line | None) -> str:
    return factor(line.printed.values[EQUAL]) if line else NOT_MEASURED
