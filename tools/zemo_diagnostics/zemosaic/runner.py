"""The child that runs functions of a ZeMosaic under test: one job, from a JSON file to a JSON file.

One file, standard library and NumPy alone, because the interpreter of the checkout runs it, which need not have
anything of this project. `child` starts it as ``python -I -B -X utf8 runner.py JOB.json``, with an environment and a
current folder of its own, and says on stdin when to begin; when stdin closes, the parent is gone, and so is this.

From top to bottom: what is told to the parent; memory; functions lifted from a source; functions imported from a copy
of the checkout; values of a job; the jobs. Stdout carries nothing: foreign modules print there what they like.

Functions are got by a ladder. *Lifted*: the function and what it needs of its module, found by walking the names it
uses, are compiled alone; nothing else of the module runs. *Imported*: the module that holds the function, from a copy
of the checkout in this job's scratch, so that whatever importing writes beside itself, or truncates there, is not the
user's.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import contextlib
import ctypes
import dis
import functools
import importlib
import importlib.util
import inspect
import json
import logging
import os
import shutil
import signal
import sys
import threading
import time
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

WORKER, ALIGN_STACK = "zemosaic_worker", "zemosaic_align_stack"

# Where each function lives that a job may ask for.
HOMES = {
    "_infer_group_eqmode": WORKER,
    "_selftest_infer_group_eqmode": WORKER,
    "_entry_is_seestar": WORKER,
    "create_master_tile": WORKER,
    "_cpu_stack_kappa_fallback": ALIGN_STACK,
    "_cpu_stack_kappa_fallback_fullframe": ALIGN_STACK,
    "_cpu_stack_kappa_fallback_chunked": ALIGN_STACK,
    "_selftest_cpu_kappa_chunk_equivalence": ALIGN_STACK,
    "align_images_in_group": ALIGN_STACK,
}
KAPPA = {
    "fallback": "_cpu_stack_kappa_fallback",
    "fullframe": "_cpu_stack_kappa_fallback_fullframe",
    "chunked": "_cpu_stack_kappa_fallback_chunked",
}
SELFTESTS = ("_selftest_infer_group_eqmode", "_selftest_cpu_kappa_chunk_equivalence")

_LOGGER = "ZeMosaicWorker"  # ZeMosaic opens (and truncates) its log where this logger has no handler
_MOST_LINES = 50_000  # of one job; what comes after is counted, not kept
_LINE_CHARS = 4_000

Job = dict[str, Any]
Result = dict[str, Any]


class ImportFailed(Exception):  # noqa: N818 - a state of the checkout, told in one sentence
    """A module of the checkout cannot be imported."""


class CannotLift(Exception):  # noqa: N818 - not a failure: the next rung of the ladder is used
    """A function cannot be run without the rest of its module."""


class NotThere(Exception):  # noqa: N818
    """The checkout does not have a function that the job needs."""


# ------------------------------------------------------------------------------------- what the parent is told


class Events:
    """A file of lines of JSON that the parent reads while this process runs, and after it died."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace")
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self.lines = 0
        self.opened: set[str] | None = None  # files opened, where they are being noted

    def phase(self, what: str) -> None:
        """Say what begins now."""
        self._write({"phase": what})

    def line(
        self, source: str, level: str, message: object, progress: object = None, extra: dict[str, Any] | None = None
    ) -> None:
        """Pass on one line of the foreign code, from its progress callback or its logger."""
        self.lines += 1
        if self.lines > _MOST_LINES:
            return
        line = {"source": source, "level": str(level), "message": _text(message), "progress": plain(progress)}
        self._write(line | ({"extra": plain(extra)} if extra else {}))

    def _write(self, what: dict[str, Any]) -> None:
        text = json.dumps({"t": round(time.monotonic() - self._start, 3), **what})
        with self._lock:
            self._file.write(text + "\n")
            self._file.flush()

    def note_opened(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note a file that is opened; an audit hook, which must never raise."""
        if event != "open" or self.opened is None or len(self.opened) > 1000:
            return
        with contextlib.suppress(Exception):
            self.opened.add(os.fsdecode(arguments[0]))

    @contextlib.contextmanager
    def opened_files(self) -> Iterator[set[str]]:
        """Note which files are opened meanwhile, but for code."""
        names: set[str] = set()
        noted: set[str] = set()
        self.opened = noted
        try:
            yield names
        finally:
            self.opened = None
            names.update(name for name in noted if not name.endswith((".py", ".pyc", ".so", ".pyd")))


class _Listener(logging.Handler):
    """Passes on what is logged. That it is there keeps ZeMosaic from opening its log."""

    def __init__(self, events: Events) -> None:
        super().__init__()
        self._events = events

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):
            self._events.line(f"logger {record.name}", record.levelname, record.getMessage())


def listen(events: Events) -> None:
    """Take the place of ZeMosaic's own log file."""
    listener = _Listener(events)
    for name in (None, _LOGGER):
        logging.getLogger(name).addHandler(listener)
    logging.getLogger(_LOGGER).setLevel(logging.DEBUG)
    logging.getLogger(_LOGGER).propagate = False


def _text(value: object) -> str:
    try:
        return str(value)[:_LINE_CHARS]
    except Exception as error:  # noqa: BLE001 - foreign objects may raise anything
        return f"<{type(value).__name__} that cannot be written: {type(error).__name__}>"


def plain(value: Any) -> Any:
    """Bring a value to what JSON knows; what it does not know becomes text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return str(value)[:_LINE_CHARS] if isinstance(value, str) else value
    if isinstance(value, dict):
        return {_text(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return plain(value.item())
    return _text(value)


# ------------------------------------------------------------------------------------------------------ memory


class Memory(NamedTuple):
    """Resident memory now and at its highest, bytes, and what the latter was read from."""

    rss_bytes: int
    peak_bytes: int
    method: str


def read_memory() -> Memory:
    """Read this process's memory as the kernel keeps it; `peak_memory` does the same for our own processes."""
    status = Path("/proc/self/status")
    if status.exists():
        fields = {key: rest.split()[0] for key, _, rest in _partitioned(status) if rest.strip()}
        return Memory(int(fields["VmRSS"]) * 1024, int(fields["VmHWM"]) * 1024, "VmHWM")
    if sys.platform == "win32":
        counters = _ProcessMemoryCounters()
        counters.cb = ctypes.sizeof(counters)
        kernel32 = ctypes.WinDLL("kernel32")
        kernel32.GetCurrentProcess.restype = ctypes.c_void_p
        kernel32.K32GetProcessMemoryInfo(
            ctypes.c_void_p(kernel32.GetCurrentProcess()), ctypes.byref(counters), counters.cb
        )
        return Memory(counters.WorkingSetSize, counters.PeakWorkingSetSize, "peak working set")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Memory(0, peak, "ru_maxrss")


def _partitioned(path: Path) -> Iterable[tuple[str, str, str]]:
    return (line.partition(":") for line in path.read_text(encoding="utf-8").splitlines())


class _ProcessMemoryCounters(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS of the Windows API."""

    _fields_ = (
        ("cb", ctypes.c_uint32),
        ("PageFaultCount", ctypes.c_uint32),
        ("PeakWorkingSetSize", ctypes.c_size_t),
        ("WorkingSetSize", ctypes.c_size_t),
        ("QuotaPeakPagedPoolUsage", ctypes.c_size_t),
        ("QuotaPagedPoolUsage", ctypes.c_size_t),
        ("QuotaPeakNonPagedPoolUsage", ctypes.c_size_t),
        ("QuotaNonPagedPoolUsage", ctypes.c_size_t),
        ("PagefileUsage", ctypes.c_size_t),
        ("PeakPagefileUsage", ctypes.c_size_t),
    )


def measured(call: Callable[[], Any], events: Events) -> tuple[Any, Result]:
    """Call something; give what it returned, and what it took: memory and time."""
    reset = _reset_peak()
    before, wall, cpu = read_memory(), time.perf_counter(), time.process_time()
    events.phase("call")
    returned = call()
    took = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    after = read_memory()
    method = after.method + (", reset before the call" if reset else ", loading included")
    memory = {"baseline_bytes": before.rss_bytes, "peak_bytes": after.peak_bytes, "memory_method": method}
    return returned, {**took, **memory}


def _reset_peak() -> bool:
    """Bring the high-water mark down to what is resident now, where the kernel offers that (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    now = read_memory()
    return now.peak_bytes <= now.rss_bytes + (1 << 22)


# ------------------------------------------------------------------------- functions lifted from a source

# Modules whose import does nothing but give names. What a lifted statement may call of the others, see `_calls_of`.
_NAMES_ALONE = {
    "abc", "collections", "dataclasses", "decimal", "enum", "fractions", "functools", "itertools", "math", "operator",
    "re", "string", "threading", "types", "typing",
}  # fmt: skip
_PURE_OF = {"logging": {"getLogger"}, "pathlib": {"Path", "PurePath", "PurePosixPath", "PureWindowsPath"}}
_NUMPY_FILES = {"load", "save", "savez", "savez_compressed", "savetxt", "loadtxt", "genfromtxt", "memmap", "fromfile"}
_PURE_BUILTINS = {
    "abs", "bool", "bytes", "classmethod", "complex", "dict", "divmod", "enumerate", "float", "frozenset", "int",
    "isinstance", "len", "list", "max", "min", "object", "ord", "chr", "pow", "property", "range", "repr", "reversed",
    "round", "set", "slice", "sorted", "staticmethod", "str", "sum", "super", "tuple", "type", "zip",
}  # fmt: skip
_GLOBAL_READS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def lift(source: Path, name: str, tree: ast.Module) -> Any:
    """Make a function of a source file without running the rest of it.

    Parameters
    ----------
    source : Path
        A module of the checkout.
    name : str
        The function.
    tree : ast.Module
        The module, parsed. Nothing of it runs but what the function needs.

    Returns
    -------
    callable, or None
        None where nothing at the module's own level binds the name.

    Raises
    ------
    CannotLift
        With the name that would need more of the module.
    """
    bound = _bound(tree)
    if name not in bound and "*" not in bound:
        return None
    statements = _needed(name, bound, source)
    module = types.ModuleType(f"lifted_{source.stem}")
    module.__file__ = str(source)
    sys.modules[module.__name__] = module  # dataclasses look their module up there
    for statement in sorted(statements, key=lambda one: one.lineno):
        exec(_compiled(statement, source), module.__dict__)
    return module.__dict__[name]


def _parsed(source: Path) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source.read_bytes(), str(source))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise CannotLift(f"{source.name} cannot be read: {error}") from error


def _compiled(statement: ast.stmt, source: Path) -> types.CodeType:
    """Compile one statement; annotations stay text, so that they need no names."""
    module = ast.Module([statement], [])
    flags = __future__.annotations.compiler_flag
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code: types.CodeType = compile(module, str(source), "exec", flags=flags, dont_inherit=True)
    return code


def _bound(tree: ast.Module) -> dict[str, list[ast.stmt]]:
    """Map each name of a module to the top-level statements that bind it."""
    bound: dict[str, list[ast.stmt]] = {}
    for statement in tree.body:
        for name in _names_bound(statement):
            bound.setdefault(name, []).append(statement)
    return bound


def _names_bound(node: ast.AST) -> set[str]:
    """Find the names that a statement binds in its own scope."""
    if isinstance(node, _DEFINITIONS):
        return {node.name}
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Store) else set()
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        return set()
    return {name for child in ast.iter_child_nodes(node) for name in _names_bound(child)}


def _needed(wanted: str, bound: dict[str, list[ast.stmt]], source: Path) -> list[ast.stmt]:
    """Collect the statements that a name needs, each checked to be without side effects."""
    chosen: list[ast.stmt] = []
    waiting, seen = [wanted], {wanted}
    while waiting:
        name = waiting.pop()
        statement = _only_binding(name, bound)
        if statement in chosen:
            continue
        _refuse_side_effects(statement, name, bound)
        chosen.append(statement)
        for other in _globals_read(_compiled(statement, source)) - seen:
            seen.add(other)
            if other in bound:
                waiting.append(other)
            elif not hasattr(builtins, other) and other not in {"__name__", "__file__", "__module__", "__qualname__"}:
                raise CannotLift(f"{name} uses {other}, which {source.name} does not define by itself")
    return chosen


def _only_binding(name: str, bound: dict[str, list[ast.stmt]]) -> ast.stmt:
    """Give the statement that binds a name; of several definitions the last, as Python does."""
    statements = bound.get(name, [])
    if not statements:
        raise CannotLift(f"{name} is not defined at the top level")
    if len({type(one) for one in statements}) > 1 or not (len(statements) == 1 or isinstance(statements[0], _REPEATED)):
        raise CannotLift(f"{name} is set in several places")
    if not isinstance(statements[-1], (*_REPEATED, ast.Assign, ast.AnnAssign)):
        raise CannotLift(f"{name} is set under a condition")
    return statements[-1]


_REPEATED = (*_DEFINITIONS, ast.Import, ast.ImportFrom)


def _globals_read(code: types.CodeType) -> set[str]:
    """Find the names that compiled code, and what it holds, takes from its module."""
    read, stored = set(), set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in _GLOBAL_READS:
            read.add(str(instruction.argval))
        elif instruction.opname == "STORE_NAME":
            stored.add(str(instruction.argval))
    if code.co_name != "<module>":
        read -= stored  # names of a class's own body
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            read |= _globals_read(constant)
    return read


def _refuse_side_effects(statement: ast.stmt, name: str, bound: dict[str, list[ast.stmt]]) -> None:
    """Raise `CannotLift` where running a statement could do more than bind a name."""
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        _refuse_foreign_import(statement, name)
        return
    for called in _called_when_run(statement):
        if not _is_pure(called, bound):
            raise CannotLift(f"{name} is made by calling {ast.unparse(called)}, which may do more")


def _refuse_foreign_import(statement: ast.Import | ast.ImportFrom, name: str) -> None:
    modules = [a.name for a in statement.names] if isinstance(statement, ast.Import) else [statement.module or ""]
    relative = isinstance(statement, ast.ImportFrom) and statement.level
    for module in modules:
        root = module.partition(".")[0]
        if relative or (root != "numpy" and root not in sys.stdlib_module_names):
            raise CannotLift(f"{name} is imported from {'.' if relative else ''}{module}")


def _called_when_run(node: ast.AST) -> Iterator[ast.expr]:
    """Give what is called when a statement runs: not what the functions that it defines will call."""
    children: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.Call):
        yield node.func
    elif isinstance(node, _DEFINITIONS):
        yield from (one for one in node.decorator_list if not isinstance(one, ast.Call))
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        children = (*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults))
    elif isinstance(node, ast.Lambda):
        children = (*node.args.defaults, *filter(None, node.args.kw_defaults))
    elif isinstance(node, ast.AnnAssign):
        children = () if node.value is None else (node.value,)
    for child in children:
        yield from _called_when_run(child)


