"""What zeros in single weights save on this machine, in bytes and seconds; and tables of that.

A dense product streams its operands through vector units in blocks that fit the cache. A sparse one
reads an index beside each value and jumps to the row of activations it names, so an entry costs
several times as much. It is quicker only below some density, which depends on the layer's size, the
batch and the library (`crossover` measures it), and by less than the share of zeros promises. A
small layer gains little or loses, as the call itself is most of the time. Convolutions have no
sparse kernel in torch: as matrices, as they are timed here, their input must be unfolded first,
which is not timed. Pruned channels have none of this: they leave a smaller dense network.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from scipy.sparse import csr_array
from torch import Tensor, nn
from tqdm import tqdm

from prunelab import cost, pulse, surgery, train
from prunelab.data import Dataset
from prunelab.methods.base import Method
from prunelab.study import tables as t
from prunelab.study.cells import Numbers, Text
from prunelab.study.results import Line, Results, Run
from prunelab.study.work import Work
from prunelab.surgery.sparse import FORMS

BATCHES = (64, 1)
DENSITIES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
WARMUP = 3
X = "{:.1f}x"


@dataclass(frozen=True)
class Savings:
    """Prune single weights, then measure files and products.

    Attributes:
        method: one that prunes single weights, as `NetworkSurgery` and `Magnitude` do.
        calls: timed products of each kind, at least 1.
    """

    KIND: ClassVar[str] = "savings"

    method: Method
    calls: int = 50

    def run(self, net: nn.Module, data: Dataset, work: Work) -> dict:
        """Values: accuracy, kept and size (with biases), bytes by form, products, crossover."""
        self.method.run(net, data, **work.how())
        counts = cost.nonzeros(net).values()
        return {
            "accuracy": train.evaluate(net, data.test).accuracy,
            "kept": sum(kept for kept, _ in counts),
            "size": sum(size for _, size in counts),
            "bytes": sizes(net),
            "products": (rows := products(net, self.calls, work.progress)),
            "crossover": [
                point
                for batch in BATCHES
                for point in crossover(*_largest(rows), batch=batch, calls=self.calls)
            ],
        }


def _largest(products: list[dict]) -> tuple[int, int]:
    """Rows and columns of the largest matrix."""
    return max(((p["rows"], p["columns"]) for p in products), key=lambda shape: shape[0] * shape[1])


def sizes(net: nn.Module) -> dict[str, int]:
    """Form -> bytes of the whole network's file, as written by `surgery.save_sparse`."""
    with tempfile.TemporaryDirectory() as folder:
        return {form: surgery.save_sparse(net, Path(folder, form), form) for form in FORMS}


def products(net: nn.Module, calls: int = 50, progress: bool = False) -> list[dict]:
    """Time the product of each layer's weight matrix with 64 columns of activations, and with 1.

    Args:
        net: any network. A convolution is the matrix (filters, channels per group x kernel).
        calls: timed products of each kind.
        progress: show a bar.

    Returns:
        Per layer and batch: layer, kind, rows, columns, kept and size (of the matrix), batch, and
        the seconds of `times`.
    """
    rows = []
    bar = tqdm(cost.nonzeros(net), desc="products", leave=False, disable=not progress)
    for name in bar:
        layer = net.get_submodule(name)
        matrix = layer.weight.detach().flatten(1).cpu().float()
        about = {
            "layer": name,
            "kind": type(layer).__name__,
            "rows": matrix.shape[0],
            "columns": matrix.shape[1],
            "kept": int(torch.count_nonzero(matrix)),
            "size": matrix.numel(),
        }
        rows += [about | {"batch": n} | times(matrix, n, calls) for n in BATCHES]
    return rows


