"""The states of a run: which changes there are, and that there are no others."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experimentstash.record import transitions
from experimentstash.record.records import Attempt, Command, JobEnd, Queued, Run, State, Supervisor
from experimentstash.record.transitions import TransitionError

PACKAGE = Path(transitions.__file__).resolve().parents[1]
SUPERVISOR = Supervisor("host", 17, 3, "boot")
FINAL = [state for state in State if state.is_final]
OPEN = [state for state in State if not state.is_final]


def run_in(state: State) -> Run:
    return Run("a", "/a", None, None, "t", Command([], "/"), state=state)


def end(state: State) -> Callable[[Run], object]:
    return lambda run: transitions.end(run, state, "because", 3)


Change = tuple[str, Callable[[Run], object]]
CHANGES: list[Change] = [
    ("submit", lambda run: transitions.submit(run, Queued("/a/0.json", 0))),
    ("begin", lambda run: transitions.begin(run, SUPERVISOR)),
    *((f"end {state.value}", end(state)) for state in FINAL),
    ("end_unseen", lambda run: transitions.end_unseen(run, State.LOST, "gone", 137, "2026-01-01T00:00:00.000+00:00")),
    ("correct_end", lambda run: transitions.correct_end(run, State.PREEMPTED, "preempted, SLURM says")),
    ("take_up_again", transitions.take_up_again),
    ("open frozen", lambda run: transitions.open_next_attempt(run, State.FROZEN)),
    ("open queued", lambda run: transitions.open_next_attempt(run, State.QUEUED)),
]


def may(name: str, run: Run) -> bool:
    """Tell what docs/records.md says of a change: whether it can be made now."""
    if name in ("submit", "begin"):
        return run.state in (State.FROZEN, State.QUEUED)
    if name.startswith("end"):
        return run.state in OPEN
    if name == "correct_end":
        return run.state in FINAL and run.job_end is not None and not run.job_end.is_known
    if name == "take_up_again":
        return run.state in FINAL and run.started is None
    return run.state in FINAL and run.state is not State.COMPLETED


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(CHANGES), st.booleans()), max_size=25))
def test_a_run_goes_only_where_a_run_may_go(changes: list[tuple[Change, bool]]) -> None:
    run = run_in(State.FROZEN)
    for (name, change), is_slurms in changes:
        if is_slurms and run.state.is_final:
            run.job_end = JobEnd(run.state, "because", is_known=False)
        before = repr(run)
        if not may(name, run):
            with pytest.raises(TransitionError):
                change(run)
            assert repr(run) == before  # refused before anything has changed
            continue
        attempts = len(run.attempts)
        change(run)
        assert (run.started is None) >= (run.state is State.FROZEN)
        assert (run.ended is not None) == run.state.is_final
        assert run.state is not State.RUNNING or (run.started and run.supervisor is SUPERVISOR)
        assert len(run.attempts) == attempts + name.startswith("open") == run.attempt - 1
        assert [each.number for each in run.attempts] == list(range(1, run.attempt))


@pytest.mark.parametrize("state", OPEN)
def test_only_a_final_state_is_an_end(state: State) -> None:
    for close in (transitions.end, transitions.end_unseen):
        with pytest.raises(TransitionError):
            close(run_in(State.RUNNING), state, "because", 1)
    with pytest.raises(TransitionError):
        transitions.open_next_attempt(run_in(State.FAILED), State.RUNNING)


def test_nothing_of_an_attempt_is_lost_when_the_next_one_opens() -> None:
    run = run_in(State.FROZEN)
    transitions.begin(run, SUPERVISOR)
    transitions.end(run, State.KILLED, "killed", 137, job_end=JobEnd(State.KILLED, "x", True), signal="SIGKILL")
    run.duration, run.cpu_time, run.peak_memory, run.result = 3.0, 2.0, 1000, 0.5
    run.advice, run.notes, run.warnings = "less", ["a note"], ["a warning"]
    run.collected, run.wrote, run.deleted = ["c"], ["w"], ["d"]
    last = {name: getattr(run, name) for name in Attempt.__annotations__ if name != "number"}
    assert None not in last.values() and [] not in last.values()
    transitions.open_next_attempt(run, State.QUEUED)
    assert run.attempts == [Attempt(number=1, **last)]
    fresh = run_in(State.QUEUED)
    assert {name: getattr(run, name) for name in last} == {
        **{name: getattr(fresh, name) for name in last},
        "log": "output.2.log",
    }


def test_nobody_else_assigns_a_state() -> None:
    assigned = re.compile(r"\.state\b(, [\w.]+)* = |\bstate=State\.")
    found = {path.name for path in PACKAGE.rglob("*.py") if assigned.search(path.read_text(encoding="utf-8"))}
    assert found == {"transitions.py"}
