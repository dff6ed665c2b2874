"""The modules of hack/cluster are programs in a folder, not an installed package: put them on the path."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "hack/cluster"))