def _is_pure(function: ast.expr, bound: dict[str, list[ast.stmt]]) -> bool:
    """Tell whether calling something by its name is known to have no side effects."""
    attributes: list[str] = []
    while isinstance(function, ast.Attribute):
        attributes.insert(0, function.attr)
        function = function.value
    if isinstance(function, ast.Constant):
        return True  # a method of a text
    if not isinstance(function, ast.Name):
        return False
    if function.id not in bound:
        return function.id in _PURE_BUILTINS
    statement = bound[function.id][-1]
    if isinstance(statement, ast.ImportFrom):
        return _is_pure_of(statement.module or "", [_imported_as(statement, function.id), *attributes])
    if isinstance(statement, ast.Import):
        return _is_pure_of(_imported_as(statement, function.id), attributes)
    return False


def _imported_as(statement: ast.Import | ast.ImportFrom, name: str) -> str:
    """Give what an import calls `name`."""
    return next((a.name for a in statement.names if (a.asname or a.name.partition(".")[0]) == name), name)


def _is_pure_of(module: str, attributes: Sequence[str]) -> bool:
    root = module.partition(".")[0]
    if root == "numpy":
        return not _NUMPY_FILES & set(attributes)
    if root in _PURE_OF:
        return len(attributes) == 1 and attributes[0] in _PURE_OF[root]
    return root in _NAMES_ALONE


