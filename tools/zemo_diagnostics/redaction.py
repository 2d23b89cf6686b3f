r"""Take what is private out of a report, once, before anything is drawn.

Reports go to public tickets. The data model already leaves out coordinates, serials and full paths; what is left
is free text that others wrote: names of files and folders, header values, messages of exceptions. One pass over
every string of the report catches what came along there.

Replaced: the folder part of paths (POSIX, ``C:\...``, ``C:/...``, ``\\server\share``, ``file://``, ``smb://``), serial
numbers, values of site and observer cards, hardware and mail addresses, logins in addresses, the names of the user and
of the machine. Not caught: a user's name that is also a word of these reports (``max``, ``light``), and what a user
writes into the name of an object or of a file.
"""

from __future__ import annotations

import getpass
import platform
import re
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import TypeVar, cast

REMOVED = "<removed>"
USER, HOST, HOME, TEMP = "<user>", "<host>", "<home>", "<temp>"  # "~" may be a folder's own name

MIN_WORD_LENGTH = 3

# Names that tell nothing of their owner, or that are words of every report: replacing them would only mangle it.
_GENERIC_WORDS = """
root user users admin administrator runner home guest default public test tests tester build builder docker
localhost local host server desktop laptop computer notebook linux windows macos darwin ubuntu debian fedora
raspberrypi raspbian arch alpine python numpy astropy opencv astro astronomy astrophoto telescope observatory
seestar zwo zemosaic zemo diag mosaic phase fit fits fts npy light lights frame frames stack stacks stacked tile
tiles master panel panels folder file files name names image images header headers entry entries value values
data science raw report reports result results memory free limit all and the for was are not one two any none
noise mode mount equatorial altaz alt unknown other eqmode gating kappa parity chunked fullframe full chunk rows
row band bands group grouped pointing max min mean median sum sky star stars error errors warning warnings note
masters fine empty partly blank alpha median spread unreadable picture pictures before patched
yes new old out off get set run runs app bin lib dev opt usr var tmp temp work workspace demo sample samples
"""
GENERIC_WORDS = frozenset(_GENERIC_WORDS.split())

# What may stand between a model and the number of a unit.
_JOINTS = " _-#:;,()[]/."

# A name ends at anything but a letter or a digit: also at the underscores of "Light_anna_10s.fit".
_LEFT, _RIGHT = r"(?<![^\W_])", r"(?![^\W_])"

_SERIAL = re.compile(
    rf"{_LEFT}((?:S\d\d(?:[A-Z]{{0,3}}|[ _-]?Pro)|seestar)[\s_#:(-]{{1,3}}(?:SN[\s:#-]?)?)[0-9a-f]{{8,16}}{_RIGHT}",
    re.IGNORECASE,
)
# What tells one telescope or camera from others of its model: a number that is called one, or a long one. Behind the
# models of a maker that is known, all of it.
_UNIT = re.compile(
    rf"(?:{_LEFT}(?:S/?N|serial\w*(?:\sn\w*)?)|#)[\s.:#=_-]*(?=\w*\d)|{_LEFT}(?=[0-9a-f]*\d)[0-9a-f]{{6,}}{_RIGHT}",
    re.IGNORECASE,
)
_SEESTAR = re.compile(
    rf"(?:ZWO[ _-])?Seestar(?:[ _-]?S\d\d[a-z]{{0,3}}{_RIGHT})?"
    rf"(?:[ _-](?![0-9a-f]{{6,}}{_RIGHT})(?!SN{_RIGHT})[a-z]+{_RIGHT})*",
    re.IGNORECASE,
)

_MAC = re.compile(rf"{_LEFT}[0-9a-f]{{2}}([:-])(?:[0-9a-f]{{2}}\1){{4}}[0-9a-f]{{2}}{_RIGHT}", re.IGNORECASE)
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")

