"""What a person reads in a widget."""

import html
import re


def text_of(widget):
    """The words of an HTML widget, without its tags."""
    return re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]*>", " ", widget.value)))


def is_picture(value):
    return bytes(value).startswith(b"\x89PNG")