# ------------------------------------------------------------- functions imported from a copy of the checkout

_COPIED = (
    ".py", ".pyd", ".so", ".dylib", ".dll", ".json", ".txt", ".toml", ".ini", ".cfg", ".yaml", ".yml", ".csv",
)  # fmt: skip
_LARGEST_BYTES, _MOST_BYTES, _MOST_FILES = 16 << 20, 512 << 20, 5_000


def copy_checkout(checkout: Path, target: Path, modules_only: bool) -> None:
    """Copy what may be imported: code and its small data, without repositories, environments and caches.

    Raises
    ------
    ImportFailed
        The checkout holds too much beside its code.
    """
    target.mkdir()
    files, total = 0, 0
    for folder, folders, names in os.walk(checkout):
        here = Path(folder)
        folders[:] = [] if modules_only else [name for name in folders if not _is_skipped(here / name)]
        for name in names:
            source = here / name
            if not _is_copied(source, modules_only):
                continue
            files, total = files + 1, total + source.stat().st_size
            if files > _MOST_FILES or total > _MOST_BYTES:
                raise ImportFailed(
                    f"it cannot be imported from a copy: beside its code it holds more than {_MOST_FILES:,} small "
                    f"files or {_MOST_BYTES >> 20} MiB; move what is not ZeMosaic's elsewhere"
                )
            copied = target / source.relative_to(checkout)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copied)


