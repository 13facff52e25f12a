"""Telemetry sent over HTTP is looked at before anything is made of it; what is refused leaves nothing behind."""

import io
import os
from pathlib import Path
from time import sleep

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from server.domain.identity import Principal
from server.domain.retention import Retention
from server.errors import Unavailable

ROWS = "device,time,model,temp\n" + "".join(f"a,2025-01-01T{hour:02d}:00:00,X,{hour}\n" for hour in range(24))


def sent(server, content, name="week.csv", who="runner"):
    """The answer to an upload."""
    with server.client(who) as client:
        return client.post("/api/v1/uploads", params={"name": name}, content=content)


def kept(server):
    """Files that the server keeps of uploads."""
    folder: Path = server.desk.app.settings.home / "uploads"
    return [path for path in folder.rglob("*") if path.is_file()]


def parquet() -> bytes:
    """Two rows, packed."""
    out = io.BytesIO()
    pq.write_table(pa.table({"device": ["a", "b"], "time": ["2025-01-01", "2025-01-02"], "temp": [1.0, 2.0]}), out)
    return out.getvalue()


@pytest.mark.parametrize(("content", "name"), [(ROWS.encode(), "week.csv"), (parquet(), "week.parquet")])
def test_a_telemetry_file_is_taken_and_its_columns_told(changing, content, name):
    """The answer names what each column is taken for, and where a run finds the file, which is kept as it was sent."""
    answer = sent(changing, content, name)
    assert answer.status_code == 201, answer.json()
    told = answer.json()
    assert (told["device"], told["time"], told["metrics"]) == ("device", "time", ["temp"])
    assert told["bytes"] == len(content)
    (file,) = kept(changing)
    assert file.read_bytes() == content


def test_an_upload_is_walked_like_any_source(changing):
    """A run with its name as location ingests every row, though files are closed to callers with tokens."""
    location = sent(changing, ROWS.encode()).json()["location"]
    with changing.client("runner") as client:
        asked = {"connector": "uploads", "location": location, "fleet": "sent"}
        run = client.post("/api/v1/runs", json=asked).json()["run"]
        client.post(f"/api/v1/runs/{run}/stages/ingest_telemetry")
        for _ in range(600):
            stages = client.get(f"/api/v1/runs/{run}").json()["stages"]
            if stages[0]["state"] not in {"missing", "running"}:
                break
            sleep(0.05)
    assert (stages[0]["state"], stages[0]["rows"]) == ("done", 24)


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        (b"", "week.csv", "empty"),
        (b"\x89PNG\r\n" + bytes(200), "week.csv", "binary"),
        (b'"device\nid",time,temp\na,2025-01-01,1\n', "week.csv", "line break"),
        (b"a,b\nx,y\n", "week.csv", "no column is known to be the device"),
        (b"PK\x03\x04" + bytes(50), "week.parquet", "week.parquet"),
        (b"x", "week.duckdb", "not taken"),
        (b"x", "week.csv.gz", "not taken"),
        (b"x", "week", "not taken"),
    ],
)
def test_a_file_that_is_no_telemetry_is_refused_with_the_reason(changing, content, name, says):
    """Nothing of it is kept, and no run is made."""
    before = changing.desk.app.records.runs("default")
    answer = sent(changing, content, name)
    assert answer.status_code == 422
    assert says in answer.json()["message"]
    assert kept(changing) == []
    assert changing.desk.app.records.runs("default") == before


def test_a_file_that_is_too_large_is_refused(changing):
    """Its length is enough to refuse it; nothing is kept."""
    with changing.client("runner") as client:
        too_long = {"content-length": str((100 << 20) + 1)}
        answer = client.post("/api/v1/uploads", params={"name": "week.csv"}, content=b"x", headers=too_long)
    assert answer.status_code == 413
    assert kept(changing) == []


