"""Your setting beside the solver's at the same MACs."""

from __future__ import annotations

from prunelab.sensitivity.budget.prediction import Prediction, predict
from prunelab.sensitivity.budget.solver import solve
from prunelab.widgets.exploring import words
from prunelab.widgets.source import Answer, Ratios, Source


def comparison(source: Source, ratios: Ratios) -> str:
    """As HTML; a remark where there is nothing to compare."""
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
    return words.comparison(
        [
            _row("your setting", mine, source.known(ratios)),
            _row("the solver's", theirs, source.known(best)),
        ]
    )


def _row(label: str, guess: Prediction, known: Answer | None) -> tuple[str, ...]:
    measured = "not measured" if known is None else words.percent(known.accuracy)
    if known is not None and known.epochs:
        measured += " (fine-tuned)"
    costs = words.count(guess.macs), words.count(guess.params)
    return (label, *costs, words.percent(guess.accuracy), measured)
