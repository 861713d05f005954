"""Trying again."""

import asyncio
import functools
import random

from eval_fabric.errors import TransientError


def retry(*, max_attempts=3, min_wait=1.0, max_wait=60.0, exceptions=(TransientError,)):
    """Calls an async function again when it raises one of these errors, after waits (in seconds) that grow at random.

    ef tries transient errors again by itself, in a way that the record shows; a plugin needs this only for more.
    """

    def decorate(function):
        @functools.wraps(function)
        async def tried(*arguments, **named):
            for attempt in range(1, max_attempts + 1):
                try:
                    return await function(*arguments, **named)
                except exceptions:
                    if attempt == max_attempts:
                        raise
                most = max(min_wait, min(max_wait, 2.0 ** (attempt - 1)))
                await asyncio.sleep(random.uniform(min(min_wait, most), most))
            raise ValueError("max_attempts is less than 1")

        return tried

    return decorate