def _is_skipped(folder: Path) -> bool:
    return folder.name.startswith(".") or folder.name == "__pycache__" or (folder / "pyvenv.cfg").exists()


def _is_copied(source: Path, modules_only: bool) -> bool:
    if modules_only:
        return source.name in (f"{WORKER}.py", f"{ALIGN_STACK}.py")
    with contextlib.suppress(OSError):
        return source.suffix.lower() in _COPIED and source.is_file() and source.stat().st_size <= _LARGEST_BYTES
    return False


class Functions:
    """The functions of the checkout, each got by the first rung of the ladder that holds; `steps` says which, and why.

    Parameters
    ----------
    job : dict
        With ``checkout`` (its folder), ``scratch``, ``rungs`` (``"lifted"``, ``"imported"``), ``modules_only``.
    events : Events
        Is told when a module is being imported.
    """

    def __init__(self, job: Job, events: Events) -> None:
        self._checkout, self.copy = Path(job["checkout"]), Path(job["scratch"]) / "checkout"
        self._rungs, self._modules_only = job["rungs"], bool(job["modules_only"])
        self._events = events
        self._trees: dict[Path, ast.Module] = {}
        self._imported: dict[str, types.ModuleType] = {}
        self._got: dict[str, Callable[..., Any]] = {}
        self.steps: list[Result] = []
        self.stubbed: list[str] = []

    def get(self, name: str, home: str | None = None) -> Callable[..., Any]:
        """Give a function of the checkout; its module need not be named where `HOMES` does.

        Raises
        ------
        NotThere
            It has none of this name.
        ImportFailed
            The last rung needed a module that cannot be imported.
        """
        if name not in self._got:
            self._got[name] = self._climb(name, home or HOMES[name])
        return self._got[name]

    def _climb(self, name: str, home: str) -> Callable[..., Any]:
        """Get a function by the first rung that holds."""
        if not (self._checkout / f"{home}.py").is_file():
            raise NotThere(f"the checkout has no {home}.py")
        for rung in self._rungs:
            step = {"function": name, "module": home, "rung": rung, "ok": True, "why": ""}
            try:
                function = self._lifted(name, home) if rung == "lifted" else getattr(self.module(home), name, None)
            except CannotLift as error:
                self.steps.append({**step, "ok": False, "why": str(error)})
                continue
            if not callable(function):
                raise NotThere(f"{home}.py has no {name}")
            self.steps.append(step)
            return function  # type: ignore[no-any-return]
        raise NotThere(self.steps[-1]["why"])

    def _lifted(self, name: str, home: str) -> Any:
        """Lift a function; None where its module does not define it in any way."""
        source = self._checkout / f"{home}.py"
        if source not in self._trees:
            self._trees[source] = _parsed(source)
        return lift(source, name, self._trees[source])

    def make_copy(self) -> None:
        """Copy the checkout, once, and let its modules be found."""
        if not self.copy.exists():
            self._events.phase("copying the checkout")
            copy_checkout(self._checkout, self.copy, self._modules_only)
            sys.path.insert(0, str(self.copy))

    def module(self, name: str) -> types.ModuleType:
        """Import a module from a copy of the checkout."""
        if name in self._imported:
            return self._imported[name]
        self.make_copy()
        if name == WORKER and importlib.util.find_spec("zarr") is None:
            zarr = types.ModuleType("zarr")  # needed to import, used in other phases alone
            zarr.__version__ = "3.0.0"  # type: ignore[attr-defined]
            sys.modules["zarr"] = zarr
            self.stubbed.append("zarr")
        self._events.phase(f"importing {name}")
        try:
            module = importlib.import_module(name)
        except BaseException as error:
            raise ImportFailed(f"{name} cannot be imported: {_how_it_failed(error)}") from error
        self._events.phase(f"imported {name}")
        self._imported[name] = module
        return module


