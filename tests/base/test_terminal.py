"""What a person sees: tables that fit the terminal, colours, prose that is broken between words."""

from __future__ import annotations

import json
import re
import shlex
import time
from typing import Any

import pytest
from wcwidth import wcswidth

from experimentstash.base.output import PLAIN, USAGE, Paper, Style
from experimentstash.base.tables import Column, Styled, draw
from experimentstash.base.terminal import plain
from experimentstash.base.text import cells, clean, filled, shorten
from experimentstash.record import times
from experimentstash.record.run import Run, State
from experimentstash.report import runs_table as report
from experimentstash.runs.facts import Facts
from experimentstash.runs.summary import counts, resources_table, sweep_table
from experimentstash.stash.layout import Stash
from tests.testing.faults import freeze
from tests.testing.stash import InProcess, StashUnderTest
from tests.testing.terminals import Terminal, program

WIDTHS = (1, 20, 50, 80, 120, 200)
LONG = "figure1/a_rather_long_name_of_an_experiment/with_another_part_below_it"
WIDE = "圖一/主成分分析_瑞士捲"


def ended(stash: Stash, state: State = State.COMPLETED, **fields: Any) -> Run:
    given: dict[str, Any] = {"state": state, "exit_code": 0, "ended": times.now(), "duration": 75.0, **fields}
    return freeze(stash, ["true"], **given)


def odd_runs(stash: Stash) -> list[Run]:
    """Runs of every state, with long and strange names."""
    overrides = ["params.learning_rate=0.00012345", "params.name=日本語のとても長い名前"]
    runs = [ended(stash, state, organizer=LONG, overrides=[*overrides, f"params.n={state.value}"]) for state in State]
    runs += [ended(stash, organizer=organizer) for organizer in (WIDE, "x", "e\u0301tude", "a\nb\tc\x1b[31m", "‮evil")]
    runs.append(ended(stash, tool="a" * 150, organizer=None, result=[0.5, 1 / 3]))
    runs.append(ended(stash, organizer="👩‍🔬/🧪❤️", warnings=["look at this " * 20]))
    return runs


# --- the widths of texts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("", 0),
        ("abc", 3),
        ("日本", 4),
        ("e\u0301", 1),
        ("äöü", 3),
        ("✓ →", 3),
        ("🧪", 2),
        ("ａ", 2),
        ("a\u200bb", 2),
        ("\x1b[31mred\x1b[0m", 3),
    ],
)
def test_columns_of_a_text(text: str, width: int) -> None:
    assert cells(text) == width


def test_no_character_is_wider_than_we_think() -> None:
    """As the tables of terminal emulators have it."""
    letters = [chr(number) for number in (*range(0x3400), *range(0xE000, 0x20000, 3))]
    assert not [letter for letter in letters if wcswidth(clean(letter)) not in range(cells(clean(letter)) + 1)]


@pytest.mark.parametrize(
    ("text", "width", "keeps_end", "expected"),
    [
        ("abcdef", 6, False, "abcdef"),
        ("abcdef", 5, False, "abcd…"),
        ("abcdefghij", 7, True, "ab…ghij"),
        ("日本語", 5, False, "日本…"),
        ("日本語", 4, False, "日…"),
        ("e\u0301e\u0301e\u0301", 2, False, "e\u0301…"),
        ("abcdefge\u0301", 4, True, "a…ge\u0301"),
        ("abc", 1, True, "…"),
        ("abc", 0, True, ""),
    ],
)
def test_a_text_is_shortened(text: str, width: int, keeps_end: bool, expected: str) -> None:
    assert shorten(text, width, keeps_end=keeps_end) == expected
    assert cells(expected) <= width


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain äöü 日本 👩‍🔬", "plain äöü 日本 👩‍🔬"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202eevil", "\\u202eevil"),
        ("\udcff", "\\udcff"),
        ("a\u2028b", "a\\u2028b"),
    ],
)
def test_what_would_move_the_cursor_is_written_out(text: str, expected: str) -> None:
    assert clean(text) == expected


# --- tables ----------------------------------------------------------------------------------------------------------


