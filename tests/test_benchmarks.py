"""The benchmark of DCP's choice judges itself, and the page shows what is committed."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def speed():
    spec = importlib.util.spec_from_file_location(
        "selection_speed", ROOT / "benchmarks" / "selection_speed.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(fast, seconds, **more):
    setting = {"preset": "quick", "images": 100, "fast images": 25, "step": 2}
    seen = {"layer": "a", "channels": 20, "equal": 20, "fast": fast, "again": "", "other": ""}
    return seen | {"literal s": 40.0, "equal s": 10.0, "fast s": seconds} | setting | more


@pytest.mark.parametrize(
    ("rows", "both"),
    [
        ([row(20, 2.0)], True),
        ([row(18, 2.0)], False),  # 90% the same
        ([row(20, 2.1)], False),  # 19 times
        ([row(20, 2.0), row(18, 2.0)], True),  # 95% in all
        ([row("20", "1.0"), row("20", "3.0")], True),  # as a file gives them
    ],
)
def test_both_goals_must_hold_for_the_same_choice(speed, rows, both):
    assert speed.met(rows) == both
    assert f"**{'met' if both else 'not met'}**" in speed.told(rows)


def test_the_factor_is_told_in_its_two_parts(speed):
    said = speed.told([row(20, 2.0, again=19, other=15)])
    assert "4.0 is what is computed once or not at all, and 5.0 is fewer images" in said
    assert "another order of the images: 95.0%" in said and "as many: 75.0%" in said


def test_the_page_shows_the_committed_result(speed):
    text = speed.PAGE.read_text()
    assert speed.page(text) == text
    assert ("Not measured" in text) == (not speed.RESULT.exists())
