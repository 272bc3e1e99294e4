import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunelab.groups import Group, Groups, Slice
from prunelab.masks import Keep

GROUPS = Groups([Group("a", 4, (Slice("a.weight", 0, role="out"),))], {"z": "it is the output"})


def bools(*values):
    return torch.tensor(values, dtype=torch.bool)


def test_a_keep_does_not_follow_later_changes_of_its_source():
    source = bools(1, 0, 1, 1)
    keep = Keep({"a": source})
    source[:] = False
    assert keep["a"].tolist() == [True, False, True, True]


def test_widths_count_what_stays():
    keep = Keep({"a": bools(1, 0, 1, 1), "w": torch.ones(2, 3, dtype=torch.bool)})
    assert keep.widths() == {"a": 3, "w": 6}
    assert repr(keep) == "Keep(a 3/4, w 6/6)"


def test_keeps_are_equal_when_their_entries_are():
    assert Keep({"a": bools(1, 0)}) == Keep({"a": bools(1, 0)})
    assert Keep({"a": bools(1, 0)}) != Keep({"a": bools(0, 1)})
    assert Keep({"a": bools(1, 0)}) != Keep({"b": bools(1, 0)})
    assert Keep() != {}


@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 1, 3, 3)])
def test_json_gives_the_same_keep_back(shape):
    keep = Keep({"x.weight": torch.rand(shape) < 0.5, "none": torch.zeros(shape) > 1})
    assert Keep.from_json(keep.to_json()) == keep


@pytest.mark.parametrize("entry", [[True, False], torch.ones(4), torch.arange(4)])
def test_an_entry_that_is_no_bool_tensor_is_refused(entry):
    with pytest.raises(TypeError, match=r"^Keep: `a` must be a bool tensor.*; got "):
        Keep({"a": entry})


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"a": bools(1, 0)}, r"`a` must have 4 entries, got shape \(2,\)"),
        ({"a": torch.ones(4, 1, dtype=torch.bool)}, r"got shape \(4, 1\)"),
        ({"a": bools(0, 0, 0, 0)}, "all 4 channels of `a` would be removed; keep at least 1"),
        ({"b": bools(1, 0, 1, 1)}, "no group `b`; groups are a"),
        ({"z": bools(1, 0, 1, 1)}, "`z` cannot be pruned: it is the output"),
    ],
)
def test_check_refuses_what_does_not_fit_and_says_why(entries, words):
    with pytest.raises(ValueError, match=words):
        Keep(entries).check(GROUPS)


def test_check_returns_a_keep_that_fits():
    keep = Keep({"a": bools(1, 0, 1, 1)})
    assert keep.check(GROUPS) is keep


def entry(shape, kept):
    return json.dumps({"a": {"shape": shape, "kept": kept}})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        "null",
        '{"a": 1}',
        '{"a": {"shape": [2]}}',
        '{"a": {"shape": [2], "kept": [1], "more": 1}}',
        "[" * 100_000,
        entry([2], [5]),
        entry([2], [2]),
        entry([2], [-1]),
        entry([3], [1, 1]),
        entry([3], [2, 1]),
        entry([3], [True]),
        entry([3], [1.0]),
        entry([3], ["1"]),
        entry([-3], []),
        entry([-2, -2], [1]),
        entry([2.0], [1]),
        entry(3, [1]),
        entry(None, [1]),
        entry([10**12], [1]),
        entry([2**40, 2**40], []),
        entry([10**400], []),
        entry([[2]], [1]),
    ],
)
def test_text_that_to_json_did_not_write_is_refused(text):
    with pytest.raises(ValueError, match=r"^Keep: `text` must be written by to_json; got [^\n]*$"):
        Keep.from_json(text)


@pytest.mark.parametrize("text", [None, 5, b"{}", {"a": 1}, ["{}"]])
def test_what_is_no_text_is_refused(text):
    with pytest.raises(TypeError, match=r"^Keep: `text` must be a string; got "):
        Keep.from_json(text)


PARTS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
KEYS = st.sampled_from(["shape", "kept", "a"])
JSON = st.recursive(PARTS, lambda x: st.lists(x) | st.dictionaries(KEYS, x), max_leaves=8)


@settings(deadline=None, max_examples=60)
@given(JSON)
def test_any_json_is_a_keep_that_comes_back_or_is_refused(value):
    text = json.dumps({"a": value})
    try:
        keep = Keep.from_json(text)
    except ValueError as error:
        assert str(error).startswith("Keep: `text` must be ") and "\n" not in str(error)
    else:
        assert Keep.from_json(keep.to_json()) == keep


@pytest.mark.parametrize("groups", [None, {}, "a", {"a": 4}])
def test_a_keep_is_checked_against_groups_only(groups):
    with pytest.raises(TypeError, match=r"^Keep: `groups` must be Groups, .*; got "):
        Keep({"a": bools(1, 0)}).check(groups)


@pytest.mark.parametrize(
    "entries",
    [
        {5: bools(1)},
        {None: bools(1)},
        {"a": bools(1).to("meta")},
        {"a": bools(1, 0).to_sparse()},
        {"a": [True]},
        {"a": None},
    ],
)
def test_entries_of_other_kinds_are_refused(entries):
    with pytest.raises(TypeError, match=r"^Keep: .* must be .*; got "):
        Keep(entries)


def test_what_a_keep_gives_out_does_not_change_it():
    keep = Keep({"a": torch.tensor([True, False])})
    keep["a"][0] = False
    assert keep["a"].tolist() == [True, False]


@pytest.mark.parametrize("entries", [None, [True], torch.ones(2).bool(), "conv1"])
def test_what_is_no_mapping_is_no_keep(entries):
    with pytest.raises(
        TypeError, match="Keep: `entries` must be a mapping of names to bool tensors; got "
    ):
        Keep(entries)
