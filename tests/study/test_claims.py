"""Claims: permanent ids, verdicts, what measures one, and what is said of it."""

import re
from pathlib import Path

import pytest
from helpers.studies import row_of

from prunelab.cli import main
from prunelab.study import citing, claims, ledger
from prunelab.study.pages import report
from prunelab.study.papers import studies, study

ROOT = Path(__file__).parents[2]
PINNED = (Path(__file__).parent / "claims.txt").read_text().split()
DNS, DCP = study("network_surgery"), study("discrimination_aware")
ERROR = "dns/table1/lenet-5/error"
EVERY = claims.every()


def test_ids_are_permanent():
    # One that is listed here may be printed somewhere: new ones are added, none goes or changes.
    assert list(EVERY) == PINNED


def test_an_id_is_made_from_paper_table_row_and_number():
    assert {"pfec/table2/features.conv1/flop-pruned", "vibnet/table3/d4/vibnet/mflop"} <= {*PINNED}
    assert {"dcp/table6/l-s-only/test-err", "dcp/complexity/resnet-56/50/flops-mac"} <= {*PINNED}
    assert len({*PINNED}) == len(PINNED)


def surgery(*runs):
    """Claims on rows of the surgery on LeNet-5, each of an accuracy and a compression."""
    recipes = DNS.recipes("paper", range(len(runs)))["surgery"]
    real = {row["key"]: row["values"] for row in ledger.rows(DNS.stem)}
    rows = []
    for recipe in recipes:
        if recipe.model == "lenet-5":
            error, compression = runs[recipe.seed]
            own = {"accuracy": 1 - error / 100, "compression": compression}
            rows.append(row_of(recipe, real[recipe.key] | own | {"before": {"accuracy": 0.99}}))
    return claims.of(DNS, rows)


def test_a_number_is_met_if_no_seed_is_worse():
    found = surgery((0.91, 108), (0.5, 120))
    assert found[ERROR].status == "met" and str(found[ERROR].ours) == "0.71 (0.50 to 0.91)"
    found = surgery((0.92, 108), (0.5, 107))
    assert found[ERROR].status == "missed"
    assert str(found[ERROR].verdict) == "within print in 1 of 2 seeds"
    assert found["dns/table1/lenet-5/compression"].status == "missed"
    assert found[ERROR.replace("-5", "-300-100")].status == "not measured"


def test_without_a_rule_print_must_be_in_the_interval_or_worse():
    reference = "dns/table1/lenet-5/reference-error"  # printed 0.91, ours 1.0
    assert surgery((0.9, 110), (0.8, 110))[reference].status == "missed"
    gap = "dcp/table1/resnet-56/dcp/err-gap"  # printed 0.31
    found = {}
    for gaps in [(0.2, 0.4, 0.6), (0.2, 0.21, 0.22), (0.5, 0.51, 0.52)]:
        recipes, values = DCP.recipes("paper", range(3)), []
        for part, more in (("unpruned", None), ("methods", gaps)):
            for r in recipes[part]:
                if r.model == "preresnet-56" and r.label in ("unpruned", "DCP"):
                    error = 0.06 + (more[r.seed] / 100 if more else 0)
                    values.append(
                        row_of(
                            r, {"accuracy": 1 - error, "params": 1, "macs": 1, "best_accuracy": 1.0}
                        )
                    )
        found[gaps] = claims.of(DCP, values)[gap]
    assert [one.status for one in found.values()] == ["met", "met", "missed"]
    first = next(iter(found.values()))
    assert str(first.verdict) == "printed is in our interval" and first.interval == "-0.10 to +0.90"


def test_what_nobody_ran_counts_as_not_measured_and_nothing_measures_it():
    found = EVERY.values()
    assert {c.status for c in found if not c.line.runs} == {"not measured"}
    (one,) = [c for c in found if c.id == "dcp/table3/wm/top1-gap"]
    assert str(one.verdict) == "not run here" and not one.verdict.command
    with pytest.raises(ValueError, match=r"nothing measures dcp/table3/wm/top1-gap \(not run"):
        one.recipes()


def test_print_that_ours_was_built_to_reach_is_not_judged():
    one = claims.claim("rbp/abstract/vgg-16/flops-reduction")
    assert one.status == "not judged" and str(one.verdict) == "ours was built to reach it"
    assert str(one.printed) == "5.0" and one.mean >= 5.0


def test_a_printed_number_in_a_plain_column_has_an_id():
    one = claims.claim("quantisation/deep-compression/alexnet/rate")
    assert str(one.printed) == "35x" and one.status == "not measured"


def test_a_claim_is_measured_by_its_own_recipe_and_by_that_of_its_base():
    (recipe,) = claims.claim(ERROR).recipes(7)
    assert recipe in DNS.recipes("paper", range(8))["surgery"] and recipe.seed == 7
    base, own = claims.claim("dcp/table1/resnet-56/cp/err-gap").recipes(3)
    assert (base.label, own.label, base.seed, own.seed) == ("unpruned", "CP", 3, 3)
    whole, counted = claims.claim("pfec/table1/vgg-16-pruned-a/flop-pruned").recipes(9)
    assert (whole.seed, counted.seed) == (0, 0)  # what is counted has no seed


def test_each_claim_that_can_be_measured_says_how():
    for one in EVERY.values():
        if one.status in ("met", "missed"):
            measured = {run.key for run in one.line.runs}
            assert measured <= {recipe.key for recipe in one.recipes()}
        if one.status == "not measured" and one.line.case:
            assert one.verdict.command.startswith("prunelab run 0") and one.recipes()


