"""
The start of a decoding process: it gives up the network before it loads any decoder.

Linux separates the network of a process with one thread alone, and the libraries of the decoders start threads.
"""

import contextlib
import ctypes
import socket
import sys

_NEW_NETWORK, _NEW_USER = 0x40000000, 0x10000000  # CLONE_NEWNET, CLONE_NEWUSER


def leave_network() -> None:
    """
    Move this process into a network of its own without any connection, where the kernel allows that.

    Containers often forbid it; the network of the embedder's container is then the limit.
    """
    libc = ctypes.CDLL(None)
    if libc.unshare(_NEW_NETWORK) != 0:  # allowed to root alone
        libc.unshare(_NEW_USER | _NEW_NETWORK)


def main() -> None:
    leave_network()
    from embedder.decoding.server import DecodingServer  # noqa: PLC0415  its libraries start threads

    with contextlib.suppress(EOFError, OSError):
        DecodingServer(socket.socket(fileno=int(sys.argv[1]))).serve()


if __name__ == "__main__":
    main()
