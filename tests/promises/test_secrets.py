"""Attack: secrets in logs. What a server is told in confidence is in none of what it writes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from server.tools.tokens import digest_of

ANOMALYST = Path(sys.executable).with_name("anomalyst")
TOKEN, WRONG, PASSWORD = "anomalyst_right_" + "x" * 30, "anomalyst_wrong_" + "y" * 30, "p4ssw0rd-of-the-store"


@pytest.mark.slow
def test_no_secret_is_in_what_a_server_writes(tmp_path: Path) -> None:
    """Tokens that are good, bad or in the wrong place, a password in a URL, a call that fails."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANOMALYST_")}
    told = {
        "ANOMALYST_HOME": str(tmp_path),
        "ANOMALYST_TOKENS__LISTED": f"ann:read+run+feedback+approve+maintain:default:{digest_of(TOKEN)}",
        "ANOMALYST_MEMORY__API_KEY": PASSWORD,
    }
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([ANOMALYST, "serve", "--port", str(port)], env={**kept, **told}, stdout=log, stderr=log)
        try:
            for _ in range(300):
                try:
                    httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False)
                    break
                except httpx.TransportError:
                    time.sleep(0.2)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
                codes = [
                    http.get("/api/v1/runs", headers={"Authorization": f"Bearer {token}"}).status_code
                    for token in (TOKEN, WRONG)
                ]
                own = {"Authorization": f"Bearer {TOKEN}"}
                codes.append(http.get("/api/v1/runs", params={"token": TOKEN}, headers=own).status_code)
                codes.append(http.post("/api/v1/runs", json={"location": WRONG, "password": PASSWORD}, headers=own).status_code)
                codes.append(http.post("/api/v1/prune", json={"keep_runs": 1}, headers=own).status_code)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
    assert codes == [200, 401, 422, 422, 200]
    written = (tmp_path / "log").read_text()
    for secret in (TOKEN, WRONG, PASSWORD, digest_of(TOKEN)):
        assert secret not in written
    for line in written.splitlines():
        assert not line.startswith("{") or json.loads(line)
