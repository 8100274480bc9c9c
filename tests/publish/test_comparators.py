"""Files are told apart by what is in them, and what differs is named; what can't be compared is never the same."""

from __future__ import annotations

import faulthandler
import json
import math
import os
import signal
import zipfile
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image, PngImagePlugin

from experimentstash.publish.comparators import choose, picture
from experimentstash.publish.comparators.comparator import Found, How, NotComparable, Tolerance


def found(folder: Path, name: str, one: Any, two: Any, **how: Any) -> Found:
    """Compare two files by what compares such usually, or by what ``how`` says."""
    paths = [folder / each / name for each in ("one", "two")]
    for path, content in zip(paths, (one, two), strict=True):
        path.parent.mkdir(exist_ok=True)
        if callable(content):
            content(path)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
    given = How(**{"compare": choose.usual(name), **how})
    comparator = choose.named(given.compare)
    assert comparator is not None
    return comparator.compare(*paths, given)


CSV = "id,x,label\n1,0.5,a\n2,nan,b\n3,1e3,c\n"


@pytest.mark.parametrize(
    ("later", "how", "difference", "within"),
    [
        (CSV, {}, None, None),
        ("id;x;label\n1;0.50;a\n2;NaN;b\n3;1000;c\n", {}, None, None),  # written otherwise, and in other columns
        ("x,id,label\n0.5,1,a\nnan,2,b\n1000,3,c\n", {}, None, None),
        (CSV.replace("0.5", "0.500000001"), {}, "the largest deviation is 1e-09 in row 1, column x, 2e-09 of it", None),
        (CSV.replace("0.5", "0.500000001"), {"rtol": 1e-6}, None, "rtol 1e-06"),
        (CSV.replace("0.5", "0.500000001"), {"atol": 1e-8}, None, "atol 1e-08"),
        (CSV.replace("0.5", "0.6"), {"columns": {"x": Tolerance(atol=0.2)}}, None, "x: atol 0.2"),
        (CSV.replace("0.5", "0.6"), {"columns": {"id": Tolerance(atol=0.2)}}, "in row 1, column x", None),
        (CSV.replace("0.5", "0.6"), {"ignore": ["x"]}, None, None),
        (CSV.replace("nan", "2"), {"rtol": 1}, "the largest deviation is inf in row 2, column x", None),
        (CSV.replace("1e3", "inf"), {"rtol": 1}, "the largest deviation is inf in row 3, column x", None),
        (CSV.replace(",c", ",d"), {"rtol": 1}, "row 3, column label is 'd', and 'c' before", None),
        (CSV.replace("0.5", "half"), {"rtol": 1}, "row 1, column x is 'half', and 0.5 before", None),
        (CSV.replace("label", "name"), {}, "without the column label", None),
        ("id,x,label,y\n1,0.5,a,1\n2,nan,b,1\n3,1e3,c,1\n", {}, "with another column, y", None),
        (CSV + "4,1,d\n", {}, "4 rows, and 3 before", None),
        ("id,x,label\n3,1e3,c\n1,0.5,a\n2,nan,b\n", {"key": ["id"]}, None, None),
        ("id,x,label\n4,1e3,c\n1,0.5,a\n2,nan,b\n", {"key": ["id"]}, "there is no row id=3 any more", None),
        ("id,x,label\n3,1e3,c\n1,0.7,a\n2,nan,b\n", {"key": ["id"]}, "in row id=1, column x", None),
    ],
)
def test_tables(tmp_path: Path, later: str, how: dict[str, Any], difference: str | None, within: str | None) -> None:
    result = found(tmp_path, "t.csv", CSV, later, **how)
    assert result.within == within
    assert (result.difference is None) is (difference is None) and (difference or "") in (result.difference or "")


@pytest.mark.parametrize(
    ("one", "two"),
    [("007", "7"), ("12e3456", "9e9999"), ("1_0", "10"), ("", "0"), ("true", "1"), ("0x10", "16"), ("-1", "1")],
)
def test_what_only_looks_like_the_same_number_is_another_text(tmp_path: Path, one: str, two: str) -> None:
    assert found(tmp_path, "t.csv", f"a,b\nx,{one}\n", f"a,b\nx,{two}\n").difference is not None


TURNED = {"compare": "embedding", "up_to": "rotation"}


def zipped(**members: Any) -> Any:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as file:
            for name, content in members.items():
                file.writestr(name, str(content))

    return write


