"""How the code is layered: imports point downwards, and some files stay light."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE, TESTS = ROOT / "prunelab", ROOT / "tests"
# A part imports parts above it in this list only. Parts of one line do not import each other.
ORDER = """
    checks
    paths extras pictures processes ratios
    pulse
    meta sealed data models plots
    groups cost
    masks train
    scores
    surgery
    sensitivity
    methods widgets
    quantisation
    study
    lab
    cli
    __main__
"""
RANK = {part: rank for rank, line in enumerate(ORDER.strip().splitlines()) for part in line.split()}
LONGEST = 250
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def part_of(path):
    """`train` for prunelab/train/loop.py, `surgery` for prunelab/surgery.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path):
    """Parts of the package that a file imports anywhere, also inside functions."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (n.split(".")[1] for n in names if n.startswith("prunelab."))


def test_every_part_has_a_place_in_the_order():
    parts = {part_of(path) for path in MODULES} - {"__init__"}
    assert parts == set(RANK)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_downwards(path):
    part = part_of(path)
    used = set(imports(path)) - {part}
    if part == "__init__":
        return_to = {p for p in used if RANK[p] >= RANK["study"]}
        assert not return_to  # the core never imports the study
    else:
        assert not {p for p in used if RANK[p] >= RANK[part]}


def test_plots_and_tables_never_import_torch():
    code = (
        "import sys; import prunelab.plots, prunelab.study.tables;"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_is_longer_than_a_reader_can_hold(path):
    length = len(path.read_text(encoding="utf-8").splitlines())
    assert length <= LONGEST


# Every test function must be able to fail: it asserts, expects an error, or calls what does.


def calls(function):
    """Names called in a function, e.g. {"raises", "fails"}."""
    found = [n.func for n in ast.walk(function) if isinstance(n, ast.Call)]
    return {getattr(f, "attr", getattr(f, "id", "")) for f in found}


def checks(function, helpers=frozenset()):
    asserts = any(isinstance(n, ast.Assert) for n in ast.walk(function))
    oracles = {"raises", "warns", "assert_close", "assert_frame_equal", "assert_allclose", "fail"}
    return asserts or bool(calls(function) & (oracles | helpers))


@cache
def functions():
    """Every function of the tests with its file."""
    return tuple(
        (path, node)
        for path in sorted(TESTS.glob("*.py"))
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef)
    )


@cache
def checking_helpers():
    """Names of helper functions that check something, directly or through another helper."""
    found = frozenset()
    while True:
        helpers = [f for _, f in functions() if not f.name.startswith("test_")]
        larger = frozenset(f.name for f in helpers if checks(f, found))
        if larger == found:
            return found
        found = larger


def test_every_test_function_can_fail():
    idle = [
        f"{name_of(path)}: {function.name}"
        for path, function in functions()
        if function.name.startswith("test_") and not checks(function, checking_helpers())
    ]
    assert not idle


def test_the_check_itself_finds_an_idle_test():
    idle, busy = ast.parse("def test_a():\n    run()\n\ndef test_b():\n    assert run()\n").body
    assert not checks(idle)
    assert checks(busy)


def test_a_part_is_there_without_an_import_of_its_own_and_torch_is_not():
    code = "import prunelab, sys; assert 'torch' not in sys.modules; print(prunelab.data.NAMES[0])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "digits\n"
