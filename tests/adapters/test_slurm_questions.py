"""What SLURM's commands are told and what their answers mean, by stand-ins for these commands on PATH."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from experimentstash.adapters.scheduler import GONE, LEFT, JobStatus, is_hopeless
from experimentstash.adapters.slurm import client as slurm_client
from experimentstash.adapters.slurm import job as slurm
from experimentstash.adapters.slurm import job_end, job_terms
from experimentstash.adapters.slurm import query as slurm_query
from experimentstash.adapters.slurm import reasons as slurm_reasons
from experimentstash.adapters.slurm.job_end import Watch
from experimentstash.adapters.slurm.query import JobQuery
from experimentstash.adapters.this_process import supervisor_here
from experimentstash.base.errors import StashError
from experimentstash.record import attempts, job_array, records
from experimentstash.record.job_array import Job
from experimentstash.record.run import Queued, Run, State
from experimentstash.runs import listing, reconcile, true_state
from experimentstash.stash.layout import Stash
from tests.testing.faults import freeze

CONFIG = "ClusterName             = test\nMaxArraySize            = 101\n"
DENIED = "slurm_load_jobs error: Invalid job id specified"
AWAY = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
NO_ACCOUNTS = "Slurm accounting storage is disabled"
# Of every kind that SLURM's commands read, and some that none of them should ever have.
NASTY = {
    "SQUEUE_PARTITION": "scavenge",
    "SQUEUE_STATES": "FAILED",
    "SQUEUE_USERS": "nobody",
    "SQUEUE_FORMAT": "%P",
    "SQUEUE_FORMAT2": "partition",
    "SQUEUE_ACCOUNT": "nobody",
    "SQUEUE_SORT": "i",
    "SACCT_FORMAT": "User",
    "SACCT_FEDERATION": "1",
    "SCONTROL_ALL": "1",
    "SCONTROL_FUTURE": "1",
    "SCANCEL_STATE": "RUNNING",
    "SCANCEL_INTERACTIVE": "1",
    "SCANCEL_NAME": "nobody",
    "SCANCEL_PARTITION": "scavenge",
    "SINFO_PARTITION": "scavenge",
    "SBATCH_PARTITION": "scavenge",
    "SBATCH_SIGNAL": "KILL@1",
    "SBATCH_WAIT": "1",
    "SLURM_CLUSTERS": "elsewhere",
    "SLURM_TIME_FORMAT": "relative",
    "SLURM_BITSTR_LEN": "8",
    "SLURM_DEBUG_FLAGS": "Protocol",
    "SLURM_JSON": "1",
    "SLURM_JOB_ID": "4711",
    "SLURM_WORKING_CLUSTER": "elsewhere:127.0.0.1:1:1",
    "SLURM_SOMETHING_OF_TOMORROW": "1",
    "LC_ALL": "de_DE.UTF-8",
}


class Programs:
    """Stand-ins for SLURM's commands. Each notes what it was called with, and with which environment."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        self._monkeypatch = monkeypatch
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        for name in ("squeue", "sacct", "scontrol", "scancel", "sbatch"):
            self.says(name, error=AWAY, code=1)
        self.says("scontrol", CONFIG)

    def says(self, name: str, text: str = "", *, error: str = "", code: int = 0, then: str = "") -> None:
        path, program = self.folder / name, self.folder / f"{name}.py"
        # Through a shell: the path of an interpreter may have a space, which a first line of a script can't express.
        path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -S {shlex.quote(str(program))} "$@"\n')
        path.chmod(0o755)
        program.write_text(
            "import json, os, sys, time\n"
            f"with open({str(self.folder / 'calls')!r}, 'a') as stream:\n"
            f"    stream.write(json.dumps([{name!r}, sys.argv[1:], dict(os.environ)]) + '\\n')\n"
            f"sys.stdout.write({text!r}); sys.stderr.write({error!r}); sys.stdout.flush()\n"
            f"{then}\nsys.exit({code})\n"
        )

    def is_missing(self, name: str) -> None:
        """Make a command one that isn't there, whatever this machine has."""
        (self.folder / name).unlink()
        self._monkeypatch.setenv("PATH", str(self.folder))

    def calls(self, name: str) -> list[tuple[list[str], dict[str, str]]]:
        try:
            lines = (self.folder / "calls").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [(argv, environment) for who, argv, environment in map(json.loads, lines) if who == name]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    return Programs(tmp_path / "programs", monkeypatch)


