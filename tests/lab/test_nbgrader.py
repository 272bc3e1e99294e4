"""nbgrader itself, in an environment of its own: assign, grade and give feedback.

Slow: it installs nbgrader. `make test-all` runs it.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from prunelab import lab
from prunelab.lab import versions

ROOT = Path(__file__).resolve().parents[2]
NUMBER = "06"  # its cells need no training
CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "pruning"
c.ExecutePreprocessor.timeout = 600
c.ExecutePreprocessor.kernel_name = "prunelab"
c.IncludeHeaderFooter.header = ""
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def nbgrader(tmp_path_factory):
    """Runs an nbgrader command in the folder of a course; the kernel is this Python."""
    folder = tmp_path_factory.mktemp("course")
    env = folder / "env"
    uv = [shutil.which("uv", path=Path(sys.executable).parent) or pytest.skip("needs uv")]
    subprocess.run([*uv, "venv", "--quiet", env], check=True)
    install = [
        "pip",
        "install",
        "--quiet",
        "--python",
        env / "bin" / "python",
        "nbgrader>=0.9,<0.10",
    ]
    if subprocess.run([*uv, *install], capture_output=True).returncode:
        pytest.skip("nbgrader cannot be installed here")
    kernel = env / "share" / "jupyter" / "kernels" / "prunelab"
    kernel.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "prunelab", "language": "python"})
    )
    (folder / "nbgrader_config.py").write_text(CONFIG)

    def run(*command):
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PRUNELAB_")}
        kept |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        kept["PATH"] = f"{env / 'bin'}{os.pathsep}{kept['PATH']}"  # it calls alembic
        done = subprocess.run(
            [env / "bin" / "nbgrader", *command],
            cwd=folder,
            env=kept,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return folder

    return run


def test_solutions_get_all_points_stubs_none_and_feedback_is_written(nbgrader, tmp_path):
    (book,) = (ROOT / "notebooks").glob(f"{NUMBER}-*.ipynb")
    source = nbgrader("--version") / "source" / "own"
    source.mkdir(parents=True)
    shutil.copy(book, source)
    folder = nbgrader("generate_assignment", "own", "--create")
    released = nbformat.read(folder / "release" / "own" / book.name, 4)
    assert not versions.SOLUTION.search("\n".join(c.source for c in released.cells))
    for student, answered in (("ada", book), ("stub", folder / "release" / "own" / book.name)):
        handed = folder / "submitted" / student / "own"
        handed.mkdir(parents=True)
        shutil.copy(answered, handed)
    nbgrader("autograde", "own", "--create")
    nbgrader("generate_feedback", "own")
    nbgrader("export", "--to", "grades.csv")
    with open(folder / "grades.csv", newline="") as file:
        points = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert points == {"ada": sum(e.importance for e in lab.exercises(NUMBER).values()), "stub": 0}
    assert len([*folder.glob("feedback/*/own/*.html")]) == 2
