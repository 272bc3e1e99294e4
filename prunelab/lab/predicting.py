"""A prediction: asked before a result, answered when the guess is made."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ipywidgets import HTML, Button, Dropdown, FloatText, HBox, VBox

from prunelab import checks
from prunelab.checks import is_number, shown

CHOOSE = "choose"


class Prediction(VBox):
    """A question, a control for the guess, and the answer; without a kernel, the question alone."""

    def _repr_mimebundle_(self, **options: object) -> dict:
        question = self.children[0].value
        page = (
            f"{question} <i>In a running notebook you answer here, and then see how near it is.</i>"
        )
        plain = re.sub("<[^>]*>", "", page)
        shown = super()._repr_mimebundle_(**options) or {}
        return shown | {"text/html": page, "text/plain": plain}


def predict(
    question: str,
    answer: str | float | None = None,
    *,
    claim: str = "",
    options: Sequence[str] = (),
    unit: str = "",
) -> Prediction | str:
    """Ask for a guess; the answer and how far off the guess was appear when it is made.

    Args:
        question: what to predict.
        answer: what was measured: one of `options`, or a number.
        claim: id of a printed number whose measured mean is the answer, in place of `answer`.
        options: to choose from; without any, a number is asked for.
        unit: of a number.

    Returns:
        A box to display; "not measured" of a claim without runs. `box.guess.value` and
        `box.button.click()` answer it from code.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: `answer` is none of the options, or no finite number without any; or there is
            no such claim.
    """
    for name, text in (("question", question), ("claim", claim), ("unit", unit)):
        checks.kind("predict", name, text, str, "a string")
    options = checks.listed("predict", "options", options, str, "texts to choose from")
    if claim:
        from prunelab.study import claims

        answer = claims.claim(claim).mean
        if answer is None:
            return "not measured"
    if options:
        checks.word("predict", "answer", answer, tuple(options))
    else:
        checks.need(is_number(answer), "predict", "answer", "a finite number", answer)
    wide = {"description_width": "initial"}
    guess = Dropdown(options=[CHOOSE, *options], style=wide) if options else FloatText(style=wide)
    button, said = Button(description="That is my guess"), HTML()
    box = Prediction([HTML(f"<b>Predict first.</b> {question}"), HBox([guess, button]), said])
    box.guess, box.button, box.said = guess, button, said

    typed: list[object] = []
    guess.observe(lambda change: typed.append(change["new"]), "value")

    def reveal(_: Button) -> None:
        if not typed or guess.value == CHOOSE:
            said.value = "Choose an answer first." if options else "Type a number first."
            return
        guess.disabled = button.disabled = True  # a guess is made once
        said.value = (
            _chosen(guess.value, str(answer)) if options else _off(guess.value, float(answer), unit)
        )

    button.on_click(reveal)
    return box


def _chosen(guess: str, answer: str) -> str:
    return f"{'Right' if guess == answer else f'You said {guess}'}: it is <b>{answer}</b>."


def _off(guess: float, answer: float, unit: str) -> str:
    if abs(guess - answer) <= 0.05 * abs(answer):
        return f"Near enough: it is <b>{answer:.4g}{unit}</b>."
    side = "high" if guess > answer else "low"
    off = f"{abs(guess - answer):.3g}{' points' if unit == '%' else unit}"
    return f"You said {shown(guess)}{unit}; it is <b>{answer:.4g}{unit}</b>: {off} too {side}."
