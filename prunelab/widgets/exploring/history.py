"""The plans that were tried, as a tree to return to."""

from __future__ import annotations

from dataclasses import dataclass

from prunelab.widgets.plans import Plan

DEEPEST = 12  # levels that are indented


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
        self.at = self._put(plan, self.at, said, macs)

    def add(self, plan: Plan, before: Plan, said: str, macs: int) -> None:
        """A plan that came from another one; it need not be on show."""
        self._put(plan, self._find(before), said, macs)

    def _find(self, plan: Plan) -> int | None:
        return next((n for n, step in enumerate(self.steps) if step.plan == plan), None)

    def _put(self, plan: Plan, parent: int | None, said: str, macs: int) -> int:
        number = self._find(plan)
        if number is None:
            self.steps.append(Step(plan, parent))
            number = len(self.steps) - 1
        self.steps[number].said, self.steps[number].macs = said, macs
        return number

    def lines(self, whole: int) -> list[tuple[str, int]]:
        """One line for each plan, indented below its parent, and its position.

        Args:
            whole: MACs of the whole network.
        """
        children: dict[int | None, list[int]] = {}
        for number, step in enumerate(self.steps):
            children.setdefault(step.parent, []).append(number)
        found, todo = [], [(number, 0) for number in reversed(children.get(None, []))]
        while todo:
            number, depth = todo.pop()
            step = self.steps[number]
            indent = "\u00a0" * 3 * min(depth - 1, DEEPEST) + "└ " if depth else ""
            share = f"{100 * step.macs / whole:.0f}% of the MACs"
            found.append((f"{indent}{step.said} · {share} · {self._change(step)}", number))
            todo += [(child, depth + 1) for child in reversed(children.get(number, []))]
        return found

    def _change(self, step: Step) -> str:
        """What the plan changes of its parent."""
        before = Plan() if step.parent is None else self.steps[step.parent].plan
        if step.plan.tuned != before.tuned and step.plan.tuned:
            epochs = step.plan.tuned[-1]
            more = " more" if len(step.plan.tuned) > 1 else ""
            return f"fine-tuned {epochs}{more} epoch{'s' if epochs != 1 else ''}"
        names = dict.fromkeys([*step.plan.ratios, *before.ratios])
        moved = [
            f"{name} −{100 * step.plan.ratios.get(name, 0):.0f}%{self._picked(step.plan, name)}"
            for name in names
            if (step.plan.ratios.get(name), step.plan.hand.get(name))
            != (before.ratios.get(name), before.hand.get(name))
        ]
        if not step.plan.ratios:
            return "whole network"
        if len(moved) <= 3:
            return ", ".join(moved)
        return f"{', '.join(moved[:2])} and {len(moved) - 2} more"

    def _picked(self, plan: Plan, name: str) -> str:
        """Which channels were picked by hand, the first ones."""
        own = plan.hand.get(name, ())
        return f" ({', '.join(map(str, own[:4]))}{' …' if len(own) > 4 else ''})" if own else ""
