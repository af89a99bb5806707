"""A scheduler and workers of Dask as processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Processes:
    """What was started."""

    folder: Path
    environment: dict[str, str]
    scheduler: subprocess.Popen[bytes]
    address: str = ""
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add_worker(self) -> subprocess.Popen[bytes]:
        """Start a worker of one thread, without a nanny that would start it again."""
        name = f"worker{len(self.workers)}"
        made = _start(
            self.folder / f"{name}.log", self.environment, "distributed.cli.dask_worker",
            self.address, "--nthreads", "1", "--no-nanny", "--name", name, "--no-dashboard",
            "--local-directory", str(self.folder / name),
        )  # fmt: skip
        self.workers.append(made)
        return made


def _start(log: Path, environment: dict[str, str], module: str, *arguments: str):
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdout=file, stderr=file, env=environment,
            cwd=ROOT,
        )  # fmt: skip


@contextmanager
def dask_processes(folder: Path, workers: int, **environment: str) -> Iterator[Processes]:
    """A scheduler with so many workers; all end with the block."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    env = {**os.environ, "PYTHONPATH": path, **environment}
    info = folder / "scheduler.json"
    scheduler = _start(
        folder / "scheduler.log", env, "distributed.cli.dask_scheduler", "--host", "127.0.0.1",
        "--port", "0", "--no-dashboard", "--scheduler-file", str(info),
    )  # fmt: skip
    made = Processes(folder, env, scheduler)
    try:
        made.address = _address(info, scheduler)
        for _ in range(workers):
            made.add_worker()
        yield made
    finally:
        for process in (*made.workers, scheduler):
            process.kill()
            process.wait()


def _address(info: Path, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        assert process.poll() is None, "the scheduler did not start"
        try:
            return str(json.loads(info.read_text("utf-8"))["address"])
        except (OSError, ValueError, KeyError):
            time.sleep(0.1)
    raise AssertionError("the scheduler did not start in time")
