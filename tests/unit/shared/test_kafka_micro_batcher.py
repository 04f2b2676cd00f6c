"""Callers are released at once after a pause, and in batches during a burst."""

import asyncio

from shared.kafka.micro_batcher import MicroBatcher

GAP = 0.05


async def released_at(batcher: MicroBatcher) -> float:
    """Wait in the batcher; return the loop's time of the release in seconds."""
    await batcher.wait()
    return asyncio.get_running_loop().time()


async def test_the_first_caller_after_a_pause_does_not_wait() -> None:
    batcher = MicroBatcher(GAP)
    for _ in range(2):
        waiting = batcher.wait()
        try:
            waiting.send(None)
        except StopIteration:
            await asyncio.sleep(2 * GAP)
        else:
            raise AssertionError("it waited")


async def test_callers_of_a_burst_are_released_together_in_order() -> None:
    batcher, order = MicroBatcher(GAP), list[int]()
    first = await released_at(batcher)

    async def caller(number: int) -> float:
        await batcher.wait()
        order.append(number)
        return asyncio.get_running_loop().time()

    burst = await asyncio.gather(*map(caller, range(20)))
    late = await released_at(batcher)

    assert order == list(range(20))
    assert min(burst) >= first + GAP - 0.002  # the loop's clock is that coarse
    assert max(burst) - min(burst) < GAP
    assert late >= min(burst) + GAP - 0.002


async def test_a_cancelled_caller_does_not_cancel_its_batch() -> None:
    batcher = MicroBatcher(GAP)
    await batcher.wait()
    waiting = [asyncio.create_task(batcher.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()

    done, _ = await asyncio.wait(waiting, timeout=20 * GAP)

    assert len(done) == 3
    assert [task.cancelled() for task in waiting] == [True, False, False]
