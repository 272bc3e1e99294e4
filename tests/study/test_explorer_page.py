"""The explorer as one page: what is embedded is what Python says, and the browser adds it up."""

import json
import random
import re
import shutil
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunelab.cli import main
from prunelab.ratios import kept
from prunelab.sensitivity.budget.prediction import predict
from prunelab.study.pages import explorer
from prunelab.widgets import words
from prunelab.widgets.exploring.recorded import Recorded, curves, shipped

RECORDINGS = shipped()
PAGES = [explorer.embedded(one) for one in RECORDINGS]
CHROMIUM = shutil.which("chromium")
browser_only = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


def plan_of(page, at):
    """Ratios of slider positions."""
    return {name: page["groups"][name]["options"][k]["ratio"] for name, k in at.items()}


def priced(page, which, at):
    """As the page does: coefficients times products of kept counts."""
    total = 0
    for names, c in page["price"][which]:
        for name in names:
            c *= page["groups"][name]["options"][at[name]]["kept"]
        total += c
    return total


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_what_the_page_adds_up_is_what_python_predicts(data):
    number = data.draw(st.integers(0, len(PAGES) - 1))
    page, scan = PAGES[number], curves(RECORDINGS[number])
    sizes = {name: len(group["options"]) for name, group in page["groups"].items()}
    at = {name: data.draw(st.integers(0, n - 1)) for name, n in sizes.items()}
    guess = predict(scan, plan_of(page, at))
    assert (priced(page, "params", at), priced(page, "macs", at)) == (guess.params, guess.macs)
    changes = [page["groups"][name]["options"][k]["change"] for name, k in at.items()]
    assert page["whole"]["accuracy"] + sum(changes) == pytest.approx(guess.accuracy)


@pytest.mark.parametrize("number", range(len(PAGES)))
def test_every_measured_combination_is_known_and_inside_the_range(number):
    page, source = PAGES[number], Recorded(RECORDINGS[number])
    for label, plan in page["presets"].items():
        guess = source.predicted(plan)
        counts = [kept(g["size"], plan.get(name, 0.0)) for name, g in page["groups"].items()]
        seen, answer = page["known"][",".join(map(str, counts))], source.known(plan)
        assert seen["accuracy"] == answer.accuracy, label
        low, high = guess.whole + guess.low, guess.whole + guess.high
        assert low - 1e-9 <= seen["accuracy"] <= high + 1e-9


def test_every_setting_of_a_slider_says_what_stays():
    for page, recording in zip(PAGES, RECORDINGS):
        for name, group in page["groups"].items():
            ratios = [option["ratio"] for option in group["options"]]
            assert ratios == sorted(ratios) and ratios[0] == 0 and max(ratios) < 1
            scanned = {p["ratio"] for p in recording["points"] if p["group"] == name}
            measured = {o["ratio"] for o in group["options"] if o["measured"]}
            assert measured == scanned | {0.0}
            for option in group["options"]:
                assert option["kept"] == kept(group["size"], option["ratio"])


def test_the_page_loads_nothing_and_no_name_ends_its_script(tmp_path, capsys):
    assert main(["explore", "--html", str(tmp_path / "own.html")]) == 0
    assert "own.html" in capsys.readouterr().out
    text = (tmp_path / "own.html").read_text()
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#)|@import|fetch\(""", text)
    strange = json.loads(json.dumps(RECORDINGS[0]).replace("conv1", "</script><b>"))
    path = explorer.write(tmp_path / "strange.html", [strange])
    assert path.read_text().count("</script>") == 2


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: explorer.write("page.txt"),
            ValueError,
            "`html` must be a file that ends in .html",
        ),
        (lambda: explorer.write(3), TypeError, "`html`"),
        (lambda: explorer.embedded({"title": "x"}), ValueError, "`recordings` must be with title,"),
    ],
)
def test_bad_input_is_one_line(call, error, words):
    with pytest.raises(error, match=re.escape(words)) as found:
        call()
    assert "\n" not in str(found.value)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    from playwright.sync_api import sync_playwright

    path = explorer.write(tmp_path_factory.mktemp("page") / "explorer.html")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = found.new_page(viewport={"width": 1000, "height": 900})
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector(".group")
        yield page
        assert errors == [] and asked == [path.as_uri()]
        found.close()


def shown(page):
    """Accuracy as text, MACs as a number."""
    macs = unescape(page.text_content("#macs")).partition(" ")[0]
    return page.text_content("#accuracy"), int(macs.replace(",", ""))


