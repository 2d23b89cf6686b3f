"""What one call of a command comes to, as plain frozen data: its parts, its findings, and what it was made with.

Nothing in here holds a full path, a site coordinate or a serial number: what is not here cannot leak into a report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import Any

from ..errors import EXIT_CLEAN, EXIT_FINDINGS, EXIT_INTERRUPTED, UnusableFile
from .document import Section

JsonScalar = str | int | float | bool | None


class Level(str, Enum):
    """How bad a finding is. ERROR alone changes the exit code."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


_WORST_FIRST = (Level.ERROR, Level.WARNING, Level.INFO)

# The worst level that any finding has on a tile, by the tile's number.
Levels = Mapping[int, Level]

# Tells a result in blocks, its rows marked by the levels of the findings on them.
Tell = Callable[[Any, Levels], Section]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing worth knowing, with a stable code, its evidence and the remedy.

    Attributes
    ----------
    code : str
        Stable, such as ``"ZD101"``; docs/findings.md explains each.
    level : Level
        How bad it is.
    title : str
        The finding's kind, the same wherever the code appears.
    message : str
        What was found here.
    remedy : str
        What to do.
    tile_id : int or None
        The tile it is about; None for the run.
    evidence : tuple of str
        File names or values that show it.
    """

    code: str
    level: Level
    title: str
    message: str
    remedy: str
    tile_id: int | None = None
    evidence: tuple[str, ...] = ()


class Subject(str, Enum):
    """What the files that were looked at are, one of them in a word."""

    FRAME = "frame"
    MASTER = "master tile"
    MODULE = "module"


class Grouping(str, Enum):
    """What made tiles of the files: sub-folders, pointings, nothing, or each file is one."""

    FOLDER = "folder"
    POINTING = "pointing"
    ALL = "all"
    FILE = "file"


@dataclass(frozen=True, kw_only=True)
class Source:
    """The folder that was looked at.

    Attributes
    ----------
    folder : str
        Its last name only.
    files, frames : int
        Files with a frame's suffix, and those of them that hold one.
    unusable : tuple of UnusableFile
        The others.
    grouped_by : Grouping
        What made tiles of them.
    tiles : int
        How many these are.
    subject : Subject
        What the files are.
    unread_folders : tuple of UnusableFile
        Sub-folders that could not be looked into; what is in them is not known.
    """

    folder: str
    files: int
    frames: int
    unusable: tuple[UnusableFile, ...]
    grouped_by: Grouping
    tiles: int
    subject: Subject = Subject.FRAME
    unread_folders: tuple[UnusableFile, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What the report was made with: versions and the size of the machine, nothing of its owner.

    Attributes
    ----------
    tool_version, python, system, machine, numpy, astropy, opencv : str
        Versions, and the kind of the system; of a library that is not there, that it is not.
    cores, memory_bytes : int
        Size of the machine, or of its container.
    functions_under_test : str
        Where the functions that were examined come from.
    """

    tool_version: str
    python: str
    system: str
    machine: str
    numpy: str
    astropy: str
    opencv: str
    cores: int
    memory_bytes: int
    functions_under_test: str


@dataclass(frozen=True, kw_only=True)
class Part:
    """One result of a report.

    Attributes
    ----------
    name : str
        What it is called in the JSON report.
    data : frozen dataclass
        The result.
    tell : callable
        Turns the result, and the levels of the findings on its tiles, into a section.
    series : str
        How the codes of its findings begin.
    exit_code : int
        What it alone would end in, findings aside.
    """

    name: str
    data: Any
    tell: Tell
    series: str = "ZD"
    exit_code: int = EXIT_CLEAN


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that one call of a command found out.

    Attributes
    ----------
    command : str
        The command.
    created_utc : str
        When, ISO 8601 in UTC, to the second.
    environment : Environment
        What it was made with.
    source : Source
        The folder that was looked at.
    options : tuple of (str, value)
        The options that shape the result.
    parts : tuple of Part
        The results.
    findings : tuple of Finding
        The worst first.
    interrupted : bool
        Whether the user stopped it: then this is what was known by then.
    file_option : str
        The command's option that writes a report to a file.
    """

    command: str
    created_utc: str
    environment: Environment
    source: Source
    options: tuple[tuple[str, JsonScalar], ...] = ()
    parts: tuple[Part, ...] = ()
    findings: tuple[Finding, ...] = ()
    interrupted: bool = False
    file_option: str = "-o"

    def result(self, name: str) -> Any:
        """Give a part's data; None where there is no such part."""
        return next((part.data for part in self.parts if part.name == name), None)


def assemble(
    command: str,
    source: Source,
    environment: Environment,
    *,
    options: tuple[tuple[str, JsonScalar], ...] = (),
    parts: tuple[Part, ...] = (),
    findings: Sequence[Finding] = (),
    interrupted: bool = False,
    file_option: str = "-o",
) -> Report:
    """Put a report together, its worst findings first and otherwise in the order of their codes and tiles."""
    return Report(
        command=command,
        created_utc=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        environment=environment,
        source=source,
        options=options,
        parts=parts,
        findings=tuple(sorted(findings, key=lambda f: (_WORST_FIRST.index(f.level), f.code, f.tile_id or 0))),
        interrupted=interrupted,
        file_option=file_option,
    )


def exit_code(report: Report) -> int:
    """Give the exit code that a report ends in: that of the first part that has one, else that of its findings."""
    if report.interrupted:
        return EXIT_INTERRUPTED
    if code := next((part.exit_code for part in report.parts if part.exit_code), EXIT_CLEAN):
        return code
    return EXIT_FINDINGS if any(finding.level is Level.ERROR for finding in report.findings) else EXIT_CLEAN


def count_findings(report: Report) -> tuple[int, int, int]:
    """Count the findings: errors, warnings, notes."""
    levels = [finding.level for finding in report.findings]
    return levels.count(Level.ERROR), levels.count(Level.WARNING), levels.count(Level.INFO)
