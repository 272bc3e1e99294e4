"""The report in a browser, as it is read: from a file, in a narrow window, and on paper."""

import re
import shutil
import zlib
from contextlib import suppress
from pathlib import Path

import pytest

from prunelab.study import claims
from prunelab.study.pages import report

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
PAPER = 688  # pixels: A4 without its margins
WIDE = """boxes => boxes.filter(box => box.scrollWidth > box.clientWidth || !box.clientHeight)
                        .map(box => box.ariaLabel)"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    from playwright.sync_api import sync_playwright

    file = report.build(tmp_path_factory.mktemp("run"), root=Path(__file__).parents[2])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        found = browser.new_page(viewport={"width": 1000, "height": 800}, reduced_motion="reduce")
        asked = []
        found.on("request", lambda request: asked.append(request.url))
        found.goto(file.as_uri())
        found.asked = [url for url in asked if not url.startswith("data:")]
        yield found
        browser.close()


@pytest.fixture
def printed(page):
    page.set_viewport_size({"width": PAPER, "height": 1000})
    page.emulate_media(media="print")
    yield page
    page.emulate_media(media="screen")
    page.set_viewport_size({"width": 1000, "height": 800})


def test_it_opens_from_a_file_and_asks_for_nothing_else(page):
    assert page.asked == [page.url.partition("#")[0]]


def test_a_window_of_1000_pixels_is_wide_enough(page):
    assert page.evaluate("document.documentElement.scrollWidth") == 1000


def test_every_picture_says_in_words_what_it_shows(page):
    alts = page.eval_on_selector_all("img", "images => images.map(image => image.alt)")
    assert len(alts) > 30 and all(alt.strip() for alt in alts)
    pairs = page.eval_on_selector_all(
        "figure", "all => all.map(one => [one.children[0].alt, one.children[1].textContent])"
    )
    assert pairs and all(text.startswith(alt) for alt, text in pairs)


def test_the_first_screen_leads_to_the_numbers_of_each_paper(page):
    links = page.locator(".reproduced a")
    assert links.count() == len(claims.papers())
    for link in links.all():
        target = page.locator(f"[id='{link.get_attribute('href')[1:]}']")
        assert not target.is_visible()
        link.click()
        assert target.is_visible()
        assert page.locator(f"nav a[href='{link.get_attribute('href')}']").count() == 1


def test_on_paper_nothing_is_folded_or_wider_than_the_page(printed):
    # Chrome makes a page that is too wide smaller as a whole, its text too.
    assert printed.evaluate("document.documentElement.scrollWidth") == PAPER
    assert printed.eval_on_selector_all(".box", WIDE) == []
    assert printed.evaluate("getComputedStyle(document.body).fontSize") == "14px"
    for name in ("dns/table1/lenet-5/error", "rbp/abstract/vgg-16/flops-reduction"):
        line = printed.get_by_role("cell", name=name, exact=True)
        assert line.bounding_box()["height"] > 0


def test_chrome_prints_it_at_full_size(printed):
    pages = list(streams(printed.pdf(format="A4", prefer_css_page_size=True)))
    found = [re.match(rb"([\d.]+) 0 0 -[\d.]+ .*?\nq\n([\d.]+) 0 0 [\d.]+ ", page, re.DOTALL)
             for page in pages]  # fmt: skip
    scales = {round(float(one[1]) * float(one[2]), 3) for one in found if one}
    assert len(pages) > 50 and scales == {0.75}, "a pixel is three quarters of a point"


def streams(pdf):
    """The drawing commands of each page."""
    for found in re.finditer(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        with suppress(zlib.error):
            text = zlib.decompress(found[1])
            if b" cm\nq\n" in text[:60]:
                yield text
