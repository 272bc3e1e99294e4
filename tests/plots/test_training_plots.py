"""What a training costs, as bars: one for each recipe, in the order in which it is trained."""

import pandas as pd
import pytest
from helpers.valid_calls import COSTS

from prunelab import plots

MORE = pd.concat([COSTS, pd.DataFrame({"recipe": ["b"], "when": ["during"], "eflop": [4.0]})])


def test_a_bar_is_made_of_the_trainings_before_during_and_after():
    (ax,) = plots.training_costs(MORE, "a title", chosen="b").axes
    before, during, after = (
        [(bar.get_x(), bar.get_width()) for bar in bars] for bars in ax.containers
    )
    assert before == [(0, 2), (0, 0)] and during == [(2, 0), (0, 4)] and after == [(2, 1), (4, 0)]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b"]
    assert [text.get_weight() for text in ax.get_yticklabels()] == ["normal", "bold"]
    assert [text.get_text() for text in ax.texts] == [" 3", " 4"]
    assert ax.get_xlabel() == "operations (EFLOP)"


def test_hours_are_drawn_from_a_column_of_their_own():
    (ax,) = plots.training_costs(COSTS.assign(hours=[6.0, 3.0]), unit="hours").axes
    assert (ax.get_xlabel(), ax.texts[0].get_text()) == ("hours", " 9")


def test_without_recipes_nothing_is_measured():
    assert "not measured" in plots.training_costs(COSTS[:0], "t").axes[0].texts[0].get_text()


def test_another_time_is_refused():
    with pytest.raises(ValueError, match=r"`costs\.when` must be one of before, during, after"):
        plots.training_costs(COSTS.assign(when="then"))
