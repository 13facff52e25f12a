"""What the reading routes answer over a walked fleet, in pages, and as files."""

import csv
import io
import sqlite3
from urllib.parse import quote

import pytest

from server.api.exports import harmless

FORMULA = "=HYPERLINK('1')/x"


@pytest.fixture
def get(reading):
    """Reads a path as somebody who may read."""
    client = reading.client("reader")

    def answer(path: str, **params):
        found = client.get(f"/api/v1/{path}", params=params)
        assert found.status_code == 200, found.text
        return found.json()

    return answer


def test_every_question_is_answered(get):
    """Each route gives the same as its service, with a sentence that says so."""
    anomaly = get("anomalies", limit=1)["anomalies"][0]
    assert get(f"anomalies/{anomaly['id']}")["anomaly"]["device"] == anomaly["device"]
    assert get("explanations", anomaly=anomaly["id"])["claims"]
    incident = get("incidents")["incidents"][0]
    assert get(f"incidents/{incident['id']}")["incident"]["title"] == incident["title"]
    assert get("overview")["baseline"]["version"] == 1
    assert get("health")["health"]["devices"] == 16
    assert get("metrics")["total"] == 2
    assert get("baselines", level="cohort")["baselines"]
    assert get("detector")["version"]["version"] == 1
    assert sum(get("scores", bins=10)["anomalous"]) == get("anomalies")["total"]
    assert get("drift", limit=3)["features"]
    assert get("groups", by="store")["groups"]
    assert "no recorded change" in get("changes", incident=incident["id"])["summary"].lower()
    assert get("at-risk", incident=incident["id"])["devices"] is not None
    assert get("runs")["runs"][0]["run"] == "shop-1"
    assert get("runs/shop-1")["complete"] is True


def test_a_device_is_found_whatever_its_name(get):
    """Names with slashes, quotes and markup are names."""
    for name in (FORMULA, "<script>alert(1)</script>\u202e"):
        path = f"devices/{quote(name, safe='')}"
        assert get(f"{path}/timeline", metric="heat", points=10)["device"] == name
        assert get(f"{path}/peers")["metrics"]
        rows = get(f"{path}/telemetry", limit=2, offset=1)
        assert len(rows["rows"]) == 2
        assert rows["truncated"]
        assert rows["rows"][0][rows["columns"].index("time")].startswith("2025-03-03")


def test_a_quote_in_a_name_ends_no_literal(reading):
    """What looks like SQL is an unknown device."""
    answer = reading.client("reader").get("/api/v1/devices/x' OR '1'='1/telemetry")
    assert answer.status_code == 404


def test_queries_run_locked_in(reading):
    """One SELECT is answered; what reaches for files is refused."""
    client = reading.client("reader")
    told = client.post("/api/v1/telemetry/query", json={"sql": "SELECT count(*) AS n FROM telemetry"})
    assert told.json()["rows"] == [[16 * 480]]
    for sql in ("SELECT * FROM read_csv('/etc/passwd')", "DELETE FROM telemetry", "SELECT 1; SELECT 2"):
        assert client.post("/api/v1/telemetry/query", json={"sql": sql}).status_code == 422, sql


@pytest.mark.parametrize(("path", "key"), [("anomalies", "anomalies"), ("incidents", "incidents"), ("devices", "devices")])
def test_pages_follow_one_another_without_gap_or_overlap(get, path, key):
    """Together they are the whole, and only the last one is not truncated."""
    whole = get(path, limit=500)
    size = max(1, whole["total"] // 3)
    found, pages = [], []
    while not pages or pages[-1]["truncated"]:
        pages.append(get(path, limit=size, offset=len(found)))
        found += pages[-1][key]
    assert found == whole[key]
    assert all(page["total"] == whole["total"] for page in pages)
    assert get(path, offset=whole["total"])[key] == []


def test_exports_hold_every_row_and_no_formula(reading, get):
    """A spreadsheet runs nothing of what a device is called."""
    client = reading.client("reader")
    for what in ("anomalies", "incidents"):
        answer = client.get(f"/api/v1/exports/{what}.csv")
        assert answer.headers["content-type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert len(rows) == get(what, limit=1, **({"include_muted": True} if what == "incidents" else {}))["total"]
        assert not any(cell.lstrip()[:1] in {"=", "+", "@"} for row in rows for cell in row.values())
    assert f"'{FORMULA}" in client.get("/api/v1/exports/anomalies.csv").text


def test_more_rows_than_a_page_are_exported_once_each(reading, monkeypatch):
    """The file goes on where a page ends."""
    whole = reading.client("reader").get("/api/v1/exports/anomalies.csv").text
    monkeypatch.setattr("server.api.exports._PAGE", 7)
    assert reading.client("reader").get("/api/v1/exports/anomalies.csv").text == whole


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", " =1", "\t=1", "\r=1", "\uff1d1"])
def test_a_cell_that_begins_like_a_formula_gets_an_apostrophe(text):
    """Whatever a spreadsheet takes for the beginning of one."""
    assert harmless(text) == f"'{text}"
    assert harmless("plain=1") == "plain=1"


def test_the_routes_are_described_without_anything_from_elsewhere(reading):
    """The schema and the page that lists it load nothing from another host."""
    client = reading.client()
    page = client.get("/api/v1/docs")
    assert page.status_code == 200
    assert "/api/v1/anomalies" in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert client.get("/docs").status_code == 404
    assert client.get("/redoc").status_code == 404


def test_an_edited_trail_is_refused_by_name(changing):
    """An edit of one row shows at once, and the trail is not read as if nothing were (P17)."""
    client = changing.client("judge")
    anomaly = client.get("/api/v1/anomalies", params={"limit": 1}).json()["anomalies"][0]["id"]
    client.post("/api/v1/feedback", json={"verdict": "true", "anomaly": anomaly})
    assert client.get("/api/v1/audit/verification").json()["rows"] >= 1
    _edit(changing.desk.app.settings.home / "anomalyst.sqlite")
    for path in ("audit", "audit/verification"):
        told = client.get(f"/api/v1/{path}")
        assert (told.status_code, told.json()["error"]) == (500, "ArtifactDamaged")


def _edit(path) -> None:
    with sqlite3.connect(path) as connection:
        changed = connection.execute("UPDATE audit SET actor = 'mallory' WHERE action = 'record_feedback'").rowcount
    connection.close()
    assert changed == 1
