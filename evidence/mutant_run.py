"""Tries mutants: which of a module's small changes do its tests notice?

Does: collects the tests of a module once, notes which functions of the module each test calls, and
then tries every mutant in a forked process: the code of the changed function is put in, and the
tests that call that function run until one fails. The test that noticed a mutant last time, and
those that are quick and notice much, come first.
Does not: make mutants (`evidence.mutants`).

Rules: a mutant that no test notices is tried once more with the tests imported anew, where the
changed function was already called by their import (values at the top of a test module). A test
that takes much longer than without the change has noticed it; processor time counts, not the
clock, so a busy machine decides nothing. Properties are drawn from a fixed seed, and are not made
smaller.
"""

from __future__ import annotations

import ast
import gc
import importlib
import inspect
import json
import os
import resource
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from evidence.pieces import ROOT, Row

PACKAGE = "alpr_edge.exclusion"
NEVER_CALLED = "no test calls it"
_MEMORY = 6 << 30
"""Bytes of address space: a mutant that collects without end fails."""
_WALL_S = 900.0
_MORE_S, _MORE_TIMES = 5.0, 10.0
"""What a test may take beyond its usual processor time."""
_PROFILE = "mutants"

Mutants = Mapping[str, "Mutant"]
Work = Callable[[str], Row]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: the changed module's code, and the function that it lies in."""

    function: str
    code: CodeType


@dataclass(slots=True)
class _Usual:
    """How the tests run without a change.

    Attributes:
        took_s: processor time of each test that passed.
        calls: functions of the module that it called.
        at_import: functions that the import of the tests called.
        failed: a test that does not pass, or empty.
    """

    took_s: dict[str, float] = field(default_factory=dict)
    calls: dict[str, list[str]] = field(default_factory=dict)
    at_import: list[str] = field(default_factory=list)
    failed: str = ""


def source_of(module: str) -> Path:
    """The module's file."""
    return ROOT / "src" / Path(*PACKAGE.split(".")) / f"{module}.py"


def compiled(module: str, tree: ast.Module) -> CodeType:
    """The code of a changed module."""
    return compile(ast.fix_missing_locations(tree), str(source_of(module)), "exec")


