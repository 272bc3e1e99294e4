"""Exercises: solutions pass, typical wrong answers fail with their own message, stubs too."""

import random
import re

import pytest
import torch

from prunelab import lab
from prunelab.checks import is_number
from prunelab.lab.answers import same, told
from prunelab.methods.discrimination import greedy, places
from prunelab.study import claims

ALL = {e.id: e for number in lab.NUMBERS for e in lab.exercises(number).values()}
EACH = pytest.mark.parametrize("exercise", ALL.values(), ids=ALL)


def answer(exercise, of):
    """A function, or the value that it gives."""
    return of() if exercise.is_value else of


def said(exercise, given):
    with pytest.raises(lab.Wrong) as error:
        lab.check(exercise.id, given)
    text = str(error.value)
    assert text.startswith(f"{exercise.id}: ") and "\n" not in text
    return text


def gave(exercise, of):
    """What a message says first of a number: the number itself."""
    value = of() if exercise.is_value else None
    return f"you gave {told((value,))}; " if is_number(value) else ""


@EACH
def test_the_solution_passes(exercise, capsys):
    lab.check(exercise.id, answer(exercise, exercise.right))
    lab.check(exercise.id, exercise.right)  # a value may be asked for as a function of nothing
    first, *others = capsys.readouterr().out.splitlines()
    assert others == [first]
    assert re.fullmatch(rf"✓ {exercise.id}: right(; predicted .*)?", first)


@pytest.mark.parametrize(
    ("exercise", "function"),
    [
        ("04-1", lambda gradient: greedy.SCORES["sum"](gradient.flatten(2).square().sum(2))),
        ("04-3", places.positions),
    ],
)
def test_what_the_library_itself_does_is_right(exercise, function):
    lab.check(exercise, function)


@EACH
def test_three_typical_wrong_answers_fail_each_with_its_own_message(exercise):
    texts = [said(exercise, answer(exercise, wrong)) for wrong, _ in exercise.mistakes]
    heads = [f"{exercise.id}: {gave(exercise, wrong)}" for wrong, _ in exercise.mistakes]
    assert texts == [head + words for head, (_, words) in zip(heads, exercise.mistakes)]
    assert len({*texts}) == len(texts) >= 3 and all(exercise.look not in text for text in texts)


@EACH
def test_a_stub_is_not_answered_yet(exercise):
    def stub(*_):
        raise NotImplementedError

    assert said(exercise, None).endswith("it is not answered yet")
    assert said(exercise, stub).endswith("it is not answered yet")
    assert said(exercise, lambda *_: None).endswith("the function returns nothing")
    if not exercise.is_value:
        assert said(exercise, 3).endswith("the answer must be a function, got 3")


@EACH
def test_any_other_wrong_answer_is_told_where_to_look(exercise):
    strange = random.Random(0).random() + 1e6
    text = said(exercise, answer(exercise, lambda *_: strange))
    known = ("has the shape of a single value", "return a dict with the keys")
    assert exercise.look in text or any(words in text for words in known)


@EACH
def test_what_an_exercise_asks_of_a_student_is_stated(exercise):
    assert exercise.difficulty in range(1, 6) and exercise.importance in range(1, 6)
    assert 1 <= exercise.minutes <= 30 and exercise.title


class BrokenError(Exception):
    def __str__(self):
        raise ValueError


def breaks(*_):
    raise BrokenError


@EACH
@pytest.mark.parametrize(
    "strange",
    [torch.tensor(1.0, dtype=torch.bfloat16), 10**5000, torch.empty(2, device="meta"), {"z": ...}],
    ids=["bfloat16", "huge", "meta", "mapping"],
)
def test_a_strange_answer_is_wrong_and_no_crash(exercise, strange):
    said(exercise, answer(exercise, lambda *_: strange))
    said(exercise, breaks)


def test_an_answer_that_raises_says_for_what():
    text = said(ALL["05-1"], lambda mu, sigma: mu / 0)
    assert text == (
        "05-1: for 1, 0.5 it raises ZeroDivisionError: float division by zero (line 1 of it)"
    )
    assert "takes 0 positional arguments" in said(ALL["05-1"], lambda: 0.0)
    assert "10-5: it raises" in said(ALL["10-5"], lambda: 1 / 0)  # without arguments


def test_a_stub_that_an_answer_calls_is_not_this_answers_fault():
    def stub():
        raise NotImplementedError

    assert said(ALL["10-12"], lambda results: stub()).endswith(
        "it calls something not answered yet"
    )


def test_an_answer_of_several_parts_is_told_which_one_is_wrong():
    exercise = ALL["10-1"]
    keys = "10-1: return a dict with the keys 'parameters', 'MACs'; got "
    assert said(exercise, lambda *case: (25_050, 1_600_000)).startswith(keys)
    assert said(exercise, lambda *case: {"macs": 1}).startswith(keys)
    wrong = said(exercise, lambda *case: exercise.right(*case) | {"MACs": 7})
    assert wrong.startswith("10-1: for 20, 50, 5, 8 'MACs' is 7; ")


