"""The notebooks' exercise cells, and the versions for a class."""

import json
import re
from pathlib import Path

import nbformat
import pytest

from prunelab import lab
from prunelab.cli import main
from prunelab.lab import versions

ROOT = Path(__file__).parents[2]
NOTEBOOKS = {path.stem[:2]: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
EACH = pytest.mark.parametrize("number", NOTEBOOKS)


def cells(number):
    return {cell.id: cell for cell in nbformat.read(NOTEBOOKS[number], 4).cells}


@EACH
def test_every_exercise_has_a_text_a_stub_and_a_check_and_says_what_it_takes(number):
    found = cells(number)
    for name, exercise in lab.exercises(number).items():
        text, answer, check = (found[f"{name}{end}"] for end in ("-text", "", "-check"))
        takes = (
            f"*Difficulty {exercise.difficulty} of 5, importance {exercise.importance} of 5,"
            f" {exercise.minutes} minutes.*"
        )
        assert takes in text.source and "<summary>Hint 1</summary>" in text.source
        assert f"### {name} {exercise.title[:1].upper()}{exercise.title[1:]}\n" in text.source
        assert versions.SOLUTION.search(answer.source) and answer.metadata.nbgrader.solution
        assert answer.metadata.jupyter.source_hidden  # folded
        assert check.source.startswith(f'lab.check("{name}", ')
        assert check.metadata.nbgrader.grade and check.metadata.nbgrader.locked
        assert check.metadata.nbgrader.points == exercise.importance
    ids = [c.metadata.nbgrader.grade_id for c in found.values() if "nbgrader" in c.metadata]
    assert len(ids) == len(set(ids)) == 2 * len(lab.exercises(number))


@EACH
def test_the_notebooks_own_solutions_pass(number):
    # As committed: nbval runs them again. 10-7 adds how the plan compares with the solver's.
    for name in lab.exercises(number):
        (output,) = cells(number)[f"{name}-check"].outputs
        assert re.fullmatch(rf"✓ {name}: right(; .*)?\n", output.text)


def solutions(number):
    """The lines between the markers."""
    text = "\n".join(cell.source for cell in cells(number).values())
    found = [match[0].splitlines()[1:-1] for match in versions.SOLUTION.finditer(text)]
    return [line.strip() for lines in found for line in lines]


def test_the_students_version_holds_no_solution_and_no_output(tmp_path, capsys):
    assert main(["lab", "student", str(tmp_path / "class")]) == 0
    assert f"{len(NOTEBOOKS)} notebooks, student version" in capsys.readouterr().out
    assert not (tmp_path / "class/figures").exists()  # they would answer the predictions
    assert "as executed" not in (tmp_path / "class/README.md").read_text()
    for number, path in NOTEBOOKS.items():
        written = tmp_path / "class" / "notebooks" / path.name
        text, book = written.read_text(), nbformat.read(written, 4)
        nbformat.validate(book)
        assert "SOLUTION" not in text and "Finding<" not in text
        assert not [line for line in solutions(number) if json.dumps(line)[1:-1] in text]
        code = [cell for cell in book.cells if cell.cell_type == "code"]
        assert not any(cell.outputs or cell.execution_count for cell in code)
        stubs = [cell for cell in code if "raise NotImplementedError()" in cell.source]
        assert len(stubs) == len(lab.exercises(number))
        assert not any("jupyter" in cell.metadata for cell in code)  # stubs are not


def test_a_students_stub_fails_its_check_in_one_line():
    for number in NOTEBOOKS:
        book = versions.student(nbformat.read(NOTEBOOKS[number], 4))
        found = {cell.id: cell.source for cell in book.cells}
        for name in lab.exercises(number):
            place = {"lab": lab}
            exec(found[name], place)
            with pytest.raises(lab.Wrong, match=f"^{name}: it is not answered yet$"):
                exec(found[f"{name}-check"], place)


def test_the_instructors_version_is_the_series_itself(tmp_path):
    versions.write("instructor", tmp_path / "own")
    for path in NOTEBOOKS.values():
        assert (tmp_path / "own" / "notebooks" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["teacher", "new"],
            "`WHAT` must be one of student, instructor, leaderboard; got 'teacher'",
        ),
        (["student", "full"], "must be a new or an empty folder; got 'full'"),
    ],
)
def test_bad_input_is_one_line(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    assert main(["lab", *arguments]) == 2
    assert re.search(re.escape(words), capsys.readouterr().err)
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine" and not (
        tmp_path / "new"
    ).exists()
