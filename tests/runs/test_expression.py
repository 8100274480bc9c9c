"""`--where`: what it says is what is asked of each run; what can't be known matches nothing; all else is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experimentstash.base.errors import StashError
from experimentstash.runs.expression import parse
from experimentstash.runs.facts import ROOTS

VALUES: dict[str, Any] = {
    "params.seed": 2,
    "params.lr": 1e-3,
    "params.name": "rätsel",
    "params.flag": False,
    "params.n_neighbors": 15,
    "params.layers": [64, 32],
    "params.lambda": 0.5,
    "params.0": "zero",
    "metrics.acc": 0.91,
    "metrics.val/loss": 0.2,
    "metrics.diverged": math.nan,
    "metrics.endless": math.inf,
    "tags": ["pca", "swissroll"],
    "state": "completed",
    "exp": "figure1/pca",
}


def look_up(root: str, rest: str) -> Any:
    return VALUES.get(f"{root}.{rest}" if rest else root)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("metrics.acc > 0.9 and params.seed < 3", True),
        ("metrics.acc > 0.95 or params.seed == 2", True),
        ("not metrics.acc > 0.9", False),
        ("0 < params.lr <= 0.001", True),
        ("0 < params.seed < 2", False),
        ("params.seed in [1, 2, 3]", True),
        ("params.seed not in (1, 2, 3)", False),
        ("params.seed in {3}", False),
        ("'pca' in tags and 'umap' not in tags", True),
        ("'pca' in exp", True),
        ("32 in params.layers", True),
        ("params.layers == [64, 32]", True),
        ("state == 'completed'", True),
        ("state != 'completed'", False),
        ("params.name == 'rätsel'", True),
        ("params.name > 'a'", True),
        ("params.n_neighbors == 15", True),
        ("params['n-neighbors'] == 15", True),
        ("params['lambda'] == 0.5", True),
        ("params[0] == 'zero'", True),
        ("metrics['val/loss'] < 0.3", True),
        ("params.flag == false", True),
        ("params.flag", False),
        ("not params.flag", True),
        ("tags", True),
        ("tags == 'pca'", None),
        ("tags != 'pca'", None),
        ("tags == ['pca', 'swissroll']", True),
        ("params.seed == -2", False),
        ("params.seed > -+1", True),
        ("params.seed == 2.0", True),
        ("params.seed == '2'", False),
        ("params.seed != '2'", True),
        ("metrics.endless > 1e300", True),
        ("metrics.diverged > 0", False),
        ("  params.seed\n  == 2", True),
        ("true", True),
        # What there is not is neither true nor false …
        ("metrics.loss < 1", None),
        ("not metrics.loss < 1", None),
        ("metrics.loss == 1", None),
        ("metrics.loss != 1", None),
        ("metrics.loss in [1]", None),
        ("metrics.loss not in [1]", None),
        ("'x' in host", None),
        ("metrics.loss", None),
        ("metrics.loss < 1 and params.seed == 2", None),
        ("metrics.loss < 1 and params.seed == 3", False),
        ("metrics.loss < 1 or params.seed == 2", True),
        ("params.seed == 2 or metrics.loss < 1", True),
        ("metrics.loss < 1 or params.seed == 3", None),
        ("0 < metrics.loss < 1", None),
        # … unless that is asked.
        ("metrics.loss is None", True),
        ("metrics.loss is not None", False),
        ("metrics.loss == null", True),
        ("metrics.acc is None", False),
        ("metrics.acc != None", True),
        ("metrics.loss is None or metrics.loss < 1", True),
        # What has no order.
        ("params.name < 3", None),
        ("params.seed < 'three'", None),
        ("params.layers > 1", None),
        ("'x' in params.seed", None),
        ("1 in params.name", None),
    ],
)
def test_it_tells_of_a_run_what_it_says(text: str, holds: bool | None) -> None:
    assert parse(text, ROOTS).holds(look_up) is holds


@pytest.mark.parametrize(
    ("text", "said", "marked"),
    [
        ("", "it is empty", ""),
        ("x" * 2001, "2,001 characters; 2,000 are the most", ""),
        ("params.seed = 3", "== compares", "="),
        ("a && b", "write `and` for &&", "&"),
        ("params.lambda > 1", "write ['lambda'] for .lambda", "lambda"),
        ("params.seed <", "it can't be read", ""),
        ("(" * 300 + "1" + ")" * 300, "it can't be read", ""),
        ("params.a > 1 and params.n-neighbors > 3", "nothing is calculated here", "params.n-neighbors"),
        ("params.seed * 2 > 3", "nothing is calculated here", "params.seed * 2"),
        ("params.seed < f(3)", "neither a name, a text, a number nor a comparison", "f(3)"),
        ("__import__('os').system('true')", "neither a name", "__import__('os').system('true')"),
        ("().__class__", "this is no name", "()"),
        ("(lambda: 1)()", "neither a name", "(lambda: 1)()"),
        ("[x for x in tags]", "neither a name", "[x for x in tags]"),
        ("f'{tags}' == 'x'", "neither a name", "f'{tags}'"),
        ("b'x' == tags", "neither a name", "b'x'"),
        ("1j == params.seed", "neither a name", "1j"),
        ("... == params.seed", "neither a name", "..."),
        ("(params.a := 3)", "it can't be read", ""),
        ("(a := 3)", "neither a name", "a := 3"),
        ("params.seed is 3", "`is` asks only for None", "3"),
        ("params[tags] == 1", "this is no name", "params[tags]"),
        ("params > 3", "`params` is many: params.NAME is one of them", "params"),
        ("tags.x == 3", "`tags` has nothing below it", "tags.x"),
        ("'ä' in tags and stat == 'x'", "there is no 'stat'. Did you mean 'state'? There are: commit, ", "stat"),
        ("state == completed", "a text stands in quotes: state == 'completed'", "completed"),
        ("(params.a > 1) == (params.b > 2)", "neither a name", "params.a > 1"),
        ("-tags == 1", "neither a name", "tags"),
        ("- - " * 60 + "1 < 2", "more than 50 levels", None),
        ("not " * 400 + "tags", "more than 50 levels", None),
        ("tags" + ".x" * 200, "more than 50 levels", None),
    ],
)
def test_what_has_no_meaning_is_told_with_its_place(text: str, said: str, marked: str | None) -> None:
    with pytest.raises(StashError) as caught:
        parse(text, ROOTS)
    assert said in str(caught.value)
    if marked:
        lines = str(caught.value).splitlines()
        at = next(number for number, line in enumerate(lines) if line.strip().startswith("^"))
        begin, end = lines[at].index("^"), len(lines[at].rstrip())
        assert lines[at - 1][begin:end].startswith(marked) or marked.startswith(lines[at - 1][begin:end])


@pytest.mark.parametrize(
    "text", ["state != 'complete'", "'complete' == state", "state in ['failed', 'complete']", "state < 'complete'"]
)
def test_a_text_that_a_name_cannot_be_is_refused(text: str) -> None:
    """It would let through all, or nothing."""
    values = {"state": ["completed", "failed"]}
    with pytest.raises(StashError, match=r"no state 'complete'\. Did you mean 'completed'\?"):
        parse(text, ROOTS, values)
    parse(text.replace("complete", "completed"), ROOTS, values)
    parse("'comp' in state", ROOTS, values)


def test_names_that_no_run_has_are_told_with_what_there_is() -> None:
    found = parse("params.sed < 3 and metrics.loss is None and params.model.lr > 0", ROOTS)
    with pytest.raises(StashError) as caught:
        found.check({"params": ["seed", "model.lr"], "metrics": ["acc"]})
    assert "none of these runs has 'params.sed'. Did you mean 'seed'?\n    params.sed < 3 and" in str(caught.value)
    assert "params that there are: model.lr, seed" in str(caught.value)
    parse("params.model == 1 and params.n_x > 0", ROOTS).check({"params": ["model.lr", "n-x"]})
    with pytest.raises(StashError, match=r"params\.mod'"):
        parse("params.mod == 1", ROOTS).check({"params": ["model.lr"]})
    assert found.missing(look_up) == ["params.sed", "metrics.loss", "params.model.lr"]


WORDS = """
    params.seed metrics.acc tags and or not in is None ( ) [ ] , == < 3 'x' 1e999 . - : if else lambda
"""


@given(st.text(max_size=60) | st.lists(st.sampled_from(WORDS.split()), max_size=20).map(" ".join))
def test_whatever_is_written_has_a_meaning_or_is_refused(text: str) -> None:
    try:
        found = parse(text, ROOTS)
    except StashError:
        return
    assert found.holds(look_up) in (True, False, None)
