"""Turns a page into a PDF with the Chromium of this machine. Starts it alone, without a network."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from alpr_edge.errors import AuditError

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--no-first-run", "--disable-sync", "--disable-extensions", "--disable-component-update"),
    *("--no-pdf-header-footer", "--host-resolver-rules=MAP * ~NOTFOUND"),
)
_TIMEOUT_S = 180.0


def chromium() -> str | None:
    """The program, None without one."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


def print_pdf(page: Path, pdf: Path) -> None:
    """Print a local page.

    Raises:
        AuditError: there is no Chromium, or it fails (`ledger.report.pdf`).
    """
    program = chromium()
    if program is None:
        raise AuditError(
            "a PDF needs Chromium",
            code="ledger.report.pdf",
            hint="apt-get install chromium, or print the HTML page from any browser",
        )
    with tempfile.TemporaryDirectory(prefix="alpr-edge-chromium-") as profile:
        command = [program, *FLAGS, f"--user-data-dir={profile}", f"--print-to-pdf={pdf}"]
        try:
            done = subprocess.run(
                [*command, page.resolve().as_uri()],
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as err:
            raise _failed("it took too long") from err
    if done.returncode or not pdf.exists():
        raise _failed(f"it ended with {done.returncode}")


def _failed(why: str) -> AuditError:
    return AuditError(
        f"Chromium made no PDF: {why}",
        code="ledger.report.pdf",
        hint="print the HTML page from any browser",
    )
