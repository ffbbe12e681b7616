"""The receiver's own certificate and key, before any broker is asked."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from cloud_sync.errors import ConfigurationError
from cloud_sync.mqtt import Broker
from tests.rig.certificates import Certificates


@pytest.fixture
def pki(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(
    pki: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL would ask the terminal: with no callback of ours, this test would hang or read "problems"."""
    pair = pki.client("receiver")
    key = load_pem_private_key(pair.key.read_bytes(), None)
    pair.key.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"sesame"))
    )
    with pytest.raises(ConfigurationError, match="encrypted") as caught:
        Broker("localhost", 8883, pki.ca, pair.certificate, pair.key).tls_context()
    assert str(pair.key) in str(caught.value)
    assert "openssl pkey" in caught.value.hint


def test_a_half_renewed_pair_is_refused(pki: Certificates) -> None:
    pair, renewed = pki.client("receiver"), pki.client("receiver")
    with pytest.raises(ConfigurationError, match="do not fit together") as caught:
        Broker("localhost", 8883, pki.ca, renewed.certificate, pair.key).tls_context()
    assert "encrypted" not in str(caught.value)