def test_the_least_important_columns_go_first() -> None:
    columns = [
        Column("id"),
        Column("name", least=8, keeps_end=True),
        Column("first", rank=2),
        Column("last", rank=1),
        Column("path", rank=3, is_spare=True),
    ]
    rows = [("1", "n" * 20, "f" * 10, "l" * 10, "p" * 10)]
    headings = {
        width: draw(columns, rows, Paper(width)).splitlines()[0].split() for width in (None, 60, 59, 47, 36, 35)
    }
    assert headings[None] == headings[60] == ["id", "name", "first", "last", "path"]
    # Nothing is shortened for what is spare; a name is shortened before a column goes.
    assert headings[59] == headings[47] == headings[36] == ["id", "name", "first", "last"]
    assert headings[35] == ["id", "name", "last"]
    assert draw(columns, rows, Paper(11)).splitlines()[1] == "1   nn…nnnn"
    assert draw(columns, rows, Paper(6)).splitlines()[1] == "1   n…"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_columns_stand_below_each_other_as_they_are_written(encoding: str) -> None:
    rows = [("日本", "✗ failed"), ("Größe", "✓ completed"), ("plain", "· queued")]
    paper = Paper(encoding=encoding)
    lines = draw([Column("name"), Column("state")], rows, paper).splitlines()
    assert [paper.written(line) for line in lines] == lines  # as it arrives
    left = max(cells(paper.written(name)) for name, _ in [*rows, ("name", "")])
    for line, (name, state) in zip(lines[1:], rows, strict=True):
        first = paper.written(name)
        assert line == first + " " * (left - cells(first) + 2) + paper.written(state)
    assert draw([Column("name", least=3)], [("Größe",)], Paper(4, encoding="ascii")).splitlines()[1] == "Gr\\~"


def runs_table(stash: Stash, runs: list[Run], paper: Paper = PLAIN) -> str:
    return report.usual(stash, list(map(Facts, runs)), {}, paper)


@pytest.mark.parametrize("width", WIDTHS)
def test_no_row_is_wider_than_the_terminal(here: Stash, width: int) -> None:
    runs = odd_runs(here)
    for paper in (Paper(width), Paper(width, is_coloured=True)):
        for text in (
            runs_table(here, runs, paper),
            runs_table(here, runs[:1], paper),
            sweep_table(here, runs, paper),
            resources_table(runs, paper),
        ):
            prose = ("!", " ", str(len(runs)))
            rows = [row for row in plain(text).splitlines() if not row.startswith(prose)]
            assert len(rows) > 1 and max(map(cells, rows)) <= width, text


def test_a_table_for_a_file_has_everything_and_nothing_else(here: Stash) -> None:
    runs = odd_runs(here)
    table = runs_table(here, runs)
    assert "…" not in table and "\x1b" not in table and "\u202e" not in table
    assert table.split("\n")[0].split() == ["run", "state", "experiment", "tool", "result", "when", "time", "directory"]
    assert len(table.splitlines()) == 1 + len(runs) + 1  # and the warning
    for run in runs:
        assert here.relative(run.path) in table


def test_states_have_colours_where_there_are_colours(here: Stash) -> None:
    run = ended(here, State.FAILED)
    assert "\x1b[31m✗ failed\x1b[0m" in runs_table(here, [run], Paper(80, is_coloured=True))
    both = "2 runs: \x1b[32m1 completed\x1b[0m, \x1b[31m1 failed\x1b[0m"
    assert counts([run, ended(here)], Paper(80, is_coloured=True)) == both
    assert counts([run], PLAIN) == "1 run: 1 failed"
    assert draw([Column("")], [[Styled("a", Style.GOOD)]], Paper(80)) == "\na"


def test_counts_name_every_state_there_is(here: Stash) -> None:
    strange = ended(here)
    strange.attempt.state = State("resting")
    assert counts([ended(here), ended(here), strange, ended(here, State.TIMED_OUT)]) == (
        "4 runs: 2 completed, 1 timed out, 1 resting"
    )


