"""Block the network in tests, except for connections to this machine."""

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

MESSAGE = (
    'The tests do not use the network, but something asked for {address!r}. Give it a local file '
    'or a server on 127.0.0.1.'
)


class NetworkError(AssertionError):
    """Something has tried to reach another machine; `except OSError` cannot hide it."""


def is_local(address: Any) -> bool:
    """Return whether a socket address belongs to this machine."""
    if not isinstance(address, tuple):  # the path of a Unix socket
        return True
    host = address[0]
    if host in ('', 'localhost', None, socket.gethostname()):
        return True
    try:
        return ipaddress.ip_address(host.partition('%')[0]).is_loopback
    except ValueError:
        return False


def _checked(function: Callable, position: int) -> Callable:
    def call(*args, **kwargs):
        address = args[position] if len(args) > abs(position) else None
        if not is_local(address):
            raise NetworkError(MESSAGE.format(address=address))
        return function(*args, **kwargs)

    return call


def go_offline() -> None:
    """Refuse connections, datagrams and name look-ups of other machines in this process."""
    for name, position in {'connect': 1, 'connect_ex': 1, 'sendto': -1}.items():
        setattr(socket.socket, name, _checked(getattr(socket.socket, name), position))
    lookup = socket.getaddrinfo

    def getaddrinfo(host, *args, **kwargs):
        name = host.decode() if isinstance(host, bytes) else host
        if not is_local((name,)):
            raise NetworkError(MESSAGE.format(address=name))
        return lookup(host, *args, **kwargs)

    socket.getaddrinfo = getaddrinfo
