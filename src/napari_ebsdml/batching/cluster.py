"""A batch on the workers of ``dask.distributed``."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari_ebsdml._parallel import Report, available_cores
from napari_ebsdml.batching.files import MapFile
from napari_ebsdml.batching.one_file import Done, Plan, do_file
from napari_ebsdml.batching.sending import sent
from napari_ebsdml.errors import EbsdmlError, InputError

if TYPE_CHECKING:
    from distributed import Client

_EVERY = 0.5
"""Seconds between two looks at the cluster, and between two reports from a map."""
_AHEAD = 2
"""Files that wait at each thread of the workers, so that none of them waits for the client."""
_TRIES = 3
_PATIENCE = 60


@contextmanager
def local(workers: int) -> Iterator[Client]:
    """So many processes of this machine, which share its cores."""
    from distributed import Client, LocalCluster

    each = str(max(1, available_cores() // workers))
    names = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    # Threads of the kernels, not of Dask: a worker does one map at a time, with its share of cores.
    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True,
            dashboard_address="127.0.0.1:0",
            env=dict.fromkeys(names, each), silence_logs=40,
            preload=["napari_ebsdml.batching.worker"],
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):  # fmt: skip
        yield client


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """A client of the scheduler at an address such as ``tcp://host:8786``.

    Raises
    ------
    InputError
        When nothing answers there.
    """
    from distributed import Client

    try:
        client = Client(address, set_as_default=False, timeout=20)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(f"No scheduler of Dask answers at {address!r} ({error}).") from None
    with client:
        yield client


def on_client(client: Client) -> Callable[..., Iterator[tuple[int, Done]]]:
    """The files of a batch on the workers of a client; see `run`."""

    def way(
        plan: Plan, files: Sequence[MapFile], models: Sequence[Any], books: Any
    ) -> Iterator[tuple[int, Done]]:
        left = dict(enumerate(files))
        now, tries = client, 0
        try:
            while left:
                try:
                    for number, done in _finished(now, plan, left, models, books):
                        del left[number]
                        tries = 0
                        yield number, done
                except _LostError as error:
                    tries += 1
                    gone = now.status != "running"
                    if tries > _TRIES or (gone and now.cluster is not None):
                        raise EbsdmlError(
                            f"The scheduler was lost ({error}). What was done is kept: go on with "
                            "resume."
                        ) from None
                    books.lost()
                    now = _again(now) if gone else now
        finally:
            if now is not client:
                now.close()

    return way


class _LostError(Exception):
    """The scheduler does not answer any more, or has forgotten what it was to do."""


def _again(client: Client) -> Client:
    """A new client of the same scheduler.

    Raises
    ------
    EbsdmlError
        When it does not come back.
    """
    from distributed import Client

    address = client.scheduler.address if client.scheduler is not None else ""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return Client(address, set_as_default=False, timeout=10, security=client.security)
        except (OSError, TimeoutError) as error:
            if time.monotonic() > end:
                raise EbsdmlError(
                    f"The scheduler at {address} does not come back ({error}). What was done is "
                    "kept: go on with resume."
                ) from None
            time.sleep(1)


def _finished(
    client: Client, plan: Plan, left: dict[int, MapFile], models: Sequence[Any], books: Any
) -> Iterator[tuple[int, Done]]:
    """Send files to the workers, a few ahead of what they are at; yield what comes back."""
    from distributed import CancelledError, wait
    from distributed.comm.core import CommClosedError

    topic = f"ebsdml-{plan.run}"
    heard: dict[int, float] = {}

    def hear(event: Any) -> None:
        number, fraction = event[1] if isinstance(event, tuple) else event
        heard[int(number)] = float(fraction)

    try:
        client.subscribe_topic(topic, hear)
        there = [None if model is None else sent(client, model) for model in models]
        last = sorted(left)
        waiting = iter(last)
        under_way: dict[Any, int] = {}
        while True:
            threads = max(1, sum(client.nthreads().values()))
            most = threads * (1 + _AHEAD)
            while len(under_way) < most and (number := next(waiting, None)) is not None:
                # Files that are left over when each thread has had as many as the others.
                spread = number in last[len(last) - len(last) % threads :]
                future = client.submit(
                    _task, plan, left[number], number, topic, spread, *there,
                    pure=False, key=f"{left[number].name}-{uuid.uuid4().hex}",
                )  # fmt: skip
                under_way[future] = number
            if not under_way:
                return
            with contextlib.suppress(TimeoutError), client.as_current():
                wait(list(under_way), timeout=_EVERY, return_when="FIRST_COMPLETED")
            for number in list(heard):
                books.part(number, heard.pop(number))
            ended = [future for future in under_way if future.done()]
            for future in ended:
                number = under_way.pop(future)
                if future.status in ("cancelled", "lost"):
                    raise _LostError(f"the task of {left[number].name} was {future.status}")
                yield number, _result(future, plan, left[number])
            if not ended and client.status != "running":
                raise _LostError(f"the connection is {client.status}")
    except (CommClosedError, OSError, CancelledError) as error:
        raise _LostError(str(error).partition("\n")[0] or type(error).__name__) from None
    finally:
        with contextlib.suppress(Exception):
            client.unsubscribe_topic(topic)
        with contextlib.suppress(Exception):
            client.cancel(list(under_way), force=True)


def _result(future: Any, plan: Plan, file: MapFile) -> Done:
    """What became of a file; a worker that ended with it time and again is an error of the map."""
    from distributed import KilledWorker

    error = future.exception()
    if error is None:
        found: Done = future.result()
        return found
    if isinstance(error, KilledWorker):
        text = (
            "the worker was killed each time that it was at this file: its memory may not be "
            "enough. Use fewer workers."
        )
    else:
        text = f"unexpected {type(error).__name__}: {error}"
    return Done(
        {
            "run": plan.run, "name": file.name, "input": {"path": str(file.path)},
            "maps": [{"name": file.name, "error": text, "row": {}, "steps": {}}],
        }
    )  # fmt: skip


def _task(plan: Plan, file: MapFile, number: int, topic: str, spread: bool, *models: Any) -> Done:
    """`do_file` in a worker, which tells the client how far it is.

    The bands of its large maps go to all workers where `spread`.
    """
    report = _reporter(number, topic)
    if not spread:
        return do_file(plan, file, models, report)
    from distributed import worker_client

    with worker_client() as client:
        return do_file(plan, file, models, report, client)


def _reporter(number: int, topic: str) -> Report:
    from distributed import get_worker

    worker = get_worker()
    last = [time.monotonic()]

    def report(fraction: float) -> None:
        now = time.monotonic()
        if now - last[0] >= _EVERY:
            last[0] = now
            worker.log_event(topic, (number, fraction))

    return report
