"""The reference of the recommender's benchmark: raw ASGI that returns the bytes of one Redis key."""

from __future__ import annotations

import os
from typing import Any

import uvicorn

from shared.redis import Multiplexer
from shared.settings import RedisSettings

connection = Multiplexer(RedisSettings(redis_url=os.environ["REDIS_URL"]), timeout=1.0)


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Respond with the value of the key that the path names."""
    if scope["type"] == "lifespan":
        await receive()
        await connection.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await connection.stop()
        await send({"type": "lifespan.shutdown.complete"})
        return
    (value,) = await connection.execute(("GET", scope["path"][1:]))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(value))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": value})


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(os.environ["RECOMMENDER_PORT"]),
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
    )
