"""The hours of a recipe without a kernel: set values, look at what follows."""

import pytest
from helpers.valid_calls import COSTS
from helpers.widget_text import is_picture, text_of

from prunelab import widgets
from prunelab.widgets.frame import png


def box():
    return widgets.hours_setter(COSTS, 8, 100.0, 0.5)


def test_it_starts_with_the_figure_before_it_and_what_was_given():
    one = box()
    assert (one.recipe.value, one.gpus.value, one.teraflops.value) == ("a", 8, 100)
    assert is_picture(one.picture.value)
    # 3e18 operations at 8 x 50e12 a second.
    assert "together 3.00 2.1" in text_of(one.text)
    assert is_picture(png(widgets.hours_figure(COSTS, 8, 100.0, 0.5)))


def test_half_of_the_gpus_or_of_the_utilisation_take_twice_as_long():
    one = box()
    first = one.picture.value
    one.gpus.value = 4
    assert "together 3.00 4.2" in text_of(one.text) and one.picture.value != first
    one.utilisation.value = 0.25
    assert "together 3.00 8.3" in text_of(one.text)
    one.teraflops.value = 200
    assert "before 2.00 2.8 after 1.00 1.4 together 3.00 4.2" in text_of(one.text)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"gpus": 3}, "`gpus` must be one of 1, 2, 4, 8, 16, 32, 64; got 3"),
        ({"utilisation": 0}, r"`utilisation` must be in \(0, 1\]; got 0"),
        ({"costs": COSTS[:0]}, "`costs` is empty"),
    ],
)
def test_bad_input_is_one_line(how, words):
    with pytest.raises(ValueError, match=words):
        widgets.hours_setter(**{"costs": COSTS} | how)