def crossover(
    rows: int,
    columns: int,
    densities: Sequence[float] = DENSITIES,
    *,
    batch: int = 64,
    calls: int = 50,
) -> list[dict]:
    """How sparse a matrix has to be before leaving out its zeros is quicker on this machine.

    Args:
        rows: of a random matrix, normal values at random places.
        columns: of it.
        densities: fractions of entries that are not zero, in (0, 1].
        batch: columns of activations.
        calls: timed products of each kind.

    Returns:
        Per density: rows, columns, batch, density, kept, the seconds of `times`, and for each
        sparse product its time over that of the dense one (`torch_csr_ratio`, `scipy_csr_ratio`).
    """
    draw = torch.Generator().manual_seed(0)
    values = torch.randn(rows, columns, generator=draw)
    order = torch.randperm(values.numel(), generator=draw)
    found = []
    for density in densities:
        kept = max(1, round(density * values.numel()))
        matrix = torch.zeros(values.numel())
        matrix[order[:kept]] = values.view(-1)[order[:kept]]
        seconds = times(matrix.view(rows, columns), batch, calls)
        ratios = {f"{k}_ratio": seconds[k] / seconds["dense"] for k in seconds if k != "dense"}
        about = {"rows": rows, "columns": columns, "batch": batch, "density": density, "kept": kept}
        found.append(about | seconds | ratios)
    return found


def times(matrix: Tensor, batch: int, calls: int) -> dict[str, float]:
    """Median seconds of matrix @ activations: dense, torch's csr, scipy's csr.

    One thread of the CPU, as scipy has no more; the three in turns, every second round backwards.
    The activations are (columns, batch) in memory, the order that suits the sparse products best
    (the dense one takes the same time in either).
    """
    kinds = kernels(matrix, batch)
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    with _one_thread(), torch.no_grad():
        for number in range(WARMUP + calls):
            pulse.beat()
            for name in list(kinds)[:: -1 if number % 2 else 1]:
                start = time.perf_counter()
                kinds[name]()
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(found[WARMUP:]) for name, found in seconds.items()}


def kernels(matrix: Tensor, batch: int) -> dict[str, Callable[[], object]]:
    """Name -> a function that multiplies `matrix` (rows, columns) by the same activations."""
    x = torch.randn(matrix.shape[1], batch, generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings():  # torch calls its csr a beta, once a process
        warnings.filterwarnings("ignore", "Sparse CSR tensor support", UserWarning)
        by_torch = matrix.to_sparse_csr()
    by_scipy, array = csr_array(matrix.numpy()), x.numpy()
    return {
        "dense": lambda: matrix @ x,
        "torch_csr": lambda: by_torch @ x,
        "scipy_csr": lambda: by_scipy @ array,
    }


@contextmanager
def _one_thread() -> Iterator[None]:
    """Threads that wait for a busy core cost milliseconds: far more than a product takes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def tables(network: t.Column) -> tuple[t.Table, t.Table]:
    """What zeros save on disk, and in time.

    Args:
        network: the column that names the network.
    """
    disk = (
        network,
        t.PRESET,
        t.number("compression by count", lambda run: run.values["size"] / run.values["kept"], X),
        t.number("dense file, kB", lambda run: run.values["bytes"]["dense"] / 1e3, "{:,.0f}"),
        t.Column("bit mask + values, kB", lambda line: _smaller(line, "bitmask")),
        t.Column("CSR, kB", lambda line: _smaller(line, "csr")),
    )
    products = (
        network,
        t.PRESET,
        t.Column("layer", lambda line: line.runs[0].values["layer"]),
        t.Column("matrix", _matrix),
        t.number("kept %", lambda run: 100 * run.values["kept"] / run.values["size"]),
        t.Column("batch", lambda line: line.runs[0].values["batch"]),
        t.number("dense, µs", lambda run: 1e6 * run.values["dense"], "{:.1f}"),
        t.number("torch CSR / dense", lambda run: _ratio(run, "torch_csr")),
        t.number("scipy CSR / dense", lambda run: _ratio(run, "scipy_csr")),
    )
    return (
        t.Table("What the zeros save on disk", t.each_run(part="savings"), disk),
        t.Table("What the zeros save in time", _timed, products),
    )


def _timed(results: Results, preset: str | None) -> Iterator[Line]:
    """One line per timed product."""
    for run in results.runs(preset, part="savings"):
        yield from (Line(run.case, (run.at(product),)) for product in run.values["products"])


def _smaller(line: Line, form: str) -> Text:
    size = line.runs[0].values["bytes"]
    times = X.format(size["dense"] / size[form])
    return Text(f"{size[form] / 1e3:,.0f} ({times} smaller)", rows=line.keys)


def _ratio(run: Run, product: str) -> float:
    """Time of a product relative to the dense one."""
    return run.values[product] / run.values["dense"]


def _matrix(line: Line) -> Numbers:
    values = line.runs[0].values
    return Numbers(f"{values['rows']} x {values['columns']}", rows=line.keys)
