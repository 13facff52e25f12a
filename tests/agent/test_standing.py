"""What `anomalyst doctor` says of the models: which would answer now, and what to do about one that is down."""

import json
import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import ClassVar

import pytest
from typer.testing import CliRunner

from agent.standing import examine


class Served(BaseHTTPRequestHandler):
    """Lists two models, as Ollama does, and counts who asked."""

    asked: ClassVar[list[str]] = []

    def do_GET(self):
        self.asked.append(self.path)
        body = json.dumps({"data": [{"id": "qwen3:latest"}, {"id": "llama3.2"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing is printed."""


@pytest.fixture
def ollama(monkeypatch):
    """A server at the address of the setting; gives the paths that were asked for."""
    Served.asked = []
    with HTTPServer(("127.0.0.1", 0), Served) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("ANOMALYST_OLLAMA_URL", f"http://127.0.0.1:{server.server_address[1]}/v1")
        yield Served.asked
        server.shutdown()
        thread.join()


@pytest.fixture
def nobody_there(monkeypatch):
    """An address where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("ANOMALYST_OLLAMA_URL", f"http://127.0.0.1:{free.getsockname()[1]}/v1")


def said(monkeypatch, model):
    monkeypatch.setenv("ANOMALYST_MODEL", model)
    return list(examine())


def test_without_a_language_model_offline_answers_and_nothing_is_asked(monkeypatch, ollama):
    """No network unless a model is configured."""
    (row,) = said(monkeypatch, "offline")
    assert (row.part, row.state) == ("model", "ok")
    assert row.what.startswith("offline answers")
    assert not ollama


@pytest.mark.parametrize("name", ["qwen3", "llama3.2"])
def test_a_model_that_is_served_would_answer_now(monkeypatch, ollama, name):
    """Ollama is asked what it serves, and nothing else."""
    chain, own = said(monkeypatch, f"ollama:{name}")
    assert chain.what == f"{name} would answer now (tried in turn: {name}, then offline)"
    assert {chain.state, own.state} == {"ok"}
    assert ollama == ["/v1/models"]


@pytest.mark.usefixtures("nobody_there")
def test_a_model_that_is_down_is_named_with_what_to_do_and_offline_answers(monkeypatch):
    """A warning: questions are answered all the same."""
    chain, own = said(monkeypatch, "ollama:qwen3,offline")
    assert chain.what.startswith("offline would answer now")
    assert {chain.state, own.state} == {"warning"}
    assert "ollama serve" in chain.advice
    assert "ANOMALYST_OLLAMA_URL" in own.advice


@pytest.mark.usefixtures("ollama")
def test_the_next_of_the_chain_is_named_where_the_first_is_not_served(monkeypatch):
    """With the command that fetches the first."""
    chain, first, second = said(monkeypatch, "ollama:phi4,ollama:qwen3")
    assert chain.what.startswith("qwen3 would answer now")
    assert "`ollama pull phi4`" in chain.advice
    assert (first.state, second.state) == ("warning", "ok")


@pytest.mark.parametrize(("name", "value"), [("ANOMALYST_MODEL", "nonesuch:x"), ("ANOMALYST_TIME_ZONE", "Mars/Base")])
def test_a_setting_that_cannot_be_used_is_wrong(monkeypatch, name, value):
    """By name, and it makes `doctor` end with 1."""
    monkeypatch.setenv(name, value)
    (row,) = examine()
    assert (row.part, row.state) == ("model", "wrong")
    assert value in row.what


@pytest.mark.usefixtures("nobody_there")
def test_doctor_shows_it(monkeypatch, tmp_path):
    """Among its other parts, and a model that is down is nothing wrong."""
    from server.cli.root import app  # noqa: PLC0415 - all commands, which other tests of this file need not wait for

    monkeypatch.setenv("ANOMALYST_MODEL", "ollama:qwen3")
    done = CliRunner().invoke(app, ["doctor", "--json", "--home", str(tmp_path)])
    rows = {row["part"]: row for row in json.loads(done.stdout)}
    assert rows["model"]["what"].startswith("offline would answer now")
    assert rows["model qwen3"]["state"] == "warning"
    assert done.exit_code == 0