# --- prose -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short", "short"),
        ("four words are too long", "four words are too\n  long"),
        ("  → four words are too long", "  → four words are\n    too long"),
        ("  → git add a/very/long/path/that/is/copied", "  → git add a/very/long/path/that/is/copied"),
        ("one `two three` four five", "one `two three` four\n  five"),
        ("a https://example.org/a/long/address b", "a\n  https://example.org/a/long/address\n  b"),
        ("    what was laid out by others stays", "    what was laid out by others stays"),
        ("日本語 日本語 日本語 日本語", "日本語 日本語 日本語\n  日本語"),
        ("", ""),
    ],
)
def test_prose_is_broken_between_words(text: str, expected: str) -> None:
    assert filled(text, 20) == expected
    assert filled(text, None) == text


# --- in a terminal ---------------------------------------------------------------------------------------------------


def shown(stash: Stash | StashUnderTest, *arguments: str, columns: int = 80, **environment: str) -> Terminal:
    with Terminal(program(*arguments), cwd=stash.root, columns=columns, **environment) as terminal:
        terminal.end()
        return terminal


@pytest.fixture
def many(here: Stash) -> list[Run]:
    """Runs that have ended, oldest first."""
    return [
        ended(here, organizer=f"{LONG}/{number}", created=f"2026-01-31T12:{number // 60:02}:{number % 60:02}.000+00:00")
        for number in range(45)
    ]


@pytest.mark.parametrize("columns", [50, 80, 120, 200])
def test_runs_at_a_terminal(here: Stash, many: list[Run], columns: int) -> None:
    terminal = shown(here, "runs", columns=columns)
    heading, *rows, said = terminal.lines if columns > 50 else [*terminal.lines[:-2], " ".join(terminal.lines[-2:])]
    assert heading.split()[:3] == ["run", "state", "experiment"]
    assert [row.split()[0] for row in rows] == [run.id for run in many[-30:]]  # one line each, the newest last
    assert "the newest 30 of 45 runs" in said and "--all" in said
    assert ("/44 " in f"{rows[-1]} ") or (columns == 50 and "44" in rows[-1])
    assert ("outputs/2026-01-31" in rows[-1]) is (columns == 200)


@pytest.mark.slow
def test_how_many_runs_are_shown(here: Stash, many: list[Run], in_process: InProcess) -> None:
    assert [row.split()[0] for row in shown(here, "runs", "-n", "2").lines[1:]] == [run.id for run in many[-2:]]
    assert [row.split()[0] for row in shown(here, "runs", "--all").lines[1:]] == [run.id for run in many]
    everything = in_process(StashUnderTest(here.root), "runs").stdout.splitlines()
    assert [row.split()[0] for row in everything[1:]] == [run.id for run in reversed(many)]
    for wrong in ("0", "-3", "many", "1" * 30):
        refused = shown(here, "runs", "-n", wrong)
        assert refused.process.returncode == 2 and "no number of runs" in " ".join(refused.text.split())


def test_runs_of_none_at_a_terminal(here: Stash) -> None:
    assert shown(here, "runs").lines == ["stash: there are no runs yet"]


@pytest.mark.slow
def test_columns_may_be_fewer_than_the_terminal_has(here: Stash, many: list[Run]) -> None:
    for columns, wished, expected in ((120, "60", 60), (60, "500", 60), (60, "many", 60), (0, "", 80)):
        terminal = shown(here, "runs", columns=columns or 300, COLUMNS=wished) if columns else None
        if terminal is not None:
            assert max(map(len, terminal.lines[:-1])) <= expected


@pytest.mark.parametrize(
    ("environment", "options", "is_coloured"),
    [
        ({}, [], True),
        ({"NO_COLOR": "1"}, [], False),
        ({"NO_COLOR": ""}, [], True),
        ({"TERM": "dumb"}, [], False),
        ({"NO_COLOR": "1"}, ["--color=always"], True),
        ({}, ["--color=never"], False),
        ({}, ["--color", "never"], False),
        ({"TERM": "dumb"}, ["--color", "always"], True),
    ],
)
def test_colours_where_they_are_wanted(
    here: Stash, environment: dict[str, str], options: list[str], is_coloured: bool
) -> None:
    ended(here, State.FAILED)
    terminal = shown(here, "runs", *options, **environment)
    assert (b"\x1b[" in terminal.raw) is is_coloured
    assert terminal.colours("failed") == ({"red"} if is_coloured else {"default"})


