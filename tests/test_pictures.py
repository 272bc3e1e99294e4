"""Maps as JSON."""

import json

import numpy as np
import pytest

from prunelab.pictures import pack, unpack


def test_maps_come_back_scaled_to_the_largest_value_and_without_what_is_below_zero():
    maps = np.array([[[0.0, 1.0], [2.0, 4.0]], [[-3.0, 0.5], [3.0, 2.0]]])
    found = unpack(json.loads(json.dumps(pack(maps))))
    assert found.dtype == np.uint8
    assert found.tolist() == [[[0, 64], [128, 255]], [[0, 32], [191, 128]]]


def test_maps_without_any_light_stay_dark():
    assert unpack(pack(np.zeros((1, 2, 2)))).max() == 0
    assert unpack(pack(-np.ones((1, 2, 2)))).max() == 0


@pytest.mark.parametrize(
    "entry",
    [
        None, {}, {"shape": [2, 2]}, {"shape": [2, 2], "bytes": "AAAA"},
        {"shape": [-2, -2], "bytes": "AAAAAA=="}, {"shape": 4, "bytes": "AAAAAA=="},
        {"shape": [2, 2], "bytes": "no base64!"}, {"shape": [], "bytes": "AA=="},
    ],
)  # fmt: skip
def test_what_is_no_picture_is_refused_in_one_line(entry):
    with pytest.raises(ValueError, match=r"^unpack: `entry` must be made by `pack`; got ") as error:
        unpack(entry)
    assert "\n" not in str(error.value)
