from __future__ import annotations

from pathlib import Path

import pytest
from tests.console.line_client import make_unit

from alpr_edge.cli import main


def test_a_port_that_cannot_be_opened_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unit = make_unit(tmp_path)
    for port in ("no-such-port", "device.toml"):
        where = str(tmp_path / port)
        assert main(["console", "--port", where, "--config", str(unit.config)]) == 1
        assert "[console.port]" in capsys.readouterr().err
    assert main(["console", "--port", "x", "--config", str(tmp_path / "none.toml")]) == 2
    assert "[config.missing]" in capsys.readouterr().err
