"""Rows, notes and networks that a kill or a full disk has damaged: measured again, or one line."""

import errno
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_ledger import COUNT, TRAINED, measured, row_of, run_folder  # noqa: F401

from prunelab.study import ledger, rows
from prunelab.study.recipes import Recipe
from prunelab.study.work import Work

GOOD = json.dumps(row_of(COUNT)).encode()
OTHER = json.dumps(row_of(COUNT, key="other")).encode()
HARMLESS = {
    "as it is": GOOD + b"\n",
    "a blank line": b"\n" + GOOD + b"\n \t\n",
    "many blank lines": GOOD + b"\n\n\n\n",
    "windows line ends": GOOD + b"\r\n",
    "a line cut off": GOOD + b"\n" + GOOD[:50],
    "garbage cut off": GOOD + b"\n\xff\xfe",
    "zeros after a power cut": GOOD + b"\n" + b"\0" * 200,
}
FAULTS = {
    b"garbage": "it is not JSON",
    b"\xff\xfe\0": "it is not JSON",
    b'{"key": "\xff"}': "it is not JSON",
    b"\0" * 20: "it is not JSON",
    b"[" * 100_000: "it is not JSON",
    b"[1]": "it has no fields",
    b"3": "it has no fields",
    b'{"key": "a"}': "its `values` is null",
    b'{"key": [1], "values": {}}': r"its `key` is \[1\]",
}
FAULTS |= {
    json.dumps(
        {k: v for k, v in row_of(COUNT).items() if k != name}
    ).encode(): f"its `{name}` is null"
    for name in rows.FIELDS
}
FAULTS |= {
    json.dumps(row_of(COUNT, **{name: value})).encode(): rf"its `{name}` is {shown}"
    for name, value, shown in (
        ("date", None, "null"),
        ("seed", "0", '"0"'),
        ("values", [], r"\[\]"),
        ("label", 5, "5"),
    )
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_does_no_harm_is_read_and_appended_to(name, tmp_path):
    path = tmp_path / "toy.jsonl"
    path.write_bytes(HARMLESS[name])
    assert rows.read(path) == [row_of(COUNT)]
    rows.append(path, row_of(COUNT, key="other"))
    assert [row["key"] for row in rows.read(path)] == [COUNT.key, "other"]
    assert path.read_bytes().endswith(b"}\n")


@pytest.mark.parametrize("line", FAULTS, ids=lambda line: repr(line[:20]))
def test_a_line_that_is_no_row_is_named_with_the_remedy(line, tmp_path):
    path = tmp_path / "toy.jsonl"
    path.write_bytes(GOOD + b"\n\n" + line + b"\n" + OTHER + b"\n")
    told = (
        rf"^ledger: line 3 of `.*toy\.jsonl` is not a row \(.*{FAULTS[line]}.*\); delete that line,"
    )
    with pytest.raises(ValueError, match=told) as error:
        rows.read(path)
    assert "\n" not in str(error.value)
    path.write_bytes(path.read_bytes().replace(line + b"\n", b""))  # the remedy
    assert [row["key"] for row in rows.read(path)] == [COUNT.key, "other"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(at=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255))
def test_one_byte_changed_is_a_row_or_one_line(at, byte, tmp_path):
    path = tmp_path / "toy.jsonl"
    path.write_bytes(GOOD[:at] + bytes([byte]) + GOOD[at + 1 :] + b"\n")
    try:
        assert all(rows.fault(row) is None for row in rows.read(path))
    except ValueError as error:
        assert str(error).startswith("ledger: line ") and "\n" not in str(error)


def test_a_full_disk_takes_no_half_row(tmp_path, monkeypatch):
    path = tmp_path / "toy.jsonl"
    rows.append(path, row_of(COUNT))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        told = r"^ledger\.append: cannot write `.*toy\.jsonl` \(No space "
        with pytest.raises(OSError, match=told):
            rows.append(path, row_of(COUNT, key="other"))
    assert path.read_bytes().count(b"\n") == 1 and path.read_bytes().endswith(b"\n")
    rows.append(path, row_of(COUNT, key="third"))
    assert [row["key"] for row in rows.read(path)] == [COUNT.key, "third"]


def test_a_folder_that_cannot_be_written_is_one_line(run_folder):  # noqa: F811
    run_folder.write_text("a file")
    for write in (
        lambda: rows.append(ledger.folder() / "toy.jsonl", row_of(COUNT)),
        lambda: Work(folder=run_folder / "partial").keep([{}]),
        lambda: measured(TRAINED),
    ):
        with pytest.raises(
            OSError, match=r"cannot write `.*`.*; free some space, or name"
        ) as error:
            write()
        assert "\n" not in str(error.value)


def test_notes_or_networks_that_are_damaged_are_made_again(run_folder):  # noqa: F811
    recipe = replace(TRAINED, budget=replace(TRAINED.budget, epochs=0.3))
    (first,) = measured(recipe)
    (stored,) = (run_folder / "checkpoints").glob("*.safetensors")
    whole, history = stored.read_bytes(), stored.with_suffix(".json")
    for text in ("", "{", "\0" * 30):
        history.write_text(text)
        with pytest.warns(UserWarning, match=r"^ledger: .*the network is trained again$"):
            (again,) = measured(recipe, True)
        assert again["values"]["history"] == first["values"]["history"]
    for content in (whole[:-9], whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]):
        stored.write_bytes(content)
        with pytest.warns(UserWarning, match=r"^ledger: .*the network is trained again$"):
            (again,) = measured(recipe, True)
        assert again["values"]["history"] == first["values"]["history"]
        assert len(stored.read_bytes()) == len(whole)
    history.unlink()  # a kill between the two files
    assert measured(recipe, True)[0]["values"]["history"] == first["values"]["history"]


