"""`prunelab new method`: three files that run as they are, anywhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from prunelab.cli import main
from prunelab.study import new_method

ROOT = Path(__file__).resolve().parents[2]


def run(folder, *command):
    env = {k: v for k, v in os.environ.items() if not k.startswith("PRUNELAB_")}
    env |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    assert main(["new", "method", "SpreadOfWeights", "--dir", str(folder)]) == 0
    return folder


def test_its_own_test_passes(made):
    assert "5 passed" in run(made, "-m", "pytest", "-q", "test_spread_of_weights.py")


def test_its_recipe_measures_it_beside_the_filter_norm_and_looks_it_up_again(made):
    recipe = (made / "measure_spread_of_weights.py").read_text()
    short = recipe.replace('"quick", (0, 1, 2), (0.3, 0.5, 0.7)', '"smoke", (0,), (0.5,)')
    assert short != recipe
    (made / "short.py").write_text(short)
    said = run(made, "short.py")
    assert "spread_of_weights 50%" in said and "filter norm 50%" in said and "unpruned" in said
    (ledger,) = made.glob("runs/**/spread_of_weights.jsonl")
    rows = [json.loads(line) for line in ledger.read_text().splitlines()]
    kinds = [row["recipe"]["task"].get("method", {}).get("kind") for row in rows]
    assert kinds[:2] == [None, "filter_norm"] and kinds[2].startswith("spread_of_weights-")
    assert run(made, "short.py") == said
    assert len(ledger.read_text().splitlines()) == 3
    method = made / "spread_of_weights.py"
    method.write_text(method.read_text().replace("weights.std(1)", "weights.abs().sum(1)"))
    run(made, "short.py")  # another score is measured anew
    assert len(ledger.read_text().splitlines()) == 4


def test_the_files_are_formatted_as_the_project_is(made):
    files = [str(made / name) for name in ("spread_of_weights.py", "test_spread_of_weights.py")]
    files.append(str(made / "measure_spread_of_weights.py"))
    config = ["--config", str(ROOT / "pyproject.toml")]
    for command in (["format", "--check"], ["check", "--ignore", "I001,INP001,D103"]):
        run(made, "-m", "ruff", *command, *config, *files)


@pytest.mark.parametrize(
    "name", ["last_channels", "LastChannels", "last channels", "last-channels"]
)
def test_a_name_may_be_written_in_any_way(name, tmp_path):
    method, recipe, test = new_method.write(name, tmp_path)
    assert [p.name for p in (method, recipe, test)] == [
        "last_channels.py", "measure_last_channels.py", "test_last_channels.py",
    ]  # fmt: skip
    assert "class LastChannels(Method)" in method.read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["new", "study", "x"], "`what` must be one of method; got 'study'"),
        (["new", "method", "1st"], "`name` must be a name, as `last_channels`; got '1st'"),
        (["new", "method", "class"], "`name` must be a name, as `last_channels`; got 'class'"),
        (["new", "method", "torch"], "must be another one; 'torch' is taken"),
        (["new", "method", "FilterNorm"], "must be another one; 'FilterNorm' is taken"),
        (["new", "method", "None"], "`name` must be"),
        (["new", "method", ""], "`name` must be a name, as `last_channels`; got ''"),
        (["new", "method", "mine", "--dir", "none"], "`folder` must exist; `none` does not"),
        (["new", "method", "there"], "is there already; nothing was written"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_lost(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_there.py").write_text("mine")
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["test_there.py"]
    assert (tmp_path / "test_there.py").read_text() == "mine"