def run(
    module: str, tests: list[str], mutants: Mutants, loop: Callable[[Work], object], hints: Row
) -> None:
    """Give `loop` what tries one mutant by its name, in a process of its own.

    Args:
        tests: files below tests/exclusion.
        loop: calls the work for every name, and keeps what it returns.
        hints: the test that noticed a mutant before, by the mutant's name.

    Raises:
        RuntimeError: the tests fail without any change, or the process broke off.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        told = "broke off"
        try:
            told = _collect(_Tries(module, tests, mutants, loop, hints))
        except BaseException as err:  # noqa: BLE001 - told by the parent
            told = f"{type(err).__name__}: {err}"
        finally:
            os.write(write, told.encode()[:4000])
            sys.stdout.flush()
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        told = pipe.read().decode()
    os.waitpid(child, 0)
    if told:
        raise RuntimeError(f"{module}: {told}")


def _collect(tries: _Tries) -> str:
    os.chdir(ROOT)
    settings.register_profile(
        _PROFILE,
        max_examples=25,
        stateful_step_count=20,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    # tests/conftest.py loads the profile that is named here, after its own.
    os.environ["HYPOTHESIS_PROFILE"] = _PROFILE
    importlib.import_module(f"{PACKAGE}.{tries.module}")
    tries.watch.start()
    pytest.main(_arguments(tries.tests), plugins=[tries])
    return tries.told


def _arguments(tests: Iterable[str]) -> list[str]:
    paths = [str(ROOT / "tests" / "exclusion" / name) for name in tests]
    return ["-x", "-qq", "-s", "-p", "no:cacheprovider", "--no-summary", "-W", "ignore", *paths]


class _Watch:
    """Which functions of one file are called."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self.called: set[str] = set()

    def start(self) -> None:
        self.called = set()
        sys.setprofile(self._look)
        threading.setprofile(self._look)

    def stop(self) -> list[str]:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
        return sorted(self.called)

    def _look(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename == self._path:
            self.called.add(_outermost(frame.f_code.co_qualname))


def _outermost(qualified: str) -> str:
    return qualified.partition(".<locals>")[0]


class _Tries:
    """A pytest plug-in that runs the tests again and again, each time against another mutant."""

    def __init__(
        self, module: str, tests: list[str], mutants: Mutants, loop: Callable[[Work], object],
        hints: Row,
    ) -> None:  # fmt: skip
        self.module, self.tests, self.told = module, tests, "no test was collected"
        self.watch = _Watch(source_of(module))
        self._mutants, self._loop, self._hints = mutants, loop, hints
        self._items: dict[str, pytest.Item] = {}
        self._usual = _Usual()
        self._noticed: Counter[str] = Counter()
        self._failed = ""

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of running each test once."""
        at_import = self.watch.stop()
        self._items = {item.nodeid: item for item in session.items}
        if session.testsfailed or not self._items:
            return True
        gc.freeze()
        self._usual = _in_a_fork(self._run_unchanged)
        self._usual.at_import = at_import
        self.told = self._usual.failed
        if not self.told:
            self._loop(self._try)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure."""
        if report.failed:
            self._failed = report.nodeid

    def _run_unchanged(self) -> _Usual:
        usual = _Usual()
        for name in self._items:
            self.watch.start()
            began = time.process_time()
            good = self._passes(name)
            usual.took_s[name] = time.process_time() - began
            usual.calls[name] = self.watch.stop()
            if not good:
                usual.failed = f"{name} fails without any change"
                break
        return usual

    def _passes(self, name: str) -> bool:
        self._failed = ""
        item = self._items[name]
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        return not self._failed

    def _try(self, key: str) -> Row:
        mutant = self._mutants[key]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        by = self._noticed_by(key, mutant)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self._noticed[by] += 1
        return {"alive": by in ("", NEVER_CALLED), "by": by, "cpu_s": round(spent, 3)}

    def _noticed_by(self, key: str, mutant: Mutant) -> str:
        usual = self._usual
        names = [name for name, calls in usual.calls.items() if mutant.function in calls]
        at_import = mutant.function in usual.at_import
        if not names and not at_import:
            return NEVER_CALLED
        last = self._hints.get(key)
        names.sort(key=lambda n: (n != last, (usual.took_s[n] + 0.02) / (self._noticed[n] + 0.2)))
        by = _in_a_child(lambda: self._first_to_fail(mutant, names))
        if not by and at_import:
            by = _in_a_child(lambda: self._anew(mutant))
        return by

    def _first_to_fail(self, mutant: Mutant, names: list[str]) -> Iterator[str]:
        """Name each test before it is run; the last one named is the one that failed."""
        _put_in(self.module, mutant.code)
        for name in names:
            yield name
            allowed = _MORE_S + _MORE_TIMES * self._usual.took_s[name]
            signal.setitimer(signal.ITIMER_PROF, allowed)
            if not self._passes(name):
                return
            signal.setitimer(signal.ITIMER_PROF, 0)
        yield ""

    def _anew(self, mutant: Mutant) -> Iterator[str]:
        yield "tests imported anew"
        for name in [n for n in sys.modules if n.partition(".")[0] in ("tests", "evidence")]:
            del sys.modules[name]
        _put_in(self.module, mutant.code)
        all_s = sum(self._usual.took_s.values())
        signal.setitimer(signal.ITIMER_PROF, 20.0 + 5 * all_s)
        if pytest.main(_arguments(self.tests)) == 0:
            yield ""


def _in_a_child(work: Callable[[], Iterator[str]]) -> str:
    """The last word that the work said in a forked process, which may die of it."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        os.setsid()
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            for word in work():
                os.write(write, word.encode() + b"\n")
        finally:
            os._exit(0)
    os.close(write)
    # A test that waits uses no processor time; so long no test waits.
    watch = threading.Timer(_WALL_S, os.killpg, (child, signal.SIGKILL))
    watch.start()
    with os.fdopen(read, "rb") as pipe:
        words = pipe.read().decode().split("\n")
    watch.cancel()
    os.waitpid(child, 0)
    return words[-2]


def _in_a_fork(work: Callable[[], _Usual]) -> _Usual:
    """What the work gives in a forked process: nothing that it fills in memory stays."""

    def told() -> Iterator[str]:
        usual = work()
        yield json.dumps([usual.took_s, usual.calls, usual.failed])

    took_s, calls, failed = json.loads(_in_a_child(told))
    return _Usual(took_s, calls, [], failed)


def _put_in(module: str, changed: CodeType) -> None:
    """Give all functions of a loaded module the code of a changed one."""
    codes = dict(_codes(changed))
    for function in functions_of(sys.modules[f"{PACKAGE}.{module}"]):
        own = function.__code__
        function.__code__ = codes[own.co_qualname, own.co_firstlineno]


def _codes(code: CodeType) -> Iterator[tuple[tuple[str, int], CodeType]]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield (inner.co_qualname, inner.co_firstlineno), inner
            yield from _codes(inner)


def functions_of(module: Any) -> list[FunctionType]:
    """Functions and methods that are written in a module's own file, unwrapped."""
    found: dict[int, FunctionType] = {}
    waiting = list(vars(module).values())
    while waiting:
        one = waiting.pop()
        if inspect.isclass(one):
            waiting += vars(one).values() if one.__module__ == module.__name__ else ()
        elif isinstance(one, property):
            waiting += [one.fget, one.fset]
        elif isinstance(one, staticmethod | classmethod):
            waiting.append(one.__func__)
        elif callable(one) and hasattr(one, "__wrapped__"):
            waiting.append(one.__wrapped__)
        elif isinstance(one, FunctionType) and one.__code__.co_filename == module.__file__:
            found[id(one)] = one
    return list(found.values())
