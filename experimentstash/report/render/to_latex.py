r"""A comparison as a table in LaTeX, by booktabs and siunitx. It can be \input, and compiles by itself as well."""

from __future__ import annotations

from collections.abc import Sequence

from experimentstash.base.patterns import regex
from experimentstash.base.text import clean
from experimentstash.report.compare import Comparison, Row
from experimentstash.report.groups import title
from experimentstash.report.metrics import Metric
from experimentstash.report.render import words
from experimentstash.runs.differing import EXPERIMENT
from experimentstash.stash.schema import Better

# In the body of a document \documentclass means an error; where it doesn't, this is all there is.
_BEGIN = r"""% \input this where the table is to be, in a document that has \usepackage{booktabs,siunitx}.
% Compiled by itself it is a page with the table.
\expandafter\ifx\csname @notprerr\endcsname\documentclass\else
  \documentclass{article}
  \usepackage[utf8]{inputenc}
  \usepackage{booktabs,siunitx}
  \begin{document}
  \def\stashends{\end{document}}
\fi"""
_END = r"\csname stashends\endcsname"
_MARKS = {1: r"\textbf", 2: r"\underline"}
_ARROWS = {Better.higher: r" $\uparrow$", Better.lower: r" $\downarrow$"}
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\char126{}",
    "^": r"\char94{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    '"': r"\char34{}",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "−": "$-$",
    "°": r"$^\circ$",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    **{letter: f"\\{letter}" for letter in "#$%&_{}"},
}
# Ligatures that a text doesn't ask for.
_LIGATURE = regex(r"-(?=-)|,(?=,)|'(?=')|`(?=`)|[?!](?=`)")
# Letters that there are in the fonts which every installation has.
_KNOWN = regex("[ -~À-ÏÑ-ÖØ-Ýß-ïñ-öø-ýÿ-ăĆ-ďĒ-ėĚ-ĥĨ-ĭİ-ķĹ-ľŁ-ňŌ-ťŨ-űŴ-ž]")
_GREEK = "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩµ"
_GREEK_NAMES = """
    alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon varphi chi psi
    omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega mu
"""
_MATHEMATICS = "±×·÷∞≤≥≈→←↑↓•"
_MATHEMATICS_NAMES = "pm times cdot div infty leq geq approx rightarrow leftarrow uparrow downarrow bullet"
_COMMANDS = dict(zip(_GREEK + _MATHEMATICS, (_GREEK_NAMES + _MATHEMATICS_NAMES).split(), strict=True))


def render(comparison: Comparison) -> str:
    """Return it as text."""
    has_counts = len(comparison.counts) > 1
    names, metrics = comparison.columns, comparison.metrics
    caption = escaped(words.caption(comparison, "in bold", "underlined", with_counts=has_counts))
    if len(comparison.counts) == 1:
        caption += f" $n = {next(iter(comparison.counts))}$."
    rows = _names(comparison)
    headings = [*(escaped(column.heading) for column in names), *map(_heading, metrics)]
    lines = [
        _BEGIN,
        r"\begin{table}",
        r"  \centering",
        r"  \sisetup{detect-weight, separate-uncertainty, group-digits=integer}",
        rf"  \caption{{{caption}}}",
        rf"  \begin{{tabular}}{{{'l' * len(names)}{'r' * len(metrics)}}}",
        r"    \toprule",
        _line(headings),
        r"    \midrule",
        *(
            _line([*map(escaped, texts), *(_cell(comparison, row, at, has_counts) for at in range(len(metrics)))])
            for texts, row in zip(rows, comparison.rows, strict=True)
        ),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    lines += [f"% {line}" for line in _comments(comparison)]
    return "\n".join([*lines, _END])


def _names(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return what each row is called; of experiments, whose names are long, only what tells them apart."""
    columns = zip(*(row.texts for row in comparison.rows), strict=True)
    named = (
        words.short(texts) if column.key == EXPERIMENT else texts
        for column, texts in zip(comparison.columns, columns, strict=True)
    )
    return list(zip(*named, strict=True))


def _comments(comparison: Comparison) -> list[str]:
    """Return what stands below the table in other forms."""
    shown = zip(_names(comparison), comparison.rows, strict=True)
    lines = [f"{title(texts)} is {title(row.texts)}" for texts, row in shown if texts != row.texts]
    lines += comparison.remarks
    if (about := words.about_differences(comparison)) is not None:
        lines += [about, "; ".join(words.DIFFERENCE_HEADINGS)]
        lines += ["; ".join(row) for row in words.differences(comparison)]
    return [clean(line) for line in lines]


def _heading(metric: Metric) -> str:
    return escaped(metric.label) + (_ARROWS[metric.better] if metric.better is not None else "")


def _cell(comparison: Comparison, row: Row, number: int, has_counts: bool) -> str:
    cell = row.cells[number]
    if cell is None:
        return "--"
    text = _numbers(comparison.written(row, number))
    marked = f"{_MARKS[cell.rank]}{{{text}}}" if cell.rank is not None else text
    return f"{marked} ({cell.summary.count})" if has_counts else marked


def _numbers(parts: Sequence[str]) -> str:
    if len(parts) == 2 and "e" not in "".join(parts):
        return rf"\num{{{parts[0]} +- {parts[1]}}}"
    each = [_number(part) for part in parts]
    if len(parts) == 2:
        return rf"{each[0]} $\pm$ {each[1]}"
    return each[0] if len(parts) == 1 else f"{each[0]} [{each[1]}, {each[2]}]"


def _number(text: str) -> str:
    return {"NaN": "NaN", "inf": r"$\infty$", "-inf": r"$-\infty$"}.get(text) or rf"\num{{{text}}}"


def _line(cells: Sequence[str]) -> str:
    return rf"    {' & '.join(cells)} \\"


def escaped(text: str) -> str:
    """Return a text of which LaTeX shows each character as it is; one that it has no letter for, as its number."""
    return "".join(map(_letter, _LIGATURE.sub(lambda found: f"{found[0]}\0", clean(text))))


def _letter(character: str) -> str:
    if character == "\0":  # between two that would become one
        return "{}"
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character in _COMMANDS:
        return rf"$\{_COMMANDS[character]}$"
    return character if _KNOWN.match(character) else f"U+{ord(character):04X}"
