"""Batches on a scheduler and workers that are real processes, some of which are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_ebsdml as ebsdml
from napari_ebsdml.batching import large
from napari_ebsdml.batching.cluster import connected
from napari_ebsdml.batching.events import BatchEvent
from napari_ebsdml.batching.large.store import LargeMap
from tests.batching.dask_processes import ROOT, Processes, dask_processes
from tests.batching.own_steps import slow

pytestmark = pytest.mark.filterwarnings("default::ResourceWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("maps")
    for seed in range(6):
        sample = ebsdml.samples.dual_phase_steel((12, 14), 0.5, seed=seed)
        ebsdml.write(folder / f"steel{seed}.ctf", sample.scan)
    return folder


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """File to which each map that is begun adds a line."""
    path = tmp_path / "begun.txt"
    monkeypatch.setenv("BATCH_TEST_LOG", str(path))
    monkeypatch.setenv("BATCH_TEST_SLEEP", "0.3")
    return path


def begun(log: Path) -> Counter[str]:
    return Counter(log.read_text("utf-8").split()) if log.exists() else Counter()


def bands_of_one_map_while_a_worker_is_killed(
    dask: Processes, client: Any, folder: Path
) -> None:  # fmt: skip
    """As the whole to 1e-6: in a batch, which spreads its only map, and with a worker killed."""
    path = folder / "large.ctf"
    ebsdml.write(path, ebsdml.samples.dual_phase_steel((60, 50), 0.4, seed=3).scan)
    scan = ebsdml.read(path)
    want = ebsdml.gnd_density(scan, keep_per_system=False)
    done = ebsdml.batch(path, "gnd", folder / "large", client, band=1_000)
    assert not done.failed, done.failed
    with np.load(folder / "large" / "large-gnd.npz") as arrays:
        np.testing.assert_allclose(arrays["total"], want.total, rtol=1e-6)

    def kill(fraction: float) -> None:
        if fraction > 0.4 and dask.workers[0].poll() is None:
            dask.workers[0].send_signal(signal.SIGKILL)
            dask.workers[0].wait(60)

    held = LargeMap.of(scan, folder / "held", 1_000)
    found = large.gnd_density(held, progress=kill, client=client)
    assert dask.workers[0].poll() == -signal.SIGKILL
    for name in ("total", "energy", "misfit", "noise_floor"):
        np.testing.assert_allclose(getattr(found, name), getattr(want, name), rtol=1e-6)
    np.testing.assert_array_equal(found.above_noise, want.above_noise)


@pytest.mark.long
def test_a_worker_that_is_killed_and_a_client_that_is_killed(
    maps: Path, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    want = ebsdml.batch(maps, slow, tmp_path / "here")
    assert len(want.rows) == 6
    assert not want.failed
    log.unlink()

    with dask_processes(tmp_path, 2) as dask, connected(dask.address) as client:
        client.wait_for_workers(2, timeout=120)
        bands_of_one_map_while_a_worker_is_killed(dask, client, tmp_path)
        dask.add_worker()
        client.wait_for_workers(2, timeout=120)
        # One of the workers ends while it is at a map, which the other one then does again.
        seen: list[BatchEvent] = []

        def kill(event: BatchEvent) -> None:
            seen.append(event)
            if event.kind == "file" and len([e for e in seen if e.kind == "file"]) == 1:
                end = time.monotonic() + 60
                while sum(begun(log).values()) < 3 and time.monotonic() < end:
                    time.sleep(0.02)
                dask.workers[1].send_signal(signal.SIGKILL)

        found = ebsdml.batch(maps, slow, tmp_path / "killed", client, on_event=kill)
        assert dask.workers[1].wait(60) == -signal.SIGKILL
        assert found.rows == want.rows
        assert sum(begun(log).values()) in (6, 7)
        for row in want.rows:
            name = f"{row['map']}-slow.npz"
            with np.load(tmp_path / "here" / name) as a, np.load(tmp_path / "killed" / name) as b:
                np.testing.assert_array_equal(a["bc"], b["bc"])
        assert [event.kind for event in seen][:1] == ["start"]
        assert seen[-1].kind == "end"

        # The client ends: what was done by then is not done again by one that goes on.
        log.unlink()
        output = tmp_path / "resumed"
        code = (
            "import napari_ebsdml as e; from tests.batching.own_steps import slow\n"
            "from napari_ebsdml.batching.cluster import connected\n"
            f"with connected({dask.address!r}) as client:\n"
            f"    e.batch({str(maps)!r}, slow, {str(output)!r}, client)\n"
        )
        env = dict(dask.environment)
        one = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=env)
        end = time.monotonic() + 120
        while len(done := list((output / "records").glob("*.json"))) < 2:
            assert time.monotonic() < end
            assert one.poll() is None
            time.sleep(0.02)
        one.send_signal(signal.SIGKILL)
        one.wait()
        found = ebsdml.batch(maps, slow, output, client, resume=True)
    assert found.skipped >= 2
    assert found.rows == want.rows
    times = begun(log)
    assert all(times[path.stem] == 1 for path in done)
    assert not list(output.rglob("*.part"))


def test_processes_of_ones_own_share_the_cores(maps: Path, tmp_path: Path) -> None:
    here = ebsdml.batch(maps, "maps", tmp_path / "here")
    there = ebsdml.batch(sorted(maps.iterdir())[:4], ["maps", cores], tmp_path / "two", workers=2)
    for one, other in zip(here.rows, there.rows, strict=False):
        cores_used = int(other.pop("cores"))
        assert cores_used >= 1
        assert one == other
    from napari_ebsdml._parallel import available_cores

    assert cores_used <= max(1, available_cores() // 2)


def cores(scan: ebsdml.Scan) -> dict[str, int]:
    import napari_ebsdml._parallel as parallel

    return {"cores": parallel.available_cores()}


def test_the_job_of_slurm_that_the_documentation_shows() -> None:
    """Started by dask-jobqueue: one thread of Dask, four of the kernels, in four cores."""
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    import shlex

    from distributed.cli.dask_worker import main

    text = (ROOT / "docs/how-to/many-maps.md").read_text("utf-8")
    start = text.index("from dask_jobqueue import SLURMCluster")
    told: dict[str, Any] = {}
    exec(text[start : text.index("cluster.scale", start)], told)
    with told["cluster"] as cluster:
        lines = cluster.job_script().splitlines()
    assert "#SBATCH --cpus-per-task=4" in lines
    assert "export OMP_NUM_THREADS=4 NUMBA_NUM_THREADS=4" in lines
    command = next(line for line in lines if "dask_worker" in line)
    words = shlex.split(command)
    given = main.make_context("worker", words[words.index("distributed.cli.dask_worker") + 1 :])
    assert given.params["nthreads"] == 1
    assert given.params["memory_limit"] == "14.90GiB"
