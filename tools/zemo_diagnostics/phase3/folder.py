"""The folder that `zemo-diag phase3` writes into: refused where it is not safe, and tidied where it is our own."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

from ..demo.sample_groups import PHASE3_GROUP, write_group
from ..errors import OutputError, no_access
from ..progress import Say
from ..reports.report import JsonScalar
from .data import RULES, Rule
from .files import PICTURES_NAME
from .lock import LOCK_NAME, locked
from .manifest import MADE_BY, MANIFEST_NAME, Manifest, load_manifest

LOG_NAME, FRAMES_NAME = "phase3.log", "frames"

# How every line of a log of ours begins.
_LOG_LINE = re.compile(rf"\[\d\d:\d\d:\d\d\] \[(?:{'|'.join((*RULES, PICTURES_NAME))})\] \[")


def check_output_folder(frames: Path | None, output: Path) -> None:
    """Refuse, before anything is read, a folder that no masters may go into.

    Raises
    ------
    OutputError
        Where it lies among the frames, or they where the masters go; where it is a file, or a link to no folder; or
        where its own folder is not there.
    """
    try:
        _check_kinds(output)
    except OSError as error:
        raise OutputError(f"'{output}' {no_access(error)}; name another folder for the masters") from error
    place, source = _real(output), _real(frames) if frames else None
    if source is not None and (place == source or source in place.parents):
        raise OutputError(f"'{output}' lies in the folder of frames, which is only read: name a folder elsewhere")
    for name in (*RULES, PICTURES_NAME):
        if source is not None and _real(place / name) in (source, *source.parents):
            raise OutputError(f"the frames lie in '{output / name}', which is written into: name another folder")
    if not output.parent.is_dir():
        raise OutputError(f"there is no folder '{output.parent}' for '{output.name}': create it, or name another")


def check_reports(output: Path, reports: Iterable[Path]) -> None:
    """Refuse a report where a file of the run's own is, or goes.

    Raises
    ------
    OutputError
        Naming the file.
    """
    place = _real(output)
    own_files = {name.casefold() for name in (MANIFEST_NAME, LOG_NAME, LOCK_NAME)}
    own_folders = {name.casefold() for name in (*RULES, PICTURES_NAME)}
    for report in reports:
        resolved = _real(report)
        below = resolved.relative_to(place).parts if place in resolved.parents else ()
        if (len(below) == 1 and below[0].casefold() in own_files) or (below and below[0].casefold() in own_folders):
            raise OutputError(f"'{report}' is a place that zemo-diag phase3 keeps for itself: name another file")


def _check_kinds(output: Path) -> None:
    """Refuse what is no folder, and a folder in which something else has the name of what is read and written."""
    if not output.is_dir() and os.path.lexists(output):
        raise OutputError(f"'{output}' is no folder: name a new one for the masters")
    for name in (*RULES, PICTURES_NAME):
        if not (output / name).is_dir() and os.path.lexists(output / name):
            raise OutputError(f"'{output / name}' is no folder: name another one for the masters")
    for name in (MANIFEST_NAME, LOG_NAME, LOCK_NAME):
        if not (output / name).is_file() and os.path.lexists(output / name):  # a pipe would be waited for for ever
            raise OutputError(f"'{output / name}' is no regular file: name another folder for the masters")


def _real(path: Path) -> Path:
    """Give a path without links; unlike `Path.resolve`, that of a loop of links too."""
    return Path(os.path.realpath(path))


@contextmanager
def working_folder(output: Path, options: Mapping[str, JsonScalar], *, force: bool, write: bool) -> Iterator[Manifest]:
    """Open the folder for the masters, and keep other runs out of it for as long as this lasts.

    Parameters
    ----------
    output : Path
        The folder; it need not exist.
    options : mapping
        What shapes the masters; a folder that was made with others is not gone on with.
    force : bool, keyword-only
        Whether to build in a folder that holds something else, which stays there, or that was made with other options,
        whose masters are removed. What is finished with the same options is kept all the same.
    write : bool, keyword-only
        Whether anything will be written; without, nobody is kept out.

    Yields
    ------
    Manifest
        What is finished there.

    Raises
    ------
    OutputError
        Where the folder holds something else, or was made with other options.
    InputError
        Where another run is working there.
    """
    _refuse(output, options, force=force)  # before a lock is put among the files of somebody else
    with locked(output) if write else nullcontext():
        made = load_manifest(output)  # another run may have ended there meanwhile
        yield Manifest(output, dict(options)) if made is None else replace(made, options=dict(options))


def _refuse(output: Path, options: Mapping[str, JsonScalar], *, force: bool) -> None:
    """Refuse a folder that was not made by such a run, as far as that is not allowed."""
    made = load_manifest(output)
    if made is None:
        _refuse_what_others_made(output)
    if force or (made is None and not _holds_anything(output)) or (made and made.options == dict(options)):
        return
    if made is None and (output / MANIFEST_NAME).exists():
        raise OutputError(
            f"the record {MANIFEST_NAME} in '{output}' cannot be read, and nothing else says which masters zemo-diag "
            "made: name a new folder, or move them elsewhere and add --force to build all anew"
        )
    if made is None:
        raise OutputError(f"'{output}' is not empty: name a new folder, or add --force to build in it all the same")
    other = [f"{name}={value}" for name, value in made.options.items() if options.get(name) != value]
    raise OutputError(
        f"'{output}' was made with other options or frames ({', '.join(other)}): run with those to go on, "
        "name a new folder, or add --force to build them anew"
    )


def _refuse_what_others_made(output: Path) -> None:
    """Refuse a folder without a record of ours that holds a record or a log of somebody else's."""
    record, log = output / MANIFEST_NAME, output / LOG_NAME
    foreign = []
    with suppress(OSError, ValueError):  # what is no JSON may be a damaged record of ours
        document = json.loads(record.read_text(encoding="utf-8"))
        foreign += [] if isinstance(document, dict) and document.get("made_by") == MADE_BY else [record]
    if os.path.lexists(log) and not _is_own_log(log):
        foreign.append(log)
    if foreign:
        raise OutputError(f"'{foreign[0]}' was not made by zemo-diag phase3: move it elsewhere, or name another folder")


def _is_own_log(log: Path) -> bool:
    """Tell by its first line whether a log is one of ours."""
    if log.is_symlink():
        return False
    with suppress(OSError), log.open(encoding="utf-8", errors="replace") as stream:
        first = stream.readline(100)
        return not first or _LOG_LINE.match(first) is not None
    return False


def _holds_anything(folder: Path) -> bool:
    """Tell whether there is anything in a folder, but for a lock."""
    return folder.is_dir() and any(path.name != LOCK_NAME for path in folder.iterdir())


def prepare(output: Path, rules: Iterable[Rule]) -> None:
    """Make the folders, and remove what a killed run left half written."""
    for folder in (output, *(output / rule for rule in rules), output / PICTURES_NAME):
        folder.mkdir(parents=True, exist_ok=True)
    for folder in (output, *(output / name for name in (*RULES, PICTURES_NAME))):
        for part in folder.glob(".zemo-diag-*.part"):
            part.unlink(missing_ok=True)


def write_demo_frames(manifest: Manifest, say: Say) -> None:
    """Simulate the demonstration's frames, unless they are there from an earlier run: whole or not at all."""
    manifest.save()
    frames, part = manifest.folder / FRAMES_NAME, manifest.folder / ".frames.part"
    shutil.rmtree(part, ignore_errors=True)
    if not frames.is_dir():
        say("simulating frames", 0.0)
        write_group(PHASE3_GROUP, part)
        part.rename(frames)