def test_an_upload_that_cannot_be_noted_leaves_nothing(changing, monkeypatch):
    """What the audit trail does not know of is not kept."""

    def full(*_):
        raise Unavailable("the disk is full.")

    monkeypatch.setattr("server.api.uploads.note", full)
    assert sent(changing, ROWS.encode()).status_code == 503
    assert kept(changing) == []


@pytest.mark.parametrize("step", ["mkdir", "open"])
def test_a_full_disk_is_told_and_nothing_stays(changing, monkeypatch, step):
    """P6: a typed error, and the next upload needs no restart."""
    whole = getattr(Path, step)

    def full(path, *args, **how):
        if "uploads" in path.parts and args[:1] in {(), ("xb",)}:
            raise OSError(28, "No space left on device")
        return whole(path, *args, **how)

    with monkeypatch.context() as patched:
        patched.setattr(Path, step, full)
        answer = sent(changing, ROWS.encode())
    assert (answer.status_code, answer.json()["error"]) == (503, "Unavailable")
    assert kept(changing) == []
    assert sent(changing, ROWS.encode()).status_code == 201


def test_a_file_of_more_than_a_megabyte_is_taken(changing):
    """The bound of other routes is not this one's."""
    long = ROWS.encode() + b"".join(b"b%06d,2025-01-02T00:00:00,X,1.0\n" % each for each in range(60_000))
    assert len(long) > 1 << 20
    assert sent(changing, long).status_code == 201


def test_who_may_not_run_may_not_upload(changing):
    """The scope `run` is needed, and a token."""
    assert sent(changing, ROWS.encode(), who="reader").status_code == 403
    assert sent(changing, ROWS.encode(), who=None).status_code == 401
    for who, status in (("reader", 403), ("judge", 403), (None, 401)):
        with changing.client(who) as client:
            assert client.delete(f"/api/v1/uploads/u-{'0' * 48}").status_code == status
    assert kept(changing) == []


@pytest.mark.parametrize("location", ["u-" + "0" * 48, "u-" + "0" * 32, "../uploads", "/etc/passwd", "u-..", "x"])
def test_a_name_that_was_never_given_opens_nothing(changing, location):
    """Names of uploads can not be guessed, and are no paths."""
    with changing.client("runner") as client:
        answer = client.post("/api/v1/runs", json={"connector": "uploads", "location": location, "fleet": "sent"})
    assert answer.status_code == 404
    assert "no upload" in answer.json()["message"]


def test_another_tenants_upload_does_not_exist(changing):
    """Not for who learned its name: it can neither be walked nor removed."""
    location = sent(changing, ROWS.encode()).json()["location"]
    with changing.client("rival") as client:
        asked = {"connector": "uploads", "location": location, "fleet": "sent"}
        assert client.post("/api/v1/runs", json=asked).status_code == 404
        assert client.delete(f"/api/v1/uploads/{location}").status_code == 404
    assert len(kept(changing)) == 1


def ingested(server, location, who="runner", run=""):
    """The run that ingests it, when that has ended, as the surface tells it."""
    with server.client(who) as client:
        asked = {"connector": "uploads", "location": location, "fleet": "sent"}
        run = run or client.post("/api/v1/runs", json=asked).json()["run"]
        client.post(f"/api/v1/runs/{run}/stages/ingest_telemetry")
        for _ in range(600):
            answer = client.get(f"/api/v1/runs/{run}").json()
            if answer["walking"] is None and answer["stages"][0]["state"] != "missing":
                break
            sleep(0.05)
    return answer


def test_what_was_ingested_is_removed(changing):
    """Its rows are in the store; asked again, the run keeps them, and another run is told to have the file sent again."""
    location = sent(changing, ROWS.encode()).json()["location"]
    told = ingested(changing, location)
    assert told["stages"][0]["state"] == "done"
    assert kept(changing) == []
    again = ingested(changing, location, run=told["run"])
    assert (again["stages"][0]["state"], again["stages"][0]["rows"]) == ("done", 24)
    assert "Send it again" in ingested(changing, location)["stages"][0]["error"]


