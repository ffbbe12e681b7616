from __future__ import annotations

import socket
import ssl

import pytest

from cloud_sync import broker_fault


def verification(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, "as OpenSSL says it"
    return error


def alert(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (verification(9), "not yet valid"),
        (verification(10), "has expired"),
        (verification(62), "another host name"),
        (verification(19), "another authority"),
        (alert("SSLV3_ALERT_CERTIFICATE_EXPIRED"), "our certificate has expired"),
        (alert("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "no certificate from us"),
        (alert("TLSV1_ALERT_UNKNOWN_CA"), "does not know our certificate's authority"),
        (alert("TLSV1_ALERT_PROTOCOL_VERSION"), "does not speak TLS 1.3"),
        (alert("NEVER_HEARD_OF"), "never_heard_of"),
        (socket.gaierror(-2, "Name or service not known"), "does not resolve"),
        (ConnectionRefusedError(), "nobody listens at broker.test:8883"),
        (TimeoutError(), "does not answer"),
        (OSError(5, "Input/output error"), "Input/output error"),
    ],
)
def test_each_cause_is_named_with_the_next_step(error, says):
    fault = broker_fault.of_exception(error, "broker.test:8883")
    assert says in fault.message
    assert fault.hint


@pytest.mark.parametrize("code", range(128, 163))
def test_every_refusal_has_words(code):
    fault = broker_fault.of_connack(code, "Whatever it is")
    assert fault.message
    assert fault.hint