def test_the_page_counts_them_first_and_lists_them_with_their_paper(tmp_path):
    page = report.build(tmp_path, root=ROOT, papers={DNS.stem: DNS}).read_text()
    found = claims.of(DNS)
    counts = "".join(
        f'<td class="number">{n}</td>' for n in claims.counted(found.values()).values()
    )
    assert counts in page[: page.index("<h2>")]
    assert all(f">{name}</td>" in page for name in found)


@pytest.fixture
def own_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("PRUNELAB_RUNS", str(tmp_path))
    return tmp_path


def test_the_command_measures_one_cell_and_says_how_it_stands(own_runs, capsys):
    assert main(["run", "--claim", "pfec/table1/vgg-16/flop", "--refresh"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("pfec/table1/vgg-16/flop: 1 measurement, the time is unknown: nothing is")
    assert "pfec/table1/vgg-16/flop: printed 3.13e8, ours 313,463,808: met (equal)" in out
    (row,) = ledger.read(own_runs / "ledger" / "filter_norm.jsonl")
    assert row["values"]["macs"] == 313_463_808


def test_a_long_measurement_is_announced_before_it_starts(monkeypatch):
    ran = []
    monkeypatch.setattr(ledger, "run", lambda recipes, refresh: ran.append(recipes))
    lines = citing.measured("dcp/table1/resnet-56/thinet/param-ratio", None, False)
    said = next(lines)
    # 400 of the network before, which both measurements share, and 400 of the fine-tuning.
    assert "2 measurements, the time is unknown: at least 800 epochs of training on cifar10" in said
    assert said.endswith("the same command then goes on where this one stopped.") and not ran
    assert " not measured " in next(lines) and len(ran) == 1
    assert next(citing.measured(ERROR, 9, False)).startswith(f"{ERROR}: 1 measurement, about ")
    assert next(citing.measured(ERROR, 0, True)).endswith("the same command then starts anew.")
    (only,) = citing.measured(ERROR, 0, False)  # it is there: nothing to announce
    assert only.startswith(f"{ERROR}: printed ")


def test_a_citation_has_value_interval_recipe_commit_data_and_bibtex():
    text = citing.cited(ERROR)
    one = claims.claim(ERROR)
    assert text.startswith(f"{ERROR}: printed 0.91, ours {one.ours}, 95% interval {one.interval}: ")
    rows = {row["key"]: row for row in ledger.rows(DNS.stem)}
    for run in one.line.runs:
        row = rows[run.key]
        assert f"row {run.key}, seed {run.seed}, commit {row['commit']}" in text
        assert row["data_checksum"] in text
    assert '"kind": "network_surgery"' in text and "@inproceedings{guo2016dynamic" in text


def test_each_paper_can_be_cited_by_its_short_name_too():
    for stem, paper in studies().items():
        text, said = citing.cited(stem), paper.said
        if stem != "head_to_head":  # ours: no paper
            assert citing.cited(said.claims["paper"]) == text
        # Each paper that is linked has an entry.
        papers = [at for name, at in said.links.items() if name != "code"]
        assert len(re.findall(r"^@", text, re.MULTILINE)) == len(papers)
        assert text.endswith(said.bibtex.strip() if papers else said.citation)


def test_each_paper_has_pages_and_further_reading_for_a_notebook_and_the_terminal():
    for stem, paper in studies().items():
        said = paper.said
        assert 2 <= len(said.further) <= 3 and (said.links or stem == "head_to_head")
        shown, text = citing.sources(stem)._repr_markdown_(), citing.cited(stem)
        for address in (*said.links.values(), *said.further.values()):
            assert re.fullmatch(
                r"https://(arxiv\.org/abs/\d{4}\.\d{4,5}|github\.com/[\w/-]+)", address
            )
            assert address in shown and address in text
    assert str(citing.sources("dns")) == str(citing.sources("network_surgery"))
    with pytest.raises(ValueError, match=r"sources: `paper` must be one of pfec, dns, .*; got 'x'"):
        citing.sources("x")


def test_the_summary_counts_every_claim():
    table = citing.summary(EVERY.values())
    assert table.drop(columns="paper").to_numpy().sum() == len(PINNED)
    assert list(table.paper) == ["pfec", "dns", "vibnet", "dcp", "rbp", "quantisation"]
    assert citing.listed([]).endswith("`prunelab claims pfec` lists those of one paper")
    assert citing.listed(["dns"]).count("\n") == sum(name.startswith("dns/") for name in PINNED)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("run --claim dns/table1/lenet-5/speed", "no claim 'dns/table1/lenet-5/speed'; there are"
         " dns/table1/lenet-5/compression, dns/table1/lenet-5/reference-error, " + ERROR + "\n"),
        ("run --claim x", "no claim 'x'; there are pfec/table1/vgg-16/flop, "),
        ("run 02 --claim " + ERROR, "--refresh; got numbers"),
        ("run --preset smoke --write --claim " + ERROR, "--refresh; got preset, write"),
        ("run --seed 3", "--claim ID goes with --seed, --device, --data-root and --refresh; got"),
        (f"run --claim {ERROR} --seed -1", "`seed` must be an integer >= 0; got -1"),
        (f"run --claim {ERROR} --data-root /nowhere", "`data_root` must be a folder"),
        ("run --claim dcp/table3/wm/top1-gap", "nothing measures dcp/table3/wm/top1-gap"),
        ("claims dnss", "one of pfec, dns, vibnet, dcp, rbp, quantisation; got 'dnss'"),
        ("cite dns/table9", "no claim 'dns/table9'; there are dns/table1/lenet-5/compression"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(command, said, capsys):
    assert main(command.split()) == 2
    out, err = capsys.readouterr()
    assert said in err and err.count("\n") == 1 and not out
