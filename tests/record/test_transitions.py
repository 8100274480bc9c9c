"""The states of a run: which changes there are, and that there are no others."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experimentstash.record import transitions
from experimentstash.record.run import Attempt, JobEnd, Process, Queued, Run, State, Supervisor, Terms
from experimentstash.record.transitions import TransitionError
from tests.testing.run_parts import put, run_with

PACKAGE = Path(transitions.__file__).resolve().parents[1]
SUPERVISOR = Supervisor("host", 17, 3, "boot")
FINAL = [state for state in State if state.is_final]
OPEN = [state for state in State if not state.is_final]


def run_in(state: State) -> Run:
    return run_with("a", "/a", state=state)


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
        return run.attempt.state in (State.FROZEN, State.QUEUED)
    if name.startswith("end"):
        return run.attempt.state in OPEN
    if name == "correct_end":
        return run.attempt.state in FINAL and run.attempt.job_end is not None and not run.attempt.job_end.is_known
    if name == "take_up_again":
        return run.attempt.state in FINAL and run.attempt.started is None
    return run.attempt.state in FINAL and run.attempt.state is not State.COMPLETED


@pytest.mark.slow
@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(CHANGES), st.booleans()), max_size=25))
def test_a_run_goes_only_where_a_run_may_go(changes: list[tuple[Change, bool]]) -> None:
    run = run_in(State.FROZEN)
    for (name, change), is_slurms in changes:
        if is_slurms and run.attempt.state.is_final:
            run.attempt.job_end = JobEnd(run.attempt.state, "because", is_known=False)
        before = repr(run)
        if not may(name, run):
            with pytest.raises(TransitionError):
                change(run)
            assert repr(run) == before  # refused before anything has changed
            continue
        attempts = len(run.earlier)
        change(run)
        assert (run.attempt.started is None) >= (run.attempt.state is State.FROZEN)
        assert (run.attempt.ended is not None) == run.attempt.state.is_final
        assert run.attempt.state is not State.RUNNING or (run.attempt.started and run.attempt.supervisor is SUPERVISOR)
        assert len(run.earlier) == attempts + name.startswith("open") == run.attempt.number - 1
        assert [each.number for each in run.earlier] == list(range(1, run.attempt.number))


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
    put(run, terms=Terms(timeout=5.0), queued=Queued("/a/0.json", 0), process=Process(3, 4), is_stranded=True)
    put(run, duration=3.0, cpu_time=2.0, peak_memory=1000, result=0.5, advice="less")
    put(run, notes=["a note"], warnings=["a warning"], collected=["c"], wrote=["w"], deleted=["d"])
    put(run, wandb=[{"id": "x"}], wandb_elsewhere=["/elsewhere"], metrics={"loss": 0.5})
    run.attempt.others = {"novelty": 1}
    last = run.attempt
    assert all(value not in (None, [], {}, False) for value in vars(last).values())
    before = repr(last)
    transitions.open_next_attempt(run, State.QUEUED)
    assert run.earlier == [last] and repr(last) == before
    kept = {name: getattr(last, name) for name in ("terms", "queued", "supervisor")}
    assert run.attempt == Attempt(2, State.QUEUED, **kept, log="output.2.log")
    transitions.end(run, State.CANCELLED, "cancelled", 1)
    transitions.open_next_attempt(run, State.FROZEN)
    assert run.attempt.queued is None and run.attempt.terms == Terms(timeout=5.0)


def test_nobody_else_assigns_a_state() -> None:
    assigned = re.compile(r"\.state\b(, [\w.]+)* = |\bstate=State\.")
    found = {path.name for path in PACKAGE.rglob("*.py") if assigned.search(path.read_text(encoding="utf-8"))}
    assert found == {"transitions.py"}
