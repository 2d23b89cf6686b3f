"""Which ZeMosaic a checkout is, told without running anything of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from zemo_diagnostics.zemosaic import identity
from zemo_diagnostics.zemosaic.identity import Identity, identify

from .lookalikes import Tree, write_lookalike

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not there")


def git(folder: Path, *arguments: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    author = {f"GIT_{who}_{what}": "somebody" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    nothing = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**environment, **author, **nothing},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = write_lookalike(tmp_path / "z")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "zemosaic_worker.py", "zemosaic_align_stack.py")
    git(folder, "commit", "-q", "-m", "one")
    return folder


def told(folder: Path) -> Identity:
    before = Tree.of(folder)
    found = identify(folder, {"zemosaic_worker.py": folder / "zemosaic_worker.py"})
    assert Tree.of(folder) == before
    return found


def test_without_a_repository_it_is_its_checksums(tmp_path: Path) -> None:
    folder = write_lookalike(tmp_path / "z")
    found = told(folder)
    assert (found.revision, found.branch, found.changed) == (None, None, None)
    assert found.told() == f"zemosaic_worker.py {found.sha256['zemosaic_worker.py'][:12]}"


@needs_git
def test_a_clean_checkout_is_its_revision(checkout: Path) -> None:
    found = told(checkout)
    revision = git(checkout, "rev-parse", "HEAD")
    assert (found.revision, found.branch, found.changed) == (revision, "main", ())
    assert found.told() == f"git {revision[:7]}"


@needs_git
@pytest.mark.parametrize("staged", [False, True])
def test_changed_modules_are_named_staged_or_not(checkout: Path, staged: bool) -> None:
    with (checkout / "zemosaic_worker.py").open("a", encoding="utf-8") as file:
        file.write("# mine\n")
    if staged:
        git(checkout, "add", "-u")
    found = told(checkout)
    assert found.changed == ("zemosaic_worker.py",)
    assert found.told().endswith("with changes in zemosaic_worker.py")


@needs_git
def test_line_ends_of_windows_are_no_change(checkout: Path) -> None:
    worker = checkout / "zemosaic_worker.py"
    worker.write_bytes(worker.read_bytes().replace(b"\n", b"\r\n"))
    assert told(checkout).changed == ()


@needs_git
def test_packed_references_a_detached_head_and_a_worktree_are_read(checkout: Path, tmp_path: Path) -> None:
    revision = git(checkout, "rev-parse", "HEAD")
    git(checkout, "pack-refs", "--all")
    assert told(checkout).revision == revision
    git(checkout, "worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
    linked = told(tmp_path / "linked")
    assert (linked.revision, linked.branch, linked.changed) == (revision, "other", ())
    git(checkout, "checkout", "-q", "--detach")
    assert (told(checkout).revision, told(checkout).branch) == (revision, None)


@needs_git
@pytest.mark.skipif(sys.platform == "win32", reason="the traps are shell scripts")
def test_nothing_that_its_configuration_names_is_run(checkout: Path, tmp_path: Path) -> None:
    sentinel = tmp_path / "it ran"
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch '{sentinel}'\ncat\n", encoding="utf-8")
    trap.chmod(0o755)
    for setting in (
        "core.fsmonitor", "core.pager", "core.sshCommand", "core.editor", "filter.trap.clean", "filter.trap.smudge",
        "filter.trap.process", "diff.external", "core.gitProxy", "alias.ls-tree", "remote.origin.uploadpack",
        "credential.helper",
    ):  # fmt: skip
        git(checkout, "config", setting, str(trap))
    git(checkout, "config", "remote.origin.url", f"ext::{trap}")
    git(checkout, "config", "protocol.ext.allow", "always")
    for hook in ("post-checkout", "pre-commit", "post-index-change", "reference-transaction", "fsmonitor-watchman"):
        shutil.copy(trap, checkout / ".git" / "hooks" / hook)
    (checkout / ".gitattributes").write_text("*.py filter=trap diff=trap\n", encoding="utf-8")
    os.utime(checkout / "zemosaic_worker.py", (1, 1))  # what git would look at anew
    sentinel.unlink(missing_ok=True)
    found = told(checkout)
    assert found.changed == ()
    assert not sentinel.exists()


@needs_git
@pytest.mark.parametrize("broken", ["ref: refs/heads/none", "ref: ../../../etc/passwd", "rubbish", ""])
def test_a_repository_that_cannot_be_read_is_told_by_checksums(checkout: Path, broken: str) -> None:
    (checkout / ".git" / "HEAD").write_text(broken, encoding="utf-8")
    found = told(checkout)
    assert (found.revision, found.changed) == (None, None)


@needs_git
def test_without_git_whether_it_was_changed_is_not_known(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity.shutil, "which", lambda _: None)  # type: ignore[attr-defined]
    found = told(checkout)
    assert found.changed is None
    assert found.told().endswith("(whether files were changed since is not known)")


@needs_git
def test_a_git_program_in_the_checkout_is_not_run(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity.shutil, "which", lambda _: str(checkout / "git.exe"))  # type: ignore[attr-defined]
    assert told(checkout).changed is None


def test_a_repository_on_another_machine_is_not_asked(tmp_path: Path) -> None:
    folder = write_lookalike(tmp_path / "z")
    (folder / ".git").write_text("gitdir: //server/share/x\n", encoding="utf-8")
    assert told(folder).revision is None
