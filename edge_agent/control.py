"""The control socket: how the command line asks the running daemon (one JSON object a line).

A request is {"command": NAME, …}. The answer is {"result": …} or {"error": text, "hint": text,
"exit_code": number}; `tail` answers with a line for each event until the caller hangs up.
Only root, the daemon's own user and its group may connect: the socket's mode is 0660.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_agent.errors import AgentBug, AgentError, ConfigurationError, ServiceUnavailable, UsageError

Request = Mapping[str, Any]
Handler = Callable[[Request], Awaitable[Any]]
Stream = Callable[[Request], AsyncIterator[Any]]

MAX_LINE = 4 * 1024 * 1024  # bytes; a list of some thousand devices fits


class AgentNotRunning(ServiceUnavailable):
    """Nobody answers at the control socket."""

    hint = "Start it with: systemctl start edge-agent (or edge-agent run), or look: journalctl -u edge-agent"


class ControlServer:
    """Answers the command line at a Unix socket."""

    def __init__(self, path: Path, handlers: Mapping[str, Handler], streams: Mapping[str, Stream]) -> None:
        self._path = path
        self._handlers = handlers
        self._streams = streams
        self._conversations: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Listen until cancelled. Raises ConfigurationError if another agent answers there already."""
        _make_way(self._path)
        try:
            server = await asyncio.start_unix_server(self._converse, self._path, limit=MAX_LINE)
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen at {self._path}: {error.strerror}",
                hint="Does its folder exist, and is it yours? See [health] control_socket",
            ) from None
        self._path.chmod(0o660)
        try:
            async with server:
                await server.serve_forever()
        finally:
            self._path.unlink(missing_ok=True)
            for conversation in self._conversations:
                conversation.cancel()
            await asyncio.gather(*self._conversations, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = asyncio.current_task()
        assert conversation is not None
        self._conversations.add(conversation)
        try:
            with contextlib.suppress(ConnectionError, asyncio.LimitOverrunError, ValueError):
                if line := await reader.readline():
                    await self._answer(line, reader, writer)
        finally:
            self._conversations.discard(conversation)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(line)
            name = request["command"]
            if not isinstance(name, str):
                raise TypeError("a command is a string")
        except (ValueError, KeyError, TypeError):
            return await _send(writer, _error(UsageError("not a request")))
        if name in self._streams:
            return await _pour(self._streams[name](request), reader, writer)
        handler = self._handlers.get(name)
        if handler is None:
            return await _send(writer, _error(UsageError(f"the running agent knows no command {name!r}")))
        try:
            await _send(writer, {"result": await handler(request)})
        except AgentError as error:
            await _send(writer, _error(error))
        except (KeyError, TypeError, ValueError) as error:  # of what the request holds or lacks
            await _send(writer, _error(UsageError(f"{name} was asked wrongly: {type(error).__name__}")))


async def _pour(
    events: AsyncIterator[Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Send events until the caller hangs up; a caller that is slow loses events, never the daemon time."""
    hung_up = asyncio.ensure_future(reader.read(1))
    try:
        pending = asyncio.ensure_future(anext(events))
        while True:
            await asyncio.wait({hung_up, pending}, return_when=asyncio.FIRST_COMPLETED)
            if hung_up.done():
                pending.cancel()
                return
            await _send(writer, pending.result())
            pending = asyncio.ensure_future(anext(events))
    except StopAsyncIteration:
        return
    finally:
        hung_up.cancel()


async def _send(writer: asyncio.StreamWriter, value: Any) -> None:
    writer.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    await writer.drain()


def _error(error: AgentError) -> dict[str, Any]:
    return {"error": str(error), "hint": error.hint, "exit_code": error.exit_code}


def _make_way(path: Path) -> None:
    """Remove a socket that a killed daemon left behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except FileNotFoundError:
            return
        except OSError:
            if path.is_socket():
                path.unlink()
            return
    raise ConfigurationError(
        f"another agent answers at {path}", hint="Stop it first: systemctl stop edge-agent"
    )


class ControlClient:
    """The command line's end. Each call is a connection of its own."""

    def __init__(self, path: Path, timeout_s: float = 30.0) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def call(self, command: str, **arguments: Any) -> Any:
        """Ask once. Raises AgentNotRunning, or the AgentError that the daemon answers with."""
        for answer in self._lines(command, arguments, self._timeout_s):
            if "error" in answer:
                error = AgentError(answer["error"], hint=answer["hint"])
                error.exit_code = answer["exit_code"]
                raise error
            return answer["result"]
        raise AgentNotRunning("the agent hung up without an answer")

    def stream(self, command: str, **arguments: Any) -> Iterator[Any]:
        """Yield events until the daemon ends. Raises AgentNotRunning."""
        yield from self._lines(command, arguments, None)

    def _lines(self, command: str, arguments: Mapping[str, Any], timeout_s: float | None) -> Iterator[Any]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.settimeout(timeout_s)
            try:
                channel.connect(str(self._path))
            except PermissionError:
                raise AgentNotRunning(
                    f"may not connect to {self._path}", hint="Run as root, or as a member of its group"
                ) from None
            except OSError:
                raise AgentNotRunning(f"no agent answers at {self._path}") from None
            try:
                channel.sendall(json.dumps({"command": command, **arguments}).encode() + b"\n")
                with channel.makefile("rb") as lines:
                    for line in lines:
                        yield json.loads(line)
            except TimeoutError:
                raise AgentNotRunning(f"the agent did not answer within {timeout_s:.0f} s") from None
            except ValueError:
                raise AgentBug("the agent's answer is not JSON") from None
