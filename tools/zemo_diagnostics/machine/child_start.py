"""The first thing that a child process runs: by its path and isolated, before it imports anything of ours.

It imports from where its parent does and from nowhere else: neither what lies in the current folder nor PYTHONPATH
has a say. Where the same name leads to another file all the same, it ends before a line of that is run.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import sys
from pathlib import Path


def main(handed: str, module: str, *arguments: str) -> None:
    """Run a module's ``main``.

    Parameters
    ----------
    handed : str
        JSON of what `child_process.child_command` hands over: ``path``, the folders to import from, and ``files``, the
        file from which the parent has each package.
    module : str
        Full name of the module.
    *arguments : str
        What its ``main`` gets.
    """
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(encoding="utf-8")
    parent = json.loads(handed)
    sys.path[:] = parent["path"]
    for name, file in parent["files"].items():
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None or not Path(file).samefile(found.origin):
            sys.exit(f"it would import another {name} than zemo-diag itself did: start zemo-diag from another folder")
    importlib.import_module(module).main(*arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