# Site, observer and serial cards, in the spellings of many programs, whole or cut to the eight letters of FITS.
_OF_A_SITE = "SITE|OBS|OBSERVER|OBSERVATORY|GPS|GEO|TEL|TELESCOPE|STATION|LOCATION"
_OF_A_DEVICE = "CAM|CAMERA|CCD|DEV|DEVICE|UNIT|TEL|TELESCOPE|TELESCOP|MOUNT|DET|DETECTOR|SENSOR|FOCUSER"
_PLACES = (
    rf"(?i:{_LEFT}(?:(?:{_OF_A_SITE})[-_. ]?(?:LAT|LON|ELE|ALT|HEI|HGT)[A-Z]*|(?:LAT|LONG?|ALT|ELEV|HEIGHT)[-_]OBS|"
    "OBSGEO[-_]?[A-Z]|LATITUDE?|LONGITUDE?))"
)
_PEOPLE = (
    rf"{_LEFT}(?:(?i:SITE[-_]?NAME|USER[-_]?NAME|OBSERVAT|OBSID|MAC[-_]?ADDR(?:ESS)?)|"
    "CITY|STATE|COUNTRY|OBSERVER|AUTHOR)"
)
_SERIALS = r"(?i:SERIAL(?:[-_ ]?(?:NO|NR|NUM|NUMBER|ID))?\.?|" + rf"{_LEFT}(?:{_OF_A_DEVICE})[-_ ]?(?:SN|UU?ID|ID))"
_SN = r"(?<!\w)SN"
# Everyday words count in capitals only, or only where a number is given for them.
_EVERYDAY_PLACES = r"(?<!\w)(?:(?i:LAT|LON|LNG|ELEV|ELEVAT[A-Z]*|ALTIT[A-Z]*)|LONG|ALT|HEIGHT)"
_QUOTED_NAMES = "['\"](?:LAT|LONG?|ALT|HEIGHT|SN)(?=['\"])"

_QUOTED = r"""b?'(?:[^']|'')*'|b?"[^"]*\""""
_NUMBER = (
    r"""[+-]?\d+(?:\.\d*)?(?:e[+-]?\d+)?(?:(?:\s?[:°'′"″]{1,2}\s?|[dmh]\s?|\s{1,3})\d+(?:\.\d*)?){0,3}"""
    r"""(?:[°'′"″dmhs]*\s?[NSEW]\b|[°'′"″])*"""
)
_BARE = rf"(?!{REMOVED})" + r"[^\s;,/)\]}][^;,/)\]}\n]*"
_CODE = r"[\w-]*\d[\w-]*"
_EQUALS, _BESIDE = r"\s*(?:=>|[=:])\s*", r"(?:\s*,\s*|\s+(?:is\s+)?)"


def _valued(names: str, joint: str, value: str) -> re.Pattern[str]:
    """Compile "one of these cards, what joins it to its value, and the value"; the first group is all but the value."""
    return re.compile(rf"((?:{names})['\"]?{joint})(?i:{value})")


_CARDS = (
    _valued(_PLACES, _EQUALS, f"{_QUOTED}|{_NUMBER}|{_BARE}"),
    _valued(_PLACES, _BESIDE, f"{_QUOTED}|{_NUMBER}"),
    _valued(_EVERYDAY_PLACES, _EQUALS, f"{_QUOTED}|{_NUMBER}"),
    _valued(_PEOPLE, _EQUALS, f"{_QUOTED}|{_BARE}"),
    _valued(_PEOPLE, _BESIDE, f"{_QUOTED}|{_NUMBER}"),
    _valued(f"{_SERIALS}|{_SN}", _EQUALS, f"{_QUOTED}|{_CODE}"),
    _valued(_SERIALS, _BESIDE, f"{_QUOTED}|{_CODE}"),  # "SN 2023ixf" is a supernova
    _valued(_QUOTED_NAMES, r"\s*,\s*", f"{_QUOTED}|{_CODE}"),
)

# Every name above holds one of these: most texts hold none, and need no closer look.
_PARTS = "LAT LON LNG ALT ELE HEI HGT OBS NAME ADDR CITY STATE COUNTRY AUTHOR SERIAL SN ID"
_PARTS_OF_NAMES = tuple(_PARTS.split())

