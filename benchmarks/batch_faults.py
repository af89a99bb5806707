"""Batches that lose a worker, the scheduler's connection, or their client: same results, once each.

    python benchmarks/batch_faults.py [--maps 30] [--size 200] [--scaling] [--large]

A scheduler and three workers run as processes of this machine. Each scenario works on the same
synthetic dual-phase steels (seeds 0, 1, ...) with the steps "maps" and "gnd"; its arrays and
summary are compared with those of one process that nothing happens to. "begun" counts how often
the steps were begun: what a killed worker was at is done again, nothing else is.

``--large`` instead works on one map in ten bands, which go to three workers: nothing happens; the
worker that holds the map together is killed; another one is. Results are compared with those of the
whole map in one process, to 1e-6.
"""

from __future__ import annotations

import argparse
import csv
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import napari_ebsdml as ebsdml  # noqa: E402
from napari_ebsdml.batching.cluster import connected, local  # noqa: E402
from tests.batching.dask_processes import Processes, dask_processes  # noqa: E402
from tests.batching.own_steps import slow  # noqa: E402

STEPS = [("maps", {"gnd": False}), "gnd", slow]


class Proxy:
    """A connection to the scheduler that can be cut."""

    def __init__(self, address: str) -> None:
        host, port = address.removeprefix("tcp://").split(":")
        self.target = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        self.open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            near, _ = self.listener.accept()
            far = socket.create_connection(self.target)
            self.open += [near, far]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(a, b), daemon=True).start()

    def _copy(self, a: socket.socket, b: socket.socket) -> None:
        try:
            while data := a.recv(1 << 16):
                b.sendall(data)
        except OSError:
            pass
        finally:
            a.close()
            b.close()

    def cut(self) -> None:
        """Close all that is open; new connections are accepted."""
        for one in self.open:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self.open.clear()


def same(a: Path, b: Path) -> int:
    """Number of array files that are in both folders and equal; raises when any differs."""
    names = sorted(path.name for path in a.glob("*.npz"))
    with (b / "summary.csv").open(encoding="utf-8", newline="") as file:
        failed = [row for row in csv.DictReader(file) if row["error"]]
    assert not failed, failed
    assert names == sorted(path.name for path in b.glob("*.npz"))
    for name in names:
        with np.load(a / name) as one, np.load(b / name) as other:
            assert set(one) == set(other), name
            for key in one:
                np.testing.assert_array_equal(one[key], other[key], err_msg=f"{name} {key}")
    assert (a / "summary.csv").read_bytes() == (b / "summary.csv").read_bytes()
    assert (a / "grains.csv").read_bytes() == (b / "grains.csv").read_bytes()
    return len(names)


def at_file(number: int, what: Callable[[], None]) -> Callable[[Any], None]:
    """Do something once, when so many files are done."""
    done = []

    def hear(event: Any) -> None:
        if event.kind == "lost":
            print("  the client lost the scheduler, and looks for it again")
        if event.kind == "file" and event.done == number and not done:
            done.append(1)
            what()

    return hear


