"""The contract of `CaseSwitch`: on a file, a pipe, the shipped fake, and a real GPIO chip if any.

`gpio-sim` makes a chip of the kernel's own (module, configfs, root). Where a kernel has it, the
same tests run on it; CI's kernel has no GPIO at all, so there the chip's adapter is tested on what
it does without one. docs/ledger.md says where the rest was run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from alpr_edge.config.parse import parse
from alpr_edge.errors import ConfigError
from alpr_edge.ledger.case_switch import CaseSwitch, FileSwitch, HandSwitch
from alpr_edge.ledger.gpio import GpioSwitch
from alpr_edge.ledger.kinds import Body, StorageFault, Trigger
from alpr_edge.ledger.sentry import Sentry, Watched
from alpr_edge.ledger.setup import case_switch
from alpr_edge.simulator.gpio import SimulatedChip, can_simulate


class Bench(Protocol):
    """A switch, and the hand at it."""

    switch: CaseSwitch

    def set(self, level: str) -> None: ...

    def cut(self) -> None: ...


class FileBench:
    tells_edges = False

    def __init__(self, folder: Path, _: ExitStack) -> None:
        self._path = folder / "value"
        self.set("0")
        self.switch = FileSwitch(self._path)

    def set(self, level: str) -> None:
        self._path.write_text(f"{level}\n")

    def cut(self) -> None:
        self._path.unlink()


class PipeBench:
    tells_edges = True

    def __init__(self, folder: Path, _: ExitStack) -> None:
        self._path = folder / "pipe"
        os.mkfifo(self._path)
        self.switch = FileSwitch(self._path)
        self.switch.read()
        self.set("0")

    def set(self, level: str) -> None:
        with self._path.open("a") as pipe:
            pipe.write(level)

    def cut(self) -> None:
        self._path.unlink()
        self.switch.close()


class HandBench:
    tells_edges = True

    def __init__(self, _folder: Path, _: ExitStack) -> None:
        self.switch = HandSwitch()
        self.set = self.switch.set

    def cut(self) -> None:
        self.switch.cut = True


class ChipBench:
    tells_edges = True

    def __init__(self, _folder: Path, stack: ExitStack) -> None:
        self._chip = stack.enter_context(SimulatedChip())
        self.switch = GpioSwitch(self._chip.device, 3)
        stack.callback(self.switch.close)
        self.switch.read()

    def set(self, level: str) -> None:
        self._chip.pull(3, level)

    def cut(self) -> None:
        self.switch.close()
        self._chip.unplug()


BENCHES: list[Callable[..., Bench]] = [FileBench, PipeBench, HandBench]
BENCHES += [ChipBench] if can_simulate() else []


@pytest.fixture(params=BENCHES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with ExitStack() as stack:
        made = request.param(tmp_path, stack)
        yield made
        made.switch.close()


def levels(bench: Bench) -> str:
    return "".join(one for one in bench.switch.read() if one in "01")


def test_the_level_of_now_comes_last(bench: Bench) -> None:
    assert levels(bench)[-1] == "0"
    bench.set("1")
    assert levels(bench)[-1] == "1"
    bench.set("0")
    bench.set("1")
    bench.set("0")
    seen = levels(bench)
    assert seen[-1] == "0"
    assert ("1" in seen) is bench.tells_edges  # type: ignore[attr-defined]


def test_a_wire_that_is_cut_is_an_error_and_closing_twice_is_none(bench: Bench) -> None:
    levels(bench)
    bench.cut()
    with pytest.raises(OSError):
        bench.switch.read()
    bench.switch.close()
    bench.switch.close()


def test_the_sentry_hears_of_the_case_by_any_of_them(bench: Bench) -> None:
    told: list[Body] = []
    sentry = Sentry(Watched({}, bench.switch), told.append, lambda: 0.0)
    sentry.look()
    assert told == []
    bench.set("1")
    sentry.look()
    sentry.look()
    assert told == [Trigger(what="case_opened")]
    bench.cut()
    sentry.look()
    sentry.look()
    assert told[1:] == [StorageFault(what="config", code="ledger.sentry.case_switch")]
    sentry.close()


@pytest.mark.parametrize("path", ["/dev/null", "/dev/no-such-chip", "file"])
def test_a_chip_that_is_none_is_an_error_each_time(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("0")
    switch = GpioSwitch(tmp_path / path, "CASE", "pull_up")
    for _ in range(2):
        with pytest.raises(OSError):
            switch.read()
    switch.close()


def test_the_configuration_names_a_line(tmp_path: Path) -> None:
    start = """
        [device]
        id = "unit-1"
        site = "test street"
        [source]
        kind = "folder"
        path = "."
        [exclusion]
        mask_file = "masks.json"
        [mqtt]
        host = "localhost"
        [sentry]
        """

    def switch(text: str) -> CaseSwitch | None:
        config = parse((start + text).encode(), source="test", folder=str(tmp_path))
        return case_switch(config.sentry)

    assert switch("") is None
    assert isinstance(switch('case_switch = "case"'), FileSwitch)
    chip = 'case_switch = "/dev/gpiochip0"\n'
    for line in ("17", '"CASE_OPEN"'):
        assert isinstance(switch(f'{chip}case_line = {line}\ncase_bias = "pull_up"'), GpioSwitch)
    for wrong in (
        *(f"{chip}case_line = -1", f"{chip}case_line = ''", f"{chip}case_line = 1.5"),
        *(f'{chip}case_line = 3\ncase_bias = "strong"', "case_line = 3"),
    ):
        with pytest.raises(ConfigError):
            switch(wrong)