# A part of a path. Blanks belong to it only where a separator follows within a few words, and neither after a
# file's suffix nor before a fraction: "/data/a.fit and 2/6" ends at "a.fit".
_APOSTROPHE = r"(?<=\w)['’](?=\w)"
_WORD = rf"(?:[^\s/\\\"'<>|:]|{_APOSTROPHE})+"
_NO_SUFFIX = "".join(rf"(?<!\.{letters}{stop})" for letters in (r"\w\w", r"\w{3}", r"\w{4}") for stop in ("", "[,;.)]"))
_PART = rf"{_WORD}(?:{_NO_SUFFIX} +(?!\d+/|\w/){_WORD}){{0,4}}"
_LAST = rf"(?:[^\s/\\\"'<>|:,;()\[\]{{}}]|{_APOSTROPHE})+"
_FILE_URL = re.compile(rf"{_LEFT}file:/{{1,3}}(?:(?=[A-Z]:[\\/])|(.))", re.IGNORECASE)
# A server that holds somebody's files, or that is named with a login; ordinary web addresses stay.
_SERVER = re.compile(
    rf"{_LEFT}(?:(?:smb|cifs|nfs|afp|s?ftps?|ssh|scp|rsync|(?:web)?davs?):[\\/]{{1,3}}(?:[^\s'\"]*@)?|"
    r"https?:[\\/]{1,3}[^\s\\/]*@)[\w.:\[\]-]*([\\/]*)(?=([^\s'\",;)\]}>])?)",
    re.IGNORECASE,
)
_REMOTE = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w.-]+:(?=[\w.~/])")
_STARTS = r"(?<![^\s\"'(\[{<|=:,;@])"  # a path begins there, and not where a folder's name ends in a comma
_POSIX = re.compile(
    rf"{_STARTS}(?:(?:{HOME}|{TEMP}|(?:\.\.?/)*\.\.?)/+(?:{_PART}/+)*|(?:(?<!:)//|/(?!/))(?:{_PART}/+)+)({_LAST})/*"
)
_WINDOWS_ROOT = (
    rf"{_LEFT}[A-Za-z]:[\\/]+|(?<![\\\w])\\{{2,}}(?:[?.]\\+(?:UNC\\+|[A-Za-z]:\\+)?)?|(?:{HOME}|{TEMP}|\.\.?)\\+"
)
_WINDOWS = re.compile(rf"(?:{_WINDOWS_ROOT})(?:{_PART}[\\/]+)*({_LAST})[\\/]*")
_SOMEBODYS_HOME = re.compile(r"(?:[A-Z]:)?/(?:home|users)/[^/]+/?", re.IGNORECASE)

T = TypeVar("T")


@dataclass(frozen=True)
class PrivateWords:
    """What names the user and the machine.

    Attributes
    ----------
    users, hosts : tuple of str
        Login names, and the machine's names. Generic ones and those under three letters are let be.
    homes, temps : tuple of str
        Full paths of the home folder and of the folder for temporary files.
    """

    users: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    homes: tuple[str, ...] = ()
    temps: tuple[str, ...] = ()


def private_words() -> PrivateWords:
    """Find the names of this user and this machine, and the folders that carry them."""
    home = Path.home() if _has_home() else None
    users = (_login_name(), home.name if home else "")
    host = platform.node()
    homes, temps = (str(home),) if home else (), _folders_for_temporary_files()
    return PrivateWords(users, (host, host.split(".")[0]), homes, temps)


def redact_text(text: str, private: PrivateWords) -> str:
    """Give a text without what is private in it.

    Parameters
    ----------
    text : str
        Free text: a message, a name, a header value.
    private : PrivateWords
        From `private_words`.
    """
    text = _without_values(text)
    text = _replace_words(text, private.homes, HOME, _folder_pattern)
    text = _replace_words(text, private.temps, TEMP, _folder_pattern)
    if "/" in text or "\\" in text:
        text = _FILE_URL.sub(lambda match: f"/{match[1]}" if match[1] else "", text)
        text = _REMOTE.sub("", _SERVER.sub(_without_server, text))
        text = _WINDOWS.sub(_last_part, text)
        text = _POSIX.sub(_last_part, text)
    text = _MAIL.sub(REMOVED, _MAC.sub(REMOVED, text))
    text = _SERIAL.sub(r"\1<serial>", text)
    text = _replace_words(text, private.users, USER, _word_pattern)
    return _replace_words(text, private.hosts, HOST, _word_pattern)