def test_pairs_may_be_lists_and_what_is_no_pair_is_no_crash():
    exercise = ALL["10-12"]
    assert exercise.wrong(lambda r: [list(pair) for pair in exercise.right(r)]) is None
    for strange in ([[["a"]]], [{}], 3, [3], "ab"):
        assert exercise.look in said(exercise, lambda r, strange=strange: strange)


def test_a_plan_is_judged_by_what_the_curves_predict_and_told_the_numbers():
    text = said(ALL["10-7"], {"conv1": 0.9})
    assert re.search(r"predicted [\d.]+% with 25.9% of the MACs; \d+% of every group is", text)
    for one in range(1, 100):
        plan = dict.fromkeys(lab.groups(), one / 100)  # no single ratio is enough
        assert ALL["10-7"].wrong(plan) is not None


def test_a_shape_that_differs_is_named():
    text = said(ALL["01-2"], lambda weight: weight.abs().sum())
    assert text == "01-2: the answer has the shape of a single value, not (4,)"
    text = said(ALL["01-2"], lambda weight: weight.abs().sum(3))
    assert text == "01-2: the answer has the shape (4, 3, 3), not (4,)"


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (0.1 + 0.2, 0.3, True), (1, 1.0, True), (torch.tensor(2.0), 2, True),
        ("Right ", "right", True),
        ([1, 2], (1.0, 2.0), True), (1.001, 1.0, False), ("1", 1, False), (None, 1, False),
        ([1, 2], [1, 2, 3], False), (True, 1, True), ({"a": 1.0}, {"a": 1}, True),
        ({"a": 1}, {}, False),
        (["x", "y"], {"y", "x"}, True), (object(), 1.0, False),
        (torch.tensor([True, False]), [1, 0], True), (float("nan"), 1.0, False),
    ],
)  # fmt: skip
def test_answers_are_compared_as_numbers(one, other, equal):
    assert same(one, other) is equal


def test_a_wrong_answer_is_one_line_in_a_notebook():
    assert lab.Wrong("01-1: no")._render_traceback_() == ["✗ 01-1: no"]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: lab.check("01-9", 1), ValueError, "`name` must be one of 01-1, 01-2"),
        (lambda: lab.check("77-1", 1), ValueError, "`name` must be one of 00-1, 00-2"),
        (lambda: lab.check(1, 1), TypeError, "`name` must be the id of an exercise; got 1"),
        (lambda: lab.exercises("1"), ValueError, "`number` must be one of 00, 01"),
        (lambda: lab.predict(3, 1.0), TypeError, "`question` must be a string; got 3"),
        (lambda: lab.predict("?", "c", options=["a", "b"]), ValueError, "one of a, b; got 'c'"),
        (lambda: lab.predict("?", float("nan")), ValueError, "`answer` must be a finite number"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(call, error, words):
    with pytest.raises(error, match=words) as found:
        call()
    assert "\n" not in str(found.value)


def guessed(box, guess=None):
    """What is said when a guess is made."""
    if guess is not None:
        box.guess.value = guess
    box.button.click()
    return box.said.value


def test_a_prediction_is_answered_only_when_it_is_made_and_once():
    def asked():
        return lab.predict("Which layer?", "conv1", options=["conv1", "conv2"])

    box = asked()
    assert box.said.value == "" and "conv1" not in box.children[0].value
    assert guessed(box) == "Choose an answer first." and not box.button.disabled
    assert guessed(box, "conv2") == "You said conv2: it is <b>conv1</b>."
    assert box.button.disabled and box.guess.disabled
    assert guessed(asked(), "conv1") == "Right: it is <b>conv1</b>."
    number = lab.predict("How many?", 0.0)
    assert guessed(number) == "Type a number first."
    number.guess.value = 1.0
    assert guessed(number, 0.0) == "Near enough: it is <b>0</b>."


def test_a_reader_without_a_kernel_sees_the_question_and_no_answer():
    bundle = lab.predict("Which <b>layer</b>?", "conv1", options=["conv1"])._repr_mimebundle_()
    assert "Which <b>layer</b>?" in bundle["text/html"] and "conv1" not in bundle["text/html"]
    assert bundle["text/plain"].startswith("Predict first. Which layer? In a running notebook")
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_the_answer_may_be_that_of_a_claim():
    box = lab.predict("How many times?", claim="dns/table1/lenet-5/compression", unit="x")
    mean = claims.claim("dns/table1/lenet-5/compression").mean
    assert f"<b>{mean:.4g}x</b>" in guessed(box, 200.0)
    assert lab.predict("How many?", claim="dns/table1/alexnet/compression") == "not measured"
    with pytest.raises(ValueError, match="no claim 'dns/x'"):
        lab.predict("How many?", claim="dns/x")


@pytest.mark.parametrize(
    ("guess", "words"),
    [(50.0, "10 points too high"), (10.0, "30 points too low"), (41.0, "Near enough")],
)
def test_a_guessed_number_is_told_how_far_off_it_is(guess, words):
    said_now = guessed(lab.predict("How many?", 40.0, unit="%"), guess)
    assert words in said_now and "<b>40%</b>" in said_now