@pytest.mark.parametrize(
    "text", ["", "[", "{}", "5", "null", "[1]", '[{"step": 1}]', '[{"step": 1, "kept": 2}, {}]']
)
def test_points_are_kept_for_going_on_and_measured_again_if_damaged(text, tmp_path):
    work = Work(folder=tmp_path / "partial")
    assert work.points("step", "kept") == []
    work.keep([{"step": 1, "kept": 5}])
    assert work.points("step", "kept") == [{"step": 1, "kept": 5}]
    (tmp_path / "partial" / "points.json").write_text(text)
    with pytest.warns(UserWarning, match=r"points\.json.*; it is measured again$"):
        assert work.points("step", "kept") == []
    work.done()
    assert work.points() == [] and Work().points() == []


@pytest.mark.parametrize("value", [None, 5, "x", [None], [5], [COUNT, "x"], {"a": 1}, {COUNT, 5}])
def test_what_is_no_recipe_is_one_line_and_measures_nothing(value, run_folder):  # noqa: F811
    with pytest.raises(
        TypeError, match=r"^ledger\.run: `recipes` must be a Recipe or several; got"
    ):
        ledger.run(value, "missing")
    assert not run_folder.exists()


@pytest.mark.parametrize(
    "field",
    [{"preset": "huge"}, {"preset": ["quick"]}, {"stem": "../x"}, {"stem": ""}, {"stem": None},
     {"seed": -1}, {"seed": 1.0}, {"seed": True}],
)  # fmt: skip
def test_a_recipe_of_another_kind_is_one_line(field):
    with pytest.raises(ValueError, match=rf"^recipe: `{next(iter(field))}` must be "):
        replace(TRAINED, **field)


def test_a_recipe_that_no_key_can_be_made_of_is_refused():
    for odd in ({1, 2}, float("nan"), object()):
        task = replace(COUNT.task, classes=odd)
        with pytest.raises((TypeError, ValueError), match="JSON"):
            _ = replace(COUNT, task=task).key


def test_unknown_data_and_models_are_one_line(run_folder):  # noqa: F811
    for field, told in (
        ({"data": "mnits"}, "must be one of digits"),
        ({"model": "lenet"}, "lenet-5"),
    ):
        recipe: Recipe = replace(TRAINED, **field)
        with pytest.raises(ValueError, match=told) as error:
            measured(recipe)
        assert "\n" not in str(error.value)
        assert ledger.rows("toy") == []


def test_a_look_up_reads_the_rows_of_its_keys_alone(tmp_path):
    path = tmp_path / "toy.jsonl"
    for number in range(5):
        rows.append(path, row_of(COUNT, key=f"k{number}"))
    spaced = json.dumps(row_of(COUNT, key="k9"), separators=(" ,", " : ")).encode()
    path.write_bytes(path.read_bytes() + b"damaged\n" + spaced + b"\n")
    assert [row["key"] for row in rows.read(path, ["k3", "k9", "k"])] == ["k3", "k9"]
    assert rows.read(path, []) == []
    with pytest.raises(ValueError, match="line 6"):
        rows.read(path)


@given(st.binary(max_size=40), st.integers(1, 9))
def test_what_follows_the_last_whole_line_goes_however_long_it_is(rest, block):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "BLOCK", block)
        path = Path(folder) / "toy.jsonl"
        path.write_bytes(b"\n" + rest.replace(b"\n", b""))
        rows.append(path, row_of(COUNT))
        assert rows.read(path) == [row_of(COUNT)]
