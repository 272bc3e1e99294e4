"""CSV files: a scan's curves survive, and Distiller's form is read and written."""

import math
import os

import pandas as pd
import pytest
from helpers.curves import frames, priced
from helpers.toy import network, split
from hypothesis import given, settings

from prunelab.sensitivity import from_csv, predict, scan, solve, to_csv
from prunelab.sensitivity.budget.price import Price

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


def back(frame, folder):
    to_csv(frame, folder / "curves.csv")
    return from_csv(folder / "curves.csv")


def test_a_scan_survives_with_types_values_and_attrs(tmp_path):
    frame = scan(network(), split(20), ratios=[0.0, 0.3, 0.6], cache=False, progress=False)
    frame.attrs["whole"] = {"accuracy": 1 / 3, "images": 20, "note": "é \n"}
    again = back(frame, tmp_path)
    assert again.group.tolist() == ["0"] * 3  # a name, not a number
    pd.testing.assert_frame_equal(again, frame, check_exact=True)
    assert again.attrs == frame.attrs


@settings(deadline=None, max_examples=20)
@given(frames())
def test_random_curves_survive_and_predict_as_before(tmp_path_factory, frame):
    again = back(frame, tmp_path_factory.mktemp("csv"))
    pd.testing.assert_frame_equal(again, frame, check_exact=True)
    assert again.attrs == frame.attrs
    guess = dict.fromkeys(frame.group, 0.4)
    assert predict(again, guess) == predict(frame, guess)
    assert solve(again, macs=1e12) == solve(frame, macs=1e12)


def test_the_first_line_holds_the_attrs_and_the_rest_is_a_plain_table(tmp_path):
    to_csv(curves(), tmp_path / "c.csv")
    assert (tmp_path / "c.csv").read_text().startswith("# prunelab curves {")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "c.csv", skiprows=1), curves())


def test_a_table_written_by_hand_is_read(tmp_path):
    path = tmp_path / "hand.csv"
    path.write_text(
        "group, ratio,kept,correct,macs\na,0,8,40,100\n\na,0.5,4,38,60\n", encoding="utf-8-sig"
    )
    assert solve(from_csv(path), macs=60) == {"a": 0.5}


def test_distillers_file_is_read_and_solve_says_what_it_lacks(tmp_path):
    (tmp_path / "d.csv").write_bytes(DISTILLER.encode())
    frame = from_csv(tmp_path / "d.csv")
    assert list(frame) == ["group", "ratio", "accuracy", "loss"]
    assert frame.group.tolist() == ["features.module.0", "features.module.0", "fc"]
    assert frame.ratio.tolist() == [0.0, 0.05, 0.1]
    assert frame.accuracy.tolist() == [56.518 / 100, 56.492 / 100, 35.424 / 100]
    assert frame.loss.tolist() == [1.9159, 1.9161, 3.0866]
    with pytest.raises(ValueError, match=r"solve: `curves` .*kept"):
        solve(frame, macs=0.5)


def test_distillers_form_is_written(tmp_path):
    frame = curves().assign(accuracy=[0.57, 1 / 3, 1.0], loss=[0.1, 2.0, math.pi])
    to_csv(frame, tmp_path / "d.csv", style="distiller")
    assert (tmp_path / "d.csv").read_text().splitlines() == [
        "parameter,sparsity,top1,top5,loss",
        "conv1.weight,0.25,57.0,,0.1",
        "conv1.weight,0.6,33.333333333333,,2.0",
        f"fc.weight,0.5,100.0,,{math.pi!r}",
    ]
    again = from_csv(tmp_path / "d.csv")
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
    with pytest.raises(OSError, match=r"to_csv: cannot write `.*none.c.csv`"):
        to_csv(curves(), tmp_path / "none" / "c.csv")


def strange():
    frame = curves()
    frame.attrs["net"] = object()
    return frame


@pytest.mark.parametrize(
    ("frame", "style", "error", "message"),
    [
        ([1], "prunelab", TypeError, "`curves` must be a DataFrame; got"),
        (curves(), "excel", ValueError, "`style` must be one of prunelab, distiller; got 'excel'"),
        (curves().drop(columns="loss"), "distiller", ValueError, "must have .*; no 'loss' among"),
        (strange(), "prunelab", ValueError, r"`curves\.attrs` must be plain data"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(tmp_path, frame, style, error, message):
    with pytest.raises(error, match=f"to_csv: .*{message}") as caught:
        to_csv(frame, tmp_path / "c.csv", style)
    assert "\n" not in str(caught.value)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "No columns"),
        (b"a,b\n1,2\n", "it must have columns group and ratio, or parameter, sparsity"),
        (b"group,ratio\na,0.1,7\nb,1,2,3\n", "Expected 3 fields in line 3, saw 4"),
        (b"# prunelab curves damaged\ngroup,ratio\na,0.1\n", "Expecting value"),
        (b"# prunelab curves 5\ngroup,ratio\na,0.1\n", "not iterable"),
        (b"group,ratio\n\xff,0\n", "can't decode byte 0xff"),
    ],
)
def test_a_bad_file_is_refused_in_one_line_that_names_it(tmp_path, text, message):
    path = tmp_path / "bad.csv"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=f"from_csv: `.*bad.csv`: .*{message}") as caught:
        from_csv(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(FileNotFoundError, match=r"from_csv: no file '"):
            from_csv(path)
