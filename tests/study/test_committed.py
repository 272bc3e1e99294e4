"""What goes into git of an executed notebook, and whether it was executed to its end."""

import base64
import io

import nbformat
import numpy as np
import pytest
from PIL import Image

from prunelab.study.runner.committed import committed
from prunelab.study.runner.execution import incomplete


def test_widget_state_is_dropped_and_views_too():
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "Box()"}
    output = nbformat.v4.new_output("display_data", data=view)
    book = nbformat.v4.new_notebook(metadata={"widgets": {"state": 1}, "papermill": {}})
    book.cells = [nbformat.v4.new_code_cell("box", outputs=[output], execution_count=7)]
    clean = committed(book, {})
    assert clean["metadata"] == {"language_info": {"name": "python"}}
    assert clean["cells"][0]["outputs"][0]["data"] == {"text/plain": "Box()"}
    assert clean["cells"][0]["execution_count"] == 1


@pytest.mark.parametrize(
    "text", ["\rtrain:  50%|#### ", "\n", "\x1b[A", "select: 9%|", "\n\x1b[A\n"]
)
def test_bars_are_dropped_and_words_on_the_same_stream_stay(text):
    streams = [
        nbformat.v4.new_output("stream", name=name, text=words)
        for name, words in (("stderr", text), ("stderr", "a warning"), ("stdout", "50%|"))
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=streams)])
    (cell,) = committed(book, {})["cells"]
    assert [output["text"] for output in cell["outputs"]] == ["a warning", "50%|"]


ERROR = {"output_type": "error"}


@pytest.mark.parametrize(
    ("changed", "widget", "verdict"),
    [
        ({}, {}, None),
        ({"source": " \n", "execution_count": None}, {}, None),
        ({"execution_count": None}, {}, "was not executed"),
        ({"outputs": [ERROR | {"ename": "E", "evalue": "no"}]}, {}, "cell 1: E: no"),
        ({}, {"outputs": [ERROR]}, "widget"),
        ({}, {"value": "Traceback (most recent call last):\n"}, "widget"),
    ],
)
def test_completeness_is_judged_by_counts_errors_and_widget_state(changed, widget, verdict):
    cell = {"cell_type": "code", "metadata": {}, "source": "1", "execution_count": 1, "outputs": []}
    state = {"widgets": {"state": {"m": widget}}}
    found = incomplete({"cells": [cell | changed], "metadata": state})
    assert found is None if verdict is None else verdict in found


def test_a_committed_picture_is_small_and_looks_the_same():
    raw, shade = io.BytesIO(), np.linspace(0, 255, 200, dtype=np.uint8)
    Image.fromarray(np.stack([np.tile(shade, (200, 1))] * 3, 2)).save(raw, "PNG")
    data = {"image/png": base64.b64encode(raw.getvalue()).decode()}
    output = nbformat.v4.new_output("display_data", data=data)
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[output])])
    (clean,) = committed(book, {})["cells"][0]["outputs"]
    with Image.open(io.BytesIO(base64.b64decode(clean["data"]["image/png"]))) as image:
        assert image.mode == "P"
        assert abs(np.asarray(image.convert("L")).astype(int) - shade).max() <= 2
    assert committed(book, {}) == committed(committed(book, {}), {})


def test_how_an_exercise_is_graded_stays():
    own = {"nbgrader": {"grade_id": "01-1"}, "jupyter": {"source_hidden": True}, "tags": ["x"]}
    cell = {"cell_type": "markdown", "source": "text", "metadata": own | {"execution": {}}}
    (clean,) = committed({"cells": [cell], "metadata": {}}, {})["cells"]
    assert clean["metadata"] == own