def _how_it_failed(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r})"
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"the package {error.name} is not there for the interpreter that was used"
    return f"{type(error).__name__}: {_text(error) or 'without a message'}"


# -------------------------------------------------------------------------------------------- values of a job


def decoded(value: Any) -> Any:
    """Make the values of a job: plain ones as they are, others by their tag ``"$"``."""
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$" not in value:
        return {key: decoded(item) for key, item in value.items()}
    return _DECODERS[value["$"]](value)


def _numpy_scalar(value: dict[str, Any]) -> Any:
    import numpy as np

    return np.dtype(value["dtype"]).type(value["value"])


def _header(value: dict[str, Any]) -> Any:
    """Make a header of cards: 80-character images, or (keyword, value, comment)."""
    cards = value["cards"]
    if value["form"] == "dict" and not any(isinstance(card, str) for card in cards):
        return {card[0]: card[1] for card in reversed(cards)}  # of a keyword given twice the first, as FITS readers do
    fits = importlib.import_module("astropy.io.fits")
    texts = [card for card in cards if isinstance(card, str)]
    if len(texts) == len(cards):
        header = fits.Header.fromstring("".join(text.ljust(80) for text in texts))
    else:
        header = fits.Header([fits.Card.fromstring(c) if isinstance(c, str) else tuple(c) for c in cards])
    return dict(header) if value["form"] == "dict" else header


def _wcs(value: dict[str, Any]) -> Any:
    wcs = importlib.import_module("astropy.wcs")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return wcs.WCS(_header({"form": "fits.Header", "cards": value["cards"]}), naxis=2)


_DECODERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "numpy": _numpy_scalar,
    "header": _header,
    "wcs": _wcs,
    "tuple": lambda value: tuple(decoded(value["items"])),
}


# --------------------------------------------------------------------------------------------------- the jobs


def _import(job: Job, functions: Functions, events: Events) -> Result:
    """Import one module, and say what that leaves behind."""
    if not job["guarded"]:
        logging.getLogger(_LOGGER).handlers.clear()
    functions.make_copy()
    before = set(threading.enumerate())
    with events.opened_files() as opened:
        _, took = measured(lambda: functions.module(job["module"]), events)
    left = [thread.name for thread in threading.enumerate() if thread not in before]
    files = [h for h in logging.getLogger(_LOGGER).handlers if isinstance(h, logging.FileHandler)]
    logs = [Path(handler.baseFilename).name for handler in files]
    return {"threads_left": left, "log_files": logs, "read_beside": _beside(opened, functions.copy), **took}


