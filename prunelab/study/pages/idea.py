"""What a notebook says about the idea of its paper, for the report: text and equations as HTML.

Equations become pictures (SVG) with their LaTeX as alternative text. They need no script, no font
and no network, and look the same in every browser and in print.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator

import mistune
import ziafont
import ziamath

from prunelab.study.runner.notebook import Notebook, text_of

HEADINGS = ("The idea", "The rules", "The algorithm")  # those with text below them are shown
SIZE = 17  # of the letters, in pixels: that of the text around them


class _Equations(mistune.HTMLRenderer):
    """HTML of Markdown whose `$...$` and `$$...$$` are pictures; HTML inside it is escaped."""

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return text  # the page loads nothing

    def inline_math(self, text: str) -> str:
        return _picture(text, inline=True)

    def block_math(self, text: str) -> str:
        return f'<div class="equation">{_picture(text, inline=False)}</div>\n'


def _picture(latex: str, *, inline: bool) -> str:
    """An equation as an image on the line of the text; its source if it cannot be drawn."""
    label = html.escape(" ".join(latex.split()))
    ziafont.config.precision = 2
    try:
        drawn = ziamath.Latex(latex.replace("{aligned}", "{align*}"), size=SIZE, inline=inline)
        content, below = drawn.svg(), drawn.getyofst()
    except Exception:  # a parser gives whatever it meets
        return f"<code>{label}</code>"
    address = f"data:image/svg+xml;base64,{base64.b64encode(content.encode()).decode()}"
    return f'<img alt="{label}" style="vertical-align:{below:.1f}px" src="{address}">'


def sections(book: Notebook) -> Iterator[tuple[str, str]]:
    """Heading and HTML of each section of a notebook that explains its paper."""
    to_html = mistune.create_markdown(renderer=_Equations(), plugins=["math"])
    for cell in book.content["cells"]:
        if cell["cell_type"] != "markdown":
            continue
        for part in re.split(r"^## ", text_of(cell["source"]), flags=re.MULTILINE)[1:]:
            heading, _, text = part.partition("\n")
            text = text.partition("**Predict first")[0].strip()  # what the notebook asks
            if heading.startswith(HEADINGS) and text:
                yield heading.strip(), str(to_html(text))
