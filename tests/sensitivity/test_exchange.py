"""CSV exchange: everything survives in our own form, Distiller's form is read and written."""

import csv
import math
import os

import numpy as np
import pandas as pd
import pytest
from helpers.curves import frames, priced
from helpers.toy import network, split
from hypothesis import given, settings
from hypothesis import strategies as st

from prunelab.sensitivity import scan
from prunelab.sensitivity.budget.prediction import predict
from prunelab.sensitivity.budget.price import Price
from prunelab.sensitivity.budget.solver import solve
from prunelab.sensitivity.exchange import from_csv, to_csv

# As Distiller's csv.writer leaves it: lines end in \r\n.
DISTILLER = (
    "parameter,sparsity,top1,top5,loss\r\n"
    "features.module.0.weight,0.0,56.518,79.07,1.9159\r\n"
    "features.module.0.weight,0.05,56.492,79.1,1.9161\r\n"
    "fc,0.1,35.424,,3.0866\r\n"
)


def curves():
    made = Price({"conv1": 8, "fc": 11}, {("conv1",): 2}, {("conv1", "fc"): 10, (): 7})
    return priced(made, 40, [("conv1", 0.25, 38), ("conv1", 0.6, 30), ("fc", 0.5, 28)])


def back(frame, folder, style="prunelab"):
    to_csv(frame, folder / "curves.csv", style)
    return from_csv(folder / "curves.csv")


def test_a_scan_survives_with_types_values_and_attrs(tmp_path):
    frame = scan(network(), split(20), ratios=[0.0, 0.3, 0.6], progress=False)
    frame.attrs["whole"] = {"accuracy": 1 / 3, "images": np.int64(20), "note": "é \n"}
    again = back(frame, tmp_path)
    pd.testing.assert_frame_equal(again, frame, check_exact=True)
    assert again.attrs == frame.attrs


def test_what_is_read_solves_and_predicts_as_before(tmp_path):
    again = back(curves(), tmp_path)
    assert solve(again, macs=0.5) == solve(curves(), macs=0.5)
    assert predict(again, {"conv1": 0.4}) == predict(curves(), {"conv1": 0.4})


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(TEXT, st.floats(), st.integers(-(2**63), 2**63 - 1)), max_size=4))
def test_every_text_and_number_survives(tmp_path_factory, rows):
    frame = pd.DataFrame(rows, columns=["group", "x", "n"]).astype(
        {"group": "str", "x": "float64", "n": "int64"}
    )
    again = back(frame, tmp_path_factory.mktemp("csv"))
    pd.testing.assert_frame_equal(again, frame, check_exact=True)


@settings(deadline=None, max_examples=30)
@given(frames())
def test_random_curves_survive(tmp_path_factory, frame):
    again = back(frame, tmp_path_factory.mktemp("csv"))
    pd.testing.assert_frame_equal(again, frame, check_exact=True)
    assert again.attrs == frame.attrs


def test_other_columns_keep_their_types(tmp_path):
    frame = curves().assign(
        sure=[True, False, True], small=np.float32([0.1, 1e-30, 3]), k=np.uint8([1, 2, 255]),
        criterion=pd.Series(["l1", "l2", 'a, "b"'], dtype=object),
    )  # fmt: skip
    pd.testing.assert_frame_equal(back(frame, tmp_path), frame, check_exact=True)


def test_an_empty_table_keeps_its_columns(tmp_path):
    pd.testing.assert_frame_equal(back(curves().iloc[:0], tmp_path), curves().iloc[:0])


def test_the_comment_is_the_first_line_and_the_rest_a_plain_table(tmp_path):
    to_csv(curves(), tmp_path / "c.csv")
    assert (tmp_path / "c.csv").read_text().startswith("# prunelab curves {")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "c.csv", skiprows=1), curves())


def test_a_table_written_by_hand_is_read(tmp_path):
    path = tmp_path / "hand.csv"
    path.write_text(
        "group, ratio,kept,correct,macs\na,0,8,40,100\n\na,0.5,4,38,60\n", encoding="utf-8-sig"
    )
    frame = from_csv(path)
    assert frame.dtypes.map(str).tolist() == ["str", "float64", "int64", "int64", "int64"]
    assert solve(frame, macs=60) == {"a": 0.5}


def test_distillers_file_is_read(tmp_path):
    (tmp_path / "d.csv").write_bytes(DISTILLER.encode())
    frame = from_csv(tmp_path / "d.csv")
    assert list(frame) == ["group", "ratio", "accuracy", "loss"]
    assert frame.group.tolist() == ["features.module.0", "features.module.0", "fc"]
    assert frame.ratio.tolist() == [0.0, 0.05, 0.1]
    assert frame.accuracy.tolist() == [56.518 / 100, 56.492 / 100, 35.424 / 100]
    assert frame.loss.tolist() == [1.9159, 1.9161, 3.0866]