@pytest.mark.parametrize(
    ("name", "one", "two", "how", "why"),
    [
        ("t.csv", "a,b\n1\n", "a,b\n1,2\n", {}, "row 1 has 1 cells, not 2"),
        ("t.csv", b"\xff\xfe", "a\n1\n", {}, "no text in UTF-8"),
        ("t.csv", "a\n1\n1\n", "a\n1\n1\n", {"key": ["a"]}, "the key doesn't tell them apart"),
        ("t.csv", "a\n1\n", "a\n1\n", {"key": ["b"]}, "there is no column b"),
        ("m.json", "{", "{}", {}, "is no JSON"),
        ("m.json", '{"a": 1, "a": 2}', '{"a": 2}', {}, "a key stands there twice"),
        ("m.json", '{"a.b": 1, "a": {"b": 2}}', "{}", {}, "two values that are called a.b"),
        ("a.npy", b"\x93NUMPY", b"\x93NUMPY", {}, "can't be read"),
        ("p.parquet", b"PAR1", b"PAR1", {}, "is no Parquet file"),
        ("f.png", b"\x89PNG", b"\x89PNG", {}, "can't be read as a picture"),
        ("f.pdf", b"%PDF-1.4", b"%PDF-1.4", {}, "is no PDF that can be read"),
        ("f.svg", "<svg", "<svg/>", {}, "is no SVG"),
        ("f.svg", '<!DOCTYPE s [<!ENTITY a "b">]><svg/>', "<svg/>", {}, "defines entities"),
        ("a.txt", "a", "b", {"ignore": ["("]}, "is no pattern"),
        ("e.csv", "x\n1\n", "x\n1\n", {"compare": "embedding"}, "nothing says up to what"),
        ("e.csv", "x\nnan\n", "x\nnan\n", {**TURNED, "coordinates": ["x"]}, "not all coordinates are finite"),
        ("e.csv", "x,y\n1,2\n", "x,y\n1,-2\n", TURNED, "nothing says which columns"),
        ("e.csv", "x,y\n3,4\n", "x,y\n0,5\n", {**TURNED, "coordinates": ["x", "y"]}, "1 points of 2 axes"),
        ("a.npz", zipped(a=1, b=2), zipped(a=1, b=2), {}, "holds something that is no array: a, b"),
    ],
)
def test_what_can_not_be_compared_says_why(
    tmp_path: Path, name: str, one: Any, two: Any, how: dict[str, Any], why: str
) -> None:
    with pytest.raises(NotComparable, match=why.replace("(", r"\(")):
        found(tmp_path, name, one, two, **how)


def test_json(tmp_path: Path) -> None:
    one = {"a": {"b": [1, 2.5]}, "name": "x", "seconds": 3.2, "none": None, "empty": {}}
    assert found(tmp_path, "m.json", one, {**one, "seconds": 9.1}, ignore=["*seconds"]) == Found()
    assert found(tmp_path, "m.json", one, {**one, "name": "y"}).difference == "name is 'y', and 'x' before"
    worse = {**one, "a": {"b": [1, 2.5 + 1e-9]}}
    assert "at a.b.1" in (found(tmp_path, "m.json", one, worse).difference or "")
    assert found(tmp_path, "m.json", one, worse, rtol=1e-6).within == "rtol 1e-06"
    assert found(tmp_path, "m.json", one, {**one, "a": {"b": [1]}}).difference == "without a.b.1"
    assert found(tmp_path, "m.json", one, {**one, "none": 0}, atol=9).difference is not None
    assert found(tmp_path, "m.json", [True], [1], atol=9).difference is not None
    assert found(tmp_path, "m.json", "[NaN, Infinity]", "[NaN, Infinity ]") == Found()


