"""Optional packages: one clear line where one is missing."""

from __future__ import annotations

from importlib.util import find_spec

# Extra -> what it installs, as in pyproject.toml.
MODULES = {
    "study": (
        "matplotlib",
        "networkx",
        "psutil",
        "jupyterlab",
        "ipywidgets",
        "ipykernel",
        "nbformat",
        "nbconvert",
        "papermill",
        "jinja2",
        "voila",
        "anywidget",
    ),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
}


def need(user: str, extra: str, *modules: str) -> None:
    """Check that the packages of an extra are installed.

    Args:
        user: who needs them, e.g. "prunelab.plots".
        extra: "study" or "onnx".
        modules: those of the extra that `user` cannot do without; all of them by default.

    Raises:
        ModuleNotFoundError: one is missing; one line that says what to install.
    """
    for module in modules or MODULES[extra]:
        if find_spec(module) is None:
            raise ModuleNotFoundError(
                f"{user} needs {module}: install prunelab[{extra}]", name=module
            )
