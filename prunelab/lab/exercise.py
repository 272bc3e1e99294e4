"""An exercise: its reference solution, typical wrong answers, and the check of an answer."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from prunelab.checks import is_number
from prunelab.lab.answers import ROUNDED, TOLERANCE, form, near, rounded, same, told


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        id: number of its notebook and its own, such as "02-1".
        title: in a few words.
        right: the reference: a function of the arguments of a case, or of none for a value.
        mistakes: functions that give a typical wrong answer, each with what is wrong about it.
        look: where to look, for an answer that is wrong in no known way.
        cases: arguments that a function is tried with; a value has the one case of none.
        difficulty, importance: from 1 to 5.
        minutes: that it takes.
        tolerance: relative, of numbers.
        within: absolute, added to it: for what is read by eye.
        places: decimals to which a number may be rounded, or more; None asks for all of them.
        judge: for answers that have no single right value: answer -> what is wrong, or None.
        note: answer -> what to add where it is right.
    """

    id: str
    title: str
    right: Callable[..., Any]
    mistakes: tuple[tuple[Callable[..., Any], str], ...]
    look: str
    cases: tuple[tuple[Any, ...], ...] = ((),)
    difficulty: int = 2
    importance: int = 3
    minutes: int = 5
    tolerance: float = TOLERANCE
    within: float = 1e-9
    places: int | None = None
    judge: Callable[[Any], str | None] | None = None
    note: Callable[[Any], str] | None = None

    @property
    def is_value(self) -> bool:
        """Whether the answer is a value, not a function."""
        return self.cases == ((),)

    def wrong(self, answer: Any) -> str | None:
        """What is wrong with an answer, and where to look; None if it is right."""
        if answer is None or answer is ...:
            return "it is not answered yet"
        if not callable(answer):
            if not self.is_value:
                return f"the answer must be a function, got {told((answer,))}"
            return self._found([answer])
        found = []
        for case in self.cases:
            try:
                found.append(answer(*deepcopy(case)))  # which it may change
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # a student's code may raise anything, SystemExit too
                return _raised(error, case)
        return self._found(found)

    def remark(self, answer: Any) -> str:
        """What to add to "right", such as how a plan compares with the solver's; often nothing."""
        if self.note is None:
            return ""
        try:
            return self.note(answer() if callable(answer) else answer)
        except Exception:  # an answer may give another value now
            return ""

    def _found(self, found: Sequence[Any]) -> str | None:
        """What is wrong with the values that an answer gave."""
        if any(one is None for one in found):
            return "the function returns nothing"
        try:
            return self._judged(found) if self.judge is None else self.judge(found[0])
        except Exception as error:  # what a student hands in may be anything
            return f"it cannot be compared ({type(error).__name__}); {self.look}"

    def _judged(self, found: Sequence[Any]) -> str | None:
        expected = [self.right(*case) for case in self.cases]
        bad = [n for n, one in enumerate(found) if not self._equal(one, expected[n])]
        if not bad:
            return None
        case, got, wanted = self.cases[bad[0]], found[bad[0]], expected[bad[0]]
        where = f"for {told(case)} it is {told((got,))}; " if case else ""
        if self.is_value and is_number(wanted):
            where = f"you gave {told((got,))}; "
            if isinstance(got, str):
                return f"{where}a number is asked for, not a text"
        for mistake, words in self.mistakes:
            if all(map(self._equal, found, (mistake(*case) for case in self.cases))):
                return words if case else f"{where}{words}"
        if isinstance(wanted, Mapping):
            return self._of_mapping(case, got, wanted)
        if (shape := form(got)) != form(wanted) and form(wanted):
            return f"the answer has the shape {shape or 'of a single value'}, not {form(wanted)}"
        return where + (self._rounding(found, expected) or self.look)

    def _equal(self, one: Any, other: Any) -> bool:
        """Whether a value counts as equal to another, rounded no further than is allowed."""
        enough = self.places is not None and rounded(one, other, self.places)
        return enough or same(one, other, self.tolerance, self.within)

    def _rounding(self, found: Sequence[Any], expected: Sequence[Any]) -> str:
        """What to say if numbers differ from the right ones by their rounding alone."""
        known = {None: "all digits", 0: "a whole number, or decimals"}
        asked = known.get(self.places, f"{self.places} decimals or more")
        pairs = [*zip(found, expected)]
        if all(rounded(*pair) and near(*pair, ROUNDED) for pair in pairs):
            return f"that is right, but rounded: give {asked}"
        if self.is_value and near(*pairs[0]):
            return f"that is near: the rounding differs, not the idea; give {asked}, rounded last"
        return ""

    def _of_mapping(self, case: Iterable[Any], got: Any, wanted: Mapping[str, Any]) -> str:
        """Which part of an answer with several parts is wrong."""
        names = ", ".join(map(repr, wanted))
        if not isinstance(got, Mapping) or got.keys() != wanted.keys():
            return f"return a dict with the keys {names}; got {told((got,))}"
        wrong = next(name for name in wanted if not self._equal(got[name], wanted[name]))
        where = f"for {told(case)} " if case else ""
        return f"{where}{wrong!r} is {told((got[wrong],))}; {self.look}"


def _raised(error: BaseException, case: Iterable[Any]) -> str:
    """What an answer raised, and in which of its lines."""
    frames = [*traceback.walk_tb(error.__traceback__)][1:]  # without the check's own
    if isinstance(error, NotImplementedError):
        return (
            "it calls something not answered yet" if len(frames) > 1 else "it is not answered yet"
        )
    where = f"for {told(case)} " if case else ""
    line = ""
    if frames:
        frame, number = frames[0]
        line = f" (line {number - frame.f_code.co_firstlineno + 1} of it)"
    try:
        text = str(error)
    except Exception:  # a student's own error may be broken
        text = "?"
    words = ": ".join([type(error).__name__, *filter(None, [" ".join(text.split())])])
    return f"{where}it raises {words}{line}"