def test_solve_says_what_distillers_file_lacks(tmp_path):
    (tmp_path / "d.csv").write_bytes(DISTILLER.encode())
    with pytest.raises(ValueError, match="solve: `curves` lacks the columns kept, correct, macs"):
        solve(from_csv(tmp_path / "d.csv"), macs=0.5)


def test_distillers_form_is_written(tmp_path):
    frame = curves().assign(accuracy=[0.57, 1 / 3, 1.0], loss=[0.1, 2.0, math.pi])
    to_csv(frame, tmp_path / "d.csv", style="distiller")
    with open(tmp_path / "d.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["parameter", "sparsity", "top1", "top5", "loss"],
        ["conv1.weight", "0.25", "57.0", "", "0.1"],
        ["conv1.weight", "0.6", "33.333333333333", "", "2.0"],
        ["fc.weight", "0.5", "100.0", "", repr(math.pi)],
    ]
    again = from_csv(tmp_path / "d.csv")
    assert again.group.tolist() == frame.group.tolist()
    assert again.accuracy.tolist() == pytest.approx(frame.accuracy.tolist(), abs=1e-12)
    assert again.loss.tolist() == frame.loss.tolist()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    to_csv(curves(), tmp_path / "c.csv")
    before = (tmp_path / "c.csv").read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match=r"to_csv: cannot write `.*c.csv` \(disk full\)"):
        to_csv(curves().iloc[:1], tmp_path / "c.csv")
    assert (tmp_path / "c.csv").read_bytes() == before
    assert os.listdir(tmp_path) == ["c.csv"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OSError, match=r"to_csv: cannot write `.*none.c.csv`"):
        to_csv(curves(), tmp_path / "none" / "c.csv")


@pytest.mark.parametrize(
    ("frame", "style", "error", "message"),
    [
        ([1], "prunelab", TypeError, "`curves` must be a DataFrame, as scan returns; got list"),
        (curves(), "excel", ValueError, "`style` must be one of prunelab, distiller; got 'excel'"),
        (curves().drop(columns="loss"), "distiller", ValueError, "lacks the columns loss"),
        (curves().assign(x=[1, "a", 2]), "prunelab", ValueError, "column `x` must hold .* object"),
        (curves().assign(x=["a", None, "b"]), "prunelab", ValueError, "column `x` .* no gaps"),
        (curves().assign(x=pd.Timestamp(0)), "prunelab", ValueError, "column `x` .* datetime"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(tmp_path, frame, style, error, message):
    with pytest.raises(error, match=f"to_csv: .*{message}") as caught:
        to_csv(frame, tmp_path / "c.csv", style)
    assert "\n" not in str(caught.value)
    assert not os.listdir(tmp_path)


def test_attrs_that_are_no_plain_data_are_refused(tmp_path):
    frame = curves()
    frame.attrs["net"] = object()
    with pytest.raises(ValueError, match=r"to_csv: `curves.attrs` must be plain data"):
        to_csv(frame, tmp_path / "c.csv")


HEAD = '# prunelab curves {"types": {"group": "str", "kept": "int64"}, "attrs": {}}\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is empty"),
        (" \n\n", "it is empty"),
        ("a,b\n1,2\n", "line 1: the header must be parameter,sparsity,.* got a,b"),
        ("group,kept\na,2\n", "line 1: the header must be .* got group,kept"),
        ("group,ratio,ratio\na,0,0\n", "line 1: the header must be .* got group,ratio,ratio"),
        ("group,ratio\na,0.1\nb,x\n", "line 3: `ratio` must be float64, got 'x'"),
        ("group,ratio,kept\na,0.1,2.5\n", "line 2: `kept` must be int64, got '2.5'"),
        ("group,ratio\na,0.1,7\n", "line 2: the header has 2 columns, got 3"),
        (DISTILLER + "fc,0.2,,1,2\r\n", "line 5: `top1` must be float64, got ''"),
        (DISTILLER + "fc,0.2,1\r\n", "line 5: the header has 5 columns, got 3"),
        (HEAD, "line 2: the header must be group,kept, got "),
        (HEAD + "kept,group\n", "line 2: the header must be group,kept, got kept,group"),
        (HEAD + "group,kept\na,1\n\nb,-\n", "line 5: `kept` must be int64, got '-'"),
        (HEAD.replace("{", "", 1), "line 1: the comment is damaged"),
        (HEAD.replace("types", "kinds"), "line 1: the comment is damaged"),
        (HEAD.replace("int64", "int65"), "line 1: the comment is damaged"),
        (b"group,ratio\n\xff,0\n", "can't decode byte 0xff"),
    ],
)
def test_a_bad_file_is_refused_in_one_line_that_names_the_place(tmp_path, text, message):
    path = tmp_path / "bad.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=f"from_csv: `.*bad.csv`: .*{message}") as caught:
        from_csv(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(FileNotFoundError, match=r"from_csv: no file '"):
            from_csv(path)
