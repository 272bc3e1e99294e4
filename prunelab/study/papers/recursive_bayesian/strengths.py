"""How the strengths of RBP's arms are chosen: one rule, and whether it is bound by its list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean

from prunelab.study.papers.recursive_bayesian.cases import ARMS, SETTINGS, Setting
from prunelab.study.results import Line, Results, Run

LIMITED = "limited by the list"


def val_error(run: Run) -> float:
    """Validation error after fine-tuning, in percent."""
    return 100 * (1 - run.values["history"][-1]["val_accuracy"])


def setting_of(line: Line) -> Setting:
    """How the arms run on the network of a line."""
    return next(one for one in SETTINGS[line.case.preset] if one.network == line.case.network)


def beta(line: Line) -> float:
    """The strength of a line."""
    return line.case.task.method.beta


def judged(results: Results, preset: str | None) -> Iterator[Line]:
    """Each arm at each strength, with the seeds that choose.

    The rule, written before anything ran: of the strengths whose mean validation error after
    fine-tuning is allowed, take the largest. The note says "yes" there. What was not run because a
    smaller strength was refused has no line.
    """
    for network in dict.fromkeys(line.case.network for line in results.lines(preset, part="arms")):
        for arm in ARMS:
            wanted = {"part": {"arms", "candidates"}, "name": arm, "network": network}
            found = [_seen(line) for line in results.lines(preset, **wanted)]
            found.sort(key=beta)
            taken = [line for line in found if is_allowed(line)][-1:]
            refused = False
            for line in found:
                if line.runs or not refused:
                    yield replace(line, note="yes" if line in taken else "")
                refused = refused or (is_whole(line) and not is_allowed(line))


def _seen(line: Line) -> Line:
    seen = setting_of(line).seen
    return replace(line, runs=tuple(run for run in line.runs if run.seed < seen))


def is_whole(line: Line) -> bool:
    """Whether all seeds that choose have run."""
    return len(line.runs) == setting_of(line).seen > 0


def is_allowed(line: Line) -> bool:
    """Whether the mean validation error is; False before all seeds that choose have run."""
    allowed = setting_of(line).allowed
    return is_whole(line) and fmean(map(val_error, line.runs)) <= allowed


def limit(lines: Sequence[Line], shown: float) -> str:
    """Why the strength of an arm is not the one that the rule takes, in words; "" if it is.

    The rule takes one only where the next stronger one was tried and refused.

    Args:
        lines: of one arm, from `judged`.
        shown: the strength of its runs with fresh seeds.
    """
    taken = [number for number, line in enumerate(lines) if line.note]
    if not taken:
        return "no strength is allowed"
    strength, stronger = beta(lines[taken[0]]), lines[taken[0] + 1 :]
    if not stronger or not is_whole(stronger[0]):
        return LIMITED
    return "" if strength == shown else f"the rule takes {strength:g}, not {shown:g}"