# --- what they are told ----------------------------------------------------------------------------------------------


def test_no_variable_of_the_user_s_reaches_them(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "_LOOK_INTERVAL", 0.05)
    monkeypatch.setattr(job_end, "_PATIENCE", 0.5)
    for name, value in {**NASTY, "SLURM_CONF": "/etc/slurm.conf", "SLURM_JWT": "token", "MINE": "1"}.items():
        monkeypatch.setenv(name, value)
    for name in ("squeue", "sacct", "scancel"):
        programs.says(name)
    programs.says("sbatch", "4711\n")
    JobQuery().ask(Job("1_2", "test"))
    slurm_query.cluster()
    slurm_query.own_jobs()
    slurm.withdraw(["1_2"], None)
    slurm.warn(["1_2"], None, in_step=False)
    slurm.nudge(["1_2"], None)
    slurm.strangers({"1_2": Path("0-0.sh")}, None)
    job_terms.of_cluster()
    Watch("1_2", {}).died()
    slurm.requeue("1_2")
    script = tmp_path / "sweep" / ".slurm" / "0-0.sh"
    script.parent.mkdir(parents=True)
    slurm.submit(script, {}, usual_cluster="test")
    for name in ("squeue", "sacct", "scontrol", "scancel", "sbatch"):
        assert programs.calls(name)
        for _, environment in programs.calls(name):
            read = {key for key in environment if key.startswith(("SQUEUE_", "SACCT_", "SCONTROL_", "SCANCEL_"))}
            read |= {key for key in environment if key.startswith(("SLURM_", "SBATCH_", "SINFO_"))}
            if name == "sbatch":  # sbatch hands on to the job what it doesn't read itself
                read = {key for key in read if key.startswith(("SLURM_", "SBATCH_"))}
                assert read == {"SLURM_CONF", "SLURM_JWT"}
            else:
                assert read == {"SLURM_CONF", "SLURM_JWT", "SLURM_BITSTR_LEN"}
                assert (environment["SLURM_BITSTR_LEN"], environment["LC_ALL"]) == ("0", "C")
            assert environment["MINE"] == "1" and environment["HOME"] == os.environ["HOME"]


@pytest.mark.parametrize(("given_to", "named"), [("test", None), (None, None), ("other", "--clusters=other")])
def test_a_job_is_asked_for_where_it_was_given_to(programs: Programs, given_to: str | None, named: str | None) -> None:
    programs.says("squeue", "5_0|RUNNING\n")
    assert JobQuery().ask(Job("5_0", given_to)) == JobStatus("RUNNING", None)
    ((argv, _),) = programs.calls("squeue")
    assert [word for word in argv if word.startswith("--clusters")] == ([named] if named else [])


def test_of_a_job_of_another_cluster_nothing_is_believed_here(programs: Programs) -> None:
    programs.says("squeue", "5_0|CANCELLED\n")
    programs.says("scontrol", error=AWAY, code=1)  # then nobody knows which cluster answers
    query = JobQuery()
    assert query.ask(Job("5_0", "other")) is None
    assert "other" in str(query.silence) and programs.calls("squeue") == []
    with pytest.raises(StashError, match="other"):
        query.where("other")


def test_who_does_not_answer_is_asked_once(programs: Programs) -> None:
    query = JobQuery()
    for number in range(20):
        assert query.ask(Job(f"{number}_0")) is None
    assert len(programs.calls("squeue")) == len(programs.calls("sacct")) == 1
    assert "Unable to contact slurm controller" in str(query.silence)


def test_an_array_is_asked_for_once(programs: Programs) -> None:
    programs.says("squeue", "".join(f"7_{number}|PENDING\n" for number in range(100)))
    query = JobQuery()
    assert {query.ask(Job(f"7_{number}")) for number in range(100)} == {JobStatus("PENDING", None, is_waiting=True)}
    assert len(programs.calls("squeue")) == 1


