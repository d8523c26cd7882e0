"""What the demo shows on the terminal: live while it runs, a table at the end. Needs `rich`."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from alpr_edge.pipeline import StepResult
from alpr_edge.service import Tally
from alpr_edge.types import DropReason

_ROWS = 8

REASONS = {
    DropReason.TOUCHES_MASK: "touched a mask",
    DropReason.TOUCHES_BAND: "touched the band round a mask",
    DropReason.PROTECTED_GROUND: "may have stood on protected ground",
    DropReason.STARTED_IN_VIEW: "appeared in mid-view",
    DropReason.ENDED_IN_VIEW: "vanished in mid-view",
    DropReason.KIN_TAINTED: "may be a suppressed vehicle seen again",
    DropReason.OVERFLOW: "too many tracks",
    DropReason.SHUTDOWN: "still open at the end",
    DropReason.STOPPED: "open when reading was stopped",
    DropReason.FRAME_GAP: "a gap in the frames",
    DropReason.HELD_TOO_LONG: "held too long",
    DropReason.WEAK_READ: "read too weak",
    DropReason.UNREAD: "not read",
}


class LiveView:
    """Reads as they arrive, suppressions by reason, frames a second."""

    def __init__(self, frames: int, *, plain: bool) -> None:
        self._console = Console()
        self._plain = plain
        self._progress = Progress(
            TextColumn("street"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
        )
        self._task = self._progress.add_task("street", total=frames)
        self._drops: Counter[DropReason] = Counter()
        self._frames = 0
        self._began = time.monotonic()
        self._printed = 0
        self._live = Live(console=self._console, refresh_per_second=8, transient=True)

    def __enter__(self) -> LiveView:
        self._began = time.monotonic()
        if not self._plain:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._plain:
            self._live.stop()

    def take(self, result: StepResult, events: list[dict[str, Any]]) -> None:
        """Show one step."""
        self._frames += 1
        self._progress.advance(self._task)
        self._drops.update(drop.reason for drop in result.gate.drops)
        if self._plain:
            self._print_new(events)
        else:
            self._live.update(self._picture(events))

    def finish(self, events: list[dict[str, Any]], drops: Counter[DropReason]) -> None:
        """Show what came last."""
        self._drops = drops
        if self._plain:
            self._print_new(events)

    def _print_new(self, events: list[dict[str, Any]]) -> None:
        for event in events[self._printed :]:
            data = event["data"]
            self._console.print(f"read {data['plate']} {data['confidence']:.0%}", highlight=False)
        self._printed = len(events)

    def _picture(self, events: list[dict[str, Any]]) -> Group:
        rate = self._frames / max(time.monotonic() - self._began, 1e-6)
        reads = Table(title="published over MQTT", expand=True)
        for column in ("plate", "confidence", "frames"):
            reads.add_column(column)
        for event in events[-_ROWS:]:
            data = event["data"]
            reads.add_row(data["plate"], f"{data['confidence']:.0%}", str(data["frames"]))
        drops = Table(title="suppressed, and why", expand=True)
        drops.add_column("reason")
        drops.add_column("tracks", justify="right")
        for reason, count in self._drops.most_common():
            drops.add_row(REASONS[reason], str(count))
        side = Table.grid(expand=True, padding=(0, 1))
        side.add_column(ratio=1)
        side.add_column(ratio=1)
        side.add_row(reads, drops)
        return Group(Panel(side, title=f"alpr-edge demo · {rate:.1f} frames/s"), self._progress)


def final_table(
    result: dict[str, int], tally: Tally, seconds: float, folder: Path, waiting: int
) -> None:
    """The score, and what to look at next."""
    console = Console()
    table = Table(title="against the street's ground truth")
    table.add_column("what")
    table.add_column("count", justify="right")
    for key, text in (
        ("vehicles", "vehicles in all"),
        ("read_right", "read right"),
        ("read_wrong", "read wrong"),
        ("missed", "missed, or kept back to be safe"),
        ("suppressed", "at the premises, suppressed"),
    ):
        table.add_row(text, str(result[key]))
    leaked = result["leaked"]
    style = "bold green" if leaked == 0 else "bold red"
    table.add_row("leaked (must be 0)", str(leaked), style=style)
    console.print(table)
    if tally.drops:
        reasons = ", ".join(f"{REASONS[r]} {n}" for r, n in tally.drops.most_common())
        console.print(f"suppressed tracks: {reasons}", highlight=False)
    rate = tally.frames / max(seconds, 1e-6)
    console.print(
        f"{tally.frames} frames in {seconds:.0f} s ({rate:.1f} a second, with drawing the street), "
        f"{waiting} reads left in the outbox",
        highlight=False,
    )
    console.print(
        f"look at [b]{folder}/demo.png[/b], [b]{folder}/demo.mp4[/b], [b]{folder}/demo.json[/b]\n"
        "next: alpr-edge read YOUR-PHOTO.jpg   ·   alpr-edge demo --light night   ·   "
        "docs/architecture.md",
        highlight=False,
    )
