"""What a request is, and where it ends, is said once: over a socket, since clients would not send such a thing."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import uvicorn

Asking = Callable[[str, str], bytes]


@pytest.fixture
def asked(patient, monkeypatch) -> Iterator[Asking]:
    """Sends a head and a body to a server on a port of its own; gives all that it answers until it hangs up."""
    server = uvicorn.Server(uvicorn.Config(patient.api, port=0, log_config=None, lifespan="off"))
    monkeypatch.setattr(server, "install_signal_handlers", lambda: None, raising=False)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    while not server.started:
        assert thread.is_alive()
    port = server.servers[0].sockets[0].getsockname()[1]

    def ask(head: str, body: str) -> bytes:
        found = b""
        with socket.create_connection(("127.0.0.1", port), timeout=2) as sent:
            sent.sendall(head.replace("\n", "\r\n").encode() + b"\r\n" + body.encode())
            with suppress(TimeoutError, ConnectionResetError):
                while piece := sent.recv(65_536):
                    found += piece
        return found

    yield ask
    server.should_exit = True
    thread.join()


BEHIND = "0\r\n\r\nGET /api/v1/me HTTP/1.1\r\nHost: 127.0.0.1:8800\r\n\r\n"


@pytest.mark.parametrize(
    "lengths",
    [
        "Content-Length: 4\nTransfer-Encoding: chunked\n",
        "Transfer-Encoding: chunked\nContent-Length: 4\n",
        "transfer-encoding: chunked\ncontent-length: 4\n",
        "Content-Length: 4\nContent-Length: 40\n",
        "Transfer-Encoding: xchunked\n",
        "Transfer-Encoding : chunked\n",
    ],
)
def test_a_request_with_two_lengths_is_refused_and_nothing_behind_it_is_read(asked, lengths):
    """One answer, and the connection is closed: what a proxy took for its body is not a request of its own."""
    told = asked(f"POST /api/v1/feedback HTTP/1.1\nHost: 127.0.0.1:8800\n{lengths}", BEHIND)
    assert told.startswith(b"HTTP/1.1 400")
    assert told.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in told.lower()


@pytest.mark.parametrize("hosts", ["Host: 127.0.0.1:8800\nHost: evil.example\n", "Host: evil.example\nHost: 127.0.0.1:8800\n"])
def test_a_request_with_two_hosts_is_refused(asked, hosts):
    """Neither of them counts."""
    assert asked(f"GET /api/v1/me HTTP/1.1\n{hosts}", "").startswith(b"HTTP/1.1 400")


def test_a_request_in_pieces_is_taken_as_ever(asked):
    """Chunks alone are how clients send what they do not know the length of."""
    head = "POST /api/v1/feedback HTTP/1.1\nHost: 127.0.0.1:8800\nTransfer-Encoding: chunked\nConnection: close\n"
    assert asked(head, "0\r\n\r\n").startswith(b"HTTP/1.1 401")