def test_a_command_that_hangs_is_no_answer(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm_client, "PATIENCE", 0.5)
    programs.says("squeue", "5_0|COMPLETED\n", then="time.sleep(60)")
    programs.says("sacct", "5_0|COMPLETED\n", then="time.sleep(60)")
    query = JobQuery()
    assert query.ask(Job("5_0")) is None
    assert "no answer within 0.5 s" in str(query.silence)
    with pytest.raises(StashError, match=r"no answer within 0.1 s"):
        programs.says("scancel", then="time.sleep(60)")
        slurm_client.order("scancel", "5_0", timeout=0.1)


# --- what their answers mean -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("squeue", "sacct", "expected"),
    [
        # The queue's own word, in all its forms.
        ("5_3|PENDING\n", "", "PENDING"),
        ("5_[0-3]|PENDING\n", "", "PENDING"),
        ("5_[0-7%2]|PENDING\n", "", "PENDING"),
        ("5_[1,3,5-7]|PENDING\n", "", "PENDING"),
        ("5_[1-9:2]|PENDING\n", "", "PENDING"),
        ("5_3|REQUEUED\n", "5_3|FAILED\n", "REQUEUED"),
        ("5_3|SOMETHING_NEW\n", "5_3|FAILED\n", "SOMETHING_NEW"),
        ("5_3|CANCELLED\n", "", State.CANCELLED),
        ("5_3|TIMEOUT\n5_4|RUNNING\n", "", State.TIMED_OUT),
        ("5|CANCELLED\n", "", State.CANCELLED),  # an array whose last queued task was cancelled
        ("5|CANCELLED\n", "5_3|COMPLETED\n5|CANCELLED by 0\n", State.COMPLETED),
        # Accounting's, where the queue has forgotten it.
        (DENIED, "5_3|COMPLETED\n", State.COMPLETED),
        (DENIED, "5_[0-3]|CANCELLED by 1000\n", State.CANCELLED),
        (DENIED, "5_[0-3%2]|CANCELLED by 1000\n", State.CANCELLED),
        (DENIED, "5_[1,3-7]|CANCELLED by 1000\n", State.CANCELLED),
        (DENIED, "5|CANCELLED by 0\n", State.CANCELLED),
        (DENIED, "5_3|REQUEUED\n", State.PREEMPTED),
        (DENIED, "5_3|NODE_FAIL\n", State.KILLED),
        (DENIED, "5_3|COMPLETED\n5_3.batch|COMPLETED\n", State.COMPLETED),
        # It has left the queue: its array is seen, in the same answer, without it.
        ("5_[0-2,4]|PENDING\n", "", LEFT),
        ("5_4|RUNNING\n", AWAY, LEFT),
        ("5_4|COMPLETED\n", "5_4|COMPLETED\n", LEFT),
        (DENIED, "5_4|COMPLETED\n", LEFT),
        # No sign of it, from two that answer.
        ("", "", GONE),
        (DENIED, "", GONE),
        (DENIED, NO_ACCOUNTS, GONE),
        ("", "5_4|COMPLETED\n", GONE),
        ("", "5_[0-3]|PENDING\n", "PENDING"),
        ("", "5_3|RUNNING\n", "RUNNING"),
        ("", "5_3|PREEMPTED\n", GONE),
        ("", "5_3|COMPLETED\n", State.COMPLETED),
        (DENIED, "5_3|RUNNING\n", GONE),  # the controller is sure; accounting may never hear of its end
        ("15_3|CANCELLED\n", "15_3|CANCELLED\n", GONE),  # of another job
        # No answer.
        (AWAY, AWAY, None),
        (AWAY, "", None),
        (AWAY, NO_ACCOUNTS, None),
        ("", AWAY, None),
        (DENIED, AWAY, None),
        (AWAY, "5_3|PREEMPTED\n", None),  # it may be back in the queue by now
        (AWAY, "5_3|REQUEUED\n", None),
        (AWAY, "5_3|NODE_FAIL\n", None),
        (AWAY, "5_3|RUNNING\n", "RUNNING"),
        (AWAY, "5_3|COMPLETED\n", State.COMPLETED),
        ("Welcome to the cluster!\n", AWAY, None),
        ("5_3|CANCELLED\nsqueue: something went wro", AWAY, None),
        ("5_[0-2,...]|CANCELLED\n", "", None),
        ("5_3|", "", None),
        ("5_", "", None),
        ("scavenge\n", "", None),
        (DENIED, "root\n", None),
        ("\x00\xff", AWAY, None),
    ],
)
def test_what_an_answer_means(programs: Programs, squeue: str, sacct: str, expected: Any) -> None:
    for name, said in (("squeue", squeue), ("sacct", sacct)):
        is_error = said in (DENIED, AWAY, NO_ACCOUNTS)
        programs.says(name, "" if is_error else said, error=said if is_error else "", code=int(is_error))
    if sacct == NO_ACCOUNTS:  # the second source is the controller, asked in another way
        is_known = squeue == AWAY
        says = CONFIG if is_known else ""
        programs.says("scontrol", says, error="" if is_known else DENIED, code=0 if is_known else 1)
    word = JobQuery().ask(Job("5_3"))
    if isinstance(expected, State):
        assert word is not None and word.state is expected and word not in (LEFT, GONE)
    elif isinstance(expected, str):
        assert word == JobStatus(expected, None, is_waiting=expected == "PENDING", is_suspended=expected == "SUSPENDED")
    else:
        assert word is expected


