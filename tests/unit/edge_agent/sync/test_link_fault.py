from __future__ import annotations

import errno
import socket
import ssl

import pytest

from edge_agent.sync import link_fault


def verification(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, "as OpenSSL says it"
    return error


def alert(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "says", "hints"),
    [
        (verification(9), "not yet valid", "clock right"),
        (verification(10), "broker's certificate has expired", "clock right"),
        (verification(62), "another host name", "[sync] host"),
        (verification(64), "another address", "[sync] host"),
        (verification(20), "another authority", "ca_file"),
        (verification(18), "another authority", "ca_file"),
        (alert("SSLV3_ALERT_CERTIFICATE_EXPIRED"), "gateway's certificate has expired", "gateway add"),
        (alert("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "no certificate from this gateway", "certificate_file"),
        (alert("TLSV1_ALERT_UNKNOWN_CA"), "does not know the authority", "gateway add"),
        (alert("SSLV3_ALERT_CERTIFICATE_REVOKED"), "revoked", "stolen"),
        (alert("TLSV1_ALERT_PROTOCOL_VERSION"), "does not speak TLS 1.3", "tlsv1.3"),
        (alert("WRONG_VERSION_NUMBER"), "does not speak TLS", "[sync] port"),
        (alert("NEVER_HEARD_OF"), "never heard of", "doctor"),
        (socket.gaierror(-2, "Name or service not known"), "does not resolve", "DNS"),
        (ConnectionRefusedError(), "nobody listens at broker.test:8883", "running"),
        (TimeoutError(), "does not answer", "firewall"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "there is no way", "ip route"),
        (ConnectionResetError(), "hung up", "TLS port"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error", ""),
    ],
)
def test_each_cause_is_named_with_the_next_step(error, says, hints):
    fault = link_fault.of_exception(error, "broker.test", 8883)
    assert says in fault.message
    assert hints in fault.hint


def test_a_refused_topic_asks_the_right_question():
    fault = link_fault.of_puback(135, "Not authorized", "70b3d57ed0000001")
    assert fault.message == "the broker refuses this topic: is the gateway id the certificate's CN?"
    assert "70b3d57ed0000001" in fault.hint


@pytest.mark.parametrize("function", [link_fault.of_connack, link_fault.of_disconnect])
@pytest.mark.parametrize("code", [*range(128, 163), 255])
def test_every_refusal_of_mqtt_5_has_words(function, code):
    assert function(code, "Whatever it is").message


def test_a_copy_of_the_gateway_is_named():
    assert "same certificate" in link_fault.of_disconnect(142, "Session taken over").hint
