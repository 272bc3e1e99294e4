"""An exercise: its reference solution, typical wrong answers, and the check of an answer."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from prunelab.checks import shown

TOLERANCE = 1e-5  # relative


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
        judge: for answers that have no single right value: answer -> what is wrong, or None.
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
    judge: Callable[[Any], str | None] | None = None

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
                return f"the answer must be a function, got {shown(answer)}"
            return self._found([answer])
        found = []
        for case in self.cases:
            try:
                found.append(answer(*_copied(case)))
            except Exception as error:  # a student's code may raise anything
                return _raised(error, case)
        return self._found(found)

    def _found(self, found: Sequence[Any]) -> str | None:
        """What is wrong with the values that an answer gave."""
        if any(one is None for one in found):
            return "the function returns nothing"
        if self.judge is None:
            return self._judged(found)
        try:
            return self.judge(found[0])
        except Exception:  # it may be anything
            return self.look

    def _judged(self, found: Sequence[Any]) -> str | None:
        expected = [self.right(*case) for case in self.cases]
        bad = [n for n, one in enumerate(found) if not same(one, expected[n])]
        if not bad:
            return None
        for mistake, words in self.mistakes:
            if all(map(same, found, (mistake(*case) for case in self.cases))):
                return words
        case, got, wanted = self.cases[bad[0]], found[bad[0]], expected[bad[0]]
        if isinstance(wanted, Mapping):
            return self._of_mapping(case, got, wanted)
        if (form := _form(got)) != _form(wanted) and _form(wanted):
            return f"the answer has the shape {form or 'of a single value'}, not {_form(wanted)}"
        where = f"for {told(case)} it is {told((got,))}; " if case else ""
        return f"{where}{self.look}"

    def _of_mapping(self, case: Iterable[Any], got: Any, wanted: Mapping[str, Any]) -> str:
        """Which part of an answer with several parts is wrong."""
        names = ", ".join(map(repr, wanted))
        if not isinstance(got, Mapping) or got.keys() != wanted.keys():
            return f"return a dict with the keys {names}; got {told((got,))}"
        wrong = next(name for name in wanted if not same(got[name], wanted[name]))
        where = f"for {told(case)} " if case else ""
        return f"{where}{wrong!r} is {told((got[wrong],))}; {self.look}"


def _raised(error: Exception, case: Iterable[Any]) -> str:
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
    return f"{where}it raises {type(error).__name__}: {' '.join(text.split())}{line}"


def same(one: Any, other: Any) -> bool:
    """Whether two answers are equal: numbers to a relative 1e-5, texts without regard to case."""
    if isinstance(other, str):
        return isinstance(one, str) and one.strip().lower() == other.strip().lower()
    if isinstance(other, set | frozenset):
        try:
            return {tuple(part) if isinstance(part, list) else part for part in one} == other
        except TypeError:  # it is no collection, or one of what is none
            return False
    if one is None or other is None or isinstance(one, str):
        return one is other
    if isinstance(other, Mapping):
        return (
            isinstance(one, Mapping)
            and one.keys() == other.keys()
            and all(same(one[key], other[key]) for key in other)
        )
    try:
        first, second = (np.asarray(_plain(value), dtype=float) for value in (one, other))
    except Exception:  # tensors of strange kinds, integers of thousands of digits
        return False
    return first.shape == second.shape and bool(
        np.allclose(first, second, rtol=TOLERANCE, atol=1e-9, equal_nan=True)
    )


def _plain(value: Any) -> Any:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else value


def _form(value: Any) -> tuple[int, ...]:
    try:
        return np.shape(_plain(value))
    except Exception:
        return ()


def _copied(case: Iterable[Any]) -> list[Any]:
    """Tensors that a student's code may write to."""
    return [one.clone() if isinstance(one, Tensor) else one for one in case]


def told(values: Iterable[Any]) -> str:
    """Arguments or an answer in a message."""
    return ", ".join(map(_told, values))


def _told(value: Any) -> str:
    try:
        return _numbers(value)
    except Exception:
        return type(value).__name__


def _numbers(value: Any) -> str:
    if isinstance(value, Tensor | np.ndarray) and np.ndim(_plain(value)):
        array = _plain(value)
        if array.size > 8:
            return f"an array of shape {tuple(array.shape)}"
        return np.array2string(array, precision=4, separator=", ")
    if isinstance(value, Tensor):
        value = value.item()
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.6g}"
    return shown(value)
