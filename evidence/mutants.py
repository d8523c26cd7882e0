"""Mutation testing of the gate and of what it rests on: `python -m evidence.mutants`.

    python -m evidence.mutants gate states reach kin held zones compare mask [--out FOLDER] [--list]

Does: makes one small change at a time in a module of `alpr_edge.exclusion` (a comparison turned,
`and` for `or`, a `not` or a call left out, plus for minus, a number one more, true for false,
`continue` for `break`), runs the tests of that module against it, and writes down which changes no
test noticed.
Does not: change defaults and constants at the top of modules and classes; those are chosen values,
and what they are worth is measured by the street, not asserted.

An own runner, not mutmut: a mutant must meet only the tests that are named for its module, forked
from one process with all libraries loaded, or the run takes a day. mutmut was not measured. The
quick tests come first and end the run at the first failure; properties are tried with few examples.

Results are kept in pieces: it goes on where it stopped while module and tests are the same.
`mutants-explained.txt` names survivors and why no test can or need tell them from the original.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.util
import os
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from evidence.pieces import ROOT, Row, code_digest, run_pieces

TESTS = {
    "gate": ["test_gate.py", "test_gate_rules.py", "test_gate_stateful.py", "test_tiny_grid.py"],
    "states": ["test_states.py", "test_gate.py"],
    "reach": ["test_reach.py", "test_gate.py"],
    "kin": ["test_kin.py", "test_gate.py"],
    "held": ["test_held.py", "test_gate.py"],
    "zones": ["test_zones.py", "test_gate.py"],
    "mask": ["test_mask.py"],
    "release_hold": ["test_release_hold.py"],
    "compare": ["test_compare.py"],
}
EXPLAINED = Path(__file__).with_name("mutants-explained.txt")
TIMEOUT_S = 120
_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_OTHER: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.Pow: ast.Mult,
}  # fmt: skip


def changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Every small change of one node, named."""
    if isinstance(node, ast.Compare):
        for i, operator in enumerate(node.ops):
            turned = copy.deepcopy(node)
            turned.ops[i] = _TURNED[type(operator)]()
            yield f"{type(operator).__name__} turned", turned
    elif isinstance(node, ast.BoolOp):
        swapped = copy.deepcopy(node)
        swapped.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "and/or swapped", swapped
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not left out", node.operand
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "minus left out", node.operand
    elif isinstance(node, ast.BinOp) and type(node.op) in _OTHER:
        other = copy.deepcopy(node)
        other.op = _OTHER[type(node.op)]()
        yield f"{type(node.op).__name__} replaced", other
    elif isinstance(node, ast.AugAssign) and type(node.op) in _OTHER:
        changed = copy.deepcopy(node)
        changed.op = _OTHER[type(node.op)]()
        yield "augmented assignment replaced", changed
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "true/false swapped", ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield "one more", ast.Constant(node.value + 1)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "call left out", ast.Pass()
    elif isinstance(node, ast.Continue):
        yield "break", ast.Break()


def mutants(source: str) -> Iterator[tuple[str, ast.Module]]:
    """(name, changed module) of everything within functions.

    The module is one and the same, and changed back when the next mutant is asked for.
    """
    tree = ast.parse(source)
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        for parent in ast.walk(function):
            for field, value in ast.iter_fields(parent):
                if parent is function and field not in ("body",):
                    continue
                children = value if isinstance(value, list) else [value]
                for i, child in enumerate(children):
                    if not isinstance(child, ast.AST) or _is_annotation(parent, field):
                        continue
                    for name, changed in changes(child):
                        place = f"{function.name}:{getattr(child, 'lineno', 0)}"
                        column = getattr(child, "col_offset", 0)
                        original = ast.unparse(child)
                        _put(parent, field, i, value, changed)
                        yield f"{place}:{column} {name}: {original[:70]}", tree
                        _put(parent, field, i, value, child)


def _is_annotation(parent: ast.AST, field: str) -> bool:
    return field in ("annotation", "returns", "decorator_list") or isinstance(parent, ast.arg)


def _put(parent: ast.AST, field: str, i: int, value: object, new: ast.AST) -> None:
    if isinstance(value, list):
        value[i] = new
    else:
        setattr(parent, field, new)


