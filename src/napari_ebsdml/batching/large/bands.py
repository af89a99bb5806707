"""The same with every band of a large map: here, or on the workers of a Dask client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from napari_ebsdml._parallel import Progress
from napari_ebsdml.batching.large.store import Band, LargeMap

if TYPE_CHECKING:
    from distributed import Client

Work = Callable[..., Any]
"""``(large, band, *arguments)``; a function of a module. It writes to the rows of its band alone,
and gives back something small."""

_AHEAD = 2


def over_bands(
    work: Work,
    large: LargeMap,
    bands: Sequence[Band],
    arguments: Sequence[tuple[Any, ...]] | tuple[Any, ...] = (),
    progress: Progress = None,
    client: Client | None = None,
) -> list[Any]:
    """Do some work with every band.

    Parameters
    ----------
    work, large, bands
    arguments
        Further arguments of the work, or a list of those of each band.
    progress
        Called with the fraction done; may raise to cancel.
    client
        Of `dask.distributed`; None works on one band after the other, here. No more bands are
        sent than two for each thread of the workers, so that memory stays bounded there too.

    Returns
    -------
    list
        What the work gave for each band.
    """
    each = arguments if isinstance(arguments, list) else [arguments] * len(bands)
    found: list[Any] = [None] * len(bands)
    if client is None:
        for number, band in enumerate(bands):
            found[number] = work(large, band, *each[number])
            if progress is not None:
                progress((number + 1) / len(bands))
        return found
    from distributed import wait

    waiting = iter(range(len(bands)))
    under_way: dict[Any, int] = {}
    done = 0
    try:
        while done < len(bands):
            most = _AHEAD * max(1, sum(client.nthreads().values()))
            while len(under_way) < most and (other := next(waiting, None)) is not None:
                future = client.submit(work, large, bands[other], *each[other], pure=False)
                under_way[future] = other
            ended, _ = wait(list(under_way), return_when="FIRST_COMPLETED")
            for future in ended:
                found[under_way.pop(future)] = future.result()
                done += 1
            if progress is not None:
                progress(done / len(bands))
    finally:
        client.cancel(list(under_way))
    return found
