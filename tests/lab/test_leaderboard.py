"""The bench and the leaderboard: what is ranked is what was really shrunk and tested."""

import json

import pytest
import torch
from helpers.toy import same

from prunelab import lab, surgery, train
from prunelab.cli import main
from prunelab.lab import bench, leaderboard

GOOD = "conv1=0.4 conv2=0.4 fc1=0.7 +1"


def named(entries):
    return lab.ranked(entries).set_index("name")


def test_the_bench_is_the_same_for_everybody_and_cannot_be_spoilt():
    first = lab.network()
    with torch.no_grad():
        first.conv1.weight.zero_()
    assert same(lab.network(), lab.network())
    assert train.evaluate(lab.network(), lab.digits().val).accuracy > 0.9
    assert not same(lab.network(), lab.network(1))


def test_a_plan_is_shrunk_and_tuned_as_by_hand():
    small = lab.pruned("conv1=0.4 conv2=0.4 fc1=0.7")
    assert [small.conv1.out_channels, small.conv2.out_channels, small.fc1.out_features] == [
        12,
        30,
        150,
    ]
    assert same(lab.pruned({"conv1": 0.4, "conv2": 0.4, "fc1": 0.7}), small)
    assert same(lab.pruned(GOOD), lab.tuned(small))
    by_hand = lab.pruned("conv1:0,5")
    keep = torch.ones(20, dtype=torch.bool)
    keep[[0, 5]] = False
    assert same(by_hand, surgery.shrink(lab.network(), lab.groups(), {"conv1": keep}))


def test_the_solver_is_on_the_board_within_the_budget():
    solver = named([]).loc[leaderboard.SOLVER]
    assert solver["rank"] == "1" and float(solver["MACs left %"]) <= 50
    assert solver["plan"].endswith("+2") and solver["against the best, points (95%)"] == "the best"


@pytest.mark.parametrize("split", ["val", "test"])
def test_accuracies_are_those_of_the_images_whatever_is_claimed(split):
    plans = {"Ada": GOOD, "Bob": "conv1=0.9 fc1=0.9", "Cy": GOOD}
    entries = [{"name": n, "plan": p, "accuracy": 1.0} for n, p in plans.items()]
    table = lab.ranked(entries, split).set_index("name")
    for name, plan in plans.items():
        seen = train.evaluate(lab.pruned(plan), getattr(lab.digits(), split)).accuracy
        assert table["accuracy %"][name] == f"{100 * seen:.1f}"
        assert table["MACs left %"][name] == f"{100 * lab.size(lab.pruned(plan))['macs']:.1f}"
        assert table["remark"][name] == "not looked at: accuracy"
    assert table["rank"]["Ada"] == table["rank"]["Cy"] and table["rank"]["Bob"] == "4"


