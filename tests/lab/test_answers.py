"""What an answer may do without harm, and how numbers are compared."""

import re
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from prunelab import lab

ALL = {e.id: e for number in lab.NUMBERS for e in lab.exercises(number).values()}
EACH = pytest.mark.parametrize("exercise", ALL.values(), ids=ALL)


def said(name, given):
    with pytest.raises(lab.Wrong) as error:
        lab.check(name, given)
    return str(error.value)


def spoil(value):
    """Change whatever can be changed."""
    if isinstance(value, torch.Tensor):
        value.zero_()
    elif isinstance(value, dict):
        for part in value.values():
            spoil(part)
        value.clear()
        value["spoilt"] = 0
    elif isinstance(value, list):
        value.clear()
        value.append(0)


@EACH
def test_an_answer_cannot_change_the_cases(exercise):
    before = repr(exercise.cases)

    def spoils(*case):
        for value in case:
            spoil(value)
        return 1

    assert exercise.wrong(spoils) is not None
    assert repr(exercise.cases) == before and exercise.wrong(exercise.right) is None


def test_an_answer_cannot_change_the_bench():
    scan, digits = lab.curves(), lab.digits()
    scan["accuracy"] = 0.0
    scan.attrs["whole"]["macs"] = 1
    digits.val.images.zero_()
    assert lab.curves().accuracy.min() > 0 and lab.curves().attrs["whole"]["macs"] > 1
    assert lab.digits().val.images.any()
    for name in ("10-4", "10-5", "10-7"):
        assert ALL[name].wrong(ALL[name].right) is None


class OddError(BaseException):
    """As little an Exception as SystemExit is."""


@EACH
def test_an_answer_that_ends_the_program_is_wrong_in_one_line(exercise):
    for error in (SystemExit, GeneratorExit, OddError):

        def leaves(*_, error=error):
            raise error

        text = said(exercise.id, leaves)
        assert re.search(rf"it raises {error.__name__} \(line \d of it\)$", text)
        assert "\n" not in text
    assert "it raises SystemExit: bye" in said(exercise.id, lambda *_: sys.exit("bye"))


def test_an_interrupt_stays_one():
    def long(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.check("11-2", long)


class Strange:
    """What no comparison survives."""

    def _fails(self, *_):
        raise IndexError("inside")

    __eq__ = __array__ = __len__ = __iter__ = __float__ = __getitem__ = _fails
    __hash__ = object.__hash__
    __repr__ = _fails


STRANGE = (
    *(Strange(), [Strange()], {"accuracy": Strange()}, np.array([None]), iter([]), {}, b"9", 1j),
    *(pd.DataFrame(), torch.empty(0), [[1], [1, 2]], "9.03", range(3), float("nan")),
)


@EACH
def test_whatever_is_handed_in_the_answer_is_one_line(exercise):
    for strange in STRANGE:
        given = strange if exercise.is_value else lambda *_, strange=strange: strange
        text = exercise.wrong(given)
        assert text and "\n" not in text
    if not exercise.is_value:
        assert exercise.wrong(Strange()) == "the answer must be a function, got Strange"


def test_a_check_that_breaks_says_so_in_one_line():
    broken = dict(lab.exercises("11"))["11-2"]

    def breaks(*_):
        raise IndexError("list index out of range")

    object.__setattr__(broken, "mistakes", ((breaks, "never"), *(kept := broken.mistakes)))
    try:
        text = said("11-2", lambda places, bits: 1)
        assert text.startswith("11-2: it cannot be compared (IndexError); an entry that skips")
        lab.check("11-2", broken.right)
    finally:
        object.__setattr__(broken, "mistakes", kept)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("01-4", 9.03), ("01-4", 9.032), ("02-4", 56), ("02-4", 56.0), ("02-4", 56.01),
        ("03-3", 16.98), ("03-3", 16.976), ("06-3", 6), ("00-1", 903_168.0),
        ("02-4", np.float32(56)), ("03-3", torch.tensor(16.98)),
    ],
)  # fmt: skip
def test_a_number_rounded_as_papers_print_it_is_right(name, given):
    lab.check(name, given)
    lab.check(name, lambda: given)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("01-4", 9.0, "that is right, but rounded: give 2 decimals or more"),
        ("03-3", 17, "that is right, but rounded: give 2 decimals or more"),
        ("03-3", 17.0, "that is right, but rounded: give 2 decimals or more"),
        ("03-3", 16.97, "the rounding differs, not the idea; give 2 decimals or more"),
        ("01-4", 9.04, "the rounding differs, not the idea; give 2 decimals or more"),
        ("02-4", 56.3, "the rounding differs, not the idea; give a whole number, or decimals"),
        ("00-1", 903_000, "the rounding differs, not the idea; give all digits"),
        ("02-4", 55.92, "biases count as parameters too"),
        ("01-4", 6.02, "the next layer reads half as many maps"),
        ("00-2", 903_168, "this is the first layer as a whole, as in 00-1"),
        ("06-3", 3.5, "5% of all pairs"),
        ("01-4", "9.03", "a number is asked for, not a text"),
    ],
)
def test_a_wrong_number_is_named_and_told_whether_only_its_rounding_differs(name, given, words):
    text = said(name, given)
    number = repr(given) if isinstance(given, str) else f"{given:.6g}"
    assert text.startswith(f"{name}: you gave {number}; ") and words in text


def deviation(correct, images):
    share = correct / images
    return (share * (1 - share) / images) ** 0.5


def test_the_exact_factor_of_a_normal_interval_is_right_and_two_is_told():
    lab.check("10-2", lambda c, n: 1.959964 * deviation(c, n))
    lab.check("10-2", lambda c, n: stats.norm.ppf(0.975) * deviation(c, n))
    assert said("10-2", lambda c, n: 2 * deviation(c, n)).endswith("take 1.96")
    rounded = said("10-2", lambda c, n: round(1.96 * deviation(c, n), 3))
    assert rounded.endswith("that is right, but rounded: give all digits")


def test_students_factor_from_a_table_is_right():
    factors = {3: 4.303, 5: 2.776}

    def difference(one, other):
        apart = np.subtract(one, other)
        return apart.mean(), factors[len(apart)] * apart.std(ddof=1) / len(apart) ** 0.5

    lab.check("10-11", difference)


def test_what_is_read_by_eye_may_be_three_points_off():
    seen = ALL["08-3"].right()
    lab.check("08-3", {name: value + 2.5 for name, value in seen.items()})
    lab.check("08-3", {name: round(value - 2.4) for name, value in seen.items()})
    for name in seen:
        assert f"08-3: {name!r} is " in said("08-3", seen | {name: seen[name] + 4})


def test_a_plan_is_compared_with_the_solvers(capsys):
    solved = ALL["10-7"].right()
    lab.check("10-7", solved)
    out = capsys.readouterr().out
    assert "level with the solver's plan; measured" in out and ", level with it (95%" in out
    lab.check("10-7", {"conv1": 0.5, "conv2": 0.4})
    out = capsys.readouterr().out
    assert re.search(r"[\d.]+ points behind the solver's plan; measured, without fine-tuning", out)
    assert re.search(r"(ahead of|behind|level with) it \(95% interval .* to .* points\)\n$", out)
    assert "the solver's plan" in said("10-7", dict.fromkeys(lab.groups(), 0.5))
