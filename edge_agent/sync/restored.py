"""The cloud has lost what it had confirmed: have the store send it again, as far as it is still there."""

from __future__ import annotations

from edge_agent.errors import AgentError, ServiceUnavailable
from edge_agent.sync.ports import AsyncStore
from edge_codecs.batch import StreamId


async def reach_back(store: AsyncStore, after: int, confirmed: int) -> StreamId | None:
    """Take back what was confirmed beyond batch `after`, up to `confirmed`.

    Returns None if the stream goes on behind `after`. If the batch behind it has been pruned no other can
    follow there; then a new stream begins with all rows of the batches that are kept, and its id is returned.
    Whatever ends this half-way, no row that the cloud lacks is confirmed more than before, and the next
    receipt leads here again.
    """
    if await _taken_back(store, after):
        return None
    gone = after
    while (
        confirmed - gone > 1
    ):  # batches are pruned in their order: the first that is kept is found by halving
        middle = (gone + confirmed) // 2
        if await _taken_back(store, middle):
            confirmed = middle
        else:
            gone = middle
    return await store.begin_stream()


async def _taken_back(store: AsyncStore, after: int) -> bool:
    try:
        await store.unconfirm(after)
    except ServiceUnavailable:
        raise
    except AgentError:  # not kept any more
        return False
    return True
