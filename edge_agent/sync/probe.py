"""Why does the broker hang up? One byte more than a handshake tells.

In TLS 1.3 the client's handshake is over before the server has looked at the client's certificate: a refusal
comes as an alert in place of the first byte of data. An MQTT client only sees a dropped connection. So we
shake hands once more, send nothing and read one byte: the alert is what we get, or silence if we are welcome.
"""

from __future__ import annotations

import socket
import ssl

from edge_agent.sync.link import LinkFault
from edge_agent.sync.link_fault import of_exception

SILENCE_S = 5.0


def probe(
    host: str, port: int, context: ssl.SSLContext, timeout_s: float = 15.0, silence_s: float = SILENCE_S
) -> LinkFault | None:
    """The fault that keeps TLS from coming about, or None if there is none. Blocks at most three timeouts."""
    try:
        with (
            socket.create_connection((host, port), timeout=timeout_s) as plain,
            context.wrap_socket(plain, server_hostname=host) as tls,
        ):
            tls.settimeout(silence_s)
            try:
                tls.recv(1)
            except TimeoutError:
                return None  # it waits for our CONNECT: certificates are fine
            return None  # it closed without an alert: not TLS's fault
    except (OSError, ValueError) as error:
        return of_exception(error, host, port)
