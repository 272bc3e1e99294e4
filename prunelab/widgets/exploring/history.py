"""The plans that were tried, as a tree to return to."""

from __future__ import annotations

from dataclasses import dataclass

from prunelab.widgets.plans import Plan


@dataclass
class Step:
    """A plan that was answered, and the one that it came from."""

    plan: Plan
    parent: int | None
    said: str = "…"
    macs: int = 0


class History:
    """The plans that were looked at, each below the one that it came from.

    Attributes:
        steps: in the order of their first visit.
        at: position of the one on show; None before the first.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.at: int | None = None

    def visit(self, plan: Plan, said: str, macs: int) -> None:
        """This plan is on show, with this accuracy, in words."""
        known = [n for n, step in enumerate(self.steps) if step.plan == plan]
        if not known:
            self.steps.append(Step(plan, self.at))
            known = [len(self.steps) - 1]
        self.at = known[0]
        self.steps[self.at].said, self.steps[self.at].macs = said, macs

    def lines(self, whole: int) -> list[tuple[str, int]]:
        """One line for each plan, indented below its parent, and its position.

        Args:
            whole: MACs of the whole network.
        """
        found: list[tuple[str, int]] = []

        def add(number: int, depth: int) -> None:
            step = self.steps[number]
            indent = "\u00a0" * 3 * (depth - 1) + "└ " if depth else ""
            share = f"{100 * step.macs / whole:.0f}% of the MACs"
            found.append((f"{indent}{step.said} · {share} · {self._change(step)}", number))
            for child, other in enumerate(self.steps):
                if other.parent == number:
                    add(child, depth + 1)

        for number, step in enumerate(self.steps):
            if step.parent is None:
                add(number, 0)
        return found

    def _change(self, step: Step) -> str:
        """What the plan changes of its parent."""
        before = Plan() if step.parent is None else self.steps[step.parent].plan
        if step.plan.epochs != before.epochs and step.plan.epochs:
            plural = "s" if step.plan.epochs != 1 else ""
            return f"fine-tuned {step.plan.epochs} epoch{plural}"
        names = dict.fromkeys([*step.plan.ratios, *before.ratios])
        moved = [
            f"{name} −{100 * step.plan.ratios.get(name, 0):.0f}%"
            for name in names
            if (step.plan.ratios.get(name), step.plan.hand.get(name))
            != (before.ratios.get(name), before.hand.get(name))
        ]
        if not step.plan.ratios:
            return "whole network"
        if len(moved) <= 3:
            return ", ".join(moved)
        return f"{', '.join(moved[:2])} and {len(moved) - 2} more"
