"""The explorer: pick layers, drag a ratio, and see what the physically shrunk network does."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

from prunelab.sensitivity.budget.solver import solve
from prunelab.widgets import words
from prunelab.widgets.code import code
from prunelab.widgets.exploring import jobs
from prunelab.widgets.exploring.panel import BY_HAND, SOLVER, UNIFORM
from prunelab.widgets.exploring.planned import Planned
from prunelab.widgets.exploring.worker import Newest, Stop, StoppedError, at_rest
from prunelab.widgets.frame import shown
from prunelab.widgets.plans import Plan
from prunelab.widgets.source import Answer, Ratios, Source

SCANNED = 500  # images of a scan, unless told otherwise


class Explorer(Planned):
    """Controls over a source of answers; see `explorer`. Its parts are listed at `Panel`.

    Attributes:
        source: what answers.
        answer: the latest one; it may be of the network that was on show before.
        worker: answers; `background` scans and fine-tunes.
    """

    def __init__(self, sources: Sequence[Source], ratios: Ratios | None = None, scan: bool = False):
        self.worker, self.background = Newest(), Newest()
        super().__init__()
        self.recordings.options = [(source.title, source) for source in sources]
        self.recordings.value = sources[0]
        self.recordings.layout.display = "none" if len(sources) < 2 else None
        self.hear(self.recordings, self.switch)
        self.hear(self.groups, self.select)
        self.hear(self.lock, lambda _: self.select(self.selected))
        self.hear(self.budget, self._allow_macs)
        self.hear(self.preset, self._apply)
        self.hear(self.chart, self.select, "selected")
        self.press(self.reset, lambda: self.change({}))
        self.press(self.scan.button, lambda: jobs.scan(self))
        self.press(self.finetune.button, lambda: jobs.finetune(self))
        self.press(self.save.button, lambda: jobs.save(self))
        for task in (self.scan, self.finetune):
            self.press(task.stop, self.background.cancel)
        self.switch(sources[0], ratios or {})
        if scan and not sources[0].why_not:
            jobs.scan(self)

    def switch(self, source: Source, ratios: Ratios | None = None) -> None:
        """Switch to another source, starting from the whole network or from these ratios."""
        ratios = {name: ratio for name, ratio in (ratios or {}).items() if ratio}
        source.kept(ratios)  # refuses what is no group or no ratio
        self.background.cancel()
        self.inside.looker.cancel()
        self.source, self.answer = source, None
        self.begin(ratios)
        self.arrange(source)
        self.hear(self.map, self.select, "selected")
        self.scan.images.max = source.whole["images"]
        self.scan.images.value = SCANNED  # or as many as there are
        self.allow()
        self.selected = list(ratios) or [next(iter(source.sizes))]
        self.changed()

    def show(self, ratios: Ratios) -> Explorer:
        """Put the network at these ratios on show; groups not named stay whole.

        Raises:
            ValueError: an unknown group, or a ratio outside [0, 1).
        """
        self.source.kept(ratios)
        self.change(ratios)
        return self

    def wait(self, timeout: float | None = None) -> Explorer:
        """Block until the answer is final and nothing runs in the background.

        Raises:
            TimeoutError: that took longer than `timeout` seconds.
        """
        end = None if timeout is None else time.monotonic() + timeout
        # A task may ask the worker at its end.
        for thread in (self.background, self.worker, self.inside.looker):
            left = None if end is None else max(0.0, end - time.monotonic())
            if not thread.wait(left):
                raise TimeoutError(f"explorer: still at work after {timeout} s")
        return self

    def close(self) -> None:
        """Stop what is running and leave the page."""
        for thread in (self.worker, self.background, self.inside.looker):
            thread.cancel()
        super().close()

    def _repr_mimebundle_(self, **options: object) -> dict:
        """The widget, and a picture for readers who have no kernel."""
        title = words.headline(self.source.title, self.answer)
        self.still(self.source, self.ratios, self.selected, title)
        return super()._repr_mimebundle_(**options)

    def select(self, names: Iterable[str]) -> None:
        """Make the slider move these groups and those locked to them."""
        chosen = set(names)
        if self.lock.value == "all":
            chosen = set(self.source.sizes)
        if self.lock.value == "stage":
            locked = [stage for stage in self.source.stages.values() if chosen & set(stage)]
            chosen = chosen.union(*locked)
        self.selected = [name for name in self.source.sizes if name in chosen]
        self._refresh()

    def _apply(self, preset: str) -> None:
        if preset == UNIFORM:
            self.change(dict.fromkeys(self.source.sizes, self.number.value), preset)
        elif preset == SOLVER:
            self.change(self._solved(), preset)
        elif preset != BY_HAND:
            self.change(self.source.presets[preset], preset)

    def _solved(self) -> dict[str, float]:
        return solve(
            self.source.curves, macs=words.limit_of(self.source.whole["macs"], self.budget.value)
        )

    def _allow_macs(self, _: int) -> None:
        if self.preset.value == SOLVER:
            self.change(self._solved(), SOLVER, drag=SOLVER)
        else:
            self._show_budget()

    def changed(self, preset: str = BY_HAND) -> None:
        """Show what is known at once, then ask; an error on the way stays in the text."""
        self.worker.cancel()
        self.refused.value = ""
        self.offer(self.source.presets, self.source.curves is not None, preset)
        self._refresh()
        self.ask()

    def _refresh(self) -> None:
        """Update everything that depends on ratios and selection alone."""
        self.set_controls(
            self.source.kept(self.ratios), self.source.sizes, self.ratios, self.selected
        )
        self.undo.disabled = not self.past
        self._show_budget()
        self.code.value = code(self.source, self.ratios)
        with self.quietly():
            self.plan.value = str(self.showing)
        self.inside.show(self.source, self.selected, self.ratios)

    def _show_budget(self) -> None:
        _, macs = self.source.cost(self.ratios)
        self.budget_bar.value = words.budget(macs, self.source.whole["macs"], self.budget.value)

    def ask(self) -> None:
        """Let the worker answer for the network on show."""
        plan, source = self.showing, self.source

        def job(stop: Stop) -> None:
            with suppress(StoppedError):
                for answer in source.answers(plan, stop):
                    self._say(answer, stop)
            if at_rest(stop):  # the solver is too slow for every step of a drag
                self.remember(plan, stop)
                self.compare.value = jobs.comparison(source, plan.ratios)

        self._say(self.answer, lambda: False, fresh=False)
        self.worker.submit(shown(job, self.text))

    def _say(self, answer: Answer | None, stop: Stop, fresh: bool = True) -> None:
        """Show the answer, unless another network is on show by now."""
        with self._lock:
            if not stop():
                self.answer, cost = answer, self.source.cost(self.ratios)
                self.text.value = words.answer(answer, cost, self.source.whole, fresh)

    def has_curves(self) -> None:
        """A scan is done: draw it, offer the solver, compare."""
        self.offer(self.source.presets, True, self.preset.value)
        self.show_curves(self.source)
        self.compare.value = jobs.comparison(self.source, self.ratios)

    def tuned(self, before: Plan, made: Plan, answer: Answer) -> None:
        """A network was fine-tuned: it is in the list of plans, and on show if it was before."""
        with self._lock:
            self.visited.add(made, before, words.brief(answer), answer.macs)
            self.list_plans()
            if self.showing == made:
                self.past.append(before)
                self._refresh()
                self.ask()

    def allow(self) -> None:
        """Enable what this source can do."""
        self.scan.allow(self.source.why_not)
        self.scan.layout.display = "none" if self.source.why_not else None
        self.finetune.layout.display = self.scan.layout.display
        self.finetune.allow(self.source.why_not_train)
        self.save.allow(self.source.why_not)
