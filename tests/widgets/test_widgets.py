"""Widgets without a kernel: set values, look at what was computed and drawn."""

import pandas as pd
import pytest

from prunelab import plots, widgets


@pytest.fixture
def points() -> pd.DataFrame:
    rows = [
        (g, r, round(10 * (1 - r)), 0.9 - r / 3, -0.2, -0.1, 0.9, 1000 + int(100 * r), 5000)
        for g in ("conv1", "<conv2>")
        for r in (0.1, 0.5, 0.9)
    ]
    return pd.DataFrame(
        rows, columns="group ratio kept accuracy low high whole params macs".split()
    )


def test_a_picture_and_numbers_are_there_from_the_start(points):
    box = widgets.recorded_scan(points)
    assert bytes(box.picture.value).startswith(b"\x89PNG")
    assert "conv1" in box.text.value
    assert "5 filters" in box.text.value
    assert "73.3%" in box.text.value


@pytest.mark.parametrize(("ratio", "kept", "accuracy"), [(0.1, 9, "86.7%"), (0.9, 1, "60.0%")])
def test_both_ends_of_the_slider_change_text_and_picture(points, ratio, kept, accuracy):
    box = widgets.recorded_scan(points)
    before = bytes(box.picture.value)
    box.ratio.value = ratio
    assert f"{kept} filters" in box.text.value
    assert accuracy in box.text.value
    assert bytes(box.picture.value) != before


def test_choosing_a_layer_changes_the_text_and_names_are_escaped(points):
    box = widgets.recorded_scan(points)
    box.layer.value = "<conv2>"
    assert "&lt;conv2&gt;" in box.text.value


def test_an_error_appears_in_the_widget(points, monkeypatch):
    box = widgets.recorded_scan(points)

    def broken(*_):
        raise RuntimeError("no picture today")

    monkeypatch.setattr(plots, "one_layer", broken)
    box.ratio.value = 0.9
    assert "no picture today" in box.text.value


def test_an_empty_scan_is_refused():
    with pytest.raises(ValueError, match="`points` is empty"):
        widgets.recorded_scan(pd.DataFrame())