def _beside(opened: Iterable[str], folder: Path) -> list[str]:
    """Name the files of a folder that were opened."""
    return sorted({str(Path(name).relative_to(folder)) for name in opened if Path(name).is_relative_to(folder)})


def _infer(job: Job, functions: Functions, events: Events) -> Result:
    """Ask for the mode of each group; and, where asked, whether one of its entries is a Seestar's."""
    infer = functions.get("_infer_group_eqmode") if job["modes"] else None
    is_seestar = functions.get("_entry_is_seestar") if job["seestar"] else None
    events.phase("call")
    return {"groups": [_judged(group, infer, is_seestar, events) for group in job["groups"]]}


def _judged(
    coded: Any, infer: Callable[..., Any] | None, is_seestar: Callable[..., Any] | None, events: Events
) -> Result:
    """Judge one group; what it raises is its result."""
    try:
        group, untouched = decoded(coded), decoded(coded)  # looking at a header may mend it: so at another, afterwards
        with events.opened_files() as opened:
            mode = infer(group) if infer else None
            seestar = any(is_seestar(entry) for entry in group) if is_seestar else None
    except Exception as error:  # noqa: BLE001 - of foreign code
        return {"raised": raised(error)}
    changed = repr(group) != repr(untouched)
    return {"mode": plain(mode), "seestar": plain(seestar), "changed": changed, "opened": sorted(opened)[:20]}


def _kappa(job: Job, functions: Functions, events: Events) -> Result:
    """Stack frames by one of the kappa functions."""
    import numpy as np

    stack = functions.get(KAPPA[job["function"]])
    said: list[str] = []
    options: dict[str, Any] = {"sigma_low": job["sigma_low"], "sigma_high": job["sigma_high"]}
    if job["weights"] is not None:
        options["weights"] = np.load(job["weights"])
    if job["chunk_rows"] is not None:
        options["chunk_rows"] = job["chunk_rows"]
    if job["callback"] is not None:
        options["progress_callback"] = _callback(job["callback"], said, events)
    frames = _handed_over(job["frames"], job["hand_over"])
    before = _bytes_of(frames) if job["watch"] else None
    (stacked, rejected_pct), took = measured(lambda: stack(frames, **options), events)
    np.save(job["stacked"], stacked)
    kind = {"dtype": str(getattr(stacked, "dtype", type(stacked).__name__)), "shape": list(np.shape(stacked))}
    changed = before is not None and _bytes_of(frames) != before
    told = {"callbacks": len(said), "said": said[:20], "frames_changed": changed}
    return {"rejected_pct": plain(rejected_pct), **told, **kind, **took}


def _bytes_of(frames: Any) -> list[bytes]:
    return [frame.tobytes() for frame in frames]


def _handed_over(paths: Sequence[str], how: str) -> Any:
    """Open frames as a function wants them: lists of arrays in memory or of memory maps, one array, a generator.

    A path that ends in ``.stack.npy`` holds many frames, along its first axis.
    """
    import numpy as np

    opened = (np.load(path, mmap_mode="r" if how == "lazy" else None) for path in paths)
    pairs = zip(paths, opened, strict=True)  # one at a time: a generator holds no more
    frames = (frame for path, array in pairs for frame in (array if path.endswith(".stack.npy") else [array]))
    if how == "lazy":
        return list(frames)
    if how == "generator":
        return frames
    if how == "array":
        return np.stack(list(frames))
    return [np.ascontiguousarray(frame, np.float32) if how == "float32" else frame for frame in frames]


def _callback(how: str, said: list[str], events: Events) -> Callable[..., None]:
    """Make a progress callback that counts, or one that counts and raises."""

    def callback(message: Any, progress: Any = None, level: Any = "", **extra: Any) -> None:
        said.append(_text(message))
        if how == "raise":
            raise RuntimeError("a progress callback that raises")
        events.line("progress", level, message, progress, extra)

    return callback


# What each self-test is about, and how that is made wrong, to see whether the test notices.
_SABOTAGE: dict[str, tuple[str, Callable[..., Any]]] = {
    SELFTESTS[0]: ("_infer_group_eqmode", lambda _right, _group: "EQ"),
    SELFTESTS[1]: (KAPPA["chunked"], lambda right, *given, **options: _nudged(*right(*given, **options))),
}


def _nudged(stacked: Any, rejected_pct: Any) -> tuple[Any, Any]:
    """Make a stack that is wrong by more than any tolerance."""
    return stacked + 1, rejected_pct


def _selftests(job: Job, functions: Functions, events: Events) -> Result:
    """Run the self-tests that the checkout has; where asked, with what they test made wrong."""
    return {"selftests": {name: _selftest(name, functions, events, job["sabotage"]) for name in SELFTESTS}}