def test_what_could_not_be_ingested_stays_for_another_try(changing):
    """With other options, say; it goes by its age."""
    location = sent(changing, b"device,time,temp\na,never,1\nb,never,2\n").json()["location"]
    assert ingested(changing, location)["stages"][0]["state"] == "failed"
    assert len(kept(changing)) == 1


def test_more_files_than_may_wait_are_refused_with_what_to_do(narrow):
    """Of one tenant; another's are counted apart. Removing one makes room."""
    first, _ = [sent(narrow, ROWS.encode()).json()["location"] for _ in range(2)]
    answer = sent(narrow, ROWS.encode())
    assert (answer.status_code, answer.json()["error"]) == (503, "Unavailable")
    assert "more than 2 files or 1 MiB" in answer.json()["message"]
    assert "DELETE" in answer.json()["message"]
    assert len(kept(narrow)) == 2
    assert sent(narrow, ROWS.encode(), who="rival").status_code == 201
    with narrow.client("runner") as client:
        assert client.delete(f"/api/v1/uploads/{first}").status_code == 204
        assert client.delete(f"/api/v1/uploads/{first}").status_code == 204
    assert sent(narrow, ROWS.encode()).status_code == 201


def test_more_bytes_than_may_wait_are_refused(narrow):
    """Whatever length the request claims; nothing of it stays."""
    long = ROWS.encode() + b"a,2025-01-02T00:00:00,X,1.0\n" * 40_000
    assert sent(narrow, long).status_code == 503
    assert kept(narrow) == []


def test_a_small_file_of_very_many_rows_is_refused(narrow):
    """Packed, a billion equal rows are a few kilobytes."""
    out = io.BytesIO()
    pq.write_table(pa.table({"device": ["a"] * 101, "time": ["2025-01-01"] * 101, "temp": [1.0] * 101}), out)
    answer = sent(narrow, out.getvalue(), "week.parquet")
    assert (answer.status_code, "101 rows" in answer.json()["message"]) == (422, True)
    assert kept(narrow) == []


def test_what_nobody_ingests_in_time_is_removed(narrow):
    """By the next upload, by the next start, and by pruning, which says so beforehand; what was just used stays."""
    old = sent(narrow, ROWS.encode()).json()["location"]
    sent(narrow, ROWS.encode(), who="rival")
    for path in (*kept(narrow), *(path.parent for path in kept(narrow))):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    app = narrow.desk.app
    who = Principal(name="ann", tenant="default", channel="test")
    told = app.pruning.prune(who, Retention(keep_runs=1), dry_run=True)
    assert (told.uploads, told.upload_bytes, told.bytes) == (1, len(ROWS), len(ROWS))
    assert len(kept(narrow)) == 2
    assert app.pruning.prune(who, Retention(keep_runs=1), dry_run=False).uploads == 1
    assert old not in str(kept(narrow))
    assert [entry.action for entry in app.records.audit("default", limit=1)] == ["prune_uploads"]
    assert len(kept(narrow)) == 1  # the other tenant's
    new = sent(narrow, ROWS.encode()).json()["location"]
    assert [path.parent.name for path in kept(narrow)] == [new]


def test_what_a_run_is_reading_is_not_too_old(narrow):
    """Opening a file lets it wait as long again, so that a pruning takes nothing from under a walk."""
    location = sent(narrow, ROWS.encode()).json()["location"]
    (path,) = kept(narrow)
    for each in (path, path.parent):
        os.utime(each, (1_700_000_000, 1_700_000_000))
    narrow.desk.app.uploads.open(location, {})
    narrow.desk.app.open_stores()
    assert kept(narrow) == [path]


def test_a_path_in_a_files_name_stays_in_its_folder(changing):
    """Slashes are refused; other signs are replaced."""
    assert sent(changing, ROWS.encode(), "../../week.csv").status_code == 422
    assert sent(changing, ROWS.encode(), "..\u202e =week.csv").status_code == 201
    (file,) = kept(changing)
    assert file.name == "-----week.csv"
    assert file.parent.parent == changing.desk.app.settings.home / "uploads"