def survives(module: str, tree: ast.Module, tests: list[str]) -> bool:
    """Whether all tests pass against the changed module. Runs in a forked process."""
    child = os.fork()
    if child == 0:
        os.setsid()
        os.nice(5)
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        os._exit(_run(module, tree, tests))
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _run(module: str, tree: ast.Module, tests: list[str]) -> int:
    import pytest

    name = f"alpr_edge.exclusion.{module}"
    path = ROOT / "src" / "alpr_edge" / "exclusion" / f"{module}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    changed = importlib.util.module_from_spec(spec)
    sys.modules[name] = changed
    try:
        exec(compile(ast.fix_missing_locations(tree), str(path), "exec"), changed.__dict__)
    except Exception:  # noqa: BLE001 - a mutant that cannot be imported is noticed
        return 1
    package = sys.modules.get("alpr_edge.exclusion") or types.ModuleType("none")
    setattr(package, module, changed)
    arguments = ["-x", "-q", "-p", "no:cacheprovider", "-W", "ignore"]
    return int(pytest.main([*arguments, *tests]))


@cache
def keys(module: str) -> list[str]:
    """Names of all mutants of a module."""
    return [name for name, _ in _named(module)]


def digest(module: str) -> str:
    """Of the module, of all that it and its tests rest on, and of this runner."""
    tests = [f"tests.exclusion.{name.removesuffix('.py')}" for name in TESTS[module]]
    return code_digest([f"alpr_edge.exclusion.{module}", "evidence.mutants", *tests])


def tester(module: str) -> Callable[[str], Row]:
    """What tries one mutant; refuses to begin where the tests fail without any.

    Raises:
        RuntimeError: they do.
    """
    import cv2
    import numpy
    import pytest
    from hypothesis import settings

    assert all((cv2, numpy, pytest))
    settings.register_profile(
        "mutants", max_examples=25, stateful_step_count=20, deadline=None, database=None
    )
    settings.load_profile("mutants")
    os.chdir(ROOT)
    tests = [str(ROOT / "tests" / "exclusion" / name) for name in TESTS[module]]

    @cache
    def sound() -> bool:
        return survives(module, ast.parse(_text(module)), tests)

    def work(key: str) -> Row:
        if not sound():
            raise RuntimeError(f"{module}: the tests fail without any change: {tests}")
        # It is changed while it is looked at, and the child that tries it is a copy.
        tree = next(tree for name, tree in _named(module) if name == key)
        return {"alive": survives(module, tree, tests)}

    return work


def explained() -> dict[str, str]:
    """Survivors that are known, by module, function and change, and the reason of each."""
    found: dict[str, str] = {}
    for line in EXPLAINED.read_text("utf-8").splitlines():
        name, arrow, reason = line.partition(" => ")
        if arrow and not line.startswith("#"):
            found[name.strip()] = reason.strip()
    return found


def explanation(known: dict[str, str], module: str, key: str) -> str:
    """Why a mutant may survive; empty where nobody said so. Lines and columns do not count."""
    place, _, change = key.partition(" ")
    return known.get(f"{module}.{place.split(':')[0]} {change.split(' #')[0]}", "")


def _text(module: str) -> str:
    return (ROOT / "src" / "alpr_edge" / "exclusion" / f"{module}.py").read_text("utf-8")


def _named(module: str) -> Iterator[tuple[str, ast.Module]]:
    """As `mutants`, with a number where two have the same name."""
    seen: set[str] = set()
    for name, tree in mutants(_text(module)):
        own = name if name not in seen else f"{name} #{len(seen)}"
        seen.add(own)
        yield own, tree


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m evidence.mutants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=", ".join(TESTS))
    parser.add_argument("--out", type=Path, default=Path("out/evidence"))
    parser.add_argument("--part", default="0/1", help="i/n: every n-th mutant from the i-th")
    parser.add_argument("--match", default="", help="only mutants whose name holds this")
    parser.add_argument("--list", action="store_true", help="only count them")
    args = parser.parse_args()
    part, of = (int(x) for x in args.part.split("/"))
    known, unclear = explained(), 0
    for module in args.modules or list(TESTS):
        wanted = [key for key in keys(module)[part::of] if args.match in key]
        if args.list:
            print(f"{module}: {len(wanted)} mutants")
            continue
        store = args.out.absolute() / f"mutants-{module}.jsonl"
        rows = run_pieces(store, digest(module), wanted, tester(module), print)
        alive = [key for key, row in rows.items() if row["alive"]]
        for key in alive:
            reason = explanation(known, module, key)
            unclear += not reason
            print(f"{module}.{key}: survives{': ' + reason if reason else ', NOT EXPLAINED'}")
        print(f"{module}: {len(rows) - len(alive)} of {len(rows)} noticed", flush=True)
    return 1 if unclear else 0


if __name__ == "__main__":
    sys.exit(main())
