"""The page of a reproduction: it says what the verdicts say, and shows no more than was judged."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image

from experimentstash.base.output import PLAIN
from experimentstash.base.text import counted
from experimentstash.publish.comparators.comparator import How
from experimentstash.publish.render import lines, pictures, to_html, to_markdown, to_terminal, words
from experimentstash.publish.verdicts import Verdict, not_run
from tests.publish.kept_runs import frozen, judged, kept_run


def png(*spots: tuple[int, int], size: tuple[int, int] = (60, 40), level: int = 0) -> bytes:
    """Return a white picture in which some pixels are of another level."""
    image = Image.new("RGB", size, (255, 255, 255))
    for spot in spots:
        image.putpixel(spot, (level, level, level))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def page(root: Path, before: dict[str, bytes], after: dict[str, bytes], **how: How) -> str:
    """Return the page of one run, which has written this by now."""
    kept = kept_run(root / "kept", "k3f9a2b", before, {name.replace("__", "."): each for name, each in how.items()})
    found = judged(root, root / "kept", kept, "aaaaaaa", after)
    return to_html.report(frozen([kept]), [[found]], [], root / "kept", "experimentstash reproduce figure1").decode()


def pictures_in(text: str) -> list[str]:
    return re.findall(r'<img src="data:[^"]+" alt="([^"]*)"', text)


def test_what_comes_out_the_same_is_said_first(tmp_path: Path) -> None:
    before = {"a.png": png(), "b.png": png((1, 1)), "r.csv": b"x\n1\n"}
    text = page(tmp_path, before, {**before, "b.png": png((1, 1)) + b"\0", "r.csv": b"x\n1.0\n"})
    assert "Reproduced: all 3 outputs of 1 run came out the same." in text and "What is not the same" not in text
    assert pictures_in(text) == ["a.png, then and now", "b.png, then", "b.png, now"] and "no pixel differs" in text
    assert "by numbers; its bytes are others" in text and "− 1" in text and "+ 1.0" in text
    assert "https://example.org/drawer.git" in text and "driver 550.54" in text and "SHA-256 aaaaaaaaaaaa" in text
    assert "<script" not in text and "script-src" not in text


def test_what_differs_is_marked_and_led_to(tmp_path: Path) -> None:
    before = {"a.png": png(), "r.csv": b"x,y\n1,2\n", "m.bin": b"x", "gone.png": png()}
    after = {"a.png": png((5, 5)), "r.csv": b"x,y\n1,3\n", "m.bin": b"x"}
    text = page(tmp_path, before, after, r__csv=How("numbers", rtol=1e-9))
    assert "Not reproduced: 3 of 4 outputs of 1 run are not the same." in text
    assert pictures_in(text) == ["a.png, then", "a.png, now", "a.png, with what differs marked", "gone.png, then"]
    assert "1 of 2,400 pixels differs" in text and "missing: the run has not written it" in text
    assert "numbers; rtol 1e-09" in text and "in row 1, column y" in text
    for place in re.findall(r'href="#(o-[\d-]+)"', text):
        assert text.count(f'id="{place}"') == 1


def test_what_was_kept_and_is_no_longer_that_is_not_shown_as_then(tmp_path: Path) -> None:
    kept = kept_run(tmp_path / "kept", "k3f9a2b", {"a.png": png(), "r.csv": b"x\n1\n"}, {})
    for each in (tmp_path / "kept" / kept.folder / "outputs").iterdir():
        each.write_bytes(png((1, 1)))
    found = judged(tmp_path, tmp_path / "kept", kept, "aaaaaaa", {"a.png": png(), "r.csv": b"x\n2\n"})
    text = to_html.report(frozen([kept]), [[found]], [], tmp_path / "kept", "x").decode()
    assert pictures_in(text) == [] and "no copy of it was kept" in text
    none = not_run(kept, "an input isn't what it was")
    text = to_html.report(frozen([kept]), [[none]], [], tmp_path / "kept", "x").decode()
    assert "not run: an input isn&#39;t what it was" in text and pictures_in(text) == []


def test_a_part_of_what_is_frozen_is_not_called_all_of_it(tmp_path: Path) -> None:
    runs = [kept_run(tmp_path / "kept", name, {"r.csv": b"x\n"}, {}) for name in ("k3f9a2b", "m8x2c4d", "q2q2q2q")]
    found = [[judged(tmp_path, tmp_path / "kept", runs[0], "aaaaaaa", {"r.csv": b"x\n"})]]
    said = "2 of its 3 frozen runs were not asked for"
    assert words.summary(frozen(runs), found) == f"reproduced: 1 output, 1 identical; {said}"
    assert said in to_html.report(frozen(runs), found, [], tmp_path / "kept", "x").decode()
    assert said in to_markdown.report(frozen(runs), found, [])
    assert "not asked for" not in words.summary(frozen(runs[:1]), found)


def test_there_is_only_so_much_in_a_page_and_what_differs_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {f"{name}.png": png((number, 0)) for number, name in enumerate("abcdef")}
    monkeypatch.setattr(to_html, "_ROOM", 600)
    text = page(tmp_path, before, {**before, "f.png": png((9, 9))})
    shown = pictures_in(text)
    assert shown[-3:] == ["f.png, then", "f.png, now", "f.png, with what differs marked"] and len(shown) < 7
    assert f"Of {counted(6 - (len(shown) - 2), 'output')} neither pictures nor lines are shown" in text


@pytest.mark.parametrize("factor", [1, 30])
def test_no_pixel_that_differs_is_lost_where_a_picture_is_made_smaller(tmp_path: Path, factor: int) -> None:
    size = (400 * factor, 100)
    for name, spots in (("then", ()), ("now", ((200 * factor + 7, 50),))):
        (tmp_path / f"{name}.png").write_bytes(png(*spots, size=size))
    found = pictures.pair(tmp_path / "then.png", tmp_path / "now.png", How("picture"))
    assert found.marked is not None and found.said == f"1 of {400 * factor * 100:,} pixels differs"
    marked = pictures._smaller(Image.new("L", size), (400, max(1, 100 // factor)))  # of nothing, nothing
    assert marked.getbbox() is None
    mask = Image.new("L", size)
    mask.putpixel((200 * factor + 7, 50), 255)
    assert pictures._smaller(mask, (400, max(1, 100 // factor))).getbbox() is not None


def test_pictures_that_are_none_and_pages_that_differ(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG nothing")
    (tmp_path / "good.png").write_bytes(png())
    found = pictures.pair(tmp_path / "broken.png", tmp_path / "good.png", How("picture"))
    assert found.now is not None and found.now.why.startswith("broken.png can't be read as a picture")
    for name, second in (("one", 0), ("two", 200)):
        images = [Image.new("RGB", (80, 40), (255, 255, 255)), Image.new("RGB", (80, 40), (second, 0, 0))]
        images[0].save(tmp_path / f"{name}.pdf", "PDF", save_all=True, append_images=images[1:])
    found = pictures.pair(tmp_path / "one.pdf", tmp_path / "two.pdf", How("picture"))
    assert found.said.startswith("page 2: ") and found.marked is not None
    found = pictures.pair(tmp_path / "one.pdf", tmp_path / "one.pdf", How("picture"))
    assert found.said == "no pixel differs" and found.marked is None
    (tmp_path / "large.png").write_bytes(png((1, 1), level=250))
    found = pictures.pair(tmp_path / "good.png", tmp_path / "large.png", How("picture", atol=5))
    assert found.said == "1 of 2,400 pixels differs within what is allowed" and found.marked is not None
    (tmp_path / "outside.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg"><image href="https://example.org/x.png"/></svg>'
    )
    assert pictures.pair(tmp_path / "outside.svg", None, How()).then.why == "it names other files"


def test_lines_around_the_first_one_that_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    before = [f"row {number}" for number in range(1000)]
    after = [*before[:500], "another", *before[500:]]
    one.write_text("\n".join(before))
    two.write_text("\n".join(after))
    assert lines.differing(one, two) == [
        ("place", "line 500"),
        ("same", "row 499"),
        ("new", "another"),
        ("same", "row 500"),
    ]
    assert lines.differing(one, one) == []
    monkeypatch.setenv("DRAWER_TOKEN", "s3cr3t-Zq8xKw72LmNp")
    two.write_text("s3cr3t-Zq8xKw72LmNp \x1b[31m" + "x" * 1000 + "\n" * 300)
    found = lines.differing(one, two)
    assert all("s3cr3t" not in each.text and "\x1b" not in each.text for each in found) and len(found) < 30
    two.write_bytes(b"\0\1")
    assert lines.differing(one, two) == []


def test_how_an_output_was_compared_in_words() -> None:
    for how, said in (
        (How("hash"), "hash"),
        (How("picture", atol=2, share=0.001), "picture; 2 of 255 a channel; 0.1 % of the pixels"),
        (How("embedding", up_to="sign", atol=1e-8), "up to the signs of axes; atol 1e-08"),
        (How("numbers", key=["seed"], ignore=["time"]), "numbers; rows by seed; without time"),
    ):
        assert words.compared(how) == said
    assert {each for each in Verdict if each in to_html._ORDER} == {*Verdict} - {Verdict.NOT_RUN}


def test_a_reason_why_nothing_ran_is_told_once_in_a_terminal(tmp_path: Path) -> None:
    kept = kept_run(tmp_path, "k3f9a2b", {"a.csv": b"x\n1\n", "b.csv": b"x\n1\n"}, {})
    said = to_terminal.report(
        frozen([kept]), [[not_run(kept, "no index answers\n  dns error")]], [], PLAIN
    ).splitlines()
    assert said[1:4] == ["  a.csv: not run: no index answers", "  dns error", "  b.csv: not run, for the same reason"]