def test_a_failure_in_the_middle_of_an_answer_is_none(programs: Programs) -> None:
    programs.says("squeue", "5_0|RUNNING\n", error="Socket timed out", code=1)
    programs.says("sacct", "", error="Connection refused", code=1)
    assert JobQuery().ask(Job("5_3")) is None
    assert JobQuery().ask(Job("5_0")) is None


def test_a_job_that_is_no_array(programs: Programs) -> None:
    programs.says("squeue", "5|PENDING\n")
    assert JobQuery().ask(Job("5")) == JobStatus("PENDING", None, is_waiting=True)
    programs.says("squeue", error=DENIED, code=1)
    programs.says("sacct", "5|OUT_OF_MEMORY\n")
    assert JobQuery().ask(Job("5")) == JobStatus("OUT_OF_MEMORY", State.OUT_OF_MEMORY)


# --- what that does to a record --------------------------------------------------------------------------------------


def queued(stash: Stash, number: int = 2, *, cluster: str | None = "test") -> list[Run]:
    """Freeze runs and give them to the tasks of an array that SLURM has accepted as 5."""
    found = [freeze(stash, ["true"]) for _ in range(number)]
    array = stash.root / ".slurm" / "0-0.json"
    array.parent.mkdir()
    job_array.write(array, [[run] for run in found])
    job_array.note_submitted(array, Job("5", cluster))
    for task, run in enumerate(found):
        run.attempt.state, run.attempt.queued, run.attempt.supervisor = (
            State.QUEUED,
            Queued(str(array), task),
            supervisor_here(),
        )
        run.attempt.supervisor.pid, run.attempt.supervisor.start_time = 1, 1  # who submitted it has gone
        records.write(run)
    return found


def states(found: list[Run]) -> list[str]:
    return [records.read(run.path).attempt.state.value for run in found]


@pytest.mark.parametrize(
    ("squeue", "sacct"),
    [
        (AWAY, AWAY),
        ("", ""),
        (DENIED, ""),
        (DENIED, NO_ACCOUNTS),
        ("", AWAY),
        ("nonsense\n", "nonsense\n"),
        (AWAY, "5_0|PREEMPTED\n5_1|PREEMPTED\n"),
    ],
)
def test_what_is_no_evidence_changes_no_record(
    here: Stash, programs: Programs, squeue: str, sacct: str, capfd: pytest.CaptureFixture[str]
) -> None:
    found = queued(here)
    for name, said in (("squeue", squeue), ("sacct", sacct)):
        is_error = said in (DENIED, AWAY, NO_ACCOUNTS)
        programs.says(name, "" if is_error else said, error=said if is_error else "", code=int(is_error))
    before = [(run.path / "run.json").read_bytes() for run in found]
    assert [run.attempt.state for run in listing.all_runs(here)] == [State.QUEUED] * 2
    assert [(run.path / "run.json").read_bytes() for run in found] == before
    said = capfd.readouterr().err
    assert ("SLURM doesn't answer" in said) != ("SLURM has no sign of the jobs 5_" in said)