def test_times_are_those_of_a_clock_here(here: Stash, in_process: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record keeps UTC, and sorts runs rightly when clocks are put back, or in another zone."""
    later = ended(here, started="2026-10-25T00:30:00.123+00:00", created="2026-10-25T00:30:00.000+00:00")
    earlier = ended(here, created="2026-10-25T02:10:00.000+02:00", notes=["closed at 2026-10-25T01:10:00.000+00:00"])
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        stash = StashUnderTest(here.root)
        assert re.search(r"(?m)^started +2026-10-25 02:30:00 CEST$", in_process(stash, "show", later.id).stdout)
        assert "closed at 2026-10-25 02:10:00 CET\n" in in_process(stash, "show", earlier.id).stdout
        rows = in_process(stash, "runs").stdout.splitlines()[1:]
        assert [row.split()[0] for row in rows] == [later.id, earlier.id]
        assert "  2026-10-25 02:30  " in rows[0] and "  2026-10-25 02:10  " in rows[1]
        assert times.as_text(1790000000.0) == "2026-09-21T14:13:20.000+00:00"
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


def test_no_colours_in_a_file(here: Stash, in_process: InProcess) -> None:
    ended(here, State.FAILED)
    stash = StashUnderTest(here.root)
    assert "\x1b" not in in_process(stash, "runs").stdout
    assert "\x1b[31m✗ failed" in in_process(stash, "runs", "--color=always").stdout
    assert "\x1b" not in in_process(stash, "--color=auto", "runs").stdout
    refused = in_process(stash, "runs", "--color=sometimes")
    assert refused.returncode == 2 and "always, auto or never" in refused.stderr


@pytest.mark.slow
def test_an_error_fits_the_terminal(here: Stash) -> None:
    for columns in (50, 80, 200):
        terminal = shown(here, "show", "no-such-run-of-a-name-that-is-so-long", "--color=never", columns=columns)
        assert terminal.lines[0].startswith("error: There is no run") and "…" not in terminal.text
        assert not any(line[:1].isalnum() for line in terminal.lines[1:])  # nothing was broken by the terminal


def test_a_run_is_shown_in_sentences_that_are_broken_between_words(here: Stash) -> None:
    reason = "the tool ended with exit code 1, and what it had written last is that it could not go on"
    run = ended(here, State.FAILED, reason=f"{reason}\x1b[2J\rgone", notes=["日本語 " * 30])
    terminal = shown(here, "show", run.id, columns=60)
    at = next(number for number, line in enumerate(terminal.lines) if line.startswith("why "))
    column = terminal.lines[at].index("the tool")
    told = [terminal.lines[at][column:]]
    for line in terminal.lines[at + 1 :]:
        if line[:column].strip():
            break
        told.append(line[column:])
    assert " ".join(told) == f"{reason}\\x1b[2J\\rgone"
    assert len(told) > 2 and all(len(line) <= 60 for line in terminal.lines)


def test_what_is_printed_without_arguments_fits(stash: StashUnderTest) -> None:
    stash.add_experiment("long", "t", f"description: {'word ' * 40}\n")
    assert max(map(len, USAGE.splitlines())) <= 80
    lines = shown(stash, columns=50).lines
    assert lines[0].startswith("Stash") and "  word" in "\n".join(lines)
    assert not any(line.startswith("ord") for line in lines)


# --- a sweep at a terminal -------------------------------------------------------------------------------------------

SHELL = "entrypoint: /bin/sh\nenvironment: {kind: none}\ncall: {style: arguments}\n"
TWO_AT_ONCE = ("-m", "hydra/launcher=local", "hydra.launcher.n_jobs=2")


@pytest.fixture
def shell(stash: StashUnderTest) -> StashUnderTest:
    """A stash with a tool that runs a shell script: it writes `at-N`, and waits for `go-N`."""
    (stash.add_tool("sh", registration=SHELL) / "readme").write_text("The shell.\n")
    script = "cd ../..; touch at-$0; while [ ! -e go-$0 ]; do sleep 0.02; done; printf ended-$0; exit $(($0 % 3))"
    for name in ("long", WIDE):
        stash.add_script(f"figure1/{name}", script, "${params.n}", more="estimated_runtime: 7m\n")
    stash.commit()
    return stash


def letting_go(shell: StashUnderTest, terminal: Terminal, number: int) -> None:
    terminal.until(lambda _: (shell.root / f"at-{number}").exists())
    (shell.root / f"go-{number}").touch()


@pytest.mark.slow
def test_what_all_runs_of_a_sweep_have_takes_no_room(shell: StashUnderTest) -> None:
    argv = program(*TWO_AT_ONCE, "+exp=figure1/long", "params.n=0,1,2,3", "description=the_same_value_in_all_of_them")
    with Terminal(argv, cwd=shell.root, columns=60) as terminal:
        terminal.until(lambda seen: "2 running" in seen.text)
        assert [number for number in (0, 1) if f"params.n={number} " in terminal.lines[number]] == [0, 1]
        for number in range(4):
            letting_go(shell, terminal, number)
        assert terminal.end() == 1
    assert all(terminal.text.count(f"params.n={number} ") == 2 for number in range(4))  # as it ended, and in the table
    assert "the_same" not in terminal.text
    listed = shown(shell, "runs", columns=60)
    assert listed.lines[0].split()[:4] == ["run", "state", "experiment", "n"]
    assert [f"  {number}  " in row for number, row in enumerate(listed.lines[1:5])] == [True] * 4
    assert "the_same" not in listed.text


@pytest.mark.slow
@pytest.mark.parametrize("columns", [50, 80, 120, 200])
def test_a_live_table_and_the_runs_that_have_ended(shell: StashUnderTest, columns: int) -> None:
    argv = program(*TWO_AT_ONCE, f"+exp='figure1/{WIDE}'", "params.n=0,1,2,3")
    with Terminal(argv, cwd=shell.root, columns=columns) as terminal:
        terminal.until(lambda seen: "2 running  0 done  0 failed  2 to go" in seen.text)
        first, second, _ = terminal.lines
        assert first.startswith("▶ running") and second.startswith("▶ running") and "-0  figure1/" in first
        letting_go(shell, terminal, 0)
        terminal.until(lambda seen: "2 running  1 done" in seen.text)
        assert [line.split()[:2] for line in terminal.lines[:3]] == [
            ["✓", "completed"],
            ["▶", "running"],
            ["▶", "running"],
        ]
        for number in (1, 2, 3):
            letting_go(shell, terminal, number)
        assert terminal.end() == 1
    at_end = [line for line in terminal.lines if "▶" in line or "to go" in line]
    assert not at_end  # the live table is gone
    assert [line.split()[0] for line in terminal.lines if "figure1" in line][:4].count("✓") == 2
    assert terminal.lines[-1] == "4 runs: 2 completed, 2 failed"
    assert terminal.colours("✓ completed") == {"green"} and terminal.colours("✗ failed") == {"red"}
    rows = terminal.lines[-5:-1]
    assert [row.split()[0].rpartition("-")[2] for row in rows] == ["0", "1", "2", "3"]


@pytest.mark.slow
def test_what_others_write_passes_by_above_the_live_table(shell: StashUnderTest) -> None:
    """An environment that uv makes while a run is at work."""
    shell.add_tool("made", "plain", "entrypoint: main.py\nenvironment: {kind: requirements}\n")
    (shell.root / "tools/made/requirements.txt").write_text("# nothing\n")
    shell.add_experiment("made", "made", "params: {sleep: 0}\n")
    argv = program(*TWO_AT_ONCE, "+exp=figure1/long,made")
    with Terminal(argv, cwd=shell.root, columns=80) as terminal:
        terminal.until(lambda seen: "1 done" in seen.text)
        text = terminal.text
        letting_go(shell, terminal, 0)
        assert terminal.end() == 0
    making = [line for line in text.splitlines() if "Making the environment" in line or "Made the environment" in line]
    assert len(making) == 2 and all(line.startswith("stash: ") for line in making)
    assert text.count("▶ running") == 1 and text.splitlines()[-1].startswith("1 running  1 done")
    assert b"\x1b[?25" not in terminal.raw  # nobody else draws


@pytest.mark.slow
def test_an_interrupted_sweep_ends_with_its_counts_and_the_command_that_goes_on(shell: StashUnderTest) -> None:
    argv = program(*TWO_AT_ONCE, "+exp=figure1/long", f"params.n={','.join(map(str, range(12)))}")
    with Terminal(argv, cwd=shell.root) as terminal:
        letting_go(shell, terminal, 0)
        terminal.until(lambda seen: "2 running  1 done" in seen.text)
        terminal.type("\x03")
        assert terminal.end() == 130
    *_, counts, said, command, interrupted = terminal.lines
    assert re.fullmatch(r"12 runs: 1 completed, \d+ cancelled, \d+ not started", counts), terminal.text
    assert sum(map(int, re.findall(r"\d+", counts)[1:])) == 12
    assert said == "stash: the sweep was interrupted; what has not completed is done by"
    assert interrupted == "error: interrupted"
    (sweep,) = (path.parent for path in shell.root.glob("multirun/*/*/multirun.yaml"))
    token = sweep.name.rpartition("-")[2]
    assert command == f"  → experimentstash resume {token}"
    for number in range(12):
        (shell.root / f"go-{number}").touch()
    done = shell.cli("resume", token)
    assert "12 runs: 4 completed, 8 failed" in done.stdout and "was interrupted" not in done.stderr


@pytest.mark.slow
def test_lines_that_end_nowhere(shell: StashUnderTest) -> None:
    """What a tool writes last without an end of line gets one before our line, and none in a file of its own."""
    for number in (0, 1):
        (shell.root / f"go-{number}").touch()
    terminal = shown(shell, "run", "figure1/long")
    assert "ended-0" in terminal.lines and any(line.startswith("stash: ✓ completed in") for line in terminal.lines)
    sweep = shown(shell, "-m", "+exp=figure1/long", "params.n=0,1")
    assert {"ended-0", "ended-1"} <= set(sweep.lines)
    apart = shell.cli("run", "figure1/long")
    assert apart.stdout == "ended-0"


@pytest.mark.slow
def test_ctrl_c_in_the_middle_of_a_line(shell: StashUnderTest) -> None:
    script = "trap 'printf saved; exit 3' INT TERM; printf 'half a line'; touch at-0; while :; do sleep 0.02; done"
    shell.add_experiment("trap", "sh", f"arguments: {json.dumps(['-c', f'cd ../..; {script}'])}\n")
    with Terminal(program("run", "trap"), cwd=shell.root) as terminal:
        terminal.until(lambda seen: "half a line" in seen.text)
        terminal.type("\x03")
        assert terminal.end() != 0
    assert any(line.startswith("stash: asked to stop by Ctrl-C") for line in terminal.lines), terminal.text
    assert "saved" in terminal.lines and any(line.startswith("stash: ✗ cancelled") for line in terminal.lines)


@pytest.mark.slow
def test_a_terminal_that_cannot_draw_gets_lines(shell: StashUnderTest) -> None:
    for number in (0, 1):
        (shell.root / f"go-{number}").touch()
    terminal = shown(shell, *TWO_AT_ONCE, "+exp=figure1/long", "params.n=0,1", columns=120, TERM="dumb")
    assert b"\x1b" not in terminal.raw
    lines = [line for line in terminal.lines if line.startswith("stash: ")]
    assert len([line for line in lines if "▶ running" in line]) == 2 and len(lines) == 4


@pytest.mark.slow
def test_ctrl_z_takes_the_live_table_away(shell: StashUnderTest) -> None:
    argv = program(*TWO_AT_ONCE, "+exp=figure1/long", "params.n=0,1")
    with Terminal(["bash", "--norc", "--noprofile", "-i"], cwd=shell.root, PS1="ready> ", HISTFILE="") as terminal:
        terminal.type(f"{shlex.join(argv)}\n")
        terminal.until(lambda seen: "2 running" in seen.text)
        terminal.type("\x1a")
        terminal.until(lambda seen: "Stopped" in seen.text and seen.lines[-1].startswith("ready>"))
        assert "▶" not in terminal.text
        terminal.type("fg\n")
        terminal.until(lambda seen: "2 running" in seen.text)
        assert terminal.text.count("▶ running") == 2
        for number in (0, 1):
            letting_go(shell, terminal, number)
        terminal.until(lambda seen: seen.lines[-1].startswith("ready>"))
        assert "2 runs: 1 completed, 1 failed" in terminal.text and "Stopped" in terminal.text
        terminal.type("exit\n")
        terminal.end()
