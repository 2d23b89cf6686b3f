"""What `zemo-diag phase3` has finished in its folder, so that it goes on there when it is run again.

``phase3.json`` names, for each rule and tile, what the master was made from (a fingerprint of the frames' names, sizes
and times, of the options, and of the version), its file, and what became of it. It holds no path.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import __version__
from .results import JsonScalar
from .results_phase3 import RULES
from .tiles import Tile
from .whole_files import write_whole

MANIFEST_NAME = "phase3.json"
MADE_BY = "zemo-diag phase3"


@dataclass(frozen=True)
class FinishedTile:
    """One tile that is done: its fingerprint, its file's size and time, and its `MasterTileResult` as a dict."""

    fingerprint: str
    file_bytes: int
    file_mtime_ns: int
    result: dict[str, Any]


@dataclass
class Manifest:
    """The finished tiles of a folder, by rule and number, and the options that they were made with.

    Where it `was_there` before this run, the folder is our own, and every ``master_tile_*.fits`` in it too.
    """

    folder: Path
    options: dict[str, JsonScalar]
    tiles: dict[str, dict[int, FinishedTile]] = field(default_factory=lambda: {rule: {} for rule in RULES})
    was_there: bool = False

    def note(self, rule: str, fingerprint: str, result: Any) -> None:
        """Note a tile that was built, and save; a tile that failed is not finished."""
        if result.path is None:
            return
        stat = os.stat(result.path)  # noqa: PTH116 - the path is text
        told = asdict(result) | {"path": Path(result.path).name}
        self.tiles[rule][result.tile_id] = FinishedTile(fingerprint, stat.st_size, stat.st_mtime_ns, told)
        self.save()

    def save(self) -> None:
        """Write it, whole."""
        document = {
            "made_by": MADE_BY,
            "version": __version__,
            "options": self.options,
            "tiles": {rule: {str(key): asdict(one) for key, one in made.items()} for rule, made in self.tiles.items()},
        }
        text = json.dumps(document, indent=1) + "\n"
        place = self.folder / MANIFEST_NAME
        write_whole(place, lambda part: _write(part, text), force=True)

    def kept(self, rule: str, fingerprints: Mapping[int, str]) -> set[int]:
        """Give the tiles that need not be built again: those whose master, and those of all their retries, are whole.

        Parameters
        ----------
        rule : str
        fingerprints : mapping of int to str
            What each tile would be built from now.
        """
        kept: set[int] = set()
        for tile_id, fingerprint in fingerprints.items():
            family = self._family(rule, tile_id)
            if family and all(self._is_whole(rule, member, fingerprint) for member in family):
                kept |= family
        return kept

    def _family(self, rule: str, tile_id: int) -> set[int]:
        """Give a tile and its retries, and theirs."""
        done = self.tiles[rule].get(tile_id)
        members = {tile_id}
        for again in done.result["retry_tile_ids"] if done else ():
            members |= self._family(rule, again)
        return members

    def _is_whole(self, rule: str, tile_id: int, fingerprint: str) -> bool:
        """Tell whether a master is there as it was left."""
        done = self.tiles[rule].get(tile_id)
        if done is None or done.fingerprint != fingerprint:
            return False
        with contextlib.suppress(OSError):
            stat = (self.folder / rule / done.result["path"]).stat()
            return (stat.st_size, stat.st_mtime_ns) == (done.file_bytes, done.file_mtime_ns)
        return False

    def forget_others(self, rule: str, kept: Iterable[int]) -> None:
        """Remove the masters of all other tiles from our own folder, also those that a stopped run did not note."""
        self.tiles[rule] = {tile_id: self.tiles[rule][tile_id] for tile_id in kept}
        names = {done.result["path"] for done in self.tiles[rule].values()}
        for path in (self.folder / rule).glob("master_tile_*.fits") if self.was_there else ():
            if path.name not in names:
                path.unlink(missing_ok=True)


def _write(part: Path, text: str) -> None:
    """Write a text file in UTF-8."""
    part.write_text(text, encoding="utf-8", newline="\n")


def load_manifest(folder: Path) -> Manifest | None:
    """Read the manifest of a folder; None where it has none of ours, or a damaged one."""
    try:
        document = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
        if document["made_by"] != MADE_BY:
            return None
        manifest = Manifest(folder, dict(document["options"]), was_there=True)
        for rule in RULES:
            for key, told in document["tiles"][rule].items():
                manifest.tiles[rule][int(key)] = FinishedTile(**told)
                _checked(told["result"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return manifest


def _checked(result: Mapping[str, Any]) -> None:
    """Refuse a result whose file lies elsewhere: only files of our own are ever removed."""
    name = result["path"]
    if Path(name).name != name or not name.startswith("master_tile_"):
        raise ValueError(name)


def tile_fingerprint(tile: Tile, enabled: bool, settings: Mapping[str, JsonScalar]) -> str:
    """Say in one word what a master is made from: the frames as they lie on the disk, the flag, options, version."""
    frames = [(frame.name, *_size_and_time(frame.path)) for frame in tile.frames]
    text = json.dumps([__version__, tile.tile_id, enabled, dict(settings), frames])
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def _size_and_time(path: Path) -> tuple[int, int]:
    """Give a file's size and time; 0 where it went away."""
    with contextlib.suppress(OSError):
        stat = path.stat()
        return stat.st_size, stat.st_mtime_ns
    return 0, 0
