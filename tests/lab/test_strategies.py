"""No answer passes that ignores what it was asked: trivial strategies on every function."""

from __future__ import annotations

import itertools
import operator
import statistics
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from prunelab import lab

ALL = {e.id: e for number in lab.NUMBERS for e in lab.exercises(number).values()}
FUNCTIONS = {name: e for name, e in ALL.items() if not e.is_value}
EACH = pytest.mark.parametrize("exercise", FUNCTIONS.values(), ids=FUNCTIONS)

CONSTANTS = (0, 1, -1, 0.5, 1.0, True, False, "", (), [], {}, set(), float("nan"), float("inf"))
OF_ONE = {
    "unchanged": lambda x: x,
    "first": lambda x: x[0],
    "last": lambda x: x[-1],
    "length": len,
    "smallest": min,
    "largest": max,
    "sum": sum,
    "mean": statistics.fmean,
    "sorted": sorted,
    "reversed": lambda x: x[::-1],
    "not": lambda x: ~x,
    "negative": operator.neg,
    "absolute": abs,
    "zeros": torch.zeros_like,
    "ones": torch.ones_like,
    "signs": torch.sign,
    "of the largest": lambda x: int(torch.as_tensor(x).argmax()),
    "of the smallest": lambda x: int(torch.as_tensor(x).argmin()),
    "first of none": lambda x: int((~x).nonzero()[0]),
    "last of none": lambda x: int((~x).nonzero()[-1]),
    "first of some": lambda x: int(x.nonzero()[0]),
    "norms": lambda x: x.flatten(1).norm(dim=1),
    "sums": lambda x: x.flatten(1).sum(1),
    "positions": lambda x: list(range(len(x))),
    "zeros of its length": lambda x: [0] * len(x),
    "all": lambda x: [*x],
    "nothing of it": lambda x: x[:0],
}
OF_TWO = {
    "sum": operator.add,
    "difference": operator.sub,
    "product": operator.mul,
    "ratio": operator.truediv,
    "pair": lambda x, y: (x, y),
    "part": lambda x, y: x[y],
    "smaller": lambda x, y: x < y,
    "mapped": lambda x, y: dict.fromkeys(x, y),
}
OF_RIGHT = {
    "negative": operator.neg,
    "twice": lambda x: 2 * x,
    "one more": lambda x: x + 1,
    "one less it": lambda x: 1 - x,
    "inverse": lambda x: 1 / x,
    "inverted": lambda x: ~x,
    "half of it": lambda x: x[: len(x) // 2],
    "twice over": lambda x: [*x, *x] if isinstance(x, list | tuple) else None,
    "backwards": lambda x: (
        x[::-1] if isinstance(x, list | tuple) else x[torch.arange(len(x)).flip(0)]
    ),
    "ends swapped": lambda x: dict(zip(x, reversed([*x.values()]))),
}


def passes(exercise, strategy):
    """Whether a strategy that may not even run is taken as right."""
    return replace(exercise, right=known(exercise.id), mistakes=()).wrong(strategy) is None


@cache
def known(name):
    """The right answer, computed once for each case."""
    cases, right = ALL[name].cases, ALL[name].right
    found = [(case, right(*case)) for case in cases]
    return lambda *own: next(v for case, v in found if all(map(operator.is_, own, case)))


def of_arguments(exercise):
    """Name -> strategy that looks at one argument or at two."""
    count = len(exercise.cases[0])
    for (name, f), k in itertools.product(OF_ONE.items(), range(count)):
        yield f"{name} of argument {k}", lambda *case, f=f, k=k: f(case[k])
    pairs = itertools.permutations(range(count), 2)
    for (name, f), (j, k) in itertools.product(OF_TWO.items(), pairs):
        yield f"{name} of {j} and {k}", lambda *case, f=f, j=j, k=k: f(case[j], case[k])
    keys = exercise.right(*exercise.cases[0])
    if isinstance(keys, dict):
        yield "arguments by name", lambda *case: dict(zip(keys, case))
        for k in range(count):
            yield f"argument {k} by name", lambda *case, k=k: dict.fromkeys(keys, case[k])


@EACH
def test_an_answer_that_computes_nothing_of_the_question_fails(exercise):
    found = [name for name, strategy in of_arguments(exercise) if passes(exercise, strategy)]
    found += [value for value in CONSTANTS if passes(exercise, lambda *_, v=value: v)]
    assert not found


@EACH
def test_one_cases_right_answer_is_not_that_of_all(exercise):
    assert len(exercise.cases) > 1
    values = [exercise.right(*case) for case in exercise.cases]
    assert not [v for v in values if passes(exercise, lambda *_, v=v: v)]


@EACH
def test_what_is_near_the_right_answer_fails(exercise):
    found = []
    for name, f in OF_RIGHT.items():
        if passes(exercise, lambda *case, f=f: f(exercise.right(*case))):
            found.append(name)
    assert not found


# A step of SGD does not ask for the mask, nor E[h^2] - mu^2 for mu: that is the point of both.
NOT_NEEDED = {("02-3", 1), ("05-3", 0)}


@EACH
def test_every_argument_counts(exercise):
    ignored = set()
    for k, case in itertools.product(range(len(exercise.cases[0])), exercise.cases):
        fixed = case[k]
        if passes(exercise, lambda *own, k=k, v=fixed: exercise.right(*own[:k], v, *own[k + 1 :])):
            ignored.add((exercise.id, k))
    assert ignored == {one for one in NOT_NEEDED if one[0] == exercise.id}


def test_the_strategies_are_tried_and_would_be_seen():
    # 05-3 asks for sigma squared: of all exercises it alone is one operation on one argument.
    exercise = FUNCTIONS["05-3"]
    assert passes(exercise, lambda *case: np.square(case[1]))
    assert len([*of_arguments(exercise)]) == 2 * len(OF_ONE) + 2 * len(OF_TWO)
    assert len(FUNCTIONS) == 36


def test_no_case_of_the_greedy_choice_is_near_a_tie():
    for gradient, inside in ALL["04-2"].cases:
        first, second = ALL["04-1"].right(gradient).masked_fill(inside, 0).topk(2).values
        assert first > 1.01 * second
