"""Every public function refuses wrong values in one line of its own, or takes them."""

import operator

import pytest
from helpers.valid_calls import CASES
from helpers.wrong import WRONG, fault
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import prunelab

PARTS = """
    cost data groups masks methods models plots scores sensitivity surgery train widgets
""".split()
SLOW = {"surgery.export_onnx", "widgets.explorer", "widgets.mask_player", "widgets.strength_player"}
# Made by the package, not by its users; classes of plain data; constants.
NO_CALLS = {
    "data.Dataset", "data.Photos", "data.Split", "groups.ChannelAxis", "groups.Flow",
    "train.Evaluation", "train.History", "sensitivity.Prediction", "sensitivity.Price",
}  # fmt: skip


def function_of(name):
    """A public function; of a method its verb, with its fields as in the table."""
    owner, _, verb = name.rpartition(".")
    if owner in CASES and owner.startswith("methods."):
        return getattr(operator.attrgetter(owner)(prunelab)(**CASES[owner]()), verb)
    return operator.attrgetter(name)(prunelab)


def caller_of(name):
    """What errors call a function."""
    owner, _, verb = name.rpartition(".")
    return owner.rpartition(".")[2] if verb in ("prune", "run") else verb


def test_the_table_has_every_public_function():
    public = {
        f"{part}.{name}" for part in PARTS
        for name in getattr(getattr(prunelab, part), "__all__", ())
        if callable(getattr(getattr(prunelab, part), name))
    }  # fmt: skip
    assert public - set(CASES) == NO_CALLS


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_wrong_value_is_taken_or_refused_in_one_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    function, make = function_of(name), CASES[name]
    pairs = st.tuples(st.sampled_from(list(make())), st.sampled_from(sorted(WRONG)))

    @settings(
        derandomize=True, max_examples=4 if name in SLOW else 25, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(pairs)
    def holds(pair):
        argument, kind = pair
        found = fault(function, caller_of(name), make, argument, kind)
        assert not found, f"{name}({argument}={kind}): {found}"

    holds()
