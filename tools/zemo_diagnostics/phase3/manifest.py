"""What `zemo-diag phase3` has finished in its folder, so that it goes on there when it is run again.

``phase3.json`` names, for each rule, the tiles that are done by what they were made from (a fingerprint of the frames'
names, sizes and times, of the options, and of the version) and what became of each and of its retries; and every file
that was made, with its size, time and digest. A file goes in before it is moved to its place: so whatever lies in the
folder and is not in the record, or is not as the record says, is somebody else's. It holds no path.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from .. import __version__
from ..errors import OutputError
from ..frames.tiles import Tile
from ..machine.whole_files import write_whole
from ..reports.report import JsonScalar
from .data import RULES, Rule
from .files import FileMark, digest, mark_of, number_in, remove_own, staging, write_number
from .results import TileResult, Told

MANIFEST_NAME = "phase3.json"
MADE_BY = "zemo-diag phase3"


@dataclass(frozen=True)
class Move:
    """A master that gets another place: from where, its name and number there, and the number that it had."""

    source: Path
    name: str
    number: int
    old_number: int


@dataclass
class Manifest:
    """The record of a folder.

    Attributes
    ----------
    folder : Path
        The folder for the masters.
    options : dict
        What they are made with.
    families : dict
        By rule and fingerprint: what became of a tile, and of its retries.
    files : dict of str to FileMark
        What was made, by its name below the folder.
    """

    folder: Path
    options: dict[str, JsonScalar]
    families: dict[Rule, dict[str, list[Told]]] = field(default_factory=lambda: {rule: {} for rule in RULES})
    files: dict[str, FileMark] = field(default_factory=dict)

    def is_ours(self, name: str) -> bool:
        """Tell whether a file is one that was made here, and as it was left."""
        mark = self.files.get(name)
        return mark is not None and mark.fits(self.folder / name)

    def finished(self, rule: Rule, fingerprint: str) -> list[Told]:
        """Give a tile and its retries as they were left; nothing where one of their masters is not whole."""
        family = self.families[rule].get(fingerprint, [])
        return family if all(self.is_ours(f"{rule}/{told['path']}") for told in family) else []

    def note(self, rule: Rule, fingerprint: str, results: Iterable[TileResult]) -> None:
        """Note what became of a tile and its retries; what failed is not finished."""
        self.families[rule][fingerprint] = [result.told() for result in results if result.path is not None]

    def numbers(self) -> set[tuple[Rule, str, int]]:
        """List which tile has which number: (rule, fingerprint and place in the family, number)."""
        return {
            (rule, f"{fingerprint} {place}", told["tile_id"])
            for rule, families in self.families.items()
            for fingerprint, family in families.items()
            for place, told in enumerate(family)
        }

    def put(self, name: str, made: Path) -> None:
        """Move a file that is whole to its place, once the record says that it is ours.

        Parameters
        ----------
        name : str
            Below the folder.
        made : Path
            Where it is now, on the same disk.

        Raises
        ------
        OutputError
            Where it cannot be written, or somebody else's file has its name.
        """
        self._record({name: mark_of(made)})
        _move(made, self.folder / name)

    def arrange(self, rule: Rule, moves: Sequence[Move]) -> None:
        """Leave these masters alone in a rule's folder, under these names, and save.

        Until the record is written anything that goes wrong is undone, but for masters that no tile has any more.

        Raises
        ------
        OutputError
            Where that cannot be done.
        """
        folder = self.folder / rule
        own = {f"{rule}/{move.source.name}" for move in moves if move.source.parent == folder}
        self.remove(name for name in self.files if name.startswith(f"{rule}/") and name not in own)
        if not moves:
            self.save()
            return
        try:
            with staging(folder) as place:
                parts = {move: place / Path(move.name).name for move in moves if move.source != self.folder / move.name}
                self._arrange(folder, parts)
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(f"'{folder}' cannot be written ({reason}): close the program that uses it") from error

    def _arrange(self, folder: Path, parts: Mapping[Move, Path]) -> None:
        """Give masters other names and numbers, or copy them, by way of the folder where they are made."""
        digests = {move: digest(move.source, move.number) for move in parts}
        copies = [move for move in parts if move.source.parent != folder]
        for move in copies:
            shutil.copyfile(move.source, parts[move])
        with ExitStack() as undo:
            for move in parts.keys() - copies:
                move.source.replace(parts[move])
                undo.callback(parts[move].replace, move.source)
            for move, part in parts.items():
                write_number(part, move.number)
                undo.callback(write_number, part, move.old_number)
            for move in parts.keys() - copies:
                self.files.pop(f"{folder.name}/{move.source.name}", None)
            self._record({move.name: mark_of(part, digests[move]) for move, part in parts.items()})
            undo.pop_all()
        for move, part in parts.items():
            _move(part, self.folder / move.name)

    def _record(self, marks: Mapping[str, FileMark]) -> None:
        """Note files that are about to come to their places, and save."""
        for name in marks:
            if os.path.lexists(self.folder / name) and not self.is_ours(name):
                raise OutputError(in_the_way(self.folder, [name]))
        self.files |= marks
        self.save()

    def remove(self, names: Iterable[str]) -> None:
        """Remove files that were made here, as far as they are as they were left; forget the others."""
        for name in list(names):
            if self.is_ours(name):
                remove_own(self.folder / name)
            self.files.pop(name, None)

    def save(self) -> None:
        """Write it, whole."""
        document = {"made_by": MADE_BY, "version": __version__, "options": self.options, "families": self.families}
        document["files"] = {name: asdict(mark) for name, mark in self.files.items()}
        text = json.dumps(document, indent=1) + "\n"
        write_whole(self.folder / MANIFEST_NAME, partial(_write, text=text), force=True)


def _move(made: Path, place: Path) -> None:
    """Move a file into its place in one step."""
    try:
        made.replace(place)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"'{place}' cannot be written ({reason}): close the program that has it open") from error


def in_the_way(folder: Path, names: list[str]) -> str:
    """Say that files stand where masters or pictures go."""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    verb = "stand" if more else "stands"
    return (
        f"'{names[0]}'{more} in '{folder}' {verb} where a file of this run goes, and zemo-diag did not make it, or it "
        "was changed since: move it elsewhere, or name another folder"
    )


def _write(part: Path, text: str) -> None:
    """Write a text file in UTF-8, down to the disk: without it nothing in the folder is known to be ours."""
    with part.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def load_manifest(folder: Path) -> Manifest | None:
    """Read the manifest of a folder; None where it has none of ours, or a damaged one."""
    try:
        document = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
        if document["made_by"] != MADE_BY:
            return None
        manifest = Manifest(folder, dict(document["options"]))
        manifest.files = {_own(name): FileMark(**mark) for name, mark in document["files"].items()}
        for rule in RULES:
            manifest.families[rule] = {key: list(family) for key, family in document["families"].get(rule, {}).items()}
            for told in (told for family in manifest.families[rule].values() for told in family):
                _own(f"{rule}/{told['path']}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return manifest


def _own(name: str) -> str:
    """Refuse the name of a file that no run makes: only files of our own are ever removed."""
    if number_in(name) is None:
        raise ValueError(name)
    return name


def tile_fingerprint(tile: Tile, recipe: Sequence[object], settings: Mapping[str, JsonScalar]) -> str:
    """Say in one word what a master is made from: the frames as they lie on the disk, how it is built, the version."""
    frames = [(frame.name, *_size_and_time(frame.path)) for frame in tile.frames]
    text = json.dumps([__version__, list(recipe), dict(settings), frames])
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def _size_and_time(path: Path) -> tuple[int, int]:
    """Give a file's size and time; 0 where it went away."""
    with suppress(OSError):
        stat = path.stat()
        return stat.st_size, stat.st_mtime_ns
    return 0, 0
