"""Whether anything that may be Ray answers at an address, in seconds."""

import os
import socket

from detray.errors import UsageError

CONNECT, ANSWER = 5.0, 8.0
"""Seconds until a connection stands, and until the other side says something: a busy cluster's takes below one."""

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""How a client of HTTP/2, which gRPC is, begins; the server answers with its settings (RFC 9113, section 3.4)."""
SETTINGS = 4


def require_answer(address: str) -> None:
    """Refuse ``host:port`` or ``ray://host:port`` where nothing speaks gRPC; other addresses are left to Ray.

    Raises:
        UsageError: naming the address and why.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        with socket.create_connection((host.strip("[]"), int(port)), CONNECT) as connection:
            if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
                return  # a handshake is Ray's
            connection.settimeout(ANSWER)
            connection.sendall(PREFACE)
            head = connection.recv(9, socket.MSG_WAITALL)
    except TimeoutError:
        raise no_cluster(address, "no answer") from None
    except (OSError, OverflowError) as error:
        raise no_cluster(address, getattr(error, "strerror", None) or str(error)) from None
    if len(head) < 9 or head[3] != SETTINGS:
        raise no_cluster(address, "what answers is not Ray")


def no_cluster(address: str, reason: str) -> UsageError:
    """What is said where a cluster cannot be joined."""
    return UsageError(f"no Ray cluster answers at {address} ({reason}); check --address and RAY_ADDRESS")
