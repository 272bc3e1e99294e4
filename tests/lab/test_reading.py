"""Code for reading: what runs is shown, checks and long docstrings are not."""

import ast

import pytest

from prunelab import lab, scores
from prunelab.methods import filter_norm, recursive_bayesian
from prunelab.methods.gating import gates
from prunelab.methods.masking import weights


def test_the_checks_of_arguments_go_and_the_rest_stays():
    shown = lab.source(scores.filter_norm)
    text = repr(shown)
    assert (
        "checks." not in text
        and len(text.splitlines()) == 3
        and "Args:" not in text
        and "Raises:" not in text
    )
    assert "torch.linalg.vector_norm(weight.detach().movedim(axis, 0).flatten(1), p, dim=1)" in text
    assert "Importance of each filter: the p-norm of its weights." in text
    assert shown._repr_markdown_() == f"```python\n{text}\n```"


@pytest.mark.parametrize(
    "thing",
    [
        scores.filter_norm, scores.kept, scores.best, filter_norm.FilterNorm,
        filter_norm.FilterNorm._keep, recursive_bayesian.RecursiveBayesian._run,
        gates.NormalGate.sample, gates.Gated.fold, weights.Mask.forward,
    ],
)  # fmt: skip
def test_what_is_shown_is_python(thing):
    text = repr(lab.source(thing))
    assert ast.parse(text).body and "# fmt" not in text


def test_several_stand_below_one_another():
    one, other = scores.kept, scores.best
    assert repr(lab.source(one, other)) == f"{lab.source(one)!r}\n\n{lab.source(other)!r}"


@pytest.mark.parametrize(
    ("things", "error", "words"),
    [
        ((3,), TypeError, "`thing` must be a function of a Python file; got 3"),
        ((scores.kept, len), TypeError, "must be a function of a Python file; got <built-in"),
    ],
)
def test_bad_input_is_one_line(things, error, words):
    with pytest.raises(error, match=words) as found:
        lab.source(*things)
    assert "\n" not in str(found.value)
