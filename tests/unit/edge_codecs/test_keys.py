"""Keys: to bytes and PEM and back, and never shown."""

from __future__ import annotations

import pytest

from edge_codecs.keys import SealingPrivateKey, SealingPublicKey, SigningKey, VerifyKey

SEED = bytes(range(32))


def test_signing_key_of_rfc_8032() -> None:
    """RFC 8032, section 7.1, test 1."""
    key = SigningKey(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    assert key.verify_key.raw.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert key.sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155")
    assert key.verify_key.verifies(key.sign(b""), b"")


def test_sealing_key_of_rfc_7748() -> None:
    """RFC 7748, section 6.1, Alice."""
    key = SealingPrivateKey(
        1, bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    )
    assert key.public_key.raw.hex() == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"


def test_pem_and_raw_both_ways() -> None:
    signing, sealing = SigningKey(SEED), SealingPrivateKey(3, SEED)
    assert SigningKey.from_pem(signing.to_pem()).to_raw() == signing.to_raw() == SEED
    assert VerifyKey.from_pem(signing.verify_key.to_pem()) == signing.verify_key
    assert SealingPrivateKey.from_pem(3, sealing.to_pem()).public_key == sealing.public_key
    assert SealingPublicKey(3, sealing.public_key.raw) == sealing.public_key


def test_generated_keys_differ() -> None:
    assert SigningKey.generate().verify_key != SigningKey.generate().verify_key
    assert SealingPrivateKey.generate(1).public_key != SealingPrivateKey.generate(1).public_key


def test_keys_are_told_apart_by_value() -> None:
    assert len({SigningKey(SEED).verify_key, SigningKey(SEED).verify_key}) == 1
    public = SealingPrivateKey(1, SEED).public_key.raw
    assert len({SealingPublicKey(1, public), SealingPublicKey(2, public), SealingPublicKey(1, public)}) == 2
    assert SigningKey(SEED).verify_key != public


@pytest.mark.parametrize("key", [SigningKey(SEED), SealingPrivateKey(1, SEED)])
def test_private_keys_do_not_print(key: SigningKey | SealingPrivateKey) -> None:
    shown = f"{key} {key!r} {[key]}"
    assert SEED.hex() not in shown
    assert repr(SEED)[2:-1] not in shown
    assert "key" in shown


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65)])
def test_a_signature_that_is_none(signature: bytes) -> None:
    assert not SigningKey(SEED).verify_key.verifies(signature, b"message")


@pytest.mark.parametrize("raw", [b"", bytes(31), bytes(33)])
def test_wrong_length_is_refused(raw: bytes) -> None:
    for kind in (SigningKey, VerifyKey):
        with pytest.raises(ValueError, match=r"\w"):
            kind(raw)
    for numbered in (SealingPrivateKey, SealingPublicKey):
        with pytest.raises(ValueError, match=r"\w"):
            numbered(1, raw)


@pytest.mark.parametrize("number", [0, -1, 65_536])
def test_wrong_number_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="1 … 65535"):
        SealingPrivateKey(number, SEED)


def test_pem_of_another_kind_is_refused() -> None:
    signing, sealing = SigningKey(SEED), SealingPrivateKey(1, SEED)
    with pytest.raises(ValueError, match="not an Ed25519 private key"):
        SigningKey.from_pem(sealing.to_pem())
    with pytest.raises(ValueError, match="not an X25519 private key"):
        SealingPrivateKey.from_pem(1, signing.to_pem())
    with pytest.raises(ValueError, match="not an unencrypted private key") as caught:
        SigningKey.from_pem(b"secret canary")
    assert "canary" not in str(caught.value)
