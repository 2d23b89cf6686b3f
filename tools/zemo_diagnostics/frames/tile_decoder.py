"""Tile-compressed images (``.fz``), unpacked in a process of its own: a library that crashes costs that file alone.

One child serves the whole command. It is started when the first such image is met, and a new one when it died, hung,
or was left in the middle of an image. It is a command line, never a fork, and ends with this process.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import queue
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import FrameError
from ..machine.child_process import child_command, how_it_ended

_CHILD = f"{__package__}.decoder_child"

# A child that has nothing to say for so long is given up. A band takes well under a second; a disk may be asleep.
SILENCE_S = 60.0

# How long Ctrl-C may wait where the system does not interrupt a thread that waits.
_WAKE_S = 0.5

_REAP_S = 10.0

_Message = tuple[dict[str, Any], bytes]


@dataclass(frozen=True)
class Unpacked:
    """A tile-compressed image as it is unpacked.

    Attributes
    ----------
    shape : tuple of int
        As in FITS, in NumPy's order: (H, W) or (planes, H, W).
    dtype : numpy.dtype
        Physical values, as astropy gives them.
    header : str
        The cards of the image, as astropy makes them of those of the table.
    bands : iterator of bytes
        The pixels, from the first to the last. What it raises: see `unpacked`.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    header: str
    bands: Iterator[bytes]


@contextlib.contextmanager
def unpacked(path: Path, data_offset: int) -> Iterator[Unpacked]:
    """Unpack a tile-compressed image, one at a time in this process.

    Parameters
    ----------
    path : Path
        The file.
    data_offset : int
        Byte where its table of tiles starts, after the header.

    Raises
    ------
    FrameError
        Where it cannot be unpacked: damaged, or the child died of it or hung.
    """
    with _lock:
        child = _child_at_hand()
        try:
            bands = child.unpack(path, data_offset)
            head, first = next(bands)
            shape, dtype = tuple(head["shape"]), np.dtype(head["dtype"])
            yield Unpacked(shape, dtype, head["header"], _and_then(first, bands))
        finally:
            if child.in_the_middle:
                close_decoder()


def _and_then(first: bytes, bands: Iterator[_Message]) -> Iterator[bytes]:
    """Give the first band's bytes, and those of the others."""
    yield first
    for _, band in bands:
        yield band


class _Child:
    """A decoder and the dialogue with it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            child_command(_CHILD, str(1.5 * SILENCE_S)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._messages: queue.SimpleQueue[_Message | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=_follow, args=(self._process.stdout, self._messages), daemon=True)
        self._reader.start()
        self.in_the_middle = False

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def unpack(self, path: Path, data_offset: int) -> Iterator[_Message]:
        """Ask for an image; give what is said of each band, and its bytes."""
        self.in_the_middle = True
        self._say({"path": str(path.absolute()), "data_offset": data_offset})
        while True:
            head, body = self._answer()
            if head.get("last"):
                break
            yield head, body
            self._say({})
        self.in_the_middle = False
        if "error" in head:
            raise FrameError(f"it cannot be unpacked: {head['error']}")

    def _say(self, message: dict[str, Any]) -> None:
        """Send a line; a child that is gone shows in what it answers."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(message).encode("ascii") + b"\n")
            self._process.stdin.flush()

    def _answer(self) -> _Message:
        """Wait for the next answer."""
        until = time.monotonic() + SILENCE_S
        while time.monotonic() < until:
            with contextlib.suppress(queue.Empty):
                message = self._messages.get(timeout=_WAKE_S)
                if message is not None:
                    return message
                code = self._process.wait(_REAP_S)
                raise FrameError(f"it cannot be unpacked: the process that did it {how_it_ended(code)}")
        raise FrameError(f"it cannot be unpacked: nothing came of it within {SILENCE_S:g} s")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_S)
        self._reader.join(_REAP_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _follow(stream: IO[bytes], messages: queue.SimpleQueue[_Message | None]) -> None:
    """Take the child's answers until it closes its output."""
    with contextlib.suppress(OSError, ValueError):  # the pipe is closed under us when the child is ended
        while line := stream.readline():
            head = json.loads(line)
            messages.put((head, stream.read(head["bytes"])))
    messages.put(None)


_lock = threading.Lock()
_children: list[_Child] = []  # one at most


def _child_at_hand() -> _Child:
    """Give the child, a new one where there is none or it died."""
    if _children and not _children[0].is_alive:
        close_decoder()
    if not _children:
        _children.append(_Child())
    return _children[0]


def close_decoder() -> None:
    """End the child, where there is one."""
    while _children:
        _children.pop().close()


atexit.register(close_decoder)