def test_arrays(tmp_path: Path) -> None:
    one = {"x": numpy.arange(6.0).reshape(2, 3), "label": numpy.array(["a", "b"])}

    def saved(**arrays: Any) -> Any:
        return lambda path: numpy.savez(path, **arrays)

    assert found(tmp_path, "a.npz", saved(**one), saved(**one)) == Found()
    moved = one["x"].copy()
    moved[1, 2] += 1e-9
    told = found(tmp_path, "a.npz", saved(**one), saved(**{**one, "x": moved}))
    assert told.difference is not None and "at x[1, 2]" in told.difference
    assert found(tmp_path, "a.npz", saved(**one), saved(**{**one, "x": moved}), rtol=1e-6).within == "rtol 1e-06"
    assert found(tmp_path, "a.npz", saved(**one), saved(**{**one, "x": one["x"].astype("f4")})).difference is not None
    assert found(tmp_path, "a.npz", saved(**one), saved(x=one["x"])).difference == "without the array label"
    other = numpy.array(["a", "c"])
    assert found(tmp_path, "a.npz", saved(**one), saved(**{**one, "label": other})).difference == "label differs"
    told = found(tmp_path, "a.npz", saved(x=numpy.array([True])), saved(x=numpy.array([False])))
    assert told.difference == "the largest deviation is 1 at x[0], 1 of it"
    holes = numpy.array([math.nan, math.inf, 1.0])
    assert found(tmp_path, "a.npz", saved(x=holes), saved(x=holes)) == Found()
    assert found(tmp_path, "a.npz", saved(x=holes), saved(x=numpy.array([0.0, math.inf, 1.0])), atol=9).difference
    assert found(tmp_path, "a.npz", saved(x=holes), saved(x=numpy.array([math.nan, -math.inf, 1])), rtol=9).difference
    # What NumPy's own integers would wrap around, and what floats would round off.
    ends = numpy.array([-(2**63), 2**53]), numpy.array([2**63 - 1, 2**53 + 1])
    assert found(tmp_path, "a.npz", saved(x=ends[0]), saved(x=ends[1]), atol=1e9).difference is not None
    pickled = numpy.array([{}], dtype=object)
    with pytest.raises(NotComparable, match="allow_pickle"):
        found(tmp_path, "a.npz", saved(x=pickled), saved(x=pickled))


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    def saved(values: list[float]) -> Any:
        return lambda path: parquet.write_table(pyarrow.table({"x": values, "n": ["a", "b"]}), path)

    assert found(tmp_path, "t.parquet", saved([1.0, math.nan]), saved([1.0, math.nan])) == Found()
    told = found(tmp_path, "t.parquet", saved([1.0, 2.0]), saved([1.0, 2.5]))
    assert told.difference is not None and "in row 2, column x" in told.difference


def drawn(colour: tuple[int, ...], mode: str = "RGB", dot: tuple[int, int] | None = None, **more: Any) -> Any:
    picture = Image.new(mode, (20, 10), colour)
    if dot is not None:
        picture.putpixel(dot, tuple(255 - each for each in colour))
    return lambda path: picture.save(path, **more)


def test_pictures(tmp_path: Path) -> None:
    noted = PngImagePlugin.PngInfo()
    noted.add_text("Creation Time", "today")
    assert found(tmp_path, "f.png", drawn((9, 9, 9)), drawn((9, 9, 9), pnginfo=noted)) == Found()
    assert found(tmp_path, "f.png", drawn((9, 9, 9)), drawn((9, 9, 9, 255), "RGBA")) == Found()
    dotted = found(tmp_path, "f.png", drawn((9, 9, 9)), drawn((9, 9, 9), dot=(3, 4)))
    assert dotted.difference is not None
    assert "1 pixels (0.5 %) differ, by up to 237 of 255, within 3,4 to 4,5" in dotted.difference
    assert found(tmp_path, "f.png", drawn((9, 9, 9)), drawn((9, 9, 9), dot=(3, 4)), share=0.01).within == (
        "1 % of the pixels"
    )
    assert found(tmp_path, "f.png", drawn((9, 9, 9)), drawn((9, 11, 9)), atol=2).within == "2 of 255 a channel"
    assert found(tmp_path, "f.png", drawn((9, 9, 9)), drawn((9, 12, 9)), atol=2).difference is not None
    # What can't be seen has no colour.
    assert found(tmp_path, "f.png", drawn((9, 9, 9, 0), "RGBA"), drawn((1, 2, 3, 0), "RGBA")) == Found()
    assert found(tmp_path, "f.png", drawn((9, 9, 9, 0), "RGBA"), drawn((9, 9, 9, 9), "RGBA")).difference is not None
    wide = found(tmp_path, "f.png", drawn((9, 9, 9)), lambda path: Image.new("RGB", (21, 10)).save(path))
    assert wide.difference == "21×10 pixels, and 20×10 before"
    # Numbers of its size say nothing of its depth; how it is to be turned counts.
    large = [lambda path: Image.new("RGB", (160, 16)).save(path)] * 2
    assert found(tmp_path, "f.png", *large) == Found()
    turned = Image.Exif()
    turned[0x0112] = 3
    dotted = [drawn((9, 9, 9), dot=(3, 4), quality=95, **more) for more in ({}, {"exif": turned})]
    assert found(tmp_path, "f.jpg", *dotted).difference is not None
    with pytest.raises(NotComparable, match="has 16 bits a channel"):
        found(tmp_path, "f.png", *2 * [lambda path: Image.new("I;16", (2, 2)).save(path)])


