"""SVG from a run folder, as a page may hold it: only what draws, and nothing that acts or loads.

Run folders are passed around, so a figure is a stranger's file. What is not on the lists below
goes: elements with all they hold, attributes, properties, addresses. matplotlib's figures look the
same.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

SHAPES = "circle ellipse line path polygon polyline rect use image text tspan"
ELEMENTS = {*f"svg g defs clipPath mask marker pattern symbol {SHAPES}".split()}
ELEMENTS |= {"linearGradient", "radialGradient", "stop", "title", "desc"}
PROPERTIES = {
    *"""
    clip-path clip-rule color display dominant-baseline fill fill-opacity fill-rule font
    font-family font-size font-stretch font-style font-variant font-weight image-rendering
    letter-spacing marker-end marker-mid marker-start mask mix-blend-mode opacity
    paint-order shape-rendering stop-color stop-opacity stroke stroke-dasharray stroke-dashoffset
    stroke-linecap stroke-linejoin stroke-miterlimit stroke-opacity stroke-width text-anchor
    text-rendering vector-effect visibility white-space word-spacing
    """.split()
}
ATTRIBUTES = PROPERTIES | {
    *"""
    clipPathUnits cx cy d dx dy fx fy gradientTransform gradientUnits height markerHeight
    markerUnits markerWidth maskContentUnits maskUnits offset orient patternContentUnits
    patternTransform patternUnits points preserveAspectRatio r refX refY rotate rx ry spreadMethod
    textLength transform version viewBox width x x1 x2 y y1 y2
    """.split()
}
CALLS = {"rgb", "rgba", "hsl", "translate", "rotate", "scale", "skewX", "skewY", "matrix"}
FRAGMENT = re.compile(r"""\burl\(\s*["']?#([\w.-]+)["']?\s*\)""")
LOCAL = re.compile(r"#([\w.-]+)")
PICTURE = re.compile(r"data:image/(?:png|jpeg);base64,[\w+/=\s]*", re.ASCII)
PLAIN = re.compile(r"""[\w\s#%.,:!'"()+/*-]*""")  # no backslash, `<`, `@`, `;`
EVERYTHING = re.compile(r"\s*\*\s*\{([^{}]*)\}\s*")  # matplotlib's only rule


def cleaned(content: bytes, prefix: str) -> str:
    """The drawing as markup for an HTML page, with `prefix` before every id.

    Args:
        content: an SVG file. No entity is ever declared: what comes before `<svg` is cut off.
        prefix: letters, digits and `_`.

    Raises:
        ValueError: it is no whole SVG file.
    """
    text = content.decode("utf-8", "replace")
    try:
        root = ElementTree.fromstring(text[max(text.find("<svg"), 0) :])
        rules = [e.text or "" for e in root.iter() if _name(e.tag) == "style"]
        _prune(root)
        for element in root.iter():
            _rename(element, prefix)
        if _name(root.tag) != "svg":
            raise ValueError("it is no SVG drawing")
        root.attrib.pop("transform", None)  # it stays where the page puts it
        _restyle(root, rules, prefix)
        return ElementTree.tostring(root, encoding="unicode")
    except ElementTree.ParseError as error:
        raise ValueError(f"it is no whole SVG file ({error})") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _name(tag: str) -> str:
    """Without its namespace; HTML knows none."""
    return tag.rpartition("}")[2]


def _prune(root: ElementTree.Element) -> None:
    """Remove the elements that are not on the list; the text behind one goes with it."""
    for parent in root.iter():
        for child in list(parent):
            if _name(child.tag) not in ELEMENTS:
                parent.remove(child)


def _rename(element: ElementTree.Element, prefix: str) -> None:
    """Plain names, allowed attributes, ids and references with the prefix."""
    given = element.attrib.copy()
    element.tag = _name(element.tag)
    element.attrib.clear()
    for key, value in given.items():
        name = _name(key)
        if (kept := _attribute(element.tag, name, value, prefix)) is not None:
            element.set(name, kept)


def _attribute(tag: str, name: str, value: str, prefix: str) -> str | None:
    """What stays of an attribute; None = nothing."""
    if name == "id":
        return prefix + value if LOCAL.fullmatch(f"#{value}") else None
    if name == "style":
        return _style(value, prefix)
    if name == "href":
        if tag == "image":
            return value if PICTURE.fullmatch(value) else None
        return f"#{prefix}{value[1:]}" if LOCAL.fullmatch(value) else None
    return _value(value, prefix) if name in ATTRIBUTES else None


def _style(text: str, prefix: str) -> str:
    """The declarations that draw."""
    kept = []
    for declaration in text.split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name in PROPERTIES and (value := _value(value, prefix)):
            kept.append(f"{name}: {value}")
    return "; ".join(kept)


def _value(value: str, prefix: str) -> str | None:
    """The value, if it calls nothing but colours, transforms and parts of the same drawing."""
    rest = FRAGMENT.sub("", value)
    if not PLAIN.fullmatch(rest) or ":" in rest:
        return None
    if not set(re.findall(r"([\w-]*)\s*\(", rest)) <= CALLS:
        return None
    return FRAGMENT.sub(rf"url(#{prefix}\1)", value)


def _restyle(root: ElementTree.Element, rules: list[str], prefix: str) -> None:
    """A rule for all elements stays, for those of this drawing; any other rule goes."""
    found = [match for rule in rules if (match := EVERYTHING.fullmatch(rule))]
    if found:
        root.set("id", prefix)  # no part of the drawing has it
        style = ElementTree.Element("style")
        style.text = "".join(f"[id='{prefix}'] *{{{_style(m[1], prefix)}}}" for m in found)
        root.insert(0, style)
