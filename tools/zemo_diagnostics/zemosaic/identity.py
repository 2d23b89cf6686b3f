"""Which ZeMosaic a checkout is: its git revision and what was changed since, and the checksums of its modules.

A checkout is somebody else's: nothing that its configuration names (hooks, filters, file system monitors, transports)
is run, and nothing of it is written, its index included. The revision is read from the files of ``.git`` by ourselves;
what the revision holds is asked of git's ``ls-tree``, which runs nothing, and compared by ourselves.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_HASH = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?\Z")
_GIT_TIMEOUT_S = 20.0
_SMALL_FILE_BYTES = 64 << 20


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Which ZeMosaic it is.

    Attributes
    ----------
    revision : str or None
        Git commit; None without a repository, or where it cannot be read.
    branch : str or None
        None also where no branch is checked out.
    changed : tuple of str, or None
        Python files that differ from the revision, by their paths in the checkout; None where that is not known.
    sha256 : mapping of str to str
        Of each module that is there, by its file name.
    """

    revision: str | None
    branch: str | None
    changed: tuple[str, ...] | None
    sha256: Mapping[str, str]

    def told(self) -> str:
        """Give it as a phrase for a report."""
        if self.revision is None:
            return ", ".join(f"{name} {digest[:12]}" for name, digest in self.sha256.items()) or "no module"
        revision = f"git {self.revision[:7]}"
        if self.changed is None:
            return f"{revision} (whether files were changed since is not known)"
        if not self.changed:
            return revision
        shown = ", ".join(self.changed[:3]) + (", ..." if len(self.changed) > 3 else "")
        return f"{revision} with changes in {shown}"


def identify(checkout: Path, modules: Mapping[str, Path]) -> Identity:
    """Tell which ZeMosaic a checkout is.

    Parameters
    ----------
    checkout : Path
        Its top folder.
    modules : mapping of str to Path
        The modules that are there, by their file names.
    """
    sha256 = {}
    for name, path in modules.items():
        with contextlib.suppress(OSError):
            sha256[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    git_folder = _git_folder(checkout)
    branch, revision = _head(git_folder) if git_folder is not None else (None, None)
    changed = _changed(checkout, revision) if revision is not None else None
    return Identity(revision=revision, branch=branch, changed=changed, sha256=sha256)


def _git_folder(checkout: Path) -> Path | None:
    """Find the repository's own folder; that of a linked worktree is named by a file."""
    dot_git = checkout / ".git"
    if dot_git.is_dir():
        return dot_git
    named = (_text(dot_git) or "").partition("gitdir:")[2].strip()
    if not named or named.startswith(("\\\\", "//")):  # nothing of a checkout sends us to another machine
        return None
    folder = checkout / named
    return folder if folder.is_dir() else None


def _head(git_folder: Path) -> tuple[str | None, str | None]:
    """Read the branch and the commit that are checked out."""
    head = (_text(git_folder / "HEAD") or "").strip()
    if _HASH.match(head):
        return None, head
    reference = head.removeprefix("ref:").strip()
    if not head.startswith("ref:") or ".." in reference or not reference.startswith("refs/"):
        return None, None
    branch = reference.removeprefix("refs/heads/")
    shared = git_folder / (_text(git_folder / "commondir") or ".").strip()
    for folder in (git_folder, shared):
        loose = (_text(folder / reference) or "").strip()
        if _HASH.match(loose):
            return branch, loose
    for line in (_text(shared / "packed-refs") or "").splitlines():
        commit, _, name = line.partition(" ")
        if name == reference and _HASH.match(commit):
            return branch, commit
    return branch, None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace") if path.stat().st_size < _SMALL_FILE_BYTES else None
    except OSError:
        return None


def _changed(checkout: Path, revision: str) -> tuple[str, ...] | None:
    """List the Python files that differ from a revision; None where git cannot say what it holds.

    Files that are not there at all are passed over: a sparse checkout leaves them out on purpose.
    """
    tracked = _tracked_files(checkout, revision)
    if tracked is None:
        return None
    changed = []
    for name, blob in tracked.items():
        with contextlib.suppress(OSError):
            content = (checkout / name).read_bytes()
            if blob not in (_blob_id(content, blob), _blob_id(content.replace(b"\r\n", b"\n"), blob)):
                changed.append(name)
    return tuple(sorted(changed))


def _tracked_files(checkout: Path, revision: str) -> dict[str, str] | None:
    """Map the Python files of a revision to the ids of their contents."""
    git = _git_program(checkout)
    if git is None:
        return None
    nothing = ("core.fsmonitor=false", f"core.hooksPath={os.devnull}", "protocol.allow=never", "safe.directory=*")
    options = [part for setting in nothing for part in ("-c", setting)]
    command = [git, "--no-optional-locks", *options, "ls-tree", "-r", "-z", "--full-tree", revision]
    try:
        listed = subprocess.run(
            command, cwd=checkout, env=_git_environment(), capture_output=True, timeout=_GIT_TIMEOUT_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    files = {}
    for line in listed.split(b"\0"):
        described, _, name = line.partition(b"\t")
        if name.endswith(b".py"):
            files[os.fsdecode(name)] = described.split()[2].decode("ascii")
    return files


def _git_program(checkout: Path) -> str | None:
    """Find git; not one that lies in the checkout or the current folder, where Windows looks first."""
    found = shutil.which("git")
    if found is None:
        return None
    folder = Path(found).resolve().parent
    return None if folder in (Path.cwd().resolve(), checkout.resolve()) else found


def _git_environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.upper().startswith("GIT_")}
    return {**kept, "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}


def _blob_id(content: bytes, like: str) -> str:
    """Compute git's id of a content, by the same hash as another id."""
    algorithm = "sha1" if len(like) == 40 else "sha256"
    return hashlib.new(algorithm, b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
