"""From resources to batch scripts: what is asked for, which runs share an array, how large arrays are."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experimentstash.adapters.slurm.job_output import last_words
from experimentstash.base.errors import StashError
from experimentstash.launch.slurm import batch
from experimentstash.launch.slurm.batch import JobArray, JobRequest, Packing
from experimentstash.record.run import Run
from experimentstash.stash.schema import ResourcesConfig
from tests.testing.run_parts import run_with
from tests.testing.stash import REPOSITORY, InProcess, StashUnderTest

START = f"exec '/my env/bin/python' -X utf8 -S {shlex.quote(batch.START)} .slurm/0-0.json"


def run(**fields: object) -> Run:
    return run_with("k3f9a2b-0", "/stash/multirun/0", tool="tool", **fields)


def asked(one: Run, **common: object) -> dict[str, object]:
    return batch.resources(one, ResourcesConfig(**common), time_factor=1.5, grace=90)  # type: ignore[arg-type]


def test_the_time_is_the_estimate_with_a_margin_and_the_grace() -> None:
    assert asked(run(estimated_runtime=600.0), time="3h")["time"] == 600 * 1.5 + 90
    assert asked(run(estimated_runtime=600.0, resources={"time": "2:00:00"}), time="3h")["time"] == 7200
    assert asked(run(), time="3h")["time"] == 3 * 3600
    assert "time" not in asked(run())


def test_what_is_all_grace_is_refused() -> None:
    with pytest.raises(StashError, match="all grace"):
        asked(run(resources={"time": "90s"}))


def test_a_run_s_own_resources_come_before_the_launcher_s() -> None:
    own = run(resources={"mem": "4G", "setup": ["module load cuda"], "extra": {"exclusive": True}})
    found = asked(own, mem="1G", cpus=2, setup=["module load StdEnv"], extra={"exclusive": False, "nice": 5})
    assert found == {
        "mem": "4G",
        "cpus": 2,
        "setup": ["module load StdEnv", "module load cuda"],
        "extra": {"exclusive": True, "nice": 5},
    }


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("time", "resources.time"),
        ("partition", "resources.partition"),
        ("cpus-per-task", "resources.cpus"),
        ("array", "hydra.launcher.array_parallelism"),
        ("no-requeue", "hydra.launcher.max_requeues=0"),
        ("wait", "hydra.launcher.wait=true"),
        ("chdir", "leave it out"),
    ],
)
def test_what_has_its_own_place_is_refused_among_the_other_options(option: str, hint: str) -> None:
    with pytest.raises(StashError, match=f"resources.extra.{option}: ") as raised:
        asked(run(resources={"extra": {option: "3"}}))
    assert raised.value.hint is not None and hint in raised.value.hint


def test_what_is_left_out_is_not_recorded_either() -> None:
    found = asked(
        run(resources={"time": "1h", "cpus": 2, "extra": {"time": None, "cpus-per-task": False, "wait": None}})
    )
    assert "time" not in found and "cpus" not in found


def test_the_script_says_it_all_and_ends_in_our_supervisor() -> None:
    found = {
        "time": 61.0,
        "gpus": "a100:2",
        "constraint": "fast & 'large'",
        "setup": ["module load cuda"],
        "extra": {"exclusive": True, "nice": 5, "signal": None},
    }
    terms = batch.job_request(found, {}, warning="B:TERM@30", may_requeue=True, grace=30)
    script = batch.script(
        JobArray(terms, ((run(),), (run(),), (run(),))),
        name="k3f9a2b",
        python="/my env/bin/python",
        tasks_file=".slurm/0-0.json",
        parallelism=2,
        after="17",
    )
    assert script.splitlines() == [
        "#!/bin/bash",
        "#SBATCH --job-name=k3f9a2b",
        "#SBATCH --array=0-2%2",
        "#SBATCH --output=.slurm/slurm-%A_%a.out",
        "#SBATCH --open-mode=append",
        "#SBATCH --dependency=afterany:17",
        "#SBATCH --constraint='fast & '\"'\"'large'\"'\"''",
        "#SBATCH --exclusive",
        "#SBATCH --gpus-per-node=a100:2",
        "#SBATCH --nice=5",
        "#SBATCH --requeue",
        "#SBATCH --time=2",
        "stash_here=$PWD",
        "echo 'stash: setup'",
        batch.SAYS_ITS_END,
        batch.stop_at_failure(f'cd "$stash_here"; {START} $stash_code $LINENO'),
        "module load cuda",
        "trap - ERR EXIT",
        f'cd "$stash_here"; {START}',
    ]


@pytest.mark.parametrize(
    ("lines", "failed"),
    [
        (["module load nosuch"], "6 3"),
        (["echo fine", "false"], "7 1"),
        (["source has_failures.sh", "false || true", "if false; then :; fi", "! true", "[ -e no ] && echo no"], None),
        (["for i in 1 2; do", "  false", "done"], "7 1"),
        (["source nowhere.sh"], "6 1"),
        (["(exit 4)"], "6 4"),
        (["echo a | grep -q b"], "6 1"),
        (["has_failures"], None),
        (["set -e", "false"], "7 1"),
    ],
)
def test_a_line_of_setup_that_fails_ends_the_job(tmp_path: Path, lines: list[str], failed: str | None) -> None:
    (tmp_path / "has_failures.sh").write_text("false\ngrep -q b /dev/null\ntrue\n")
    before = ["module() { false; return 3; }", "has_failures() { false; true; }"]
    stop = batch.stop_at_failure("exec echo failed $stash_code $LINENO")
    script = tmp_path / "script.sh"
    script.write_text(
        "\n".join(
            ["#!/bin/bash", *before, batch.SAYS_ITS_END, stop, *lines, batch.ENDS_STOPPING, "false", "exec echo began"]
        )
    )
    done = subprocess.run(["bash", script], cwd=tmp_path, capture_output=True, text=True)
    line, _, code = (failed or "").partition(" ")
    assert done.stdout.splitlines()[-1] == (f"failed {code} {line}" if failed else "began")
    assert done.returncode == 0 and "its setup ended" not in done.stderr


@pytest.mark.parametrize("may_fail", [False, True])
@pytest.mark.parametrize(
    ("lines", "code", "at", "said"),
    [
        (["exit 3"], 3, "exit 3", None),
        (["exit 0"], 0, "exit 0", None),
        (["die() { echo 'no data'; exit 4; }", "[ -e no ] || die"], 4, "exit 4", "no data"),
        ([". ends.sh"], 9, ". ends.sh", "on its way"),
        (["set -u", "echo $nosuch"], 1, "echo $nosuch", "line {last}: nosuch: unbound variable"),
        (["echo a", "fi"], 2, "echo a", "line {last}: syntax error near unexpected token `fi'"),
        (["exec nosuchprogram"], 127, "exec nosuchprogram", "line {last}: exec: nosuchprogram: not found"),
    ],
)
def test_lines_of_setup_that_end_the_job_themselves(
    tmp_path: Path, lines: list[str], code: int, at: str, said: str | None, may_fail: bool
) -> None:
    (tmp_path / "ends.sh").write_text("echo on its way\nexit 9\n")
    script = batch.script(
        JobArray(batch.job_request({"setup": lines}, {}, warning=None, may_requeue=False, grace=0), ((run(),),)),
        name="k3f9a2b",
        python="/my env/bin/python",
        tasks_file=".slurm/0-0.json",
        parallelism=None,
        after=None,
        setup_may_fail=may_fail,
    )
    (tmp_path / "job1").mkdir()
    (tmp_path / "job1/slurm_script").write_text(script)
    with (tmp_path / "out").open("w") as output:
        ended = subprocess.run(["bash", tmp_path / "job1/slurm_script"], cwd=tmp_path, stdout=output, stderr=output)
    assert ended.returncode == code
    words = last_words([tmp_path / "out"])
    assert words[-1] == f"stash: its setup ended the batch script with exit code {code}, at or after: {at}"
    if said is not None:
        last = 1 + script.splitlines().index(lines[-1])
        assert said.format(last=last) in words[:-1]


def test_setup_may_be_let_fail() -> None:
    terms = batch.job_request({"setup": ["false"]}, {}, warning=None, may_requeue=False, grace=0)
    script = batch.script(
        JobArray(terms, ((run(),),)),
        name="k3f9a2b",
        python="/my env/bin/python",
        tasks_file=".slurm/0-0.json",
        parallelism=None,
        after=None,
        setup_may_fail=True,
    )
    assert script.splitlines()[-3:] == ["false", "trap - ERR EXIT", f'cd "$stash_here"; {START}']
    assert not [line for line in script.splitlines() if line.endswith(" ERR")]


@pytest.mark.parametrize("last", ["true", "false"])
def test_setup_may_go_to_another_directory(tmp_path: Path, last: str) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/bash\nprintf "%s\\n" "$PWD" "${@:6}"\n')
    python.chmod(0o755)
    here = tmp_path / "the sweep's"
    here.mkdir()
    script = batch.script(
        JobArray(
            batch.job_request({"setup": ["cd /", last]}, {}, warning=None, may_requeue=False, grace=0), ((run(),),)
        ),
        name="k3f9a2b",
        python=str(python),
        tasks_file=".slurm/0-0.json",
        parallelism=None,
        after=None,
    )
    (tmp_path / "script.sh").write_text(script)
    done = subprocess.run(["bash", tmp_path / "script.sh"], cwd=here, capture_output=True, text=True)
    said, *where = done.stdout.splitlines()
    line = 1 + script.splitlines().index(last)
    assert said == "stash: setup" and where == [str(here), *(["1", str(line)] if last == "false" else [])]


def test_a_line_break_is_refused() -> None:
    with pytest.raises(StashError, match="line break"):
        batch.job_request({"partition": "a\n#SBATCH --uid=0"}, {}, warning="B:TERM@30", may_requeue=False, grace=30)


@given(st.lists(st.integers(0, 2), max_size=40), st.integers(1, 7), st.integers(1, 5), st.integers(1, 5))
def test_pieces_hold_every_run_once_in_arrays_of_one_kind(
    kinds: list[int], most: int, per_job: int, at_once: int
) -> None:
    packing = Packing(per_job, min(at_once, per_job))
    requests = [JobRequest((("constraint", str(kind)),), (), ()) for kind in kinds]
    given_runs = [(run(description=str(number)), terms) for number, terms in enumerate(requests)]
    found = batch.job_arrays(given_runs, most, packing)
    assert all(0 < len(jobs.tasks) <= most for jobs in found)
    held = [
        (int(each.spec.description), dict(jobs.request.options)["constraint"]) for jobs in found for each in jobs.runs
    ]
    assert sorted(held) == [(number, str(kind)) for number, kind in enumerate(kinds)]
    for kind in set(kinds):
        pieces = [jobs for jobs in found if ("constraint", str(kind)) in jobs.request.options]
        tasks = [task for jobs in pieces for task in jobs.tasks]
        assert len(pieces) == -(-len(tasks) // most)
        # All packs are full but the last, and the runs are in their order.
        assert all(len(task) == per_job for task in tasks[:-1]) and 0 < len(tasks[-1]) <= per_job
        numbers = [int(each.spec.description) for task in tasks for each in task]
        assert numbers == sorted(numbers)
        assert all(jobs.at_once <= max(len(task) for task in tasks) for jobs in pieces)


def packed(runs: int, packing: Packing, **asked_for: object) -> dict[str, str | None]:
    terms = batch.job_request(asked_for, {}, warning="B:TERM@90", may_requeue=False, grace=90)
    (jobs,) = batch.job_arrays([(run(), terms)] * runs, 1000, packing)
    return dict(jobs.request.options)


@pytest.mark.parametrize(
    ("runs", "per_job", "at_once", "minutes"),
    [
        (8, 1, 1, "12"),  # 690 s
        (8, 4, 1, "42"),  # 4 · 600 + 90, not 4 · 690
        (8, 4, 2, "22"),  # two rounds
        (8, 4, 3, "22"),
        (8, 4, 4, "12"),
        (3, 50, 1, "32"),  # there are no more than three
    ],
)
def test_the_time_of_a_job_is_that_of_all_that_come_after_one_another(
    runs: int, per_job: int, at_once: int, minutes: str
) -> None:
    assert packed(runs, Packing(per_job, at_once), time=690.0)["time"] == minutes
    assert "time" not in packed(runs, Packing(per_job, at_once))


@pytest.mark.parametrize(
    ("mem", "twice"), [("16G", "32G"), ("500M", "1000M"), ("4096", "8192"), ("1t", "2t"), ("half", "half")]
)
def test_what_is_at_work_at_once_needs_more_cpus_and_memory(mem: str, twice: str) -> None:
    in_turn = packed(4, Packing(4, 1), cpus=3, mem=mem, gpus="a100:1")
    assert [in_turn[name] for name in ("cpus-per-task", "mem", "gpus-per-node")] == ["3", mem, "a100:1"]
    at_once = packed(4, Packing(4, 2), cpus=3, mem=mem, gpus="a100:1")
    assert [at_once[name] for name in ("cpus-per-task", "mem", "gpus-per-node")] == ["6", twice, "a100:1"]
    unsaid = packed(4, Packing(4, 2))
    assert unsaid["cpus-per-task"] == "2" and "mem" not in unsaid
    assert "cpus-per-task" not in packed(1, Packing(4, 2))  # it is alone


def test_times_that_differ_by_seconds_share_a_job() -> None:
    given_runs = [
        (run(), batch.job_request({"time": time}, {}, warning="B:TERM@90", may_requeue=False, grace=90))
        for time in (665.0, 690.0, 671.0)
    ]
    (jobs,) = batch.job_arrays(given_runs, 1000, Packing(3, 1))
    assert dict(jobs.request.options)["time"] == "32"  # enough for three of the longest


def test_the_script_says_how_many_at_once() -> None:
    terms = batch.job_request({}, {}, warning="B:TERM@90", may_requeue=False, grace=90)
    (jobs,) = batch.job_arrays([(run(), terms)] * 9, 1000, Packing(4, 2))
    script = batch.script(jobs, name="n", python="python", tasks_file="0.json", parallelism=2, after=None)
    assert "#SBATCH --array=0-2%2\n" in script
    assert script.endswith(f"{shlex.quote(batch.START)} 0.json 2\n")


def test_as_many_runs_at_work_as_asked_for() -> None:
    assert Packing.of(per_job=8, at_once=4, parallelism=None) == Packing(8, 4)
    assert Packing.of(per_job=8, at_once=4, parallelism=3) == Packing(8, 3)
    assert Packing(8, 4).tasks(10) == 2 and Packing(8, 3).tasks(3) == 1 and Packing(8, 4).tasks(None) is None
    assert Packing(8, 1).tasks(10) == 10


@pytest.mark.parametrize(("per_job", "at_once", "named"), [(0, 1, "runs_per_job"), (1, 0, "runs_at_once"), (2, 3, "3")])
def test_a_packing_that_makes_no_sense(per_job: int, at_once: int, named: str) -> None:
    with pytest.raises(StashError, match=named):
        Packing.of(per_job=per_job, at_once=at_once, parallelism=None)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=20), st.integers(1, 30))
def test_no_more_run_at_once_than_asked_for(sizes: list[int], parallelism: int) -> None:
    found = batch.shares(sizes, parallelism)
    assert all(share >= 1 for share, _ in found)
    # Of a chain of arrays that wait for one another, one is at work.
    chains = {index: share for index, (share, after) in enumerate(found) if after is None}
    assert sum(chains.values()) <= parallelism
    assert all(
        after is None or (after < index and found[after][0] == share) for index, (share, after) in enumerate(found)
    )


@pytest.mark.parametrize("preset", ["mila", "drac"])
def test_a_preset_builds_on_slurm(stash: StashUnderTest, in_process: InProcess, preset: str) -> None:
    folder = stash.root / "conf" / "hydra" / "launcher"
    shutil.copytree(REPOSITORY / "conf" / "hydra" / "launcher", folder)
    found = in_process(stash, f"hydra/launcher={preset}", "--cfg", "hydra", "--package", "hydra.launcher")
    assert found.returncode == 0, found.stderr
    assert "_target_: hydra_plugins.experimentstash_launcher.slurm.SlurmLauncher" in found.stdout
    assert "mem: 16G" in found.stdout and "time_factor: 1.5" in found.stdout
