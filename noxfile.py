"""What a contributor types, and CI calls: ``nox -s tests``, ``examples``, ``slurm``, ``hydra-next``, ``lint`` …

Each makes an environment of its own. In one that has everything already: ``nox --no-venv --no-install -s lint``.
"""

import nox

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "tests"]

EVERYTHING = ("-e", ".[dev]")
# The next Hydra with what belongs to it; each is named, so that nothing else is taken before its release.
NEXT_HYDRA = ("hydra-core>=1.4.0rc3", "omegaconf>=2.4.1rc1", "hydra-submitit-launcher>=1.4.0rc3")
NEXT_HYDRA += ("hydra-joblib-launcher>=1.4.0rc3", "hydra-optuna-sweeper>=1.4.0rc3")
# What hangs on Hydra: how a configuration is composed, and how runs are launched.
ON_HYDRA = ["tests/compose"]
ON_HYDRA += [
    f"tests/launch/test_{name}.py" for name in ("app", "hydra_launchers", "hydra_settings", "launch_local", "optuna")
]
# The same without what only makes composing fast.
PLAINLY = [f"tests/compose/test_{name}.py" for name in ("composition", "explain_errors", "sweep_size", "zip_sweeps")]
TYPESCRIPT = "typescript@7.0.2"


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests side by side; those on SLURM are skipped where there is no cluster."""
    session.install(*EVERYTHING)
    session.run("pytest", "-n", "auto", *session.posargs)


@nox.session
def slurm(session: nox.Session) -> None:
    """Bring up real SLURM clusters (on Debian, as root), and run the tests on them."""
    session.install(*EVERYTHING)
    session.run("tests/slurm/up", external=True)
    session.run("pytest", "-n", "auto", "tests/slurm", *session.posargs, env={"EXPERIMENTSTASH_REQUIRE_SLURM": "1"})


@nox.session
def examples(session: nox.Session) -> None:
    """Freeze the example figures, and have them again from a clean clone without a network, and from an archive."""
    session.install(*EVERYTHING)
    session.run("pytest", "-m", "exhaustive", "tests/publish/test_examples.py", *session.posargs)


@nox.session(name="hydra-next")
def hydra_next(session: nox.Session) -> None:
    """Run what hangs on Hydra with the next one, which is the only one for Python 3.14."""
    session.install(*EVERYTHING, *NEXT_HYDRA)
    session.run("pytest", "-n", "auto", *(session.posargs or ON_HYDRA))
    if not session.posargs:
        session.run("pytest", "-n", "auto", *PLAINLY, env={"EXPERIMENTSTASH_PLAIN_HYDRA": "1"})


@nox.session
def lint(session: nox.Session) -> None:
    """Check how the code is written, and its types; those of the page's scripts by TypeScript, which npm brings."""
    session.install(*EVERYTHING)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("npx", "--yes", "--prefer-offline", f"--package={TYPESCRIPT}", "tsc", "--project", ".")


@nox.session
def docs(session: nox.Session) -> None:
    """Make the documentation's site in site/; a link that leads nowhere is an error."""
    session.install(*EVERYTHING)
    session.run("zensical", "build", "--clean", "--strict", "--config-file", "mkdocs.yml")