def split_unit(text: str) -> tuple[str, str]:
    """Split the name that a header gives a telescope or a camera.

    Parameters
    ----------
    text : str
        Of a card such as CREATOR or INSTRUME: "ZWO Seestar S50_1a2b3c4d".

    Returns
    -------
    str, str
        The model, "ZWO Seestar S50", and what tells this unit from others, "1a2b3c4d"; the latter is empty where the
        name is a model's alone, and never goes into a result.
    """
    text = text.strip()
    seestar, unit = _SEESTAR.match(text), _UNIT.search(text)
    end = seestar.end() if seestar else unit.start() if unit else len(text)
    return (text[:end].rstrip(_JOINTS), text[end:].strip(_JOINTS)) if end < len(text) else (text, "")


def map_strings(value: T, change: Callable[[str], str]) -> T:
    """Give a copy of frozen dataclasses and tuples with every string in them changed."""
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return cast(T, change(value))
    if isinstance(value, tuple):
        return cast(T, tuple(map_strings(item, change) for item in value))
    if is_dataclass(value) and not isinstance(value, type):
        changed = {field.name: map_strings(getattr(value, field.name), change) for field in fields(value)}
        return cast(T, type(value)(**changed))
    return value


def _login_name() -> str:
    """Give the user's login name; empty where the system knows none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def _folders_for_temporary_files() -> tuple[str, ...]:
    """Give the folder for temporary files; none where the system has none that can be written."""
    try:
        return (tempfile.gettempdir(),)
    except OSError:
        return ()


def _has_home() -> bool:
    """Tell whether the user has a home folder that can be found."""
    try:
        Path.home()
    except RuntimeError:
        return False
    return True


def _without_values(text: str) -> str:
    """Give a text without the values of cards that tell a place, a person or a serial number."""
    capitals = text.upper()
    if any(part in capitals for part in _PARTS_OF_NAMES):
        for cards in _CARDS:
            text = cards.sub(rf"\1{REMOVED}", text)
    return text


def _without_server(match: re.Match[str]) -> str:
    """Give the start of a path in place of a server's address; of an address alone, nothing of it."""
    if not match[2]:
        return REMOVED
    return "\\\\-\\" if "\\" in match[1] else "/-/"


def _last_part(match: re.Match[str]) -> str:
    """Give the last part of a path; of somebody's home folder, not even that."""
    path = re.sub(r"[\\/]+", "/", match[0])
    return USER if _SOMEBODYS_HOME.fullmatch(path) else match[1]


def _replace_words(
    text: str, words: tuple[str, ...], placeholder: str, pattern: Callable[[tuple[str, ...]], re.Pattern[str] | None]
) -> str:
    """Replace all of the words by the placeholder."""
    compiled = pattern(words)
    return text if compiled is None else compiled.sub(placeholder, text)


@lru_cache(maxsize=16)
def _word_pattern(words: tuple[str, ...]) -> re.Pattern[str] | None:
    """Compile the names that are worth replacing; None where there are none."""
    telling = (word for word in words if len(word) >= MIN_WORD_LENGTH and word.lower() not in GENERIC_WORDS)
    return _any_of(telling, _LEFT, _RIGHT)


@lru_cache(maxsize=16)
def _folder_pattern(folders: tuple[str, ...]) -> re.Pattern[str] | None:
    """Compile folders, however their separators are written; None where there are none but roots."""
    parts = (re.split(r"[\\/]+", folder.rstrip("\\/")) for folder in folders)
    escaped = (_folder_expression(names) for names in parts if len(names) > 1)
    found = sorted(escaped, key=len, reverse=True)
    return re.compile(rf"(?<![\w.~])(?:{'|'.join(found)})(?![\w-])", re.IGNORECASE) if found else None


def _folder_expression(names: list[str]) -> str:
    """Write the names of a folder's path as an expression for any kind and number of separators."""
    edge = "" if names[0] else r"(?<![\\/])"
    return edge + r"[\\/]+".join(map(re.escape, names))


def _any_of(words: Iterable[str], left: str, right: str) -> re.Pattern[str] | None:
    """Compile "any of these, the longest first, between these edges"."""
    found = sorted(set(words), key=len, reverse=True)
    return re.compile(f"{left}(?:{'|'.join(map(re.escape, found))}){right}", re.IGNORECASE) if found else None
