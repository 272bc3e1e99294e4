"""Figures of a run folder come from strangers: the page takes what draws, and nothing else."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunelab.study.pages import page, svg

ROOT = Path(__file__).resolve().parents[2]
FIGURES = sorted((ROOT / "figures").glob("*.svg"))
SPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


class Seen(HTMLParser):
    """What a browser would find in a page: (element, attribute, value) and text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.attributes, self.texts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attributes]

    def handle_data(self, text):
        self.texts.append(text)


def made(inside, head="", root=""):
    return svg.cleaned(f"{head}<svg {SPACES} {root}>{inside}</svg>".encode(), "p__")


ALLOWED = {name.lower() for name in svg.ELEMENTS | {"style"}}
KNOWN = {name.lower() for name in svg.ATTRIBUTES | {"id", "style", "href"}}


def is_harmless(text):
    seen = Seen(text)
    assert set(seen.elements) <= ALLOWED
    for tag, name, value in seen.attributes:
        assert name in KNOWN and not name.startswith("on")
        assert "\\" not in value
        assert "javascript:" not in value.lower() and "//" not in value.replace("data:image", "")
        assert all(call.startswith("url(#p__") for call in re.findall(r"url\([^)]*", value))
        if name == "href":
            assert value.startswith(("#p__", "data:image/png;base64,", "data:image/jpeg;base64,"))
            assert tag == "image" or value.startswith("#p__")
    assert text.lower().count("<style") <= 1 and "@" not in text
    return True


EVIL = [
    '<script>alert(1)</script>', '<SCRIPT>alert(1)</SCRIPT>', '<xlink:script>a()</xlink:script>',
    '<rect onload="alert(1)"/>', '<rect OnClick="alert(1)"/>', '<rect xlink:onclick="a"/>',
    '<a href="javascript:alert(1)"><rect/></a>', '<use href="http://e/x.svg#a"/>',
    '<use xlink:href=" javascript:alert(1)"/>', '<image href="http://e/x.png"/>',
    '<image href="data:image/svg+xml;base64,PHN2Zz4="/>', '<image href="//e/x.png"/>',
    '<foreignObject><p xmlns="http://www.w3.org/1999/xhtml">x</p></foreignObject>',
    '<foreignobject/><iframe src="x"/><embed/><object/><audio/><video/>', '<handler/><listener/>',
    '<set attributeName="href" to="javascript:alert(1)"/>', '<animate attributeName="href"/>',
    '<rect style="fill: url(http://e/x)"/>', '<rect style="fill: \\75rl(http://e/x)"/>',
    '<rect style="background: url(http://e/x)"/>', '<rect style="fill: red; behavior: url(#a)"/>',
    '<rect fill="url(http://e/x)"/>', '<rect fill="url(#a) url(http://e/x)"/>',
    '<rect fill="u&#114;l(http://e/x)"/>', '<rect fill="image(x)"/>', '<rect fill="var(--x)"/>',
    '<rect style="position: fixed; width: 100%"/>', '<rect class="chip agrees"/>',
    '<style>@import url(http://e/x)</style>', '<style>body{display: none}</style>',
    '<style>*{fill: url(http://e/x)}</style>', '<style>*{}</style><style>*{x:y}</style>',
    '<style>*{fill: red}&lt;/style&gt;&lt;script&gt;</style>', '<?xml-stylesheet href="x"?>',
    '<!-- --><script/>', '<![CDATA[<script>alert(1)</script>]]>', '<metadata><x/></metadata>',
    '<text>&lt;/svg&gt;&lt;script&gt;alert(1)&lt;/script&gt;</text>',
    '<title>&lt;img src=x onerror=alert(1)&gt;</title>', '<desc><b>x</b></desc>',
    '<p>x</p><b>x</b><font color="x"/>', '<filter><feImage href="http://e"/></filter>',
    '<rect id="&quot; onload=&quot;x"/>', '<g xml:base="http://e/"><use href="#a"/></g>',
]  # fmt: skip


