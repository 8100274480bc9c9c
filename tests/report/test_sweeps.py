"""What is said of the jobs of a sweep that have no runs: never begun, or counted by runs that are removed."""

from __future__ import annotations

from experimentstash.record import records, sweep_list
from experimentstash.record.run import State
from experimentstash.stash.layout import Stash
from tests.testing.finished import finished
from tests.testing.stash import InProcess, StashUnderTest


def test_jobs_without_runs_are_said(stash: StashUnderTest, in_process: InProcess) -> None:
    def told(*words: str) -> str:
        done = in_process(stash, *words)
        return " ".join((done.stdout + done.stderr).split())

    sweep = Stash(stash.root).run_roots[1] / "2026-01-31" / "12-00-00-sweep22"
    sweep_list.keep(sweep, [[["params.seed=0"], ["params.seed=1"], ["params.seed=2"]]])
    (sweep / records.SWEEP_FILE).touch()
    for number in range(2):
        earlier = finished(stash.root, f"aaaaaa{number + 2}", {"seed": number}, {"acc": number}, second=number)
        sweep_list.note_earlier(stash.root, sweep, number, earlier)
    assert earlier.attempt.state is State.COMPLETED
    not_begun = "left out: of the sweep sweep22, 1 job without a run (not begun, or removed since)"
    for words in (["sweep22"], ["--sweep", "sweep22"]):
        assert "0.50 ± 0.71 (2)" in (shown := told("compare", *words)) and not_begun in shown
    assert "3 runs: 2 completed before, 1 without a run (not begun, or removed since)" in told("show", "sweep22")

    assert "the sweep sweep22 counts aaaaaa3 as its own, and will lack it" in told("rm", "aaaaaa3", "--yes")
    lost = "job 1 had completed before, in runs that are removed, or begun anew, by now: aaaaaa3"
    shown = told("compare", "sweep22")
    assert f"left out: of the sweep sweep22, {lost}" in shown and not_begun in shown
    shown = told("show", "sweep22")
    assert (
        "3 runs: 1 completed before, 1 gone, 1 without a run (not begun, or removed since)" in shown and lost in shown
    )
