"""What went wrong on the way to the broker, in words that name the cause and the next step. Pure."""

from __future__ import annotations

import errno
import socket
import ssl

from edge_agent.sync.link import LinkFault

_OUR_CLOCK = "Is this gateway's clock right? See: timedatectl, edge-agent status"
_WHOSE_CA = (
    "Is [sync] ca_file the certificate of the authority that issued the broker's? Or does somebody intercept?"
)
_RENEW = "Have a new one issued: cloud-sync gateway add identity.json --out DIR, and copy it here"

_OUR_VERDICT = {
    9: ("the broker's certificate is not yet valid", _OUR_CLOCK),
    10: (
        "the broker's certificate has expired",
        "Whoever runs the broker must renew it. If they did: " + _OUR_CLOCK,
    ),
    23: ("the broker's certificate is revoked", "Whoever runs the broker must have a new one issued"),
    26: ("the broker's certificate is not one for a server", "Whoever runs the broker must have one issued"),
    62: (
        "the broker's certificate is for another host name",
        "Spell [sync] host as the certificate does, or have it issued for this name",
    ),
    64: (
        "the broker's certificate is for another address",
        "Spell [sync] host as the certificate does, or have it issued for this address",
    ),
}
"""OpenSSL's X509_V_ERR numbers; all others mean that the chain does not end at our authority."""

_BROKER_ALERT = {
    "CERTIFICATE_EXPIRED": ("the broker says that this gateway's certificate has expired", _RENEW),
    "CERTIFICATE_REVOKED": (
        "the broker says that this gateway's certificate is revoked",
        "If that is a mistake, have a new one issued; if this gateway was stolen, that is why",
    ),
    "CERTIFICATE_REQUIRED": (
        "the broker got no certificate from this gateway",
        "Is [sync] certificate_file the gateway's own certificate, issued by the broker's authority?",
    ),
    "UNKNOWN_CA": (
        "the broker does not know the authority of this gateway's certificate",
        "The certificate must come from the authority that the broker trusts: cloud-sync gateway add",
    ),
    "UNSUPPORTED_CERTIFICATE": (
        "the broker says that this gateway's certificate is not one for a client",
        "Have one issued by: cloud-sync gateway add",
    ),
    "BAD_CERTIFICATE": (
        "the broker says that this gateway's certificate is bad or not yet valid",
        "Is the broker's clock right? Else have a new one issued: cloud-sync gateway add",
    ),
    "CERTIFICATE_UNKNOWN": ("the broker does not accept this gateway's certificate", _RENEW),
    "DECRYPT_ERROR": ("the broker does not accept this gateway's signature", _RENEW),
    "ACCESS_DENIED": ("the broker denies access to this certificate", "Ask whoever runs the broker"),
    "PROTOCOL_VERSION": (
        "the broker does not speak TLS 1.3",
        "We speak nothing older. Set tls_version tlsv1.3 at the broker (config/broker/mosquitto.conf)",
    ),
    "UNSUPPORTED_PROTOCOL": (
        "the broker does not speak TLS 1.3",
        "We speak nothing older. Set tls_version tlsv1.3 at the broker (config/broker/mosquitto.conf)",
    ),
    "WRONG_VERSION_NUMBER": (
        "that port does not speak TLS",
        "Is [sync] port the broker's TLS port (8883)?",
    ),
    "HANDSHAKE_FAILURE": (
        "the broker and this gateway share no cipher suite",
        "The broker must allow TLS_AES_256_GCM_SHA384 or TLS_AES_128_GCM_SHA256",
    ),
}
"""TLS alerts, as OpenSSL spells them in the middle of its reasons."""

_CONNACK = {
    132: ("the broker does not speak MQTT 5", "MQTT 3.1.1 hides refusals, so we do not use it"),
    133: ("the broker refuses the client id", "Set use_username_as_clientid true at the broker"),
    134: ("the broker knows no such user", "Set use_identity_as_username true at the broker"),
    135: ("the broker does not let this gateway in", "Is the gateway id the certificate's CN?"),
    136: ("the broker is not available", ""),
    137: ("the broker is busy", ""),
    138: ("the broker has banned this gateway", "Ask whoever runs the broker"),
    151: ("the broker's quota for this gateway is used up", "Ask whoever runs the broker"),
    159: ("the broker takes no more connections for now", ""),
}

