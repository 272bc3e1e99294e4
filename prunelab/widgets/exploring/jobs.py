"""What takes the explorer longer: to scan, fine-tune, save and compare with the solver."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from prunelab import surgery
from prunelab.sensitivity.budget.prediction import Prediction, possible, predict
from prunelab.sensitivity.budget.solver import solve
from prunelab.widgets import words
from prunelab.widgets.controls import TaskControls
from prunelab.widgets.exploring.worker import Advance, Stop, StoppedError
from prunelab.widgets.frame import refusing
from prunelab.widgets.plans import Plan
from prunelab.widgets.source import Answer, Ratios, Source

if TYPE_CHECKING:
    from prunelab.widgets.exploring.explorer import Explorer


FEW = 100  # images of the first curves


def scan(explorer: Explorer) -> None:
    """Scan in the background, on few images first; afterwards there are curves, and the solver."""
    source, part = explorer.source, explorer.scan

    def job(advance: Advance) -> None:
        whole = part.images.value
        for images in dict.fromkeys((min(FEW, whole), whole)):
            source.scan(images, advance)
            explorer.has_curves()
        advance(1.0)
        images = source.curves.attrs["whole"]["images"]
        part.note.value = words.note(f"Curves of {images:,} images, each group alone.")

    _start(explorer, part, job, "Stopped. The next scan continues from there.")


def finetune(explorer: Explorer) -> None:
    """Train the network on show in the background; if stopped, nothing changes."""
    source, part, plan = explorer.source, explorer.finetune, explorer.showing

    def job(advance: Advance) -> None:
        before = _final(source, plan)
        made = source.finetune(plan, part.epochs.value, advance)
        after = _final(source, made)
        part.note.value = words.say("tuned", before, after)
        explorer.tuned(plan, made, after)

    _start(explorer, part, job, "Stopped. The network is as it was before.")


def _final(source: Source, plan: Plan) -> Answer:
    """The final answer, measured if it is not known yet."""
    *_, answer = source.answers(plan, lambda: False)
    return answer


def _start(
    explorer: Explorer, part: TaskControls, job: Callable[[Advance], None], stopped: str
) -> None:
    """Start a job in the background; the buttons of both tasks wait for its end."""

    def run(stop: Stop) -> None:
        def advance(done: float) -> None:
            while explorer.worker.busy and not stop():  # who drags a slider waits for no scan
                time.sleep(0.01)
            if stop():
                raise StoppedError
            part.advance(done)

        try:
            job(advance)
        except StoppedError:
            part.note.value = words.note(stopped)
        finally:
            part.working(False)
            explorer.allow()

    for other in (explorer.scan, explorer.finetune):
        other.button.disabled = True
    part.working(True)
    explorer.background.submit(refusing(run, explorer.refused))


def save(explorer: Explorer) -> None:
    """Write the network on show, and say how to read it."""
    path = Path(explorer.save.path.value).expanduser()
    small, keep, _ = explorer.source.network(explorer.ratios)
    surgery.save(small, keep, path)
    megabytes = f"{path.stat().st_size / 1e6:.2f}"
    explorer.save.note.value = words.say("saved", megabytes, str(path), repr(str(path)))


def comparison(source: Source, ratios: Ratios) -> str:
    """Your setting beside the solver's at the same MACs; or a remark where there is none."""
    if source.curves is None:
        return words.note("Scan all groups first: the solver works on the curves of a scan.")
    if not source.kept(ratios):
        return words.note("Remove something, and the solver shows what it would remove instead.")
    mine = predict(source.curves, ratios)
    try:
        best = solve(source.curves, macs=mine.macs)
    except ValueError as error:  # fewer MACs than the scanned ratios can give
        return words.note(str(error))
    theirs = predict(source.curves, best)
    rows = [_row("your setting", mine, source, ratios), _row("the solver's", theirs, source, best)]
    return words.say("comparison", rows)


def _row(label: str, guess: Prediction, source: Source, ratios: Ratios) -> tuple[str, ...]:
    known, ranged = source.known(ratios), source.predicted(ratios)
    measured = "not measured" if known is None else words.percent(known.accuracy)
    if known is not None and known.epochs:
        measured += " (fine-tuned)"
    costs = words.short(guess.macs), words.short(guess.params)
    about = f"≈ {words.percent(possible(guess.accuracy))}" if ranged is None else words.span(ranged)
    return (label, *costs, about, measured)
