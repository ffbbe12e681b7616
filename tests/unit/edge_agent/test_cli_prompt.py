"""Keys at a terminal: asked for unseen, and again if one is mistyped."""

import os
import pty

import pytest

from tests.rig.edge_desk import EdgeDesk
from tests.rig.process import BIN

KEY = "a1b2" * 8


@pytest.mark.slow
def test_a_key_is_asked_for_unseen_and_again_if_it_is_mistyped(tmp_path):
    desk = EdgeDesk(tmp_path)
    child, terminal = pty.fork()
    if child == 0:
        os.execv(
            BIN / "edge-agent",
            ["edge-agent", "device", "add", "--qr", "-", "--config", str(desk.configuration)],
        )
    said = b""

    def wait_for(text: bytes, times: int = 1) -> None:
        nonlocal said
        while said.count(text) < times:
            said += os.read(terminal, 4096)

    wait_for(b"text of the QR code: ")
    os.write(terminal, b"LW:D0:70B3D57ED00000FF:70B3D57ED0000001:00FF0001\n")
    wait_for(b"AppKey: ")
    os.write(terminal, KEY[:-1].encode() + b"\n")
    wait_for(b"AppKey: ", times=2)
    os.write(terminal, KEY.encode() + b"\n")
    wait_for(b"Added 1 device.")
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert b"AppKey is 32 hex digits; what came is none (31 characters). Once more, please." in said
    assert KEY[:8].encode() not in said
    assert [device["dev_eui"] for device in desk.json("device", "list")] == ["70b3d57ed0000001"]
    desk.close()