def test_of_plans_that_may_be_as_accurate_the_smaller_is_first():
    right = torch.ones(360, dtype=torch.bool)
    nearly, half = right.clone(), right.clone()
    nearly[0] = False
    half[::2] = False
    entries = [
        leaderboard.Entry("large", "a", right, 0.5, 0.5),
        leaderboard.Entry("small", "b", nearly, 0.3, 0.5),
        leaderboard.Entry("tiny", "c", half, 0.1, 0.5),
        leaderboard.Entry("also large", "d", right, 0.5, 0.5),
    ]
    table = leaderboard._table(entries)
    assert table.name.tolist() == ["small", "large", "also large", "tiny"]
    assert table["rank"].tolist() == ["1", "2", "2", "4"]
    said = table.set_index("name")["against the best, points (95%)"]
    assert said["large"] == "the best" and said["also large"] == "the same answers"
    assert said["small"].startswith("−0.3 (") and said["tiny"].startswith("−50.0 (")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (
            {"name": "x", "plan": "conv1=0.95 conv2=0.95 +2 conv1=0.1"},
            "a plan names a group once; `conv1` is named again",
        ),
        ({"name": "The Solver", "plan": GOOD}, "`name` must not be 'the solver'"),
        ({"name": "x", "plan": "conv1=0.1"}, "at most 50% of the MACs; this plan leaves"),
        ({"name": "x", "plan": f"{GOOD[:-1]}3"}, "at most 2 epochs of fine-tuning; got +3"),
        ({"name": "x", "plan": "conv9=0.5"}, "no group `conv9`; groups are conv1, conv2, fc1"),
        ({"name": "x", "plan": "conv1=2"}, "a ratio must be in [0, 1); got 'conv1=2'"),
        ({"name": "x", "plan": 3}, "`plan` must be a text, as"),
        ({"name": "x"}, "`plan` must be a text, as"),
        ({"name": "", "plan": GOOD}, "`name` must be a text of 1 to 40 letters"),
        ({"name": 3, "plan": GOOD}, "`name` must be a text of 1 to 40 letters"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_its_reason_and_stays_on_the_board(entry, words):
    table = lab.ranked([entry])
    assert len(table) == 2 and table["rank"].tolist() == ["1", "–"]
    assert table["remark"][1].startswith("refused: ") and words in table["remark"][1]


def test_files_of_a_folder_are_ranked_by_the_command(tmp_path, capsys):
    (tmp_path / "ada.json").write_text(json.dumps({"name": "Ada", "plan": GOOD}))
    (tmp_path / "anonymous.json").write_text(json.dumps({"plan": GOOD}))
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "notes.txt").write_text("not an entry")
    (tmp_path / "deep.json").write_text("[" * 100_000 + "]" * 100_000)
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "gone.json").symlink_to(tmp_path / "nothing")
    forged = {"name": "\ud800x", "plan": "bad\n  1  Forged  99.9  the best", "a\nb": "\x1b[2J"}
    (tmp_path / "forged.json").write_text(json.dumps(forged))
    assert main(["lab", "leaderboard", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for word in ("the solver", "Ada", "anonymous", "broken", "no JSON", "list", GOOD):
        assert word in said
    assert "notes" not in said and "\n  1  Forged" not in said and "\x1b" not in said
    for name in ("deep", "folder", "gone"):
        assert name in said
    (tmp_path / "empty").mkdir()
    for place, words in (("none", "must be a folder"), ("empty", "must hold entries as .json")):
        assert main(["lab", "leaderboard", str(tmp_path / place)]) == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: lab.network(-1), ValueError, "`seed` must be an integer >= 0; got -1"),
        (lambda: lab.pruned(3), TypeError, "`plan` must be a text as"),
        (lambda: lab.pruned("conv1"), ValueError, "a plan is written as"),
        (lambda: lab.ranked([], "train"), ValueError, "`split` must be one of val, test"),
        (lambda: lab.ranked([3]), TypeError, "`entries` must be mappings with name and .*; got 3"),
        (lambda: lab.compare("l1", 0.5), TypeError, "`criteria` must be criteria by name; got"),
        (lambda: lab.compare({"l1": "l1"}, 1.0), ValueError, "compare"),
        (lambda: lab.tuned(3), TypeError, "`net` must be a network; got 3"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(call, error, words):
    with pytest.raises(error, match=words) as found:
        call()
    assert "\n" not in str(found.value)


def test_a_comparison_tests_each_criterion_with_the_same_seeds():
    table = lab.compare({"l1": "l1", "random": "random"}, 0.5, [0, 1])
    assert list(zip(table.criterion, table.seed)) == [
        ("l1", 0), ("random", 0), ("l1", 1), ("random", 1),
    ]  # fmt: skip
    small = lab.pruned(dict.fromkeys(bench.groups(), 0.5), seed=1)
    row = table[(table.criterion == "l1") & (table.seed == 1)].iloc[0]
    assert row.before == train.evaluate(small, lab.digits().test).accuracy
    assert row.after == train.evaluate(lab.tuned(small, seed=1), lab.digits().test).accuracy
