"""The project as a whole: pins agree, nothing of one machine is tracked."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from prunelab.study.papers import studies

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "results.md"]
REGISTRIES = (
    "pypi" + ".org",
    "python" + "hosted.org",
    "registry.npm" + "js.org",
    "deb.deb" + "ian.org",
)


def tracked() -> list[Path]:
    try:
        out = subprocess.run(
            ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in out.stdout.splitlines() if (ROOT / name).is_file()]


def test_environment_yml_installs_the_project_with_all_extras():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    extras = ",".join(PYPROJECT["project"]["optional-dependencies"])
    assert pip == [f"--editable .[{extras}]"]


def test_environment_yml_allows_the_pythons_of_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert f"python {PYPROJECT['project']['requires-python']}" in environment["dependencies"]


def test_the_modules_that_are_typed_are_there():
    for name in PYPROJECT["tool"]["mypy"]["files"]:
        assert (ROOT / name).exists(), name


def test_torch_and_torchvision_pins_are_the_promised_ones():
    pins = PYPROJECT["project"]["dependencies"]
    assert "torch>=2.11" in pins
    assert "torchvision>=0.26" in pins


def test_no_tracked_file_names_a_registry_host_or_a_path_of_a_machine():
    home = re.compile(r"/(home|Users|root|work)/\w+")
    for path in tracked():
        if path.suffix in {".png", ".safetensors"}:
            continue
        text = path.read_text(errors="replace")
        assert not [host for host in REGISTRIES if host in text], path
        assert not home.findall(text), path


def test_citation_and_changelog_are_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = PYPROJECT["project"]
    assert citation["version"] == project["version"] and citation["license"] == project["license"]
    assert citation["authors"] == project["authors"]
    assert project["version"] in (ROOT / "CHANGELOG.md").read_text()
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_no_lock_file_is_tracked():
    assert not [p for p in tracked() if p.name in {"uv.lock", "package-lock.json"}]


def test_every_command_of_the_readme_exists():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", readme, re.MULTILINE))
    assert {"study", "test"} <= named <= targets


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_lint_finds_nothing(command):
    ruff = [sys.executable, "-m", "ruff", *command, "."]
    done = subprocess.run(ruff, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_shipped_checkpoints_fit_in_20_megabytes():
    shipped = (ROOT / "data" / "checkpoints").glob("*")
    assert sum(p.stat().st_size for p in shipped) <= 20e6


def test_the_results_in_readme_and_docs_are_made_from_the_ledger():
    from prunelab.study.pages import readme

    brief, full, _ = (path.read_text() for path in readme.PAGES)
    assert readme.filled(brief) == brief and readme.filled(full) == full
    assert [name for _, name, _ in readme.BLOCK.findall(brief)] == ["in brief", "claims"]
    assert len(readme.results("in brief").splitlines()) == 2 + 5  # head, rule, five results
    assert {name for _, name, _ in readme.BLOCK.findall(full)} == set(studies())
    assert "| VGG-16-pruned-A | equal |" in full


@pytest.mark.slow  # it shrinks a hundred networks
def test_what_trainings_cost_is_made_from_the_recipes():
    from prunelab.study.pages import readme

    page = readme.PAGES[2].read_text()
    assert readme.filled(page) == page and "<!-- results training -->" in page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_files_that_a_page_links_to_exist(page):
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert not [link for link in links if not (page.parent / link).exists()]


def test_the_first_screen_of_the_readme_is_short():
    readme = (ROOT / "README.md").read_text()
    sections = re.findall(r"^## (.+)$", readme, re.MULTILINE)
    assert sections[:3] == ["Two commands", "Five lines", "Five results"]
    assert re.search(r"^!\[.+\]\(figures/.+\.svg\)$", readme.split("\n## ")[0], re.MULTILINE)
    assert len(readme.splitlines()) <= 170