def test_pdfs(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2")
    assert found(tmp_path, "f.pdf", drawn((9, 9, 9), title="one"), drawn((9, 9, 9), title="two")) == Found()
    assert found(tmp_path, "f.pdf", drawn((9, 9, 9)), drawn((90, 9, 9))).difference is not None


def test_a_pdf_that_takes_its_library_down_is_not_comparable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pypdfium2")

    def crash(*given: object) -> None:
        faulthandler.disable()  # of pytest: what it would print looks like a failure of ours
        os.kill(os.getpid(), signal.SIGSEGV)

    monkeypatch.setattr(picture, "_page", crash)
    with pytest.raises(NotComparable, match="no PDF that can be read: it is damaged"):
        found(tmp_path, "f.pdf", drawn((9, 9, 9)), drawn((9, 9, 9)))


def test_drawings(tmp_path: Path) -> None:
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
        '<metadata><date>{date}</date></metadata><!-- {date} --><path id="{id}" d="M 0 {y}"/>'
        '<use xlink:href="#{id}" clip-path="url(#{id})"/></svg>'
    )
    one = svg.format(date="monday", id="p1", y=1)
    assert found(tmp_path, "f.svg", one, svg.format(date="tuesday", id="x9", y=1)) == Found()
    assert found(tmp_path, "f.svg", one, svg.format(date="monday", id="p1", y=2)).difference is not None


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ('<g opacity="0"><rect/></g><circle/>', '<g opacity="0"><rect/><circle/></g>'),
        ("<text><metadata/>hello</text>", "<text><metadata/>goodbye</text>"),
        ("<text>a b</text>", "<text>a b </text>"),
        ('<a b="1" c="2"/>', '<a b="1&quot; c=&quot;2"/>'),
        # Ids are swapped: what names them in another way than as a reference shows another part.
        *(
            (f"{before}<a id='a'/><a id='b'/>{after}", f"{before}<a id='b'/><a id='a'/>{after}")
            for before, after in (
                ("<style>#a{fill:red}#b{fill:blue}</style>", ""),
                ("", "<p style='fill:#a;clip:url(#b)'/>"),
                ("", "<p aria-labelledby='a'/>"),
                ("", "<script>getElementById('a')</script>"),
            )
        ),
    ],
)
def test_drawings_that_show_something_else(tmp_path: Path, one: str, two: str) -> None:
    written = [f'<svg xmlns="http://www.w3.org/2000/svg">{each}</svg>' for each in (one, two)]
    assert found(tmp_path, "f.svg", *written).difference is not None


@pytest.mark.parametrize(
    ("name", "one", "two", "how"),
    [
        ("m.json", "[1, 2]", '{"0": 1, "1": 2}', {}),
        ("m.json", '{"a.b": 1}', '{"a": {"b": 1}}', {}),
        ("m.json", '{"": 1}', "1", {}),
        ("m.json", "1e400", "1e999", {}),
        ("m.json", f'{{"a": {10**400}}}', f'{{"a": {2 * 10**400}}}', {"rtol": 1}),
        ("m.json", f'{{"a": {10**400}}}', '{"a": 2.5}', {"rtol": 1}),
        ("t.csv", "x\n1\n\n2\n", "x\n1\n2\n", {}),
        ("t.csv", "x1,x[1]\n1,2\n", "x1,x[1]\n5,2\n", {"ignore": ["x[1]"]}),
        ("t.csv", "x,0.1\n1,2\n", "x,0.10001\n1,2\n", {"rtol": 0.1}),
        ("t.csv", f"x\n{2**53 + 1}\n", f"x\n{2**53}.0\n", {}),
        ("t.csv", "x1,x[1]\n1,2\n", "x1,x[1]\n5,2\n", {**TURNED, "up_to": "sign", "coordinates": ["x[1]"]}),
        ("a.npz", lambda p: numpy.savez(p, a=[[1.0]]), lambda p: numpy.savez(p, a=[[1]]), {**TURNED, "up_to": "sign"}),
    ],
)
def test_what_only_looks_the_same_is_different(
    tmp_path: Path, name: str, one: Any, two: Any, how: dict[str, Any]
) -> None:
    assert found(tmp_path, name, one, two, **how).difference is not None


@pytest.mark.parametrize(
    ("one", "two", "how"),
    [
        ("x,2024\n1,2\n", "x,2024\n1,3\n", {"ignore": ["2024"]}),
        ("0,1\n1,2\n", "0,1\n1,3\n", {"ignore": ["1"]}),
        (",2023,2024\na,1,2\n", ",2023,2024\na,1,3\n", {"ignore": ["2024"]}),
        ("0.5,1\n1,2\n", "0.51,1\n1,2\n", {"rtol": 0.1}),
    ],
)
def test_a_first_row_of_names_may_have_numbers(tmp_path: Path, one: str, two: str, how: dict[str, Any]) -> None:
    assert found(tmp_path, "t.csv", one, two, **how).difference is None


