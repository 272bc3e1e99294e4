"""A valid call of every public function, as a base for wrong ones."""

import numpy as np
import pandas as pd
import torch
from helpers import contests, selections, stages
from helpers.diagrams import rows_of
from helpers.toy import dataset, network

import prunelab
from prunelab import groups, quantisation, sensitivity, surgery
from prunelab.masks import Keep
from prunelab.train import Budget

DATA = dataset(n=12)
X = DATA.example
BUDGET = Budget(epochs=0.5, lr=0.01, batch=6)
SMALL = DATA.val[:4]


def traced():
    net = network()
    return {"net": net, "groups": groups.trace(net, X)}


def cut():
    return traced() | {"keep": {"0": torch.tensor([True, False, True, True])}}


def curves():
    return sensitivity.scan(network(), SMALL, ratios=[0.5], cache=False, progress=False)


CURVES = curves()


def shrunk():
    return surgery.shrink(**cut())


def small_file():
    surgery.save(shrunk(), Keep(cut()["keep"]), "small.safetensors")
    return "small.safetensors"


def sparse_file():
    surgery.save_sparse(network(), "sparse.safetensors")
    return "sparse.safetensors"


def quantised_file():
    quantisation.save(network(), "q.safetensors")
    return "q.safetensors"


def fit(**options):
    return {"net": network(), "data": DATA, "seed": 0, "progress": False} | options


def points(**columns):
    return pd.DataFrame(columns)


COSTS = points(recipe=["a", "a"], when=["before", "after"], eflop=[2.0, 1.0])


