"""What a machine trains or times itself differs from others: nbval must not compare it."""

import ast

import pytest
from test_notebooks import EACH, code_cells, source

MEASURES = {
    "fit",
    "tuned",
    "compare",
    "latency",
    "ranked",
    "explorer",
}  # train and time on this machine


def called(node: ast.AST) -> set[str]:
    calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
    return {c.func.attr for c in calls if isinstance(c.func, ast.Attribute)}


def names(node: ast.AST, context: type) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, context)}


def own_cells(cells: list[dict]) -> list[dict]:
    """Cells with an output that depends on a training or a timing; follows names to there."""
    found, live = [], set()
    for cell in cells:
        touched = False
        for statement in ast.parse(source(cell)).body:
            measures = bool(called(statement) & MEASURES)
            if measures or names(statement, ast.Load) & live:
                touched = True
                live |= names(statement, ast.Store)
            elif isinstance(statement, ast.Assign):
                live -= names(statement, ast.Store)
            if "fit" in called(statement):
                live |= {c.args[0].id for c in ast.walk(statement) if trains(c)}
        if touched and any("image/png" not in o.get("data", ()) for o in cell["outputs"]):
            found.append(cell)
    return found


def trains(node: ast.AST) -> bool:
    own = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    return own and node.func.attr == "fit" and isinstance(node.args[0], ast.Name)


def verdict(cell: dict) -> bool:
    """Whether the cell only says if an answer is right, which holds on every machine."""
    return source(cell).startswith("lab.check(")


@EACH
def test_nbval_does_not_compare_what_this_machine_trained_or_timed(path):
    compared = [c for c in own_cells(code_cells(path)) if not verdict(c)]
    tagged = [c for c in compared if "nbval-ignore-output" in c["metadata"].get("tags", [])]
    assert [source(c) for c in compared if c not in tagged] == []


@pytest.mark.parametrize(
    ("sources", "own"),
    [
        (["train.fit(net, digits)", "f(net)"], [False, True]),
        (
            ["train.fit(net, digits)", "small = shrink(net)", "pair = {1: small}", "g(pair)"],
            [False, False, False, True],
        ),
        (["train.fit(net, digits)", "other"], [False, False]),
        (["t = cost.latency(net, x)", "t.median"], [False, True]),
        (["t = cost.latency(net, x)", "t = 1", "t"], [False, False, False]),
    ],
)
def test_names_are_followed_from_cell_to_cell(sources, own):
    outputs = [[] if "=" in s or "fit" in s else [{"data": {}}] for s in sources]
    cells = [{"source": s, "outputs": o} for s, o in zip(sources, outputs)]
    found = own_cells(cells)
    assert [c in found for c in cells] == own
