"""A person's view: the explorer in a real browser, served by Voila and in JupyterLab.

Needs chromium; `.ci/run` installs it. Screenshots go to $PRUNELAB_SCREENSHOTS, if that is set.
"""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path

import nbformat
import pytest
from helpers.ports import free_port

from prunelab.study import app

CHROMIUM = shutil.which("chromium")
FLAGS = """
    --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync
""".split()
WAIT = 60_000  # milliseconds: a cold start on a busy machine
LIVE = """
import torch
from prunelab import data, models, train, widgets

torch.manual_seed(0)
torch.set_num_threads(1)
digits, net = data.load("digits"), models.build("lenet-5")
train.fit(net, digits, train.Budget(epochs=3, lr=0.02, batch=64), progress=False)
widgets.explorer(net, digits)
"""
CURVES = """
from prunelab import data, models, widgets
widgets.explorer(models.build("lenet-5"), data.load("digits"))
"""
PAGES = {"recorded": app.SOURCE, "live": LIVE, "untrained": CURVES}
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """serve(name, *command) starts a server in a folder of notebooks; gives its address."""
    folder, started = tmp_path_factory.mktemp("pages"), []
    for name, source in PAGES.items():
        page = app.page()
        page.cells = [nbformat.v4.new_code_cell(source.strip())]
        nbformat.write(page, folder / f"{name}.ipynb")

    @cache
    def start(name, *command):
        port = free_port()
        log = open(folder / f"{name}.log", "wb")  # noqa: SIM115
        arguments = [sys.executable, "-m", name, *command, f"--port={port}", "--no-browser"]
        server = subprocess.Popen(arguments, cwd=folder, stdout=log, stderr=log)
        started.append((server, log))
        return await_answer(f"http://127.0.0.1:{port}", folder / f"{name}.log")

    yield start
    for server, _ in started:
        server.terminate()
    for server, log in started:
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log.close()