def worker_killed(dask: Processes, maps: Path, out: Path, n: int) -> None:
    with connected(dask.address) as client:
        kill = at_file(n // 3, lambda: dask.workers[0].send_signal(signal.SIGKILL))
        ebsdml.batch(maps, STEPS, out, client, on_event=kill)
    assert dask.workers[0].wait(60) == -signal.SIGKILL


def connection_cut(dask: Processes, maps: Path, out: Path, n: int) -> None:
    proxy = Proxy(dask.address)
    with connected(proxy.address) as client:
        ebsdml.batch(maps, STEPS, out, client, on_event=at_file(n // 3, proxy.cut))


def client_killed(dask: Processes, maps: Path, out: Path, n: int) -> None:
    code = (
        "import sys, runpy; sys.argv = ['x']\n"
        f"sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'benchmarks')!r}]\n"
        "import batch_faults as f\n"
        f"with f.connected({dask.address!r}) as c: "
        f"f.ebsdml.batch({str(maps)!r}, f.STEPS, {str(out)!r}, c)"
    )
    one = subprocess.Popen([sys.executable, "-c", code], env=dask.environment)
    while len(list((out / "records").glob("*.json"))) < n // 3:
        assert one.poll() is None
        time.sleep(0.05)
    one.send_signal(signal.SIGKILL)
    one.wait()
    time.sleep(1)
    before = len(list((out / "records").glob("*.json")))
    with connected(dask.address) as client:
        done = ebsdml.batch(maps, STEPS, out, client, resume=True)
    print(f"  {before} of {n} were done when it went on, {done.skipped} were kept")
    assert done.skipped >= before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--maps", type=int, default=30)
    parser.add_argument("--size", type=int, default=200, help="side of a map in pixels")
    parser.add_argument("--scaling", action="store_true", help="time 1 and 2 workers instead")
    parser.add_argument("--large", action="store_true", help="one large map in bands instead")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        if asked.large:
            large(top, asked.size)
            return
        maps = top / "maps"
        maps.mkdir()
        for seed in range(asked.maps):
            sample = ebsdml.samples.dual_phase_steel((asked.size, asked.size), 0.5, seed=seed)
            ebsdml.write(maps / f"steel{seed:03d}.ctf", sample.scan)
        os.environ["BATCH_TEST_LOG"] = str(top / "begun.txt")
        os.environ["BATCH_TEST_SLEEP"] = "0"
        print(f"{asked.maps} maps of {asked.size} x {asked.size} pixels")
        if asked.scaling:
            scaling(maps, top)
            return
        faults(maps, top, asked.maps)


def faults(maps: Path, top: Path, n: int) -> None:
    log = top / "begun.txt"
    want = ebsdml.batch(maps, STEPS, top / "here")
    assert not want.failed, want.failed
    print(f"{'':24}seconds  files equal  begun once  begun again")
    for scenario in (worker_killed, connection_cut, client_killed):
        log.unlink(missing_ok=True)
        out = top / scenario.__name__
        place = top / f"dask-{scenario.__name__}"
        place.mkdir()
        with dask_processes(place, 3, OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1") as dask:
            begun = time.monotonic()
            scenario(dask, maps, out, n)
            seconds = time.monotonic() - begun
        times = Counter(log.read_text("utf-8").split())
        equal = same(top / "here", out)
        once = sum(count == 1 for count in times.values())
        again = sum(count > 1 for count in times.values())
        print(f"{scenario.__name__:24}{seconds:7.1f}{equal:13}{once:12}{again:13}")


def large(top: Path, size: int) -> None:
    """Kill workers that are at the bands of one map."""
    path, steps = top / "steel.ctf", ["gnd", "density"]
    ebsdml.write(path, ebsdml.samples.dual_phase_steel((size, size), 0.4, seed=0).scan)
    ebsdml.batch(path, steps, top / "here", band=0)
    print(f"one map of {size} x {size} pixels in ten bands\n{'':16}seconds  largest difference")
    for who in ("nobody", "the holder", "another"):
        out, place = top / who, top / f"dask {who}"
        place.mkdir()
        begun = time.monotonic()
        with (
            dask_processes(place, 3, OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1") as dask,
            connected(dask.address) as client,
        ):
            client.wait_for_workers(3, timeout=120)
            killed = []

            def kill(
                event: Any, who: str = who, dask: Any = dask, killed: Any = killed, out: Path = out
            ) -> None:  # fmt: skip
                if who == "nobody" or killed or event.kind != "progress" or event.fraction < 0.2:
                    return
                # The folder of the bands is named by the process that made it.
                holder = next(int(one.name.split("-")[1]) for one in out.glob(".bands.*.part"))
                chosen = [one for one in dask.workers if (one.pid == holder) == (who != "another")]
                killed.append(chosen[0])
                chosen[0].send_signal(signal.SIGKILL)

            done = ebsdml.batch(path, steps, out, client, band=size * size // 10, on_event=kill)
        assert not done.failed, done.failed
        assert who == "nobody" or killed
        seconds, most = time.monotonic() - begun, 0.0
        for name in ("steel-gnd.npz", "steel-density.npz"):
            with np.load(top / "here" / name) as want, np.load(out / name) as found:
                for key in ("total", "noise_floor", "density", "low", "high"):
                    if key in want:
                        assert (np.isfinite(want[key]) == np.isfinite(found[key])).all()
                        most = max(most, float(np.nanmax(abs(found[key] / want[key] - 1))))
        assert most < 1e-6, most
        print(f"{who:16}{seconds:7.1f}{most:20.1e}", flush=True)


def scaling(maps: Path, top: Path) -> None:
    """Processor seconds of the busiest worker: what the batch lasts where each has a core.

    Time on the clock says nothing while other programs use the machine.
    """
    steps = STEPS[:2]
    print("workers  busiest worker, cpu s  all workers  client  clock s  speed-up")
    alone = 0.0
    for workers in (1, 2):
        with local(workers) as client:
            # Imports and compiled code are there before anything is timed.
            ebsdml.batch(maps, steps, top / f"warm{workers}", client)
            before, own = client.run(time.process_time), time.process_time()
            begun = time.monotonic()
            done = ebsdml.batch(maps, steps, top / f"with{workers}", client)
            clock, own = time.monotonic() - begun, time.process_time() - own
            after = client.run(time.process_time)
        assert not done.failed, done.failed
        each = [after[name] - before[name] for name in after]
        alone = alone or max(each)
        print(
            f"{workers:7}{max(each):23.1f}{sum(each):13.1f}{own:8.1f}{clock:9.1f}"
            f"{alone / max(each):10.2f}", flush=True,
        )  # fmt: skip


if __name__ == "__main__":
    main()
