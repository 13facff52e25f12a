"""Telemetry sent over HTTP is looked at before anything is made of it; what is refused leaves nothing behind."""

import io
from pathlib import Path
from time import sleep

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

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
    assert kept(changing) == []


@pytest.mark.parametrize("location", ["u-" + "0" * 32, "../uploads", "/etc/passwd", "u-..", ""])
def test_a_name_that_was_never_given_opens_nothing(changing, location):
    """Names of uploads can not be guessed, and are no paths."""
    with changing.client("runner") as client:
        asked = {"connector": "uploads", "location": location or "x", "fleet": "sent"}
        run = client.post("/api/v1/runs", json=asked).json()["run"]
        client.post(f"/api/v1/runs/{run}/stages/ingest_telemetry")
        for _ in range(600):
            answer = client.get(f"/api/v1/runs/{run}").json()
            if answer["walking"] is None and answer["stages"][0]["state"] != "running":
                break
            sleep(0.05)
    assert "no upload" in answer["stages"][0]["error"]


def test_a_path_in_a_files_name_stays_in_its_folder(changing):
    """Slashes are refused; other signs are replaced."""
    assert sent(changing, ROWS.encode(), "../../week.csv").status_code == 422
    assert sent(changing, ROWS.encode(), "..\u202e =week.csv").status_code == 201
    (file,) = kept(changing)
    assert file.name == "-----week.csv"
    assert file.parent.parent == changing.desk.app.settings.home / "uploads"
