"""The `prunelab` command: what it prints, and what it does with bad input."""

import subprocess
import sys

import nbformat
import pytest

from prunelab import cli
from prunelab.study.pages import report
from prunelab.study.runner import plan, series


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "prunelab.toml").touch()
    (tmp_path / "notebooks").mkdir()
    head = nbformat.v4.new_code_cell("PRESET = 'quick'\nSEEDS = (0,)\nREFRESH = False")
    head.metadata.tags = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    stated = {"cost": {"quick": "1 min", "paper": "3 h on one GPU"}}
    for name, title in (("00-start-here", "Start here"), ("01-filter-norm", "Small filters go")):
        cells = [nbformat.v4.new_markdown_cell(f"Words.\n\n# {title}\n\nMore."), head]
        metadata = {"kernelspec": kernel, "prunelab": stated}
        book = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
        nbformat.write(book, tmp_path / "notebooks" / f"{name}.ipynb")
    monkeypatch.chdir(tmp_path)
    return tmp_path


BAD = {
    "unknown preset": (["run", "--preset", "huge"], "one of smoke, quick, standard, paper"),
    "unknown notebook": (["run", "07"], "no notebook '07'; there are: 00-start-here, 01-filter-"),
    "unknown parameter": (["run", "1", "-p", "SEEDZ=1"], "no parameter 'SEEDZ'"),
    "no assignment": (["run", "-p", "SEEDS"], "`-p` must be NAME=VALUE; got 'SEEDS'"),
    "out below a file": (
        ["run", "--out", "a-file/x"],
        "run: cannot write `a-file/x` (",
    ),
    "out is a file": (["run", "--out", "a-file"], "run: cannot write `a-file` ("),
    "unknown device": (["run", "--device", "tpu"], "`device` must be cpu or cuda; got 'tpu'"),
    "no cuda": (["run", "--device", "cuda"], "`device` is 'cuda' but torch sees none"),
    "no workers": (["run", "--workers", "0"], "`workers` must be an integer >= 1; got 0"),
    "workers no number": (["run", "--workers", "two"], "invalid int value: 'two'"),
    "no limit": (["run", "--limit", "-1"], "`limit` must be a number of seconds above 0; got -1"),
    "no data root": (["run", "--data-root", "nowhere"], "`data_root` must be a folder"),
    "unknown command": (["fly"], "invalid choice: 'fly'"),
    "no command": ([], "COMMAND"),
    "unknown option": (["run", "--fast"], "--fast"),
    "report of nothing": (["report", "--out", "nowhere"], "folder of a run; got 'nowhere'"),
    "report elsewhere": (["report", "--out", "notebooks"], "folder of a run; got 'notebooks'"),
    "preset by -p": (["run", "-p", "PRESET=paper"], "PRESET is set by `--preset`, not by `-p`"),
    "a word as seed": (["run", "-p", "SEEDS=a"], "integers >= 0, as in SEEDS=0,1; got 'a'"),
    "one seed, no list": (["run", "-p", "SEEDS=-1"], "integers >= 0, as in SEEDS=0,1; got -1"),
    "no seeds": (["run", "-p", "SEEDS=()"], "SEEDS must be one or more integers"),
    "empty data root": (["run", "--data-root", ""], "`data_root` must be a folder; got ''"),
    "data nowhere": (["data", "mnist", "--data-root", "nowhere"], "must be a folder; got 'nowh"),
    "unknown data": (["data", "mnits"], "got 'mnits'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(case, project, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (project / "a-file").write_text("kept")
    arguments, message = BAD[case]
    try:
        code = cli.main(arguments)
    except SystemExit as exit:
        code = exit.code
    said = capsys.readouterr()
    assert code == 2
    assert said.out == "" and said.err.count("\n") == 1
    assert said.err.startswith("prunelab: ") and message in said.err
    assert {path.name for path in project.iterdir()} == {"a-file", "notebooks", "prunelab.toml"}


@pytest.mark.parametrize(("error", "code"), [(None, 0), ("cell 3: KeyError: 'x'", 1)])
def test_run_exits_0_only_when_every_notebook_finished(error, code, project, capsys, monkeypatch):
    def carry_out(checked):
        assert checked.parameters["SEEDS"] == [1, 2] and checked.limit == 90
        results = [series.Result("00-start-here", "ok", 1.0)]
        status = "failed" if error else "ok"
        return [*results, series.Result("01-filter-norm", status, 1.0, error)]

    monkeypatch.setattr(series, "carry_out", carry_out)
    monkeypatch.setattr(report, "build", lambda out, root: out / "report.html")
    found = cli.main(["run", "--device", "cpu", "--limit", "90", "-p", "SEEDS=(1, 2)"])
    said = capsys.readouterr().out.splitlines()
    assert found == code
    assert said[0] == f"{2 - code} of 2 notebooks finished"
    assert said[-1] == "report: runs/quick/report.html"
    if error:
        assert said[1] == "failed: 01-filter-norm; see runs/quick/notebooks/*.failed.ipynb"


def test_run_and_report_by_default_write_below_runs(project, capsys):
    checked = plan.plan(device="cpu", preset="smoke")
    assert checked.out == project.resolve() / "runs" / "smoke"
    (checked.out / "state.json").write_text("{}")
    assert cli.main(["report"]) == 0
    assert capsys.readouterr().out == "report: runs/smoke/report.html\n"


def test_an_interruption_is_one_line_and_exit_code_130(project, capsys, monkeypatch):
    def interrupted(checked):
        raise KeyboardInterrupt

    monkeypatch.setattr(series, "carry_out", interrupted)
    assert cli.main(["run", "--device", "cpu"]) == 130
    assert capsys.readouterr().err.startswith("prunelab: interrupted; the same command goes on")


def test_list_shows_names_titles_and_stated_costs(project, capsys):
    assert cli.main(["list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "00-start-here   Start here",
        "                takes: quick 1 min, paper 3 h on one GPU",
        "01-filter-norm  Small filters go",
        "                takes: quick 1 min, paper 3 h on one GPU",
    ]


def test_list_does_not_wait_for_torch(project):
    code = "import sys; from prunelab import cli; cli.main(['list']); print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_data_lists_every_set_and_verifies_one(project, capsys, monkeypatch):
    monkeypatch.delenv("PRUNELAB_DATA", raising=False)
    assert cli.main(["data"]) == 0
    listed = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in listed]
    assert names == ["digits", "mnist", "fashion_mnist", "cifar10", "cifar100"]
    assert listed[1] == "mnist           not here; `prunelab data mnist` fetches it"
    assert cli.main(["data", "digits"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("digits: verified, checksum ") and "360 test" in said


def test_version_is_the_installed_one(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out.startswith("prunelab 0.")