@pytest.mark.parametrize("inside", EVIL)
def test_nothing_acts_and_nothing_is_loaded(inside):
    found = made(f'<g id="a"><path d="M 0 0 L 1 1"/></g>{inside}')
    assert is_harmless(found)
    assert '<path d="M 0 0 L 1 1" />' in found


def test_the_root_is_cleaned_too_and_cannot_move():
    found = made(
        "<rect/>", root='onload="alert(1)" ONLOAD="b" transform="scale(9)" viewBox="0 0 1 1"'
    )
    assert found == '<svg viewBox="0 0 1 1"><rect /></svg>'


NO_DRAWINGS = {
    "an entity": ("<svg>&e;</svg>", "undefined entity"),
    "a bomb": ('<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><svg>&b;</svg>', "entity"),
    "an outside entity": (
        '<!DOCTYPE svg [<!ENTITY e SYSTEM "file:///etc/hosts">]><svg>&e;</svg>',
        "ent",
    ),
    "one cut off": ("<svg><g></svg>", "no whole SVG"),
    "nothing": ("", "no whole SVG"),
    "a page": ("<html><svg/></html>", "no whole SVG"),
    "a deep one": ("<svg>" + "<g>" * 9_000 + "</g>" * 9_000 + "</svg>", "nested too deeply"),
    "another name": ("<svgs/>", "no SVG drawing"),
}


@pytest.mark.parametrize("name", NO_DRAWINGS)
def test_what_is_no_drawing_is_a_line_in_the_page(name, tmp_path):
    text, told = NO_DRAWINGS[name]
    path = tmp_path / "01-x--<b>.svg"
    path.write_text(text)
    found = page.inline(path)
    assert (
        found.startswith('<p class="note">01-x--&lt;b&gt;.svg is not shown: it is ')
        and told in found
    )
    assert "hosts" not in found or "127.0" not in found


def test_a_file_that_is_no_png_is_not_put_into_the_page(tmp_path):
    path = tmp_path / "01-x--y.png"
    path.write_text("root:x:0:0")
    assert page.inline(path) == '<p class="note">01-x--y.png is not shown: it is no PNG picture</p>'


@given(st.text(), st.sampled_from(["style", "fill", "href", "id", "transform", "clip-path", "d"]))
def test_any_value_of_any_attribute_is_harmless(value, name):
    quoted = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd]", "", value)
    quoted = quoted.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    assert is_harmless(made(f'<rect {name}="{quoted}"/><use {name}="{quoted}"/>'))


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.stem)
def test_our_own_figures_keep_all_that_draws(path):
    text = path.read_text(encoding="utf-8")
    body = re.sub(r"<metadata>.*?</metadata>", "", text[text.find("<svg") :], flags=re.DOTALL)
    before, after = Seen(body), Seen(page.inline(path))
    assert sorted(after.elements) == sorted(before.elements)
    prefix = re.sub(r"\W", "_", path.stem) + "__"
    assert drawn(after, prefix) == drawn(before, "")


# Of names only, or said again by the page.
LEFT_OUT = {("svg", "id"), ("svg", "xlink"), ("svg", "xmlns"), ("style", "type")}


def drawn(seen, prefix):
    """Attributes as a browser takes them: no namespaces, no prefix, declarations without spaces."""
    found = []
    for tag, name, value in seen.attributes:
        name = name.rpartition(":")[2]
        value = value.replace(f"#{prefix}", "#") if prefix else value
        value = value.removeprefix(prefix) if name == "id" else value
        if name == "style":
            value = ";".join(
                part.replace(": ", ":").strip() for part in value.split(";") if part.strip()
            )
        value = " ".join(value.split())
        if (tag, name) not in LEFT_OUT:
            found.append((tag, name, value))
    return sorted(found)
