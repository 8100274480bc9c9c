"""SVG drawings, as the text that they are: without metadata and comments, and whatever their parts are called.

They aren't rendered: no renderer that is kept up comes without a system's libraries.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from experimentstash.base.patterns import regex
from experimentstash.publish.comparators import text
from experimentstash.publish.comparators.comparator import Found, How, NotComparable
from experimentstash.publish.comparators.tables import text_of

_METADATA = "{http://www.w3.org/2000/svg}metadata"
_REFERENCE = regex(r"#([^\s)\"']+)")


def compare(earlier: Path, later: Path, how: How) -> Found:
    """Compare two drawings, an element a line."""
    return text.compare_texts(_plain(earlier), _plain(later), how)


def _plain(path: Path) -> str:
    """Return what a drawing says, each element on a line, with its ids numbered as they come."""
    written = text_of(path)
    if "<!ENTITY" in written:
        raise NotComparable(f"{path.name} defines entities")
    try:
        root = ElementTree.fromstring(written)
    except ElementTree.ParseError as error:
        raise NotComparable(f"{path.name} is no SVG: {error}") from error
    for parent in list(root.iter()):
        for child in [each for each in parent if each.tag == _METADATA]:
            parent.remove(child)
    ids = [each.get("id") for each in root.iter()]
    names = {name: f"id{number}" for number, name in enumerate(dict.fromkeys(filter(None, ids)))}
    lines = []
    for element in root.iter():
        attributes = {
            key: names.get(value, value)
            if key == "id"
            else _REFERENCE.sub(lambda found: f"#{names.get(found[1], found[1])}", value)
            for key, value in element.attrib.items()
        }
        said = " ".join(f'{key}="{value}"' for key, value in sorted(attributes.items()))
        lines.append(f"<{element.tag} {said}> {(element.text or '').strip()} {(element.tail or '').strip()}")
    return "\n".join(lines)
