"""The service manager holds the socket; the receiver is killed and comes back; no datagram is lost."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from edge_agent.radio.gwmp import push_data
from edge_agent.radio.inherited_sockets import inherited_sockets
from edge_codecs.identifiers import EUI64

RECEIVER = """
import asyncio, os, signal, sys
from edge_agent.clock import Clock
from edge_agent.radio.inherited_sockets import inherited_sockets
from edge_agent.radio.semtech_udp import SemtechUdp

async def receive():
    inherited = inherited_sockets(os.environ, os.getpid())
    radio = SemtechUdp(Clock("trusted"), port=int(sys.argv[1]), inherited=inherited)
    assert radio.status()["inherited"]
    async for burst in radio.bursts():
        if "--die" in sys.argv:
            os.kill(os.getpid(), signal.SIGKILL)
        for frame in burst:
            print(frame.counter_us, flush=True)

asyncio.run(receive())
"""
LAUNCHER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_PID": "77", "LISTEN_FDS": "x"},
        {"LISTEN_PID": "77"},
    ],
)
def test_nothing_is_taken_that_is_not_meant_for_us(environ):
    environ = dict(environ)
    assert inherited_sockets(environ, 77) == []
    assert environ == {}


class Manager:
    """Holds the socket as systemd does, and hands it to one receiver after the other."""

    def __init__(self, directory):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.log = directory / "frames.txt"

    def start(self, *arguments):
        fd = str(self.socket.fileno())
        with self.log.open("a") as log:
            return subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    LAUNCHER,
                    fd,
                    sys.executable,
                    "-c",
                    RECEIVER,
                    str(self.port),
                    *arguments,
                ],
                pass_fds=(self.socket.fileno(),),
                stdout=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )

    def received(self):
        """In order of their first coming: what a killed receiver had not settled comes once more."""
        return list(dict.fromkeys(int(line) for line in self.log.read_text().splitlines()))

    def wait_for(self, count):
        until = time.monotonic() + 30
        while len(self.received()) < count:
            assert time.monotonic() < until, self.received()
            time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_restart_loses_no_datagram(tmp_path, end):
    manager = Manager(tmp_path)
    sent = 0
    with manager.socket, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forwarder:
        for _ in range(3):
            receiver = manager.start()
            try:
                manager.wait_for(sent)  # those of its absence
                for _ in range(20):
                    forwarder.sendto(datagram(sent), ("127.0.0.1", manager.port))
                    sent += 1
                manager.wait_for(sent)
            finally:
                receiver.send_signal(end)
                receiver.wait(timeout=10)
            for _ in range(200):  # nobody reads; the kernel queues
                forwarder.sendto(datagram(sent), ("127.0.0.1", manager.port))
                sent += 1
        receiver = manager.start()
        try:
            manager.wait_for(sent)
        finally:
            receiver.kill()
            receiver.wait(timeout=10)
    assert manager.received() == list(range(sent))


@pytest.mark.slow
def test_a_datagram_that_was_read_and_not_settled_comes_again(tmp_path):
    manager = Manager(tmp_path)
    with manager.socket, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forwarder:
        for number in range(50):
            forwarder.sendto(datagram(number), ("127.0.0.1", manager.port))
            if number % 10 == 0:
                forwarder.sendto(b"", ("127.0.0.1", manager.port))
        for _ in range(2):
            assert manager.start("--die").wait(timeout=10) == -signal.SIGKILL
        receiver = manager.start()
        try:
            manager.wait_for(50)
        finally:
            receiver.kill()
            receiver.wait(timeout=10)
    assert manager.received() == list(range(50))


def datagram(number):
    rxpk = f'{{"tmst":{number},"freq":868.1,"stat":1,"datr":"SF7BW125","rssi":-60,"data":"QAECAw=="}}'
    return push_data(b"ab", EUI64(bytes(8)), f'{{"rxpk":[{rxpk}]}}')
