"""What is on show, how it changes, and the way back."""

from __future__ import annotations

import abc
import threading
import time
from collections.abc import Hashable, Mapping

from prunelab.widgets import words
from prunelab.widgets.exploring.history import History
from prunelab.widgets.exploring.panel import BY_HAND, Panel
from prunelab.widgets.exploring.worker import Stop
from prunelab.widgets.plans import Hand, Plan, parsed
from prunelab.widgets.source import Answer, Ratios, Source

DRAG = 1.0  # seconds: moves of one control in quicker succession are undone in one step


class Planned(Panel):
    """Panel and plan: controls change the plan, and every earlier plan can be returned to.

    Attributes:
        source: what answers.
        answer: the latest one; it may be of the network that was on show before.
        ratios: group name -> fraction removed, of the network on show.
        selected: groups that the slider moves.
        visited: the plans so far.
        past: the plans that `undo` goes back to.
    """

    source: Source
    answer: Answer | None
    selected: list[str]

    def __init__(self) -> None:
        self._lock = threading.RLock()  # held while the answer is set, by whatever thread
        super().__init__()
        self.hear(self.slider, lambda ratio: self._move(ratio, "slider"))
        self.hear(self.number, lambda ratio: self._move(ratio, "number"))
        self.hear(self.chart, self._dragged, "moved")
        self.hear(self.plan, self._read)
        self.hear(self.history, self._return)
        self.press(self.undo, self._undo)
        self.inside.picked = self.pick

    @abc.abstractmethod
    def changed(self, preset: str = BY_HAND) -> None:
        """Another network is on show."""

    def begin(self, ratios: Ratios) -> None:
        """Begin anew, from these ratios."""
        self.ratios, self.visited, self.past = dict(ratios), History(), []
        self._moved: tuple[Hashable, float] = (None, 0.0)  # what was dragged, and when
        self.source.take(Plan(ratios))

    def _move(self, ratio: float, control: str) -> None:
        moved = dict.fromkeys(self.selected, ratio)
        self.change(self.ratios | moved, drag=(control, *self.selected))

    def _dragged(self, moved: Mapping) -> None:
        """A point on a curve: its group moves, and what is selected with it."""
        names = self.selected if moved["group"] in self.selected else [moved["group"]]
        ratios = self.ratios | dict.fromkeys(names, moved["ratio"])
        self.change(ratios, drag=("curve", *names))

    def pick(self, group: str, removed: tuple[int, ...]) -> None:
        """Remove these channels of a group, and keep its others."""
        size = self.source.sizes[group]
        if len(removed) == size:
            self.inside.show(self.source, self.selected, self.ratios)
            raise ValueError(f"explorer: `{group}` must keep one channel at least")
        ratios = self.ratios | {group: len(removed) / size}
        hand = {name: own for name, own in self.source.hand.items() if name != group}
        self.change(ratios, hand=hand | ({group: tuple(removed)} if removed else {}))

    @property
    def showing(self) -> Plan:
        """The plan of the network on show."""
        tuned = tuple(int(budget.epochs) for budget in self.source.budgets(self.ratios))
        return Plan(dict(self.ratios), dict(self.source.hand), tuned)

    def _undo(self) -> None:
        if self.past:
            self._moved = (None, 0.0)
            self._go(self.past.pop())

    def _go(self, plan: Plan) -> None:
        self.ratios = dict(plan.ratios)
        self.source.take(plan)
        self.changed()

    def _return(self, number: int | None) -> None:
        """Go back to a plan of the list."""
        if number is not None and number != self.visited.at:
            self.past.append(self.showing)
            self._go(self.visited.steps[number].plan)

    def _read(self, text: str) -> None:
        """Go to the plan that somebody wrote."""
        plan = parsed(text, self.source.sizes)
        if plan.hand and self.source.why_not:
            raise ValueError(f"explorer: no channels by hand here: {self.source.why_not}")
        self.past.append(self.showing)
        self._go(plan)
        if self.showing.tuned != plan.tuned:
            done = f"{self.showing.epochs} of its {plan.epochs} epochs of fine-tuning"
            self.finetune.note.value = words.note(f"Of this plan, {done} were done here.")

    def change(
        self,
        ratios: Ratios,
        preset: str = BY_HAND,
        drag: Hashable = None,
        hand: Hand | None = None,
    ) -> None:
        """Go to other ratios.

        Args:
            ratios: group -> fraction removed.
            preset: the name of the preset that they are.
            drag: what is being dragged, if anything: a drag is one step back.
            hand: channels picked by hand; None = those whose ratio does not change.
        """
        self.source.kept(ratios)  # refuses what is no group or no ratio
        ratios = {name: ratio for name, ratio in ratios.items() if ratio}
        if hand is None:  # what was picked by hand stays where the ratio does
            same = {name for name in ratios if ratios[name] == self.ratios.get(name)}
            hand = {name: own for name, own in self.source.hand.items() if name in same}
        (dragged, when), now = self._moved, time.monotonic()
        goes_on = drag is not None and drag == dragged and now - when < DRAG
        if (ratios, hand) != (self.ratios, self.source.hand) and not goes_on:
            self.past.append(self.showing)
        self.ratios, self._moved = ratios, (drag, now)
        self.source.take(Plan(ratios, hand, None))
        self.changed(preset)

    def remember(self, plan: Plan, stop: Stop) -> None:
        """Add the network on show to the list of plans."""
        with self._lock:
            if stop() or self.answer is None:
                return
            self.visited.visit(plan, words.brief(self.answer), self.answer.macs)
            self.list_plans()

    def list_plans(self) -> None:
        """Show the list of plans."""
        with self.quietly():
            self.history.options = self.visited.lines(self.source.whole["macs"])
            self.history.value = self.visited.at
