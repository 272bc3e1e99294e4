"""The extras: what the core does without, and the one line where something is missing."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from prunelab import extras

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def python_without(extra, code):
    """Run `code` where nothing of an extra can be imported."""
    blocked = (
        f"import sys; sys.modules.update(dict.fromkeys({tuple(extras.modules_of(extra))!r}))\n"
    )
    command = [sys.executable, "-c", blocked + code]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize("extra", ["study", "onnx"])
def test_the_modules_are_those_of_pyproject(extra):
    named = [Requirement(line).name for line in PROJECT["optional-dependencies"][extra]]
    assert sorted(extras.modules_of(extra)) == sorted(named)


def test_the_core_needs_no_extra():
    core = "cost, data, groups, masks, methods, models, scores, sensitivity, surgery, train"
    done = python_without("study", f"from prunelab import {core}, cli")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("part", ["plots", "widgets"])
@pytest.mark.parametrize("how", ["import prunelab.{}", "from prunelab import {}"])
def test_a_part_names_the_extra_that_it_needs(part, how):
    done = python_without("study", how.format(part))
    needs = rf"ModuleNotFoundError: prunelab.{part} needs "
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(needs) and last.endswith(": install prunelab[study]")


@pytest.mark.parametrize("command", ["run", "report", "explore"])
def test_a_command_names_the_extra_that_it_needs(command):
    code = f"from prunelab import cli; sys.exit(cli.main([{command!r}]))"
    done = python_without("study", code)
    line = f"prunelab: prunelab {command} needs anywidget: install prunelab[study]\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


def test_onnx_names_its_own_extra():
    code = "from prunelab import models, surgery\nimport torch\n"
    code += "surgery.export_onnx(models.build('lenet-5'), torch.zeros(1, 1, 28, 28), 'net.onnx')"
    last = python_without("onnx", code).stderr.splitlines()[-1]
    assert last.endswith("surgery.export_onnx needs onnx: install prunelab[onnx]")
    assert not (ROOT / "net.onnx").exists()
