"""The same with every band of a large map: here, or on the workers of a Dask client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from napari_ebsdml._parallel import Progress
from napari_ebsdml.batching.large.store import Band, LargeMap
from napari_ebsdml.batching.sending import sent
from napari_ebsdml.errors import EbsdmlError

if TYPE_CHECKING:
    from distributed import Client

Work = Callable[..., Any]
"""``(large, band, *arguments)``; a function of a module. It writes to the rows of its band alone,
and gives back something small. A band whose worker is lost is done again, perhaps after it had
been written to: no work may read what it writes, unless it then finds the same."""

_AHEAD = 2


def over_bands(
    work: Work,
    large: LargeMap,
    bands: Sequence[Band],
    arguments: tuple[Any, ...] = (),
    progress: Progress = None,
    client: Client | None = None,
    each: Sequence[tuple[Any, ...]] | None = None,
) -> list[Any]:
    """Do some work with every band.

    Parameters
    ----------
    work, large, bands
    arguments
        Further arguments of the work, the same for all bands; the workers are sent them once.
    progress
        Called with the fraction done; may raise to cancel.
    client
        Of `dask.distributed`; None works on one band after the other, here. No more bands are
        sent than two for each thread of the workers, so that memory stays bounded there too.
    each
        Of each band, arguments that follow those.

    Returns
    -------
    list
        What the work gave for each band.

    Raises
    ------
    EbsdmlError
        When workers are killed time and again, or the scheduler is lost.
    """
    own = [()] * len(bands) if each is None else each
    found: list[Any] = [None] * len(bands)
    if client is None:
        for number, band in enumerate(bands):
            found[number] = work(large, band, *arguments, *own[number])
            if progress is not None:
                progress((number + 1) / len(bands))
        return found
    from distributed import CancelledError, KilledWorker, wait

    there = sent(client, arguments)
    waiting = iter(range(len(bands)))
    under_way: dict[Any, int] = {}
    done = 0
    try:
        while done < len(bands):
            most = _AHEAD * max(1, sum(client.nthreads().values()))
            while len(under_way) < most and (other := next(waiting, None)) is not None:
                future = client.submit(
                    _with, work, large, bands[other], there, own[other], pure=False
                )
                under_way[future] = other
            with client.as_current():
                ended, _ = wait(list(under_way), return_when="FIRST_COMPLETED")
            for future in ended:
                found[under_way.pop(future)] = future.result()
                done += 1
            if progress is not None:
                progress(done / len(bands))
    except KilledWorker:
        raise EbsdmlError(
            "Workers were killed each time that they were at a band of the map: their memory may "
            "not be enough. Take smaller bands."
        ) from None
    except CancelledError as error:
        raise EbsdmlError(f"The scheduler was lost ({error}).") from None
    finally:
        client.cancel(list(under_way))
    return found


def _with(
    work: Work, large: LargeMap, band: Band, arguments: tuple[Any, ...], own: tuple[Any, ...]
) -> Any:
    return work(large, band, *arguments, *own)
