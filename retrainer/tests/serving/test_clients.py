"""Clients that send slowly, too much or not all take neither time nor memory from the others."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from retrainer.serving import _app
from retrainer.serving._rows import RefusedError

LIMIT = 10


def read(*messages: dict[str, Any], server: Any) -> bytes:
    """Read the body of a request that sends these messages, and then nothing."""
    left = iter(messages)

    async def receive() -> Any:
        message = next(left, None)
        return message if message else await asyncio.Future()

    async def body() -> bytes:
        return await _app._read_body(Request({"type": "http", "headers": []}, receive), server)

    return asyncio.run(body())


def part(content: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": content, "more_body": more}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(_app, "BODY_SECONDS", 0.05)
    return SimpleNamespace(limits=SimpleNamespace(max_bytes=LIMIT), unfinished=0)


def test_a_body_is_put_together(server: Any) -> None:
    assert read(part(b"ab", more=True), part(b"c", more=False), server=server) == b"abc"
    assert server.unfinished == 0


@pytest.mark.parametrize(
    ("messages", "others", "status"),
    [
        ([part(b"ab", more=True)], 0, 408),
        ([part(b"ab", more=True)], _app.BODIES * LIMIT - 1, 503),
        ([part(b"ab", more=True), part(b"x" * LIMIT, more=False)], 0, 413),
    ],
    ids=["too slow", "too many at a time", "too large"],
)
def test_what_is_refused_gives_its_memory_back(
    server: Any, messages: list[dict[str, Any]], others: int, status: int
) -> None:
    server.unfinished = others

    with pytest.raises(RefusedError) as refused:
        read(*messages, server=server)

    assert refused.value.status == status
    assert server.unfinished == others


def test_a_body_that_is_unfinished_when_the_server_stops_is_refused(server: Any) -> None:
    async def stopped() -> None:
        never = asyncio.Event()

        async def receive() -> Any:
            await never.wait()

        body = asyncio.create_task(_app._read_body(Request({"type": "http", "headers": []}, receive), server))
        await asyncio.sleep(0)
        body.cancel()
        await body

    with pytest.raises(RefusedError) as refused:
        asyncio.run(stopped())

    assert refused.value.status == 503


def test_a_client_that_leaves_gives_its_memory_back(server: Any) -> None:
    with pytest.raises(ClientDisconnect):
        read(part(b"ab", more=True), {"type": "http.disconnect"}, server=server)

    assert server.unfinished == 0


@pytest.mark.parametrize("silent", [True, False])
def test_a_connection_without_a_whole_request_is_closed(monkeypatch: pytest.MonkeyPatch, silent: bool) -> None:
    closed: list[bool] = []
    connection = SimpleNamespace(
        cycle=None if silent else object(), transport=SimpleNamespace(close=lambda: closed.append(True))
    )

    _app._Impatient._close_if_silent(connection)

    assert closed == [True] * silent
