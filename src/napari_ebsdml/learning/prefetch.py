"""Make the next batches in a second thread while the network trains on the last."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any


def prefetch(items: Iterable[Any], ahead: int = 2) -> Iterator[Any]:
    """Items in their order, computed up to `ahead` in advance by one other thread.

    Pays when making an item leaves Python's lock (compiled code, file reading). An exception
    of `items` is raised here, in its place. Closing the iterator ends the thread.
    """
    line: queue.Queue[tuple[str, Any]] = queue.Queue(max(ahead, 1))
    stop = threading.Event()

    def put(entry: tuple[str, Any]) -> bool:
        while not stop.is_set():
            try:
                line.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(("item", item)):
                    return
        except BaseException as error:
            put(("error", error))
        else:
            put(("end", None))

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = line.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        stop.set()
        thread.join()
