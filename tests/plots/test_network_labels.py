"""Short names of layers, and lines with rounded turns."""

from hypothesis import given, settings
from hypothesis import strategies as st

from prunelab.plots.network_labels import endings, fitted
from prunelab.plots.network_shapes import rounded


def test_a_name_is_cut_no_further_than_needed():
    names = ["features.conv1", "conv1"]
    assert fitted(names, 200, 10) == "features.conv1"
    assert fitted(names, 40, 10) == "conv1"
    assert fitted(["branch2.0"], 30, 10) == "b2.0"
    assert fitted(["classifier"], 36, 10) == "classi"
    assert fitted(["transition1"], 36, 10) == "trans1"


@settings(deadline=None)
@given(st.lists(st.from_regex(r"[a-z]{1,9}[0-9]{0,3}", fullmatch=True), min_size=1, max_size=5))
def test_a_label_fits_its_room(words):
    assert len(fitted([".".join(words)], 42, 10)) <= 7


def test_endings_tell_a_layer_from_the_others():
    names = ["layer1.0.conv1", "layer1.0.conv2", "layer2.0.conv1"]
    assert endings(names[1], names) == ["layer1.0.conv2", "0.conv2", "conv2"]
    assert endings(names[0], names) == ["layer1.0.conv1"]
    assert endings(names[0], names[:2], "layer1.0") == ["conv1"]
    assert endings("branch1.conv", ["branch2.0.conv"]) == ["branch1"]


def test_turns_are_rounded_and_ends_stay():
    path = rounded([(0, 0), (20, 0), (20, 30)])
    assert path == [("M", 0, 0), ("L", 15, 0), ("Q", 20, 0, 20, 5), ("L", 20, 30)]