_DISCONNECT = {
    137: ("the broker is busy", ""),
    139: ("the broker shuts down", ""),
    141: ("the broker heard nothing for too long", "Shorten [sync] keepalive_s if this happens often"),
    142: (
        "another program took over the session of this gateway",
        "Is a copy of this gateway running with the same certificate? Stop one; if it is not yours, revoke",
    ),
    147: ("the broker says that we sent too much at once", "Is its max_inflight_messages above 1?"),
    149: (
        "the broker says that a batch is too large",
        "Set message_size_limit at the broker as in config/broker/mosquitto.conf",
    ),
    151: ("the broker's quota for this gateway is used up", "Ask whoever runs the broker"),
    152: ("the broker's administrator ended the connection", "Ask whoever runs the broker"),
}

NO_ANSWER = LinkFault("the broker does not answer", "Is the link up? Does a firewall block the port?")
LOST = LinkFault("the connection to the broker was lost")


def of_exception(error: BaseException, host: str, port: int) -> LinkFault:
    """Name what connecting or shaking hands ended with."""
    where = f"{host}:{port}"
    match error:
        case ssl.SSLCertVerificationError():
            message, hint = _OUR_VERDICT.get(
                error.verify_code, ("the broker's certificate comes from another authority", _WHOSE_CA)
            )
            return LinkFault(f"{message} ({where}: {error.verify_message})", hint)
        case ssl.SSLError():
            return _of_alert(error.reason or "", where)
        case socket.gaierror():
            return LinkFault(f"the name {host} does not resolve", "Is [sync] host right? Is DNS up?")
        case ConnectionRefusedError():
            return LinkFault(f"nobody listens at {where}", "Is the broker running, and [sync] port right?")
        case TimeoutError():
            return LinkFault(f"{where} does not answer", NO_ANSWER.hint)
        case OSError() if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN):
            return LinkFault(f"there is no way to {where}", "Is the network up? See: ip route")
        case ConnectionResetError() | BrokenPipeError():
            return LinkFault(f"{where} hung up during the handshake", "Is it the broker's TLS port?")
        case _:
            return LinkFault(f"{where}: {error or type(error).__name__}")


def of_connack(code: int, name: str) -> LinkFault:
    """Name a CONNACK reason code of 128 or more (MQTT 5, section 3.2.2.2)."""
    message, hint = _CONNACK.get(code, (f"the broker refuses the connection: {name} ({code})", ""))
    return LinkFault(message, hint)


def of_disconnect(code: int, name: str) -> LinkFault:
    """Name the reason code of the broker's DISCONNECT (MQTT 5, section 3.14.2.1)."""
    message, hint = _DISCONNECT.get(code, (f"the broker ended the connection: {name} ({code})", ""))
    return LinkFault(message, hint)


def of_puback(code: int, name: str, gateway: str) -> LinkFault:
    """Name a PUBACK or SUBACK reason code of 128 or more (MQTT 5, section 3.4.2.1)."""
    if code == 135:
        return LinkFault(
            "the broker refuses this topic: is the gateway id the certificate's CN?",
            f"[gateway] id is {gateway}: the certificate must have exactly this CN, "
            "and the broker the rules of config/broker/acl",
        )
    return LinkFault(f"the broker refuses the batch: {name} ({code})", "Look in the broker's log")


def _of_alert(reason: str, where: str) -> LinkFault:
    for name, (message, hint) in _BROKER_ALERT.items():
        if name in reason:
            return LinkFault(f"{message} ({where})", hint)
    said = reason.lower().replace("_", " ") or "no reason given"
    return LinkFault(f"TLS with {where} failed: {said}", "Try: edge-agent doctor")
