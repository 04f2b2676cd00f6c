"""Records leave at once after a silence, and together in a rush."""

import asyncio

from shared.kafka.departures import Departures

GAP = 0.05


async def at(departures: Departures) -> float:
    """When the caller was let through."""
    await departures.wait()
    return asyncio.get_running_loop().time()


async def test_the_first_after_a_silence_does_not_wait() -> None:
    departures = Departures(GAP)
    for _ in range(2):
        waiting = departures.wait()
        try:
            waiting.send(None)
        except StopIteration:
            await asyncio.sleep(2 * GAP)
        else:
            raise AssertionError("it waited")


async def test_who_comes_meanwhile_leaves_together_in_order() -> None:
    departures, order = Departures(GAP), list[int]()
    first = await at(departures)

    async def one(number: int) -> float:
        await departures.wait()
        order.append(number)
        return asyncio.get_running_loop().time()

    rush = await asyncio.gather(*map(one, range(20)))
    late = await at(departures)

    assert order == list(range(20))
    assert min(rush) >= first + GAP - 0.002  # the loop's clock is that coarse
    assert max(rush) - min(rush) < GAP
    assert late >= min(rush) + GAP - 0.002


async def test_one_that_gives_up_does_not_take_the_others_with_it() -> None:
    departures = Departures(GAP)
    await departures.wait()
    waiting = [asyncio.create_task(departures.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()

    done, _ = await asyncio.wait(waiting, timeout=20 * GAP)

    assert len(done) == 3
    assert [task.cancelled() for task in waiting] == [True, False, False]