@pytest.mark.parametrize("name", ["squeue", "sacct"])
def test_without_the_commands_nothing_changes(here: Stash, programs: Programs, name: str) -> None:
    found = queued(here)
    for each in ("squeue", "sacct"):
        programs.says(each, error=AWAY, code=1)
    programs.is_missing(name)
    listing.all_runs(here)
    assert states(found) == ["queued"] * 2


def test_on_another_cluster_nothing_changes(here: Stash, programs: Programs) -> None:
    found = queued(here, cluster="far-away")
    programs.says("squeue", "5_0|CANCELLED\n", then="sys.exit(any('clusters' in word for word in sys.argv))")
    programs.says("sacct", error="sacct: error: no such cluster", code=1)
    listing.all_runs(here)
    assert states(found) == ["queued"] * 2
    assert all("--clusters=far-away" in argv for argv, _ in programs.calls("squeue"))


def test_what_nobody_has_a_sign_of_for_long_is_lost(
    here: Stash, programs: Programs, capfd: pytest.CaptureFixture[str]
) -> None:
    found = queued(here)
    programs.says("squeue", error=DENIED, code=1)
    programs.says("sacct", "")
    listing.all_runs(here)
    assert "have been so" not in capfd.readouterr().err
    note = here.root / ".slurm" / "0-0.unseen"
    note.write_text(f"{time.time() - true_state.UNSEEN_PATIENCE - 1}")
    # A sign in between, and the time begins anew.
    programs.says("squeue", "5_0|PENDING\n5_1|PENDING\n")
    listing.all_runs(here)
    assert not note.exists()
    programs.says("squeue", error=DENIED, code=1)
    listing.all_runs(here)
    assert states(found) == ["queued"] * 2 and note.exists()
    note.write_text(f"{time.time() - true_state.UNSEEN_PATIENCE - 1}")
    lost = listing.all_runs(here)
    assert [run.attempt.state for run in lost] == [State.LOST] * 2
    assert "neither squeue nor sacct has had a sign of its SLURM job for 10 minutes" in str(lost[0].attempt.reason)


@pytest.mark.parametrize("note", ["", "nonsense", "9" * 400])
def test_a_note_of_nonsense_closes_nothing(here: Stash, programs: Programs, note: str) -> None:
    found = queued(here)
    programs.says("squeue")
    programs.says("sacct")
    (here.root / ".slurm" / "0-0.unseen").write_text(note)
    listing.all_runs(here)
    assert states(found) == ["queued"] * 2


@pytest.mark.slow
def test_a_run_at_work_whose_supervisor_has_gone_is_not_closed_while_slurm_is_silent(
    here: Stash, programs: Programs
) -> None:
    run, _ = queued(here)
    run.attempt.state = State.RUNNING
    assert run.attempt.supervisor is not None
    run.attempt.supervisor.job, run.attempt.supervisor.cluster = "5_0", "test"
    records.write(run)
    listing.all_runs(here)
    assert states([run]) == ["running"]
    for alive in ("PENDING", "COMPLETING", "RUNNING"):  # SLURM puts it back, or will say in a moment how it ended
        programs.says("squeue", f"5_0|{alive}\n")
        assert reconcile.load_reconciled(here, run.path).attempt.state is State.RUNNING
    programs.says("squeue", "5_0|NODE_FAIL\n")
    assert reconcile.load_reconciled(here, run.path).attempt.state is not State.RUNNING


def test_one_that_was_cancelled_here_needs_no_sign(here: Stash, programs: Programs) -> None:
    run, other = queued(here)
    attempts.mark_cancelled(run)
    programs.says("squeue", error=DENIED, code=1)
    programs.says("sacct")
    listing.all_runs(here)
    assert states([run, other]) == ["cancelled", "queued"]


def test_a_listing_of_nonsense_does_not_fill_the_memory(programs: Programs) -> None:
    programs.says("squeue", "5_[0-99999999999]|PENDING\n")
    programs.says("sacct", error=AWAY, code=1)
    JobQuery().ask(Job("5_3"))


