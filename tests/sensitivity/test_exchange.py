"""Curves in files: pandas keeps what a scan found, and Distiller's form is written and read."""

import io
import json
import math

import pandas as pd
import pytest
from helpers.curves import priced
from helpers.toy import network, split

from prunelab.sensitivity import from_distiller, scan, solve, to_distiller
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


def test_a_scan_survives_pandas_csv_and_its_attributes_json():
    frame = scan(network(), split(20), ratios=[0.0, 0.3, 0.6], cache=False, progress=False)
    text = frame.to_csv(index=False)
    again = pd.read_csv(io.StringIO(text), dtype={"group": "str"})  # "0" is a name
    again.attrs = json.loads(json.dumps(frame.attrs))
    pd.testing.assert_frame_equal(again, frame, check_exact=True)
    assert again.attrs == frame.attrs
    assert solve(again, macs=0.9) == solve(frame, macs=0.9)


def test_distillers_file_is_read_and_solve_says_what_it_lacks():
    frame = from_distiller(pd.read_csv(io.StringIO(DISTILLER)))
    assert list(frame) == ["group", "ratio", "accuracy", "loss"]
    assert frame.group.tolist() == ["features.module.0", "features.module.0", "fc"]
    assert frame.ratio.tolist() == [0.0, 0.05, 0.1]
    assert frame.accuracy.tolist() == [56.518 / 100, 56.492 / 100, 35.424 / 100]
    assert frame.loss.tolist() == [1.9159, 1.9161, 3.0866]
    with pytest.raises(ValueError, match=r"solve: `curves` .*kept"):
        solve(frame, macs=0.5)


def test_distillers_form_is_written():
    frame = curves().assign(accuracy=[0.57, 1 / 3, 1.0], loss=[0.1, 2.0, math.pi])
    table = to_distiller(frame)
    assert table.to_csv(index=False, lineterminator="\n").splitlines() == [
        "parameter,sparsity,top1,top5,loss",
        "conv1.weight,0.25,57.0,,0.1",
        "conv1.weight,0.6,33.333333333333,,2.0",
        f"fc.weight,0.5,100.0,,{math.pi!r}",
    ]
    again = from_distiller(table)
    assert again.group.tolist() == frame.group.tolist()
    assert again.accuracy.tolist() == pytest.approx(frame.accuracy.tolist(), abs=1e-12)


def test_another_table_is_refused_in_one_line():
    with pytest.raises(TypeError, match=r"to_distiller: `curves` must be a DataFrame; got \[1\]"):
        to_distiller([1])
    with pytest.raises(ValueError, match=r"to_distiller: .* no 'loss' among"):
        to_distiller(curves().drop(columns="loss"))
    with pytest.raises(ValueError, match=r"from_distiller: .* no 'parameter' among"):
        from_distiller(curves())