def _selftest(name: str, functions: Functions, events: Events, sabotage: bool) -> Result:
    try:
        test = functions.get(name)
    except (NotThere, ImportFailed) as error:
        return {"state": "absent", "detail": str(error)}
    tested, wrong = _SABOTAGE[name]
    if sabotage:
        if tested not in test.__globals__:
            return {"state": "absent", "detail": f"it does not use {tested}"}
        test.__globals__[tested] = functools.partial(wrong, test.__globals__[tested])
    events.phase("call")
    try:
        returned = test()
    except AssertionError as error:
        return {"state": "failed", "detail": _text(error)}
    except Exception as error:  # noqa: BLE001 - of foreign code
        return {"state": "raised", "detail": raised(error)["told"]}
    return {"state": "failed" if returned is False else "passed", "detail": ""}


def _align(job: Job, functions: Functions, events: Events) -> Result:
    """Align frames on one of them, and keep what became of each."""
    import numpy as np

    align = functions.get("align_images_in_group")
    frames = _handed_over(job["frames"], "float32")
    options = {"reference_image_index": job["reference"], "propagate_mask": job["propagate_mask"]}
    call = _callback("count", [], events)
    (aligned, failed), took = measured(lambda: align(frames, **options, progress_callback=call), events)
    files: list[str | None] = []
    for index, frame in enumerate(aligned):
        target = Path(job["aligned"]) / f"aligned_{index}.npy"
        files.append(None if frame is None else str(target))
        if frame is not None:
            np.save(target, np.asarray(frame))
    return {"aligned": files, "failed": plain(list(failed)), **took}


def _master_tile(job: Job, functions: Functions, events: Events) -> Result:
    """Build one master tile from caches; its lines are passed on as they come."""
    build = functions.get("create_master_tile")
    arguments = {key: decoded(value) for key, value in job["arguments"].items()}
    told: dict[str, Any] = {}
    if "tile_metadata" in inspect.signature(build).parameters:
        arguments["tile_metadata"] = told
    entries = [decoded(entry) for entry in job["entries"]]
    arguments["progress_callback"] = _callback("count", [], events)
    call = functools.partial(build, entries, job["tile_id"], job["output"], **arguments)
    with events.opened_files() as opened:
        (made, retries), took = measured(call, events)
    path, wcs = made if made is not None else (None, None)
    return {
        "master": None if path is None else str(path),
        "wcs": None if wcs is None else _wcs_cards(wcs),
        "retry_groups": [[_retried(entry) for entry in group] for group in retries or []],
        "told": plain(told),
        "read_beside": _beside(opened, functions.copy),
        "cleanup": _cleanup(functions.module(WORKER)),
        **took,
    }


def _cleanup(worker: types.ModuleType) -> Result:
    """Tell whether ZeMosaic could load what cleans tiles; where it could not, it builds them uncleaned, silently."""
    if not hasattr(worker, "_LECROPPER_AVAILABLE"):
        return {"available": None, "why": ""}
    try:
        importlib.import_module("lecropper")  # versions from 2026-04 on load it late, and not for each tile
    except BaseException as error:  # noqa: BLE001 - whatever foreign code raises is the reason
        return {"available": False, "why": _how_it_failed(error)}
    return {"available": True, "why": ""}


def _wcs_cards(wcs: Any) -> list[list[Any]]:
    return [[card.keyword, plain(card.value), card.comment] for card in wcs.to_header(relax=True).cards]


def _retried(entry: Any) -> Any:
    """Keep of an entry that is tried again what JSON knows by itself."""
    if not isinstance(entry, dict):
        return plain(entry)
    kept = {key: value for key, value in entry.items() if isinstance(value, (str, int, float, list, tuple, type(None)))}
    return plain(kept)


def _decide(job: Job, functions: Functions, events: Events) -> Result:
    """Ask what is decided over runs and their tiles, and what is logged of it, where that is done by functions."""
    names = (
        "summarize_eqmodes", "decide_global_altaz_cleanup", "decide_tile_altaz_cleanup", "log_run_cleanup",
        "log_tile_cleanup",
    )  # fmt: skip
    summarize, decide_run, decide_tile, log_run, log_tile = (functions.get(name, WORKER) for name in names)
    events.phase("call")
    runs = []
    for run in job["runs"]:
        groups = [decoded(group) for group in run["groups"]]
        said: list[list[str]] = []
        callback = _noting(said, raising=run["raising"])
        summary = summarize([entry for group in groups for entry in group])
        decided = decide_run(run["requested"], summary)
        log_run(summary, decided, callback)
        tiles = [decide_tile(tile_id, group, decided.effective) for tile_id, group in enumerate(groups)]
        for tile in tiles:
            log_tile(tile, callback)
        counts = [plain(getattr(summary, name)) for name in ("eq", "altaz", "unknown", "total", "contains_altaz")]
        flags = {"enabled": plain(decided.effective), "tiles": [plain(tile.tile_enabled) for tile in tiles]}
        why = {"reason": plain(decided.reason), "reasons": [_why(tile) for tile in tiles]}
        runs.append({"counts": counts, **flags, **why, "said": said})
    return {"runs": runs}


