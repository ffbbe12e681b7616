"""What keeps the receiver from the broker, in words that name the cause and the next step. Pure."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BrokerFault:
    """What is wrong, and the next thing that a person should do."""

    message: str
    hint: str


_OURS = {
    9: ("the broker's certificate is not yet valid", "Is this host's clock right? See: timedatectl"),
    10: ("the broker's certificate has expired", "Have a new one issued: cloud-sync ca issue-server"),
    62: ("the broker's certificate is for another host name", "Spell [mqtt] host as the certificate does"),
    64: ("the broker's certificate is for another address", "Spell [mqtt] host as the certificate does"),
}
_ALERTS = {
    "CERTIFICATE_EXPIRED": (
        "the broker says that our certificate has expired",
        "cloud-sync ca issue-receiver",
    ),
    "CERTIFICATE_REVOKED": (
        "the broker says that our certificate is revoked",
        "cloud-sync ca issue-receiver",
    ),
    "CERTIFICATE_REQUIRED": ("the broker got no certificate from us", "Check [mqtt] certificate_file"),
    "UNKNOWN_CA": (
        "the broker does not know our certificate's authority",
        "Check [mqtt] certificate_file, and cafile at the broker",
    ),
    "PROTOCOL_VERSION": ("the broker does not speak TLS 1.3", "Set tls_version tlsv1.3 at the broker"),
    "UNSUPPORTED_PROTOCOL": ("the broker does not speak TLS 1.3", "Set tls_version tlsv1.3 at the broker"),
    "WRONG_VERSION_NUMBER": ("that port does not speak TLS", "Check [mqtt] port"),
}
_CONNACK = {
    132: ("the broker does not speak MQTT 5", "Nothing older will do: it hides refusals"),
    134: ("the broker knows no such user", "Is use_identity_as_username set at the broker?"),
    135: ("the broker does not let us in", "Is our certificate's CN in its ACL (config/broker/acl)?"),
}
TAKEN_OVER = BrokerFault(
    "another receiver took over our session",
    "Each receiver needs a certificate of its own name and a [mqtt] client_id of its own",
)


def of_exception(error: BaseException, where: str) -> BrokerFault:
    """Name what connecting or shaking hands ended with; `where` is host:port."""
    match error:
        case ssl.SSLCertVerificationError():
            message, hint = _OURS.get(
                error.verify_code,
                ("the broker's certificate comes from another authority", "Check [mqtt] ca_file"),
            )
            return BrokerFault(f"{message} ({where}: {error.verify_message})", hint)
        case ssl.SSLError():
            reason = error.reason or ""
            for name, (message, hint) in _ALERTS.items():
                if name in reason:
                    return BrokerFault(f"{message} ({where})", hint)
            return BrokerFault(f"TLS with {where} failed: {reason.lower()}", "Look in the broker's log")
        case socket.gaierror():
            return BrokerFault(f"the name in {where} does not resolve", "Is [mqtt] host right?")
        case ConnectionRefusedError():
            return BrokerFault(f"nobody listens at {where}", "Is the broker running, and [mqtt] port right?")
        case TimeoutError():
            return BrokerFault(f"{where} does not answer", "Does a firewall block the port?")
        case _:
            return BrokerFault(f"{where}: {error or type(error).__name__}", "Look in the broker's log")


def of_connack(code: int, name: str) -> BrokerFault:
    """Name a CONNACK reason code of 128 or more."""
    message, hint = _CONNACK.get(code, (f"the broker refuses us: {name} ({code})", "Look in its log"))
    return BrokerFault(message, hint)
