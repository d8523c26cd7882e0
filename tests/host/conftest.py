"""Lets the tests of this room share `street_process` with the programs that they start."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "console"))
sys.path.insert(0, str(Path(__file__).parents[1] / "ledger"))
