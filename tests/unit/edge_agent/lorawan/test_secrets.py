"""Keys do not print, however they are asked."""

from __future__ import annotations

import pickle
import traceback
from dataclasses import asdict

import pytest

from edge_agent.lorawan.aes128 import AES128
from edge_agent.lorawan.key_derivation import join_server_keys, session_keys_1_0
from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.keywrap import KeyWrapError, unwrap, wrap
from edge_agent.lorawan.netid import NetID
from edge_codecs.identifiers import DevEUI

KEY = AES128Key(bytes.fromhex("c0ffee0123456789abcdef5ec4e7aa55"))


def leaks(text: str, key: bytes = KEY) -> bool:
    return key.hex() in text.lower() or repr(bytes(key))[2:-1] in text


@pytest.mark.parametrize(
    "shown",
    [str(KEY), repr(KEY), f"{KEY}", f"{KEY:>40}", f"{KEY!s}", f"{[KEY]}", str.format("{}", KEY)],
)
def test_a_key_shows_a_fingerprint_only(shown: str) -> None:
    assert "<key " in shown
    assert not leaks(shown)


def test_a_key_at_work_shows_nothing() -> None:
    aes = AES128(KEY)
    aes.cmac(b"")
    aes.encrypt(bytes(16))
    assert not leaks(repr(aes))
    with pytest.raises(TypeError):
        pickle.dumps(aes)


def test_derived_keys_do_not_print() -> None:
    keys = session_keys_1_0(KEY, 1, NetID(bytes(3)), 2)
    assert not leaks(repr(keys), keys.app_s_key)
    assert not leaks(str(asdict(keys)), keys.app_s_key)
    server = join_server_keys(KEY, DevEUI(bytes(8)))
    assert not leaks(repr(server), server.js_int_key)


def test_errors_do_not_repeat_a_key() -> None:
    wrapped = wrap(bytes(16), KEY)
    for attempt in (
        lambda: AES128Key(KEY + b"\0"),
        lambda: AES128Key.parse(KEY.hex() + "00"),
        lambda: AES128Key.parse(KEY.hex()[:-1] + "x"),
        lambda: AES128(KEY).encrypt(bytes(KEY) + b"\0"),
        lambda: unwrap(KEY, wrapped),
    ):
        with pytest.raises(ValueError) as caught:
            attempt()
        # the words of the error; source lines of this test would name the key by themselves
        assert not leaks("".join(traceback.format_exception_only(caught.value)))


def test_a_wrapped_key_that_was_altered_is_refused() -> None:
    wrapped = wrap(bytes(16), KEY)
    with pytest.raises(KeyWrapError):
        unwrap(bytes(16), wrapped[:-1] + bytes([wrapped[-1] ^ 1]))
