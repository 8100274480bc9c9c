"""What of a repository exists only in it."""

from __future__ import annotations

from pathlib import Path

from experimentstash.adapters.git.checkouts import PINS
from experimentstash.adapters.git.command import git
from experimentstash.adapters.git.gitindex import looking_everywhere
from experimentstash.adapters.git.status import parsed
from experimentstash.base.dataclass_light import dataclass


@dataclass(frozen=True)
class Work:
    """What of a repository exists only in it."""

    path: str  # relative to the tool's directory; "" for the tool itself
    changed: tuple[str, ...]
    untracked: tuple[str, ...]
    unpushed: tuple[tuple[str, int], ...]  # branch (or "detached HEAD") and number of commits
    stashes: int
    operation: str | None  # a merge, rebase … that isn't finished

    @property
    def nothing(self) -> bool:
        return not (self.changed or self.untracked or self.unpushed or self.stashes or self.operation)

    def describe(self) -> list[str]:
        """Return a line for each kind of work."""
        where = f" in {self.path}" if self.path else ""
        lines = [f"{_number(count, 'unpushed commit')} on {name}{where}" for name, count in self.unpushed]
        for title, paths in (("changed", self.changed), ("untracked", self.untracked)):
            if paths:
                shown = ", ".join(paths[:5]) + (f" … and {len(paths) - 5} more" if len(paths) > 5 else "")
                lines.append(f"{_number(len(paths), f'{title} file')}{where}: {shown}")
        if self.stashes:
            lines.append(f"{_number(self.stashes, 'stash', 'stashes')}{where}")
        if self.operation:
            lines.append(f"an unfinished {self.operation}{where}")
        return lines


def _number(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def work_in(tree: Path, path: str = "") -> Work:
    """Return what the repository of a checkout has that isn't on its remote, as far as it knows."""
    words = ["status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--no-renames"]
    with looking_everywhere(tree) as variables:
        found = parsed(tree, git(tree, *words, "--ignore-submodules=dirty", variables=variables))
    unpushed = []
    elsewhere = ["--not", "--remotes", "--tags", f"--glob={PINS}/*"]
    references = git(tree, "for-each-ref", "--format=%(refname)", "refs/heads", "refs/stash").text.splitlines()
    if found.commit is not None:
        names = [name for name in references if name != "refs/stash"]
        if git(tree, "rev-list", "--max-count=1", "HEAD", "--branches", *elsewhere).out:
            for name in [*names, *([] if found.branch else ["HEAD"])]:
                count = git(tree, "rev-list", "--count", name, *elsewhere).number
                if count:
                    shown = "the detached HEAD" if name == "HEAD" else name.removeprefix("refs/heads/")
                    unpushed.append((shown, count))
    stashes = 0
    if "refs/stash" in references:
        stashes = len(git(tree, "stash", "list", "--format=%H", check=False).text.split())
    place = Path(git(tree, "rev-parse", "--absolute-git-dir").text)
    operations = {
        "MERGE_HEAD": "merge",
        "rebase-merge": "rebase",
        "rebase-apply": "rebase",
        "CHERRY_PICK_HEAD": "cherry-pick",
        "REVERT_HEAD": "revert",
        "BISECT_LOG": "bisection",
    }
    operation = next((word for name, word in operations.items() if (place / name).exists()), None)
    return Work(path, found.changed, found.untracked, tuple(unpushed), stashes, operation)
