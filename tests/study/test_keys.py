"""Keys that survive a refactoring: a row is found again whatever the code around it is called."""

import dataclasses
import json
from pathlib import Path
from typing import ClassVar

import pytest

from prunelab import methods, quantisation, train
from prunelab.study import exploring, quantised, savings, selections, tasks, weights
from prunelab.study.recipes import Recipe, digest, plain

LEDGER = Path(__file__).resolve().parents[2] / "data" / "ledger"
KINDS = [
    Recipe, train.Budget, tasks.Count, tasks.Baseline, tasks.Scratch, tasks.Norms, tasks.Scan,
    tasks.Prune, weights.Snapshots, savings.Savings, exploring.Explore,
    selections.Selections, quantised.Quantised,
    *filter(dataclasses.is_dataclass, vars(quantisation).values()),
    *filter(dataclasses.is_dataclass, vars(methods).values()),
]  # fmt: skip
# What every defaulted field was when rows were committed. A default that changes would give old
# rows another meaning: raise `Recipe.version` of what is affected, then change it here.
DEFAULTS = {'Recipe': {'data': None, 'budget': None, 'seed': 0, 'version': 1},
 'Budget': {'lr': 0.1,
            'batch': 128,
            'optimizer': 'sgd',
            'momentum': 0.9,
            'weight_decay': 0.0001,
            'nesterov': False,
            'schedule': 'constant',
            'milestones': [0.5, 0.75],
            'gamma': 0.1,
            'warmup': 0,
            'augment': 'none',
            'precision': 'float32',
            'channels_last': False},
 'Count': {'shape': [3, 32, 32], 'classes': 10},
 'Baseline': {},
 'Scratch': {'rule': 'E', 'losses': 0},
 'Norms': {'norm': 'l1', 'groups': None},
 'Scan': {'criterion': 'l1', 'groups': None, 'images': None, 'retrain': None},
 'Prune': {'retrain': None},
 'Snapshots': {},
 'Savings': {'calls': 50},
 'Explore': {'images': None, 'budgets': [0.75, 0.5, 0.25]},
 'ActivationStatistic': {'statistic': 'mean-std', 'images': None, 'batch': 250},
 'BayesianCompression': {'inputs': [],
                         'ramp': 0,
                         'rate': 1,
                         'dead': 'stop',
                         'cut': None,
                         'prior': 'jeffreys',
                         'threshold': -3,
                         'tau0': 1e-05,
                         'log_var': -9},
 'DropNeuron': {'l1': 0, 'inputs': [], 'dead': 'stop'},
 'FilterNorm': {'norm': 'l1',
                'select': 'smallest',
                'strategy': 'independent',
                'residual': 'coupled',
                'rounds': 1,
                'retrain': None},
 'ThiNet': {'images': 5000, 'positions': 10, 'finetune': None, 'rule': 'remove', 'rescale': True},
 'ChannelRegression': {'images': 5000, 'positions': 10, 'finetune': None, 'select': 'lasso',
  'intercept': False},
 'DiscriminationAware': {
  'ratios': 0, 'epsilon': None, 'losses': None, 'lam': 1, 'reconstruction': 1, 'score': 'sum',
  'select': 'gradient', 'staging': 'stages',
  'finetune': {'kind': 'budget', 'epochs': 1, 'lr': 0.01, 'batch': 128, 'optimizer': 'sgd',
    'momentum': 0.9, 'weight_decay': 0.0001, 'nesterov': True, 'schedule': 'constant',
    'milestones': [0.5, 0.75], 'gamma': 0.1, 'warmup': 0, 'augment': 'none', 'precision':
    'float32', 'channels_last': False},
  'images': 10000, 'step': 1, 'passes': 1, 'baseline': 'found', 'depth': 'blocks',
 },
 'Selections': {'image': 0},
 'Slimming': {'strength': 0.0001, 'start': None, 'most': 1},
 'GeneralizedDropout': {'inputs': [],
                        'ramp': 0, 'rate': 1, 'dead': 'stop', 'cut': None, 'a': 1, 'start': 0.9},
 'HardConcrete': {'inputs': [],
                  'ramp': 0,
                  'rate': 1,
                  'dead': 'stop',
                  'cut': None,
                  'temperature': 0.6666666666666666,
                  'limits': [-0.1, 1.1],
                  'start': 0.5},
 'InformationBottleneck': {'inputs': [],
                           'ramp': 0,
                           'rate': 1,
                           'dead': 'stop',
                           'cut': None,
                           'log_var': -9},
 'Quantised': {},
 'BinaryWeights': {'budget': None, 'ends': False},
 'XNORNet': {'budget': None, 'ends': False},
 'TernaryWeights': {'budget': None, 'ends': False, 'delta': 0.7},
 'DoReFaNet': {'budget': None, 'ends': False, 'weight_bits': 2, 'input_bits': None},
 'DeepCompression': {'bits': 5, 'budget': None},
 'Magnitude': {'ratios': None, 'q': None, 'rounds': 1, 'retrain': None},
 'NetworkSurgery': {'gamma': 0.0001,
                    'power': 1,
                    'margins': [0.9, 1.1],
                    'splice': True,
                    'phases': 'together'},
 'RecursiveBayesian': {'inputs': [],
                       'ramp': 0,
                       'rate': 1,
                       'dead': 'keep one',
                       'cut': None,
                       'sigma': 0.05,
                       'threshold': 1,
                       'prior': 'dirac',
                       'order': 'forward',
                       'spatial': False,
                       'finetune': None},
 'StructuredBayesian': {'inputs': [],
                        'ramp': 0,
                        'rate': 1,
                        'dead': 'stop',
                        'cut': None,
                        'snr': 1,
                        'scale': 1,
                        'log_sigma': -5},
 'VariationalDropout': {'inputs': [],
                        'ramp': 0,
                        'rate': 1,
                        'dead': 'stop',
                        'cut': None,
                        'threshold': 3,
                        'log_var': -10}}  # fmt: skip

