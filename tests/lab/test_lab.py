"""Exercises: solutions pass, typical wrong answers fail with their own message, stubs too."""

import random

import pytest
import torch

from prunelab import lab
from prunelab.lab.exercise import same
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


@EACH
def test_the_solution_passes(exercise, capsys):
    lab.check(exercise.id, answer(exercise, exercise.right))
    lab.check(exercise.id, exercise.right)  # a value may be asked for as a function of nothing
    assert capsys.readouterr().out == 2 * f"✓ {exercise.id}: right\n"


@EACH
def test_three_typical_wrong_answers_fail_each_with_its_own_message(exercise):
    texts = [said(exercise, answer(exercise, wrong)) for wrong, _ in exercise.mistakes]
    assert [text.partition(": ")[2] for text in texts] == [words for _, words in exercise.mistakes]
    assert len(exercise.mistakes) >= 3 and all(exercise.look not in text for text in texts)


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
    assert exercise.look in text or "has the shape of a single value" in text


@EACH
def test_what_an_exercise_asks_of_a_student_is_stated(exercise):
    assert exercise.difficulty in range(1, 6) and exercise.importance in range(1, 6)
    assert 1 <= exercise.minutes <= 30 and exercise.title


@EACH
def test_an_answer_cannot_change_the_cases(exercise):
    if exercise.is_value:
        return

    def spoils(*case):
        for value in case:
            if isinstance(value, torch.Tensor):
                value.zero_()
        return exercise.right(*case)

    said_first = exercise.wrong(spoils)
    assert exercise.wrong(exercise.right) is None and exercise.wrong(spoils) == said_first


def test_an_answer_that_raises_says_for_what():
    text = said(ALL["05-1"], lambda mu, sigma: mu / 0)
    assert text == "05-1: for 1, 0.5 it raises ZeroDivisionError: float division by zero"
    assert "takes 0 positional arguments" in said(ALL["05-1"], lambda: 0.0)


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


def test_a_prediction_is_answered_only_when_it_is_made():
    box = lab.predict("Which layer?", "conv1", options=["conv1", "conv2"])
    assert box.said.value == "" and "conv1" not in box.children[0].value
    box.button.click()
    assert box.said.value == "Choose an answer first."
    box.guess.value = "conv2"
    box.button.click()
    assert box.said.value == "You said conv2: it is <b>conv1</b>."
    box.guess.value = "conv1"
    box.button.click()
    assert box.said.value == "Right: it is <b>conv1</b>."


def test_the_answer_may_be_that_of_a_claim():
    box = lab.predict("How many times?", claim="dns/table1/lenet-5/compression", unit="x")
    box.guess.value = 200.0
    box.button.click()
    assert f"<b>{claims.claim('dns/table1/lenet-5/compression').mean:.4g}x</b>" in box.said.value
    assert lab.predict("How many?", claim="dns/table1/alexnet/compression") == "not measured"
    with pytest.raises(ValueError, match="no claim 'dns/x'"):
        lab.predict("How many?", claim="dns/x")


def test_a_guessed_number_is_told_how_far_off_it_is():
    box = lab.predict("How many?", 40.0, unit="%")
    for guess, words in ((50.0, "10% too high"), (10.0, "30% too low"), (41.0, "Right, to 5%")):
        box.guess.value = guess
        box.button.click()
        assert words in box.said.value and "<b>40%</b>" in box.said.value
