"""The documentation says what the program does."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

import zemo_diag
from docs import make_pages
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", make_pages.pages(), ids=lambda path: path.name)
def test_pages_made_from_the_code_are_up_to_date(path: object) -> None:
    pages = {str(key): text for key, text in make_pages.pages().items()}
    with open(str(path), encoding="utf-8") as page:  # noqa: PTH123 - ids and values share one type here
        assert page.read() == pages[str(path)], "run: make docs"


def test_every_command_is_in_the_readme_and_has_an_example() -> None:
    for name, command in zemo_diag.cli.commands.items():
        assert f"zemo-diag {name}" in README
        assert command.epilog is not None
        assert f"zemo-diag {name}" in command.epilog


def test_every_option_in_the_readme_exists() -> None:
    known = {option for command in zemo_diag.cli.commands.values() for p in command.params for option in p.opts}
    used = set(re.findall(r"zemo-diag [^\n`]*?(--[a-z-]+)", README))
    assert used <= known | {"--help", "--version"}


def test_every_pip_line_of_the_readme_is_of_the_environment_that_it_makes() -> None:
    lines = re.findall(r"[^\n`]*pip install[^\n`]*", README)
    assert len(lines) > 3
    for line in lines:
        assert line.startswith((".venv/bin/python -m pip install ", ".venv\\Scripts\\python -m pip install ")), line
    extras = [line.removeprefix(".venv/bin/python ") for line in lines if line.startswith(".venv/") and "[" in line]
    assert extras
    assert all(f".venv\\Scripts\\python {line}" in lines for line in extras)


def test_the_steps_of_make_test_are_the_same_wherever_they_stand() -> None:
    makefile, workflow = ((ROOT / path).read_text("utf-8") for path in ("Makefile", ".github/workflows/ci.yml"))
    steps = re.findall(r"-m ((?:ruff|mypy|pytest).*)", README)
    assert [step.split()[0] for step in steps] == ["ruff", "ruff", "mypy", "pytest"]
    assert re.findall(r"python -m ((?:ruff|mypy|pytest).*)", workflow) == steps
    for step in steps:
        assert f"$(BIN)/python -m {step}\n" in makefile
    installed = re.findall(r'pip install (.*\[dev.*\]")', README)
    assert installed == re.findall(r'pip install (.*\[dev.*\]")', workflow)
    assert installed[0] in makefile


def test_every_link_of_the_readme_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_the_output_in_the_readme_is_what_the_command_prints() -> None:
    shown = README.split("```text\n$ zemo-diag gating fixtures/mixed_by_tile\n")[1].split("\n```")[0].splitlines()
    done = subprocess.run(
        [sys.executable, "tools/zemo_diag.py", "gating", "fixtures/mixed_by_tile"],
        capture_output=True,
        cwd=ROOT,
        encoding="utf-8",
        env=os.environ | {"COLUMNS": "100", "PYTHONIOENCODING": "utf-8"},
        check=True,
    )
    printed = done.stdout.splitlines()
    assert [line for line in printed if "Python 3" not in line and "; made 2" not in line] == [
        line for line in shown if "Python 3" not in line and "; made 2" not in line
    ]


def test_every_defect_of_zemosaic_has_its_section_command_and_cure() -> None:
    page = (ROOT / "docs" / "for-zemosaic.md").read_text(encoding="utf-8")
    head, *sections = re.split(r"^## ", page.split("## In short")[1], flags=re.MULTILINE)
    names = [section.splitlines()[0] for section in sections]
    anchors = [re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in names]
    assert re.findall(r"\]\(#([^)]+)\)", head) == anchors
    for section in sections:
        assert "hown by" in section, section.splitlines()[0]
        assert "zemo-diag " in section, section.splitlines()[0]
        assert re.search(r"\bCure\b", section), section.splitlines()[0]
