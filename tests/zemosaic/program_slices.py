"""Decisions that stand inline in a program's own functions, taken out of it and run, in a process of its own.

Usage: python -I program_slices.py CASES.json. The file names a ``worker`` (its source) and lists ``cases``; the answers
go to stdout as JSON. The run's decision is the statements of a run's function from the summary's to the line of flags;
the tile's is those of the nested function that submits a group, up to its line.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SUBMITS = "_submit_master_tile_group"


def assigns(statement: ast.stmt, name: str) -> bool:
    """Tell whether a statement assigns a name at its own level."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def between(body: list[ast.stmt], first: str, last: str) -> list[ast.stmt]:
    """Give the statements from the one that assigns `first` up to the one before `last` is assigned."""
    starts = [index for index, one in enumerate(body) if assigns(one, first)]
    ends = [index for index, one in enumerate(body) if assigns(one, last)]
    return body[starts[0] : ends[0]] if starts and ends else []


def run_slice(classic: ast.FunctionDef) -> list[ast.stmt]:
    """Take out the decision over a run."""
    part = between(classic.body, "eqmode_summary_source", "pipeline_flags_msg")
    return [one for one in classic.body if isinstance(one, ast.FunctionDef) and one.name == "_safe_int"] + part


def tile_slice(classic: ast.FunctionDef) -> list[ast.stmt]:
    """Take out the decision over a tile; nothing where the version has none."""
    submits = next(one for one in ast.walk(classic) if isinstance(one, ast.FunctionDef) and one.name == SUBMITS)
    starts = [index for index, one in enumerate(submits.body) if assigns(one, "group_eqmode")]
    ends = [index for index, one in enumerate(submits.body) if "P3_ALTaz_GATING" in ast.unparse(one)]
    return submits.body[starts[0] : ends[0] + 1] if starts and ends else []


def flag_that_is_passed(function: ast.FunctionDef, place: int) -> list[str]:
    """Name what a function's submissions pass for a parameter of ``create_master_tile``."""
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and node.args]
    return [ast.unparse(one.args[1 + place]) for one in calls if getattr(one.args[0], "id", "") == "create_master_tile"]


def executed(statements: list[ast.stmt], names: dict[str, Any]) -> dict[str, Any]:
    """Run statements."""
    exec(compile(ast.Module(statements, []), "slice", "exec"), names)
    return names


class Log:
    """Stands in for the program's logger and its progress callback."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, text: str, *values: Any) -> None:
        """Note a line."""
        self.lines.append(text % values if values else text)

    warning = info

    def __call__(self, text: str, **_: Any) -> None:
        """Note a line of the callback."""
        self.lines.append(text)


def judged(case: dict[str, Any], run: list[ast.stmt], tile: list[ast.stmt]) -> dict[str, Any]:
    """Give what the program decides over a case, and the lines that it logs."""
    settings = SimpleNamespace(altaz_unknown_policy=case["policy"]) if "policy" in case else SimpleNamespace()
    log = Log()
    names = {
        "filter_overrides": {"eqmode_summary": case["summary"], **case["overrides"]},
        "plan_override": {},
        "global_wcs_plan": {},
        "quality_crop_enabled_config": False,
        "altaz_cleanup_enabled_config": case["requested"],
        "zconfig": settings,
        "logger": log,
        "pcb": lambda *_, **__: None,
        "_LECROPPER_AVAILABLE": True,
        "Any": Any,
    }
    flag = executed(run, names)["altaz_cleanup_effective_flag"]
    answer: dict[str, Any] = {"run": flag, "run_lines": log.lines}
    if tile:
        log = Log()
        names = {
            "group_info_list": [{"seestar": one} for one in case["seestar"]],
            "assigned_tile_id": case["tile_id"],
            "altaz_cleanup_effective_flag": flag,
            "zconfig": settings,
            "_infer_group_eqmode": lambda _: case["mode"],
            "_entry_is_seestar": lambda entry: entry["seestar"],
            "pcb": log,
        }
        answer |= {"tile": executed(tile, names)["altaz_cleanup_for_tile"], "tile_lines": log.lines}
    return answer


def main(cases_file: Path) -> None:
    """Judge all cases."""
    told = json.loads(cases_file.read_text(encoding="utf-8"))
    tree = ast.parse(Path(told["worker"]).read_bytes())
    functions = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef)}
    classic, other = functions["run_hierarchical_mosaic_classic_legacy"], functions["run_hierarchical_mosaic"]
    place = [one.arg for one in functions["create_master_tile"].args.args].index("altaz_cleanup_enabled")
    run, tile = run_slice(classic), tile_slice(classic)
    answers = [judged(case, run, tile) for case in told["cases"]]
    passed = [flag_that_is_passed(function, place) for function in (classic, other)]
    sys.stdout.write(json.dumps({"passed": passed, "answers": answers}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