def _why(tile: Any) -> Result:
    """Give what a tile's decision rests on."""
    named = ("mode", "entry_index", "key", "value")
    return {"reason": plain(tile.reason), **{name: plain(getattr(tile.evidence, name)) for name in named}}


def _noting(said: list[list[str]], *, raising: bool) -> Callable[..., None]:
    """Make a progress callback that notes (level, message)."""

    def callback(message: Any, _progress: Any = None, level: Any = "", **_extra: Any) -> None:
        said.append([_text(level), _text(message)])
        if raising:
            raise RuntimeError("a progress callback that raises")

    return callback


def _batch(job: Job, functions: Functions, events: Events) -> Result:
    """Do several jobs in this one process; each has its own result, or its own failure."""
    results = []
    for index, one in enumerate(job["jobs"]):
        events.phase(f"doing job {index}")
        results.append(done(one, functions, events))
    return {"results": results}


_JOBS: dict[str, Callable[[Job, Functions, Events], Result]] = {
    "batch": _batch,
    "decide": _decide,
    "import": _import,
    "infer": _infer,
    "kappa": _kappa,
    "selftests": _selftests,
    "align": _align,
    "master_tile": _master_tile,
}


def raised(error: BaseException) -> Result:
    """Tell what foreign code raised, and where in it."""
    frames = [f for f in _tracebacks(error) if f[0] != __file__]
    where = f"{Path(frames[-1][0]).name}:{frames[-1][1]}" if frames else ""
    told = f"{type(error).__name__}: {_text(error) or 'without a message'}"
    return {"type": type(error).__name__, "message": _text(error), "where": where, "told": told}


def _tracebacks(error: BaseException) -> Iterator[tuple[str, int]]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next


def done(job: Job, functions: Functions, events: Events) -> Result:
    """Do a job; how it failed is a result too."""
    try:
        return _JOBS[job["kind"]](job, functions, events)
    except ImportFailed as error:
        return {"import_failed": str(error)}
    except NotThere as error:
        return {"not_there": str(error)}
    except BaseException as error:  # noqa: BLE001 - SystemExit too: whatever foreign code raises is the result
        return {"raised": raised(error)}


def do(job: Job, events: Events) -> Result:
    """Do the job that this process was started for, and tell how its functions were got."""
    functions = Functions(job, events)
    result = done(job, functions, events)
    lost = max(0, events.lines - _MOST_LINES)
    return {**result, "steps": functions.steps, "stubbed": functions.stubbed, "lines_not_kept": lost}


# ------------------------------------------------------------------------------------------------ this process


def _begin_and_end_with_parent() -> None:
    """Wait until the parent says to begin; from then on, end with it. Foreign code gets an empty stdin."""
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if not os.read(pipe, 1):
        os._exit(1)
    threading.Thread(target=_end_with_parent, args=(pipe,), daemon=True).start()


def _end_with_parent(pipe: int) -> None:
    """End this process, and what it started, when the parent's end of the pipe closes."""
    with contextlib.suppress(OSError):
        while os.read(pipe, 4096):
            pass
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)  # on Windows the job object ends the others


def _no_error_boxes() -> None:
    """Let Windows end a crashed process without a window that waits for somebody."""
    if sys.platform == "win32":
        ctypes.WinDLL("kernel32").SetErrorMode(0x0001 | 0x0002 | 0x8000)


def main(job_file: Path) -> None:
    """Do the job in a file; write its result to ``result.json`` beside it."""
    _no_error_boxes()
    _begin_and_end_with_parent()
    events = Events(job_file.parent / "events.jsonl")
    listen(events)
    sys.addaudithook(events.note_opened)
    job = json.loads(job_file.read_text(encoding="utf-8"))
    sys.path.extend(job["extra_paths"])
    try:
        importlib.import_module("numpy")
    except BaseException as error:  # noqa: BLE001 - a broken NumPy raises many things
        result: Result = {"import_failed": f"numpy cannot be imported: {_how_it_failed(error)}", "steps": []}
    else:
        result = do(job, events)
    target = job_file.parent / "result.json"
    part = target.with_suffix(".part")
    part.write_text(json.dumps(result), encoding="utf-8")
    part.replace(target)
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)  # threads and exit handlers that foreign code left do not run on


if __name__ == "__main__":
    main(Path(sys.argv[1]))
elif __name__ == "__mp_main__":  # a process that foreign code spawns: it must not open ZeMosaic's log either
    logging.getLogger(_LOGGER).addHandler(logging.NullHandler())
