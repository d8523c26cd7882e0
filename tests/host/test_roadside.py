"""The roadside page is as the guide says, and fits on one sheet."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from alpr_edge.ledger.browser import chromium, print_pdf


def test_the_page_is_as_the_guide_says(repository: Path) -> None:
    command = [sys.executable, str(repository / "scripts" / "roadside_page.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(300)
@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_it_is_one_sheet_with_its_pictures(repository: Path, tmp_path: Path, paper: str) -> None:
    if chromium() is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    text = (repository / "docs" / "roadside.html").read_text("utf-8")
    assert "size: A4" in text
    page, pdf = tmp_path / "page.html", tmp_path / "page.pdf"
    text = text.replace("size: A4", f"size: {paper}")
    page.write_text(text.replace('src="images', f'src="{repository.as_uri()}/docs/images'), "utf-8")
    print_pdf(page, pdf)
    data = pdf.read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", data)) == 1
    assert data.count(b"/Subtype /Image") >= 3