SCAN = pd.DataFrame(
    [("conv1", r, 5, 0.9 - r / 3, -0.2, -0.1, 0.9, 1000, 5000, "l1") for r in (0.1, 0.5)],
    columns="group ratio kept accuracy low high whole params macs criterion".split(),
)
RUN = {
    "kl": 0.1, "seed": 0, "widths": {"fc1": 3}, "whole": {"fc1": 5}, "weights_pct": 9.0,
    "activations_pct": 8.0, "macs": 100, "error": 0.1, "best_error": 0.09, "pixels": None,
}  # fmt: skip
GATED = {"budget": BUDGET, "inputs": (), "ramp": 0.0, "rate": 1.0, "dead": "stop", "cut": None}
METHODS = prunelab.methods.__all__
QUANTISERS = ("BinaryWeights", "XNORNet", "TernaryWeights", "DoReFaNet", "DeepCompression")
CASES = {
    "lab.compare": lambda: {"criteria": {"l1": "l1"}, "ratio": 0.5, "seeds": [0]},
    "lab.curves": dict,
    "lab.digits": dict,
    "lab.groups": dict,
    "lab.network": dict,
    "lab.pruned": lambda: {"plan": "conv1=0.5"},
    "lab.ranked": lambda: {"entries": []},
    "lab.size": lambda: {"net": prunelab.lab.network()},
    "lab.source": lambda: {"thing": prunelab.scores.best},
    "lab.tuned": lambda: {"net": prunelab.lab.network(), "epochs": 0.1},
    "lab.exercises": lambda: {"number": "00"},
    "lab.predict": lambda: {
        "question": "?", "answer": "a", "claim": "", "options": ("a", "b"), "unit": ""
    },
    "models.build": lambda: {"name": "lenet-5", "num_classes": 10, "in_channels": 1},
    "data.load": lambda: {"name": "digits", "root": None, "device": "cpu"},
    "data.available": lambda: {"name": "digits", "root": None},
    "groups.trace": lambda: {"net": network(), "example": X},
    "groups.flow": lambda: {"net": network(), "example": X},
    "groups.diagram.diagram": lambda: traced() | {"example": X},
    "groups.diagram.stages": lambda: {"rows": rows_of("lenet-5")},
    "groups.Slice": lambda: {"tensor": "a", "axis": 0, "repeat": 1, "offset": 0, "role": "through"},
    "groups.Group": lambda: {"name": "a", "size": 3, "slices": ()},
    "groups.Groups": lambda: {"groups": [], "fixed": None},
    "masks.packed": lambda: {"mask": np.ones(3, bool)},
    "masks.unpacked": lambda: {"entry": prunelab.masks.packed(np.ones(3, bool))},
    "masks.Keep.from_json": lambda: {"text": Keep(cut()["keep"]).to_json()},
    "surgery.shrink": cut,
    "surgery.masked": cut,
    "surgery.masker": cut,
    "surgery.cuts": cut,
    "surgery.save": lambda: {"small": shrunk(), "keep": cut()["keep"], "path": "s.safetensors"},
    "surgery.load": lambda: {"path": small_file(), "net": network()},
    "surgery.read": lambda: {"path": small_file()},
    "surgery.save_sparse": lambda: {"net": network(), "path": "s.safetensors", "form": "bitmask"},
    "surgery.load_sparse": lambda: {"path": sparse_file(), "net": network()},
    "surgery.export_onnx": lambda: {"net": network(), "example": X, "path": "net.onnx"},
    "surgery.rebuild": lambda: {"net": network(), "change": lambda name, tensor: tensor},
    "surgery.tensors_of": lambda: {"net": network()},
    "cost.measure": lambda: {"net": network(), "example": X},
    "cost.layers": lambda: {"net": network(), "example": X},
    "cost.nonzeros": lambda: {"net": network()},
    "cost.latency": lambda: {"net": network(), "example": X, "calls": 1, "warmup": 0},
    "train.Budget": lambda: vars(BUDGET),
    "train.evaluate": lambda: {"net": network(), "split": SMALL, "batch": 2},
    "train.fit": lambda: fit(
        budget=BUDGET, penalty=None, after_step=None, checkpoint=None, loss=None, features=(),
        modules=(), settings=None
    ),
    "sensitivity.scan": lambda: {
        "net": network(), "split": SMALL, "ratios": [0.5], "groups": None, "criterion": "l1",
        "images": None, "cache": False, "progress": False,
    },
    "sensitivity.criterion": lambda: {"function": lambda weights: weights.sum(1), "images": 4},
    "sensitivity.each_channel": lambda: {"net": network(), "split": SMALL, "group": "0"},
    "sensitivity.ranking": lambda: traced() | {"criterion": "l1"},
    "sensitivity.price": lambda: traced() | {"example": X},
    "sensitivity.predict": lambda: {"curves": CURVES, "ratios": {"0": 0.5}},
    "sensitivity.solve": lambda: {"curves": CURVES, "macs": 0.9, "params": None},
    "sensitivity.paired_interval": lambda: {
        "before": torch.ones(9) > 0, "after": torch.ones(9) > 0,
    },
    "sensitivity.outcome": lambda: dict.fromkeys(
        ("before", "after"), prunelab.train.evaluate(network(), SMALL)
    ),
    "scores.filter_norm": lambda: {"weight": torch.ones(3, 2), "p": 1, "axis": 0},
    "scores.group_norm": lambda: {
        "group": traced()["groups"]["0"], "tensors": network().state_dict(), "p": 1,
        "layers": frozenset(),
    },
    "scores.norms": lambda: traced() | {"norm": "l1"},
    "scores.kept": lambda: {"size": 5, "ratio": 0.5},
    "scores.check_ratio": lambda: {"function": "f", "ratio": 0.5},
    "scores.best": lambda: {"score": torch.rand(5), "count": 3},
    "scores.layers_of": lambda: {"net": network()},
    "scores.magnitudes": lambda: {"layer": network()[0]},
    "scores.moments": lambda: {"size": torch.rand(5)},
    "methods.FilterNorm": lambda: {
        "ratios": 0.5, "norm": "l1", "select": "smallest", "strategy": "independent",
        "residual": "coupled", "rounds": 1, "retrain": None,
    },
    "methods.ActivationStatistic": lambda: {
        "ratios": 0.5, "statistic": "apoz", "images": 4, "batch": 2,
    },
    "methods.ThiNet": lambda: {
        "ratios": 0.5, "images": 4, "positions": 2, "finetune": None, "rule": "keep",
        "rescale": True,
    },
    "methods.ChannelRegression": lambda: {
        "ratios": 0.5, "images": 4, "positions": 2, "finetune": None, "select": "lasso",
    },
    "methods.DiscriminationAware": lambda: {
        "ratios": 0.5, "epsilon": None, "losses": 0, "lam": 1.0, "reconstruction": 1.0,
        "score": "sum", "select": "gradient", "staging": "stages", "finetune": BUDGET, "images": 4,
        "step": 1, "passes": 1.0,
    },
    "methods.Slimming": lambda: {
        "ratio": 0.5, "budget": BUDGET, "strength": 1e-4, "start": None, "most": 1.0,
    },
    "methods.Magnitude": lambda: {"ratios": 0.5, "q": None, "rounds": 1, "retrain": None},
    "methods.NetworkSurgery": lambda: {
        "c": 0.5, "budget": BUDGET, "stop": 2, "gamma": 0.0, "power": 1.0, "margins": (0.9, 1.1),
        "splice": True, "phases": "together",
    },
    "methods.RecursiveBayesian": lambda: (
        GATED
        | {"beta": 1.0, "sigma": 0.05, "threshold": 1.0, "prior": "dirac", "order": "forward"}
        | {"spatial": False, "finetune": None}
    ),
    "methods.InformationBottleneck": lambda: GATED | {"kl": 1e-4, "log_var": -9.0},
    "methods.GeneralizedDropout": lambda: GATED | {"b": 2.0, "a": 1.0, "start": 0.9},
    "methods.HardConcrete": lambda: GATED | {
        "lam": 1e-4, "temperature": 0.5, "limits": (-0.1, 1.1), "start": 0.5,
    },
    "methods.StructuredBayesian": lambda: GATED | {"snr": 1.0, "scale": 1.0, "log_sigma": -5.0},
    "methods.VariationalDropout": lambda: GATED | {"threshold": 3.0, "log_var": -9.0},
    "methods.BayesianCompression": lambda: GATED | {
        "prior": "jeffreys", "threshold": -3.0, "tau0": 1e-5, "log_var": -9.0,
    },
    "methods.DropNeuron": lambda: {
        "budget": BUDGET, "incoming": 0.1, "outgoing": 0.1, "l1": 0.0, "inputs": (), "dead": "stop",
    },
    "widgets.explorer": lambda: {
        "net": network(), "data": SMALL, "recorded": None, "ratios": None, "criterion": "l1",
        "split": "val", "images": None, "train": None, "retrain": BUDGET, "logits": None,
    },
    "widgets.mask_player": lambda: {
        "snapshots": [{"step": 0, "kept": np.ones((2, 4), bool)}], "title": "", "pixels": True,
        "start": 0,
    },
    "widgets.recorded_scan": lambda: {"points": SCAN},
    "widgets.strength_player": lambda: {
        "runs": [RUN], "title": "", "kl": 0.1, "printed": None, "mean_image": None,
    },
    "widgets.strength_figure": lambda: {
        "runs": [RUN], "title": "", "kl": 0.1, "printed": None, "mean_image": None,
    },
    "widgets.threshold_setter": lambda: {"net": network(), "c": 1.0, "margins": (0.9, 1.1)},
    **contests.CALLS,
    **selections.CALLS,
    **stages.CALLS,
    "plots.sensitivity": lambda: {"points": SCAN, "title": "", "whole": 0.9},
    "plots.panels": lambda: {
        "points": SCAN, "by": "criterion", "titles": None, "title": "", "columns": 3,
    },
    "plots.one_layer": lambda: {"points": SCAN, "group": "conv1", "ratio": 0.5},
    "plots.norm_curves": lambda: {
        "points": points(group=["a", "a"], rank=[0, 1], norm=[1, 0.1]), "title": "",
    },
    "plots.accuracies": lambda: {
        "table": points(data=["a"], label=["b"], error=[0.1]), "title": "",
    },
    "plots.events": lambda: {
        "points": points(step=[0, 9], layer="a", size=9, kept=[5, 3], pruned=[1, 2],
                         spliced=[0, 1]),
        "title": "", "stop": 4,
    },
    "plots.frontier": lambda: {
        "points": points(method="m", setting=[1, 2], seed=0, compression=[2.0, 3.0],
                         error=[0.1, 0.2]),
        "printed": None, "reference": 0.1, "title": "",
    },
    "plots.log_ratios": lambda: {
        "points": points(place="a", epoch=[1], counts=[[1, 2]]), "edges": [-1, 0, 1], "title": "",
    },
    "plots.size_frontier": lambda: {
        "points": points(method="m", setting=1, seed=0, error=[0.1], weights_pct=[5.0]),
        "printed": None, "x": "weights_pct", "title": "", "order": (),
    },
    "plots.size_frontiers": lambda: {
        "points": points(method="m", setting=1, seed=0, error=[0.1], weights_pct=[5.0]),
        "title": "", "order": (),
    },
    "plots.widths": lambda: {
        "points": points(place="a", epoch=[0, 1], units=[5, 4], size=5, seed=0), "title": "",
        "printed": None, "curve": None,
    },
    "plots.magnitudes": lambda: {
        "sizes": {"a": np.array([0.1, 0.2])}, "thresholds": {"a": (0.1, 0.15)}, "title": "",
    },
    "plots.mask_image": lambda: {
        "kept": np.ones((2, 4), bool), "step": 0, "title": "", "pixels": True, "most": None,
    },
    "plots.network_map": lambda: {
        "rows": rows_of("lenet-5"), "ratios": None, "selected": (), "title": "", "flags": None,
    },
    "plots.pixels": lambda: {"mask": np.ones((2, 2), bool), "title": "", "mean_image": None},
    "plots.units_left": lambda: {
        "widths": {"a": 3}, "whole": {"a": 5}, "title": "", "mask": None, "mean_image": None,
        "printed": None,
    },
    "plots.crossover": lambda: {
        "points": points(rows=[5], columns=5, batch=1, density=0.1, torch_csr_ratio=2.0,
                         scipy_csr_ratio=1.5), "title": "",
    },
    "plots.group_picture": lambda: {
        "slices": [{"tensor": "a.weight", "axis": 0, "shape": [4, 3], "role": "out", "offset": 0,
                    "repeat": 1}], "channel": 1, "size": 4, "title": "",
    },
    "plots.training_costs": lambda: {
        "costs": COSTS, "title": "", "unit": "eflop", "chosen": "a",
    },
    "widgets.hours_figure": lambda: {
        "costs": COSTS, "gpus": 8, "teraflops": 100.0, "utilisation": 0.5,
    },
    "widgets.hours_setter": lambda: {
        "costs": COSTS, "gpus": 8, "teraflops": 100.0, "utilisation": 0.5,
    },
    "plots.not_measured": lambda: {"title": "x"},
    "plots.save": lambda: {"fig": prunelab.plots.not_measured("x"), "name": "x"},
    "plots.weight_histograms": lambda: {
        "points": points(method="m", weight=[-0.1, 0.1], before=[3, 4], after=[7, 0]), "title": "",
    },
    "quantisation.BinaryWeights": lambda: {"budget": BUDGET, "ends": True},
    "quantisation.XNORNet": lambda: {"budget": BUDGET, "ends": True},
    "quantisation.TernaryWeights": lambda: {"budget": BUDGET, "ends": True, "delta": 0.7},
    "quantisation.DoReFaNet": lambda: {
        "budget": BUDGET, "ends": True, "weight_bits": 2, "input_bits": 2,
    },
    "quantisation.DeepCompression": lambda: {
        "prune": prunelab.methods.Magnitude(ratios=0.5), "bits": {"0": 3}, "budget": BUDGET,
    },
    "quantisation.save": lambda: {"net": network(), "path": "q.safetensors", "form": "huffman"},
    "quantisation.load": lambda: {"path": quantised_file(), "net": network()},
    **{f"quantisation.{name}.quantise": lambda: fit(checkpoint=None) for name in QUANTISERS},
    **{f"methods.{name}.prune": fit for name in METHODS},
    **{f"methods.{name}.run": lambda: fit(checkpoint=None, watch=None) for name in METHODS},
}  # fmt: skip