def test_texts(tmp_path: Path) -> None:
    assert found(tmp_path, "a.txt", "a\nb 1 s\n", "a\nb 2 s\n", ignore=[r"\d+ s"]).within == r"what may differ: \d+ s"
    assert found(tmp_path, "a.txt", "a\nb\n", "a\r\nb\r\n") == Found()
    assert found(tmp_path, "a.txt", "a\nb\n", "a\nc\n").difference == "line 2 is 'c', and 'b' before"
    assert found(tmp_path, "a.txt", "a\nb\n", "a\n").difference is not None
    assert found(tmp_path, "a.txt", "a\n", "a\nb\n").difference is not None


def points(rows: Any) -> str:
    return "x,y,label\n" + "".join(f"{float(x)!r},{float(y)!r},a\n" for x, y in rows)


def test_embeddings(tmp_path: Path) -> None:
    rows = numpy.random.default_rng(0).normal(size=(50, 2))
    flipped, angle = rows * [-1, 1], 0.7
    turned = rows @ numpy.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])

    def of(two: Any, up_to: str, **how: Any) -> Found:
        return found(
            tmp_path,
            "e.csv",
            points(rows),
            points(two),
            compare="embedding",
            up_to=up_to,
            **{"coordinates": ["x", "y"], **how},
        )

    assert of(rows, "sign") == of(rows, "rotation") == Found()
    assert of(flipped, "sign").within == "up to the sign of 1 of 2 axes"
    assert of(turned, "sign", atol=1e-6).difference is not None
    assert (of(turned, "rotation", atol=1e-9).within or "").startswith("up to a rotation")
    assert of(turned * 1.1, "rotation", atol=1e-6).difference is not None  # neither scale nor place may differ
    assert of(turned + 0.1, "rotation", atol=1e-6).difference is not None
    other = numpy.random.default_rng(1).normal(size=(50, 2))
    assert of(other, "rotation", atol=0.1).difference is not None
    assert of(rows[:-1], "sign").difference == "49 rows, and 50 before"
    text = points(flipped).replace(",a", ",b", 1)
    told = found(tmp_path, "e.csv", points(rows), text, compare="embedding", up_to="sign", coordinates=["x", "y"])
    assert told.difference == "row 1, column label is 'b', and 'a' before"
    arrays = [lambda path, each=each: numpy.save(path, each) for each in (rows, flipped)]
    assert found(tmp_path, "e.npy", *arrays, compare="embedding", up_to="sign").within is not None


@pytest.mark.parametrize("up_to", ["sign", "rotation"])
def test_an_embedding_of_fewer_points_is_another_one(tmp_path: Path, up_to: str) -> None:
    for name, count in (("one", 4), ("two", 3)):
        (tmp_path / f"{name}.csv").write_text("x,y\n" + "".join(f"{row},{row * row}\n" for row in range(count)))
    comparator = choose.named("embedding")
    assert comparator is not None
    how = How("embedding", up_to=up_to, coordinates=["x", "y"])
    assert comparator.compare(tmp_path / "one.csv", tmp_path / "two.csv", how).difference == "3 rows, and 4 before"


@pytest.mark.parametrize(
    ("name", "one", "two"),
    [("a.json", '{"t": 1}', '{"t": 2}'), ("a.json", '{"t": 1}', '{"q": 2}'), ("a.csv", "t\n1\n", "t\n2\n")],
)
def test_a_file_of_which_all_is_ignored_is_not_called_the_same(tmp_path: Path, name: str, one: str, two: str) -> None:
    paths = [tmp_path / part / name for part in ("one", "two")]
    for path, text in zip(paths, (one, two), strict=True):
        path.parent.mkdir()
        path.write_text(text)
    comparator = choose.named("numbers")
    assert comparator is not None
    with pytest.raises(NotComparable, match="nothing is compared"):
        comparator.compare(*paths, How("numbers", ignore=["*"]))
    numpy.savez(tmp_path / "a.npz", x=numpy.zeros(3))
    with pytest.raises(NotComparable, match="nothing is compared"):
        comparator.compare(tmp_path / "a.npz", tmp_path / "a.npz", How("numbers", ignore=["x"]))


def test_a_digit_of_another_script_is_another_text(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("a\n1\n", encoding="utf-8")
    (tmp_path / "two.csv").write_text("a\n١\n", encoding="utf-8")
    comparator = choose.named("numbers")
    assert comparator is not None
    assert comparator.compare(tmp_path / "one.csv", tmp_path / "two.csv", How("numbers")).difference is not None
