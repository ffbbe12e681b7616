"""The control socket, with a real socket and both of its ends."""

import asyncio
import json
import socket
import stat
import threading

import pytest

from edge_agent.control import AgentNotRunning, ControlClient, ControlServer
from edge_agent.errors import AgentError, ConfigurationError, UsageError


async def _nothing_left():
    """Whoever connected as the server ended has been let go."""
    quiet = 0
    while quiet < 50:  # turns of the loop: an accepted connection takes a few before it is a task
        await asyncio.sleep(0)
        quiet = 0 if len(asyncio.all_tasks()) > 1 else quiet + 1


async def _echo(request):
    return {"heard": request["word"]}


async def _refuse(_request):
    raise UsageError("not that", hint="this")


async def _count(request):
    for number in range(request["up_to"]):
        yield {"number": number}


@pytest.fixture
def served(tmp_path):
    """A server in a thread of its own; yields the socket's path."""
    path = tmp_path / "control.sock"
    server = ControlServer(path, {"echo": _echo, "refuse": _refuse}, {"count": _count})
    loop = asyncio.new_event_loop()
    task = loop.create_task(server.serve())

    def run():
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.run_until_complete(_nothing_left())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    while not path.exists() or stat.S_IMODE(path.stat().st_mode) != 0o660:
        assert thread.is_alive()
    yield path
    # connections are accepted in order: whoever came before this one is no longer on the way in
    ControlClient(path).call("echo", word="bye")
    loop.call_soon_threadsafe(task.cancel)
    thread.join()


def test_a_call_is_answered(served):
    assert ControlClient(served).call("echo", word="hello") == {"heard": "hello"}


def test_an_error_keeps_its_hint_and_status(served):
    with pytest.raises(AgentError, match="not that") as caught:
        ControlClient(served).call("refuse")
    assert (caught.value.hint, caught.value.exit_code) == ("this", 64)


def test_an_unknown_command_is_named(served):
    with pytest.raises(AgentError, match="dance"):
        ControlClient(served).call("dance")


def test_a_request_that_lacks_something_is_answered(served):
    with pytest.raises(AgentError, match="asked wrongly"):
        ControlClient(served).call("echo")
    assert ControlClient(served).call("echo", word="still here") == {"heard": "still here"}


def test_a_stream_ends_when_it_ends(served):
    assert [e["number"] for e in ControlClient(served).stream("count", up_to=3)] == [0, 1, 2]


@pytest.mark.parametrize(
    "garbage", [b"\n", b"[]\n", b"{}\n", b'{"command": []}\n', b"\xff\n", b"{" * 5000 + b"\n"]
)
def test_garbage_is_answered_and_harms_nobody(served, garbage):
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(str(served))
        channel.sendall(garbage)
        assert "not a request" in json.loads(channel.makefile().readline())["error"]
    assert ControlClient(served).call("echo", word="still here") == {"heard": "still here"}


def test_a_second_server_is_refused(served):
    with pytest.raises(ConfigurationError, match="another agent"):
        asyncio.run(ControlServer(served, {}, {}).serve())


def test_a_socket_left_by_a_killed_daemon_is_replaced(tmp_path):
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def serve_briefly():
        task = asyncio.create_task(ControlServer(path, {"echo": _echo}, {}).serve())
        answer = await asyncio.to_thread(_call_when_up, path)
        task.cancel()
        return answer

    assert asyncio.run(serve_briefly()) == {"heard": "x"}


def _call_when_up(path):
    while True:
        try:
            return ControlClient(path).call("echo", word="x")
        except AgentNotRunning:
            continue


def test_nobody_there_is_said_with_the_next_step(tmp_path):
    with pytest.raises(AgentNotRunning) as caught:
        ControlClient(tmp_path / "control.sock").call("status")
    assert caught.value.exit_code == 69
    assert "systemctl start" in caught.value.hint
