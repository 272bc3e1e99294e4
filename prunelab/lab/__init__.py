"""Exercises that check themselves, and predictions: what the notebooks' exercise cells call.

def macs(...): ...
lab.check("00-1", macs)      says that it is right, or what is wrong and where to look
lab.predict("...", answer=)  asks first and answers then, with how far off the guess was
lab.source(function)         its code for reading, without checks of arguments
lab.network()                a trained network on embedded digits, the same for a whole class
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from prunelab import checks, extras

extras.need("prunelab.lab", "study", "ipywidgets")

from prunelab.lab.bench import compare as compare
from prunelab.lab.bench import curves as curves
from prunelab.lab.bench import digits as digits
from prunelab.lab.bench import groups as groups
from prunelab.lab.bench import network as network
from prunelab.lab.bench import pruned as pruned
from prunelab.lab.bench import size as size
from prunelab.lab.bench import tuned as tuned
from prunelab.lab.exercise import Exercise as Exercise
from prunelab.lab.leaderboard import ranked as ranked
from prunelab.lab.predicting import predict as predict
from prunelab.lab.reading import source as source

__all__ = [
    "Exercise", "Wrong", "check", "compare", "curves", "digits", "exercises", "groups", "network",
    "predict", "pruned", "ranked", "size", "source", "tuned",
]  # fmt: skip
NUMBERS = tuple(sorted(path.stem[1:] for path in Path(__file__).parent.glob("n[0-9][0-9].py")))


class Wrong(AssertionError):  # noqa: N818
    """An answer is wrong. A notebook shows its one line and no traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"✗ {self}"]


def exercises(number: str) -> dict[str, Exercise]:
    """Id -> exercise of a notebook.

    Args:
        number: of the notebook, such as "02".

    Raises:
        ValueError: there is no notebook with exercises of this number.
    """
    checks.word("exercises", "number", number, NUMBERS)
    found = importlib.import_module(f"prunelab.lab.n{number}").EXERCISES
    return {exercise.id: exercise for exercise in found}


def check(name: str, answer: Any) -> None:
    """Say that an answer is right; else raise with what is wrong and where to look.

    Args:
        name: id of the exercise, such as "02-1".
        answer: a value, or a function, as the exercise asks.

    Raises:
        Wrong: the answer is not right, or there is none yet.
        TypeError: `name` is no string.
        ValueError: there is no such exercise.
    """
    checks.kind("check", "name", name, str, "the id of an exercise")
    number = name.partition("-")[0]
    known = exercises(number) if number in NUMBERS else {}
    ids = tuple(known) or tuple(one for n in NUMBERS for one in exercises(n))
    checks.word("check", "name", name, ids)
    wrong = known[name].wrong(answer)
    if wrong is not None:
        raise Wrong(f"{name}: {wrong}")
    remark = known[name].remark(answer)
    print(f"✓ {name}: right{remark and '; '}{remark}\n", end="")  # in one piece
