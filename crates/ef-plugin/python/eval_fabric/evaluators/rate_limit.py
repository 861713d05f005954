"""Keeping to a number of calls a second."""

import asyncio
import functools
import time


class RateLimiter:
    """Lets through `qps` calls a second, after up to `burst` at once. An async context manager, and a decorator by `wrap`."""

    def __init__(self, qps, burst=1):
        if qps <= 0:
            raise ValueError("qps must be positive")
        self.qps, self.burst = qps, max(1, burst)
        # When the next call may go, if calls came one after the other; up to `burst` calls may go before their time.
        self._next = time.monotonic()

    async def acquire(self):
        """Waits for its turn."""
        now = time.monotonic()
        turn = max(self._next, now - (self.burst - 1) / self.qps)
        self._next = turn + 1 / self.qps
        if turn > now:
            await asyncio.sleep(turn - now)

    async def __aenter__(self):
        await self.acquire()

    async def __aexit__(self, *_):
        pass

    def wrap(self, function):
        """An async function that waits for its turn before each call."""

        @functools.wraps(function)
        async def limited(*arguments, **named):
            await self.acquire()
            return await function(*arguments, **named)

        return limited