@pytest.mark.parametrize(
    ("stand_in", "is_silence"),
    [
        ({"error": AWAY, "code": 1}, True),
        ({"then": "os.kill(os.getpid(), 15)"}, True),  # SLURM ends all processes of the job, this one too
        ({"error": "slurm_update error: Access/permission denied", "code": 1}, False),
    ],
)
def test_a_command_that_is_ended_in_the_middle_has_refused_nothing(
    programs: Programs, stand_in: dict[str, Any], is_silence: bool
) -> None:
    programs.says("scontrol", **stand_in)
    with pytest.raises(StashError) as raised:
        slurm.requeue("1_0")
    assert slurm.is_silence(raised.value) is is_silence


# --- why a job waits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "words", "is_for_good"),
    [
        ("Priority", "others come before it (Priority)", False),
        ("Resources", "isn't free yet", False),
        ("None", "has not looked at it yet", False),
        ("(null)", "SLURM says (null)", False),
        ("DependencyNeverSatisfied", "will not begin like this", True),
        ("Dependency", "another job must end first", False),
        ("PartitionTimeLimit", "resources.time", True),
        ("PartitionNodeLimit", "more nodes than its partition gives", True),
        ("QOSMaxWallDurationPerJobLimit", "more than its QOS gives a job", True),
        ("QOSMaxCpuPerJobLimit", "more than its QOS gives a job", True),
        ("QOSMaxJobsPerUserLimit", "a limit of its QOS is reached", False),
        ("QOSGrpCpuLimit", "a limit of its QOS is reached", False),
        ("AssocGrpCPUMinutesLimit", "a limit of its account is reached", False),
        ("AssocMaxWallDurationPerJobLimit", "more than its account gives a job", True),
        ("MaxCpuPerAccount", "a limit of its account is reached", False),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-3]", "down, drained or reserved", False),
        (
            "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions",
            "drained",
            False,
        ),
        ("JobHeldUser", "scontrol release 7_1", False),
        ("launch failed requeued held", "could not be started", False),
        ("JobArrayTaskLimit", "array_parallelism", False),
        ("SomethingOfTomorrow", "SLURM says SomethingOfTomorrow", False),
    ],
)
def test_the_reason_in_plain_words(reason: str, words: str, is_for_good: bool) -> None:
    said = slurm_reasons.in_words(reason, "7_1")
    assert words in said and is_hopeless(said) is is_for_good
    assert reason.partition(",")[0] in said or reason == "None"


def test_all_jobs_are_asked_about_at_once(programs: Programs) -> None:
    programs.says("scontrol", CONFIG)
    programs.says(
        "squeue",
        "7_1|PENDING|Priority\n7_[2-3,9%2]|PENDING|JobArrayTaskLimit\n8|PENDING|Resources\n9_0|SUSPENDED|None\nnonsense\n",
    )
    jobs = [Job(name, "test") for name in ("7_1", "7_2", "7_9", "7_5", "8", "9_0", "10_0")]
    found = slurm_query.reasons(jobs)
    assert [job.id for job in found] == ["7_1", "7_2", "7_9", "8", "9_0"]
    assert "suspended" in found[jobs[5]] and "(JobArrayTaskLimit)" in found[jobs[2]]
    ((argv, _),) = programs.calls("squeue")
    assert "--jobs=7,8,9,10" in argv


@pytest.mark.parametrize("trouble", ["away", "slow", "nonsense", "missing"])
def test_why_a_job_waits_may_stay_unsaid(programs: Programs, monkeypatch: pytest.MonkeyPatch, trouble: str) -> None:
    monkeypatch.setattr(slurm_client, "PATIENCE", 1.0 if trouble == "slow" else 30.0)
    if trouble == "slow":
        programs.says("squeue", "7_1|PENDING|Priority\n", then="time.sleep(600)")
    elif trouble == "nonsense":
        programs.says("squeue", "7_[1-x]|PENDING|Priority\n7_1|\n|||\n")
    elif trouble == "missing":
        programs.is_missing("squeue")
    assert slurm_query.reasons([Job("7_1", None)]) == {}