def await_answer(address, log):
    end = time.monotonic() + 90
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{address}/static/nothing", timeout=5).close()
        except urllib.error.HTTPError as error:
            error.close()
            return address
        except OSError:
            time.sleep(0.3)
    raise AssertionError(f"no server: {log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1400, "height": 1250})
    page.set_default_timeout(WAIT)
    yield page
    page.close()


def screenshot(page, name):
    folder = os.environ.get("PRUNELAB_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


ANSWER = '.widget-html:has-text("of the whole")'
FINAL = """before => {
    const said = [...document.querySelectorAll('.widget-html')].map(e => e.innerText)
        .filter(text => text.includes('of the whole') && !text.includes('measuring'));
    return said.length && said[said.length - 1] !== before;
}"""


def accuracy(page, before=""):
    """The text of the answer, once it is another one and final."""
    page.wait_for_function(FINAL, arg=before, timeout=WAIT)
    return page.locator(ANSWER).last.inner_text()


def drag(page, steps):
    """Move the ratio slider by so many steps of its keyboard, and wait for another answer."""
    before = accuracy(page)
    handle = page.locator(".widget-slider .noUi-handle").first
    handle.scroll_into_view_if_needed()
    handle.focus()
    for _ in range(steps):
        handle.press("ArrowRight")
    return accuracy(page, before)


def settled(page):
    """The text of the answer when nothing changes it any more."""
    before, now = "", accuracy(page)
    while now != before:
        page.wait_for_timeout(500)
        before, now = now, accuracy(page)
    return now


def press_until(page, layer, kept):
    """Move the ratio slider by its keyboard until a layer keeps so many channels.

    Step by step: a kernel that is slow may still set the slider to the layer's own ratio.
    """
    handle = page.locator(".widget-slider .noUi-handle").first
    box = page.locator(f".prunelab-map g[data-layer='{layer}']")
    end = time.monotonic() + WAIT / 1000
    while (now := int(re.search(r"kept: (\d+)", box.get_attribute("aria-label"))[1])) != kept:
        assert time.monotonic() < end, f"{layer} keeps {now}"
        handle.press("ArrowRight" if now > kept else "ArrowLeft")
        page.wait_for_timeout(200)


ICON = """() => {
    const icon = document.querySelector('button i.fa-undo');
    const face = getComputedStyle(icon, '::before');
    const font = `${face.fontWeight} 16px ${face.fontFamily}`;
    return [face.content, document.fonts.check(font, face.content),
        icon.getBoundingClientRect().width];
}"""


def test_the_command_shows_recordings_and_asks_no_other_server(serve, page):
    address, asked = serve("prunelab", "explore"), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address.replace("127.0.0.1", "localhost"))
    whole = accuracy(page)
    content, loaded, width = page.evaluate(ICON)
    assert "\uf0e2" in content and loaded and width > 6  # icons come from the page's own server
    own = (address.replace("127.0.0.1", "localhost"), "data:", "blob:")
    assert len(asked) > 10 and [url for url in asked if not url.startswith(own)] == []
    assert re.search(r"\d\d\.\d\d?%", whole)
    press_until(page, "conv1", 12)
    pruned = settled(page)
    assert pruned != whole
    page.get_by_label("plan").fill("conv1:0,1,2")
    page.get_by_label("plan").press("Enter")
    page.wait_for_selector("text=no channels by hand here")
    assert accuracy(page) == pruned  # the result stays
    screenshot(page, "voila-recorded")
    page.get_by_role("tab", name="Look inside").click()
    tiles = page.locator(".prunelab-channels button")
    tiles.first.wait_for()
    assert tiles.count() == 20
    screenshot(page, "voila-recorded-inside")


def test_voila_a_real_network_shrinks_and_answers(serve, page):
    page.goto(f"{serve('voila')}/voila/render/live.ipynb")
    whole = accuracy(page)
    pruned = drag(page, 14)
    assert pruned != whole
    box = page.locator(".prunelab-map g[data-layer='fc1']")
    assert "kept: 500 of 500" in box.get_attribute("aria-label")
    for press in (box.click, lambda: box.press("Enter")):
        page.locator(".prunelab-map svg").click(position={"x": 2, "y": 2})  # beside the boxes
        page.wait_for_selector(".prunelab-map g[data-layer='fc1'][aria-pressed='false']")
        press()
        page.wait_for_selector(".prunelab-map g.selected[data-layer='fc1'][aria-pressed='true']")
    page.wait_for_function(
        "() => [...document.querySelectorAll('select[multiple] option:checked')]"
        "  .some(option => option.innerText.includes('fc1'))"
    )
    page.wait_for_selector(".widget-slider .noUi-handle[aria-valuenow='0.0']")  # fc1 is whole
    screenshot(page, "voila-live")
    press_until(page, "fc1", 250)


def test_voila_a_point_on_a_curve_is_dragged_and_a_channel_is_removed_by_a_click(serve, page):
    page.goto(f"{serve('voila')}/voila/render/live.ipynb")
    before = accuracy(page)
    point = page.locator(".prunelab-curves .handle.chosen")  # the scan ran by itself
    point.wait_for()
    at = point.bounding_box()
    page.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    page.mouse.down()
    page.mouse.move(at["x"] + 200, at["y"] + 30, steps=8)
    page.mouse.up()
    put = int(point.get_attribute("aria-valuenow"))
    assert put > 20  # it stays there while the kernel works through the moves before
    dragged = accuracy(page, before)
    assert int(point.get_attribute("aria-valuenow")) == put
    point.focus()
    for _ in range(5):  # faster than the kernel answers: none is lost
        page.keyboard.press("ArrowRight")
    # One of 20 channels more; if Python has followed by now, the ratio is that of whole channels.
    assert put + 5 <= int(point.get_attribute("aria-valuenow")) < put + 10
    dragged = accuracy(page, dragged)
    page.get_by_role("tab", name="Look inside").click()
    tiles = page.locator(".prunelab-channels button")
    tiles.first.wait_for()
    assert tiles.count() == 20
    gone = page.locator(".prunelab-channels button[aria-pressed='true']").count()
    assert gone > 0
    page.locator(".prunelab-channels button[aria-pressed='false']").first.click()
    accuracy(page, dragged)
    assert page.locator(".prunelab-channels button[aria-pressed='true']").count() == gone + 1
    page.get_by_role("button", name="Which classes lose?").click()
    said = page.locator(".prunelab-channels button small", has_text=re.compile(r"class \d: −\d+"))
    said.first.wait_for()  # without a mouse that hovers
    screenshot(page, "voila-inside")
    page.get_by_role("tab", name="Plans").click()
    page.get_by_role("button", name="Fine-tune").click()
    page.wait_for_selector("text=Fine-tuned for 1 epoch", timeout=WAIT)
    assert page.locator("option", has_text="fine-tuned 1 epoch").count() == 1
    screenshot(page, "voila-plans")


def test_jupyterlab_runs_the_notebook_and_the_slider_changes_the_answer(serve, page):
    address = serve(
        "jupyterlab", "--allow-root", "--expose-app-in-browser", "--IdentityProvider.token=",
        "--ServerApp.password=", "--ServerApp.disable_check_xsrf=True",
    )  # fmt: skip
    page.goto(f"{address}/lab/tree/untrained.ipynb?reset")
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.context", timeout=WAIT)
    page.evaluate(
        """async () => {
            const panel = window.jupyterapp.shell.currentWidget;
            await panel.context.ready;
            await panel.sessionContext.ready;
            await panel.sessionContext.session.kernel.info;
            await window.jupyterapp.commands.execute('notebook:run-all-cells');
        }"""
    )
    whole = accuracy(page)
    assert drag(page, 14) != whole
    screenshot(page, "jupyterlab")
