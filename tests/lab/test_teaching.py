"""The syllabus: its exercises exist, its minutes are theirs, its commands are commands."""

import re
from pathlib import Path

from prunelab import lab

TEXT = (Path(__file__).parents[2] / "docs" / "teaching.md").read_text()


def test_all_exercises_are_in_the_syllabus_with_their_minutes():
    planned = re.findall(r"(\d\d)-1 (?:to|and) \1-(\d+) \((\d+)\)", TEXT)
    assert [number for number, _, _ in planned] == [
        "00",
        "01",
        "02",
        "03",
        "05",
        "04",
        "06",
        "07",
        "08",
        "09",
        "10",
        "11",
    ]
    for number, last, minutes in planned:
        found = lab.exercises(number)
        assert list(found)[-1] == f"{number}-{last}"
        assert int(minutes) == sum(one.minutes for one in found.values())
