"""The folder that `zemo-diag phase3` writes into: refused where it is not safe, and tidied where it is our own."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from .errors import OutputError
from .phase3_lock import LOCK_NAME, locked
from .phase3_manifest import MANIFEST_NAME, Manifest, load_manifest
from .progress import Say
from .results import JsonScalar
from .results_phase3 import RULES
from .sample_groups import PHASE3_GROUP, write_group

LOG_NAME, PICTURES_NAME, FRAMES_NAME = "phase3.log", "pictures", "frames"

_PICTURE = re.compile(r"tile_(\d{3,})\.png")


def check_output_folder(frames: Path | None, output: Path) -> None:
    """Refuse, before anything is read, a folder that no masters may go into.

    Raises
    ------
    OutputError
        Where it lies among the frames, or they where the masters go; where it is a file, or a link to no folder; or
        where its own folder is not there.
    """
    if not output.is_dir() and (output.is_symlink() or output.exists()):
        raise OutputError(f"'{output}' is no folder: name a new one for the masters")
    place, source = output.resolve(), frames.resolve() if frames else None
    if source is not None and (place == source or source in place.parents):
        raise OutputError(f"'{output}' lies in the folder of frames, which is only read: name a folder elsewhere")
    for name in (*RULES, PICTURES_NAME):
        if source is not None and (place / name).resolve() in (source, *source.parents):
            raise OutputError(f"the frames lie in '{output / name}', which is written into: name another folder")
    if not output.parent.is_dir():
        raise OutputError(f"there is no folder '{output.parent}' for '{output.name}': create it, or name another")


def open_manifest(output: Path, options: Mapping[str, JsonScalar], *, force: bool) -> Manifest:
    """Give what is finished in the folder.

    Parameters
    ----------
    output : Path
        The folder; it need not exist.
    options : mapping
        What shapes the masters; a folder that was made with others is not gone on with.
    force : bool, keyword-only
        Whether to build in a folder that holds something else, which stays there, or that was made with other options,
        whose masters are removed. What is finished with the same options is kept all the same.

    Raises
    ------
    OutputError
        Where the folder holds something else, or was made with other options.
    """
    made = load_manifest(output)
    if made is not None and (force or made.options == dict(options)):
        return replace(made, options=dict(options))
    if force or not _holds_anything(output):
        return Manifest(output, dict(options))
    if made is None and (output / MANIFEST_NAME).exists():
        raise OutputError(
            f"the record {MANIFEST_NAME} in '{output}' cannot be read: name a new folder, or add --force to build all "
            "masters anew"
        )
    if made is None:
        raise OutputError(f"'{output}' is not empty: name a new folder, or add --force to build in it all the same")
    other = [f"{name}={value}" for name, value in made.options.items() if options.get(name) != value]
    raise OutputError(
        f"'{output}' was made with other options or frames ({', '.join(other)}): run with those to go on, "
        "name a new folder, or add --force to build them anew"
    )


def _holds_anything(folder: Path) -> bool:
    """Tell whether there is anything in a folder, but for a lock."""
    return folder.is_dir() and any(path.name != LOCK_NAME for path in folder.iterdir())


def prepare(output: Path) -> None:
    """Make the folders, and remove what a killed run left half written."""
    for folder in (output, *(output / name for name in (*RULES, PICTURES_NAME))):
        folder.mkdir(parents=True, exist_ok=True)
        for part in folder.glob(".zemo-diag-*.part"):
            part.unlink(missing_ok=True)


def picture_name(tile_id: int) -> str:
    """Name the picture of a tile, below the output folder."""
    return f"{PICTURES_NAME}/tile_{tile_id:03d}.png"


def remove_pictures(output: Path, kept: Collection[int]) -> None:
    """Remove from our own folder the pictures of tiles whose masters were removed."""
    for path in (output / PICTURES_NAME).glob("tile_*.png"):
        name = _PICTURE.fullmatch(path.name)
        if name and int(name[1]) not in kept:
            path.unlink(missing_ok=True)


def write_demo_frames(manifest: Manifest, say: Say) -> None:
    """Simulate the demonstration's frames, unless they are there from an earlier run: whole or not at all."""
    with locked(manifest.folder):
        prepare(manifest.folder)
        manifest.save()
        frames, part = manifest.folder / FRAMES_NAME, manifest.folder / ".frames.part"
        shutil.rmtree(part, ignore_errors=True)
        if not frames.is_dir():
            say("simulating frames", 0.0)
            write_group(PHASE3_GROUP, part)
            part.rename(frames)
