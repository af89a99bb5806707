"""Steps of one's own, which workers import."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any


def slow(scan: Any) -> dict[str, Any]:
    """Take its time, and leave a line in the file that the environment names."""
    log = Path(os.environ["BATCH_TEST_LOG"])
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{scan.name}\n")
    time.sleep(float(os.environ.get("BATCH_TEST_SLEEP", "0.3")))
    return {"mean_bc": round(float(scan.get("BC").mean()), 6), "bc": scan.get("BC")}
