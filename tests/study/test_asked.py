"""What a user asks by number or by `-p`: taken as meant, or refused in one line."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunelab import cli
from prunelab.study.runner.notebook import asked, checked

TAKEN = {
    "SEEDS=5": [5],
    "SEEDS=0,1": [0, 1],
    "SEEDS=[3]": [3],
    "SEEDS=(0, 7)": [0, 7],
    "X=abc": "abc",
    "X=": "",
    "X=a=b": "a=b",
    "X='5'": "5",
    "X=-1.5": -1.5,
    "X=None": None,
    "X=(1, (2, 3))": [1, [2, 3]],
    "X={'a': (1,)}": {"a": [1]},
    "X=2*3": "2*3",
}
REFUSED = {
    "SEEDS=0,0": "SEEDS must not repeat; got [0, 0]",
    "SEEDS=True": "SEEDS must be one or more integers >= 0",
    "SEEDS=[]": "SEEDS must be one or more integers >= 0",
    "SEEDS=1.0": "SEEDS must be one or more integers >= 0",
    "SEEDS=-1,0": "SEEDS must be one or more integers >= 0",
    "SEEDS=None": "SEEDS must be one or more integers >= 0",
    f"SEEDS={2**70}": "SEEDS must be one or more integers >= 0",
    "X={1, 2}": "must be a number, text,",
    "X=b'a'": "must be a number, text,",
    "X=1j": "must be a number, text,",
    "X=...": "must be a number, text,",
    "X=[{1}]": "must be a number, text,",
    "X=1e999": "must be a number, text,",
    "X": "must be NAME=VALUE",
    "1X=2": "must be NAME=VALUE",
    "=2": "must be NAME=VALUE",
    "PRESET=paper": "PRESET is set by `--preset`",
}


@pytest.mark.parametrize("text", TAKEN)
def test_what_is_meant_is_taken(text):
    (found,) = checked(asked([text])).values()
    assert found == TAKEN[text]


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:12])
def test_what_no_notebook_can_hold_is_one_short_line(text):
    with pytest.raises(
        ValueError, match=REFUSED[text].replace("**", r"\*\*").replace("[", r"\[")
    ) as e:
        checked(asked([text]))
    assert str(e.value).startswith("run: ") and "\n" not in str(e.value)
    assert len(str(e.value)) < 260


@given(st.recursive(
    st.none() | st.booleans() | st.integers(-2**63 + 1, 2**63 - 1) | st.text("abcé \"'\\\n")
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=8,
))  # fmt: skip
def test_plain_data_comes_through_as_it_is(value):
    assert checked(asked([f"X={value!r}"])) == {"X": value}


@given(st.text())
def test_any_text_is_a_value_or_one_line(text):
    try:
        found = checked(asked([f"X={text}"]))
    except ValueError as error:
        assert str(error).startswith("run: `-p") and "\n" not in str(error)
    else:
        assert set(found) == {"X"}


def test_a_name_given_twice_is_refused():
    with pytest.raises(ValueError, match="once; got SEEDS again"):
        asked(["SEEDS=1", "X=1", "SEEDS=2"])


LIGHT = {
    "help": ["--help"],
    "version": ["--version"],
    "run help": ["run", "--help"],
    "list": ["list"],
    "data": ["data"],
}


@pytest.mark.parametrize("case", LIGHT)
def test_what_only_answers_imports_nothing_heavy(case):
    code = (
        "import sys\nfrom prunelab import cli\n"
        "try:\n    cli.main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'pandas', 'matplotlib', 'torchvision', 'scipy'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))"
    )
    command = [sys.executable, "-c", code, *LIGHT[case]]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[-1] == "heavy: []" and len(lines) > 1


def test_python_m_prunelab_is_the_command():
    command = [sys.executable, "-m", "prunelab", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("prunelab 0.")


def test_the_parts_are_seen_by_dir():
    import prunelab

    assert {"data", "groups", "methods", "widgets"} <= set(dir(prunelab))
    from prunelab import data, groups

    assert callable(data.load) and callable(groups.trace)


@pytest.mark.parametrize(
    "arguments", [["run", "--limit", "inf"], ["report", "--out", ""], ["run", "--fa\nst"]]
)
def test_the_command_refuses_in_one_line(arguments, capsys):
    try:
        code = cli.main(arguments)
    except SystemExit as exit:
        code = exit.code
    said = capsys.readouterr()
    assert code == 2 and said.out == "" and said.err.count("\n") == 1
