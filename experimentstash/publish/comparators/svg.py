"""SVG drawings, as the text that they are: without metadata and comments, and whatever their parts are called.

They aren't rendered: no renderer that is kept up comes without a system's libraries.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from pathlib import Path

from experimentstash.base.patterns import regex
from experimentstash.publish.comparators import text
from experimentstash.publish.comparators.comparator import Found, How, NotComparable
from experimentstash.publish.comparators.tables import text_of

_NAMES = "{http://www.w3.org/2000/svg}"
_METADATA = f"{_NAMES}metadata"
_REFERENCE = regex(r"#([^\s)\"']+)")
_STYLE_SHEET = regex(r"<\?xml-stylesheet.*?\?>", re.DOTALL)
# What styles and scripts find elements by, besides their kinds and classes.
_BY_ID = regex(r"#|\[|\bid\b|ById")
# They are full of numbers, and no id is in them.
_SHAPES = ("d", "points", "transform")


def compare(earlier: Path, later: Path, how: How) -> Found:
    """Compare two drawings, a tag or a text a line."""
    return text.compare_texts(_plain(earlier), _plain(later), how)


def _plain(path: Path) -> str:
    """Return what a drawing says, with its ids numbered as they come."""
    written = text_of(path)
    if "<!ENTITY" in written:
        raise NotComparable(f"{path.name} defines entities")
    try:
        root = ElementTree.fromstring(written)
        for parent in list(root.iter()):
            _take_out_metadata(parent)
        return "\n".join([*_STYLE_SHEET.findall(written), *_lines(root, _numbered(root))])
    except ElementTree.ParseError as error:
        raise NotComparable(f"{path.name} is no SVG: {error}") from error


def _take_out_metadata(parent: ElementTree.Element) -> None:
    """Take metadata out of an element, and nothing else: the text behind it stays."""
    before: ElementTree.Element | None = None
    for child in list(parent):
        if child.tag != _METADATA:
            before = child
            continue
        parent.remove(child)
        if before is None:
            parent.text = (parent.text or "") + (child.tail or "")
        else:
            before.tail = (before.tail or "") + (child.tail or "")


def _numbered(root: ElementTree.Element) -> Mapping[str, str]:
    """Return what stands for each id that is only referred to in ways that are known; all others stay as they are."""
    ids = {name: None for each in root.iter() if (name := each.get("id"))}
    texts = [text for each in root.iter() for text in (each.text, each.tail) if text]
    if any(_BY_ID.search(text) for text in texts if "{" in text or "(" in text):
        return {}
    for each in root.iter():
        values = (value for key, value in each.attrib.items() if key != "id" and key not in _SHAPES)
        texts += [_REFERENCE.sub(lambda found: "" if found[1] in ids else found[0], value) for value in values]
    said = "\n".join(texts)
    return {name: f"⟨{number}⟩" for number, name in enumerate(name for name in ids if name not in said)}


def _lines(element: ElementTree.Element, names: Mapping[str, str]) -> Iterator[str]:
    """Yield an element's tags, its texts and what is inside of it."""
    attributes = {
        key: names.get(value, value)
        if key == "id"
        else _REFERENCE.sub(lambda found: f"#{names.get(found[1], found[1])}", value)
        for key, value in element.attrib.items()
    }
    said = "".join(f" {key}={json.dumps(value)}" for key, value in sorted(attributes.items()))
    tag = element.tag.replace(_NAMES, "svg:")  # as no other is called: a prefix has become what it stands for
    yield f"<{tag}{said}>"
    yield json.dumps(element.text or "", ensure_ascii=False)
    for child in element:
        yield from _lines(child, names)
        yield json.dumps(child.tail or "", ensure_ascii=False)
    yield f"</{tag}>"
