"""Values that all workers of a Dask client need, sent once."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client


def sent(client: Client, value: Any) -> Any:
    """A value on the cluster, as a future that any number of tasks may be given.

    A task, not scattered data: that needs workers at once, where clusters start theirs for tasks,
    and is lost with the worker that has it.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
        return client.submit(_as_it_is, value, pure=False)


def _as_it_is(value: Any) -> Any:
    return value