GONE = {"prune": {"tune": None}}  # fields that rows have, always at their default


@dataclasses.dataclass(frozen=True)
class Toy:
    """A method of one paper."""

    KIND: ClassVar[str] = "toy"

    ratio: float


@dataclasses.dataclass(frozen=True)
class Renamed:
    """The same after a refactoring: another class name, another order, one more option."""

    KIND: ClassVar[str] = "toy"

    greedy: bool = False
    layers: dict = dataclasses.field(default_factory=dict)
    ratio: float = 0.5


def recipe(method):
    return Recipe("toy", "quick", "a", tasks.Prune(method), "lenet-5", "digits", None, 0)


def test_no_key_moves_when_a_class_is_renamed_or_gets_a_defaulted_field():
    for ratio in (0.25, 0.75):
        assert digest(Renamed(ratio=ratio)) == digest(Toy(ratio))
        assert recipe(Renamed(ratio=ratio)).key == recipe(Toy(ratio)).key
    assert digest(Renamed(True, ratio=0.25)) != digest(Toy(0.25))
    assert digest(Renamed(layers={"a": 1}, ratio=0.25)) != digest(Toy(0.25))


def test_an_integer_and_a_float_of_the_same_value_are_the_same_setting():
    assert digest(Toy(1)) == digest(Toy(1.0))
    assert digest(Toy(1.5)) != digest(Toy(1))


def test_a_class_cannot_go_by_its_parents_name():
    @dataclasses.dataclass(frozen=True)
    class Child(Toy):
        pass

    with pytest.raises(TypeError, match="Child must have a `KIND` of its own"):
        digest(Child(0.5))


def test_kinds_are_told_apart():
    names = [c.KIND for c in KINDS]
    assert len(set(names)) == len(names)


def defaults(cls):
    made = {}
    for f in dataclasses.fields(cls):
        if f.default is not dataclasses.MISSING:
            made[f.name] = plain(f.default)
        elif f.default_factory is not dataclasses.MISSING:
            made[f.name] = plain(f.default_factory())
    return made


@pytest.mark.parametrize("cls", KINDS, ids=lambda c: c.__name__)
def test_defaults_are_what_they_were_when_rows_were_committed(cls):
    name, found = cls.__name__, defaults(cls)
    assert name in DEFAULTS, f"add a line to DEFAULTS in {Path(__file__).name}: {name!r}: {found},"
    assert found == DEFAULTS[name]


def short(stored):
    """A stored recipe without what stands at its default."""
    if isinstance(stored, list):
        return [short(v) for v in stored]
    if not isinstance(stored, dict):
        return stored
    known = {k: v for c in KINDS if stored.get("kind") == c.KIND for k, v in defaults(c).items()}
    known |= GONE.get(stored.get("kind"), {})
    return {k: short(v) for k, v in stored.items() if k not in known or v != known[k]}


@pytest.mark.parametrize("path", sorted(LEDGER.glob("*.jsonl")), ids=lambda p: p.stem)
def test_every_committed_row_is_under_the_key_of_its_recipe(path):
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows
    for row in rows:
        found = {k: v for k, v in short(row["recipe"]).items() if k != "label"}
        assert row["key"] == digest(found), row["label"]
        assert (row["preset"], row["seed"]) == (row["recipe"]["preset"], row["recipe"].get("seed"))
