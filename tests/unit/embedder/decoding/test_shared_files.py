"""Files in memory between the embedder and its decoding processes, which may be taken over by a hostile picture."""

import errno
import os
import socket
from pathlib import Path

import pytest

from embedder.decoding.decoding import HAS_PROCESSES
from embedder.decoding.messages import Granted, Message, Needs, Size, receive, send
from embedder.decoding.shared_files import anonymous_file, shared_memory

pytestmark = pytest.mark.skipif(not HAS_PROCESSES, reason="decoding processes need Linux")


def test_the_memory_of_a_picture_cannot_be_cut_off_below_its_reader() -> None:
    file = anonymous_file(b"abc" * 10_000)
    shared = shared_memory(file, 30_000)
    with pytest.raises(PermissionError):
        os.ftruncate(file, 3)
    os.close(file)
    assert shared[29_997:] == b"abc"


@pytest.mark.parametrize("size_bytes", [-3, 0, 4])
def test_a_file_that_does_not_hold_the_picture_is_refused(size_bytes: int) -> None:
    file = anonymous_file(b"abc")
    try:
        with pytest.raises(OSError, match="smaller"):
            shared_memory(file, size_bytes)
    finally:
        os.close(file)


@pytest.mark.parametrize("sent", [b"\xc1", b"\x81\xa4type\xa7Decoded", b"plain words"])
def test_what_is_no_message_ends_the_conversation(sent: bytes) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        theirs.send(sent)
        with pytest.raises(EOFError, match="no message"):
            receive(ours)


def open_files() -> set[str]:
    return {place.name for place in Path("/proc/self/fd").iterdir()}


@pytest.mark.parametrize("message", [Size(3, 4), Needs(5), Granted()], ids=lambda message: type(message).__name__)
def test_a_file_that_no_message_should_have_is_closed(message: Message) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        open_before = open_files()
        file = anonymous_file(b"abc")
        send(theirs, message, file)
        os.close(file)
        with pytest.raises(EOFError, match="with a file"):
            receive(ours)
        assert open_files() == open_before


def test_a_file_that_cannot_be_filled_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(_file: int, _data: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    open_before = open_files()
    monkeypatch.setattr("os.write", no_room)
    with pytest.raises(OSError, match="space"):
        anonymous_file(b"abc")
    assert open_files() == open_before
