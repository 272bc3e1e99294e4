"""A plan within the budget: judged by what the curves predict, and compared with the solver's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from prunelab import sensitivity, train
from prunelab.lab import bench

RATIOS = "it must be ratios by group, as {'conv1': 0.1, 'conv2': 0.1, 'fc1': 0.1}"


def _guess(plan: Mapping[str, float]) -> sensitivity.Prediction:
    return sensitivity.predict(bench.curves(), plan)


@cache
def _bar() -> tuple[float, float]:
    """Of one ratio for all groups within the budget: the best predicted accuracy, and the ratio."""
    plans = [(n / 100, _guess(dict.fromkeys(bench.groups(), n / 100))) for n in range(100)]
    within = [(guess.accuracy, ratio) for ratio, guess in plans if guess.macs <= _budget()]
    return max(within)


def _budget() -> float:
    return bench.BUDGET * _whole()


def _whole() -> float:
    return bench.curves().attrs["whole"]["macs"]


@cache
def solver() -> dict[str, float]:
    """The solver's plan within the budget."""
    return sensitivity.solve(bench.curves(), macs=bench.BUDGET)


def judge(plan: Any) -> str | None:
    """What is wrong with a plan for half of the MACs."""
    if not isinstance(plan, Mapping):
        return RATIOS
    try:
        mine = _guess(bench.plan_of(plan).ratios)
    except (TypeError, ValueError) as error:
        return f"no plan of this network: {str(error).removeprefix('pruned: ')}"
    share = mine.macs / _whole()
    if mine.macs > _budget():
        return f"it leaves {share:.1%} of the MACs: remove more where that saves much"
    (best, ratio), solved = _bar(), _guess(solver()).accuracy
    if mine.accuracy <= best:
        return (
            f"predicted {mine.accuracy:.1%} with {share:.1%} of the MACs; {ratio:.0%} of every"
            f" group is predicted {best:.1%}, the solver's plan {solved:.1%}: remove less of the"
            " sensitive groups"
        )
    return None


def against(plan: Mapping[str, float]) -> str:
    """How far a plan is behind the solver's or ahead of it, as predicted and as measured."""
    mine, best = _guess(bench.plan_of(plan).ratios), _guess(solver())
    nets = (bench.pruned(solver()), bench.pruned(plan))
    seen = [train.evaluate(net, bench.digits().val) for net in nets]
    low, high = sensitivity.paired_interval(*(one.correct for one in seen))
    return (
        f"predicted {mine.accuracy:.1%} with {mine.macs / _whole():.1%} of the MACs,"
        f" {_apart(mine.accuracy - best.accuracy)} the solver's plan; measured, without"
        f" fine-tuning, {seen[1].accuracy:.1%}, {_apart(seen[1].accuracy - seen[0].accuracy)} it"
        f" (95% interval {100 * low:+.1f} to {100 * high:+.1f} points)"
    )


def _apart(difference: float) -> str:
    points = f"{abs(100 * difference):.1f}"
    if points == "0.0":
        return "level with"
    return f"{points} points {'ahead of' if difference > 0 else 'behind'}"
