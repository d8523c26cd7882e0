"""The studio's program at a line, and a real Chromium with its page."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from street_process import PASSWORD

from alpr_edge.ledger.browser import chromium

SMALL_LAPTOP = {"width": 1366, "height": 768}


@contextlib.contextmanager
def studio(port: Path, *more: str) -> Iterator[str]:
    """The program; its address."""
    program = subprocess.Popen(
        [
            *(sys.executable, "-m", "alpr_edge.host.cli", "studio"),
            *("--port", str(port), "--no-browser", *more),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert program.stdout is not None
        yield program.stdout.readline().strip()
    finally:
        program.terminate()
        try:
            program.wait(30)
        finally:
            program.kill()
            program.wait()
            if program.stdout is not None:
                program.stdout.close()


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a network."""
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(
            executable_path=chromium(),
            args=[
                *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
                *("--no-first-run", "--disable-component-update"),
            ],
        )
        try:
            yield one
        finally:
            one.close()


def hindrances(page: Page) -> list[str]:
    """What keeps somebody from using the page as it is now: axe-core's rules of WCAG 2.2 A and AA,
    with contrast, and its best practices."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['help']}: {place['target']} {place.get('failureSummary', '')[:300]}"
        for one in found["violations"]
        for place in one["nodes"]
    ]


class HasCodes(Protocol):
    """A unit whose second factors are known."""

    def code(self, name: str) -> str: ...


def log_in(page: Page, unit: HasCodes, name: str) -> None:
    """Log in on the page; the picture comes by itself."""
    page.get_by_label("Name", exact=True).first.fill(name)
    page.locator("#login [name=password]").fill(PASSWORD)
    page.locator("#login [name=code]").fill(unit.code(name))
    page.get_by_role("button", name="Log in").click()
    page.wait_for_selector("#image[href]", state="attached", timeout=60_000)