@browser_only
@pytest.mark.parametrize("number", range(len(PAGES)))
def test_in_the_browser_a_prediction_is_the_range_that_the_explorer_shows(page, number):
    page.select_option("#network", str(number))
    source, groups = Recorded(RECORDINGS[number]), PAGES[number]["groups"]
    chosen = random.Random(number)
    for several in (1, 1, 1, 2, 3, 3):
        page.click("#reset")
        at = {name: chosen.randrange(1, 19) for name in chosen.sample([*groups], several)}
        for name, k in at.items():
            page.locator(f"[data-group='{name}'] input").fill(str(k))
        (answer,) = source.answers(plan_of(PAGES[number], at), lambda: False)
        assert shown(page) == (words.brief(answer), answer.macs)


@browser_only
def test_in_the_browser_what_a_slider_changes_is_no_preset_any_more(page):
    page.select_option("#network", "0")
    for change in (
        lambda: page.locator(".group[data-group=conv2] input").fill("7"),
        lambda: page.locator("[data-handle='conv1']").press("ArrowRight"),
        lambda: page.click("#solve"),
        lambda: page.click("#reset"),
    ):
        page.select_option("#presets", "uniform 10%")
        assert page.input_value("#presets") == "uniform 10%"
        change()
        assert page.input_value("#presets") == ""


@browser_only
@pytest.mark.parametrize("number", range(len(PAGES)))
def test_in_the_browser_each_measured_combination_shows_its_own_accuracy(page, number):
    page.select_option("#network", str(number))
    for row in RECORDINGS[number]["combinations"]:
        page.select_option("#presets", row["label"])
        assert shown(page) == (f"{100 * row['accuracy']:.1f}%", row["macs"])
        assert "measured" in page.text_content("#how")


@browser_only
def test_a_slider_answers_and_the_map_follows(page):
    page.select_option("#network", "0")
    scan = curves(RECORDINGS[0])
    slider = page.locator(".group[data-group=conv2] input")
    ratios = [option["ratio"] for option in PAGES[0]["groups"]["conv2"]["options"]]
    for ratio in (0.5, 0.35):
        slider.fill(str(ratios.index(ratio)))
        guess = predict(scan, {"conv2": ratio})
        accuracy, macs = shown(page)
        assert macs == guess.macs
        assert (" to " in accuracy) == (ratio == 0.35)  # 35% was not measured
        stay = page.text_content('[id="number:conv2"]')
        assert stay.strip() == str(guess.kept["conv2"])
    assert "selected" in page.get_attribute('[id="frame:conv2"]', "class")
    page.click('[id="frame:fc1"]')
    assert page.text_content("#of") == "fc1"
    page.click("#reset")
    assert shown(page)[0] == f"{100 * RECORDINGS[0]['whole']['accuracy']:.1f}%"


@browser_only
@pytest.mark.parametrize("share", [80, 50, 30])
def test_a_solution_keeps_the_budget_and_is_no_worse_than_one_ratio_for_all(page, share):
    page.select_option("#network", "1")
    page.locator("#budget").fill(str(share))
    page.click("#solve")
    found, recording = PAGES[1], RECORDINGS[1]
    at = page.eval_on_selector_all(".group input", "(all) => all.map((one) => Number(one.value))")
    plan = plan_of(found, dict(zip(found["groups"], at)))
    scan, budget = curves(recording), share / 100 * recording["whole"]["macs"]
    best = predict(scan, plan)
    assert best.macs == shown(page)[1] <= budget
    uniform = [dict.fromkeys(found["groups"], r / 20) for r in range(1, 19)]
    others = [p for p in (predict(scan, one) for one in uniform) if p.macs <= budget]
    assert all(best.accuracy >= other.accuracy for other in others)


@browser_only
def test_a_point_on_a_curve_is_dragged(page):
    page.select_option("#network", "1")
    name = next(iter(PAGES[1]["groups"]))
    point = page.locator(f"[data-handle='{name}']")
    at = point.bounding_box()
    page.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    page.mouse.down()
    page.mouse.move(at["x"] + 160, at["y"] + 60, steps=5)
    page.mouse.up()
    size = PAGES[1]["groups"][name]["size"]
    stay = int(re.search(r"(\d+) of", page.text_content(f".group[data-group='{name}'] output"))[1])
    assert 0 < stay < size
    removed = float(point.get_attribute("aria-valuenow"))
    assert kept(size, removed / 100) == pytest.approx(stay, abs=1)
    page.locator(f"[data-handle='{name}']").press("Home")
    assert f"{size} of {size} stay" in page.text_content(f".group[data-group='{name}'] output")
    page.keyboard.press("ArrowRight")  # one percent, and the next measured setting is further off
    first = next(option for option in PAGES[1]["groups"][name]["options"] if option["ratio"] > 0)
    said = f"{first['kept']} of {size} stay"
    assert said in page.text_content(f".group[data-group='{name}'] output")
