"""One mapping from errors to answers, complete, and nothing of a fault shown."""

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

import server.errors
from server.api.errors import MEDIA_TYPE, STATUS, Masking, add_translation, as_json, problem_of
from server.errors import AnomalystError, ArtifactDamaged, NotEnoughData, NotFound, StageNotReady


def _all(kind: type[AnomalystError]) -> list[type[AnomalystError]]:
    return [kind, *(each for below in kind.__subclasses__() for each in _all(below))]


def _made(kind: type[AnomalystError]) -> AnomalystError:
    samples: dict[type[AnomalystError], AnomalystError] = {
        StageNotReady: StageNotReady("score_telemetry", "train_detector", "missing"),
        NotFound: NotFound("run", "x"),
        NotEnoughData: NotEnoughData("device", 1, 25),
        ArtifactDamaged: ArtifactDamaged("x", "other bytes", "score_telemetry"),
    }
    return samples.get(kind) or kind("what was wrong. What to do.")


def test_every_error_that_is_raised_on_purpose_has_a_status():
    """A new error without a line in the table would be masked: the table is proved complete."""
    named = {each for each in _all(AnomalystError) if each is not AnomalystError and each.__module__.startswith("server.")}
    assert {each.__name__ for each in named} == {each.__name__ for each in STATUS}
    own = {each for each in vars(server.errors).values() if isinstance(each, type) and issubclass(each, AnomalystError)}
    assert own - {AnomalystError} <= set(STATUS)


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.__name__)
def test_each_error_is_answered_with_its_status_and_words(kind):
    """The caller reads the kind and the message, as a problem document."""
    error = _made(kind)
    answer = _raising(error).get("/")
    assert answer.status_code == STATUS[kind]
    assert answer.headers["content-type"] == MEDIA_TYPE
    told = answer.json()
    assert (told["error"], told["message"], told["status"]) == (kind.__name__, str(error), STATUS[kind])
    assert ("www-authenticate" in answer.headers) == (answer.status_code == 401)


def test_a_stage_that_is_not_ready_names_the_next_tool():
    """What a program needs to go on is a field of its own."""
    problem = problem_of(StageNotReady("score_telemetry", "train_detector", "missing"))
    assert problem.next_tool == "train_detector"


@pytest.mark.parametrize("error", [RuntimeError("postgres://user:secret@db"), AnomalystError("not for anyone")])
def test_a_fault_shows_a_log_id_and_nothing_else(error):
    """Paths, URLs and secrets of an unforeseen error stay in the log."""
    answer = _raising(error).get("/")
    assert answer.status_code == 500
    assert answer.json()["error"] == "InternalError"
    assert "log id" in answer.json()["message"]
    assert str(error) not in answer.text


def _raising(error: Exception) -> TestClient:
    app = FastAPI()
    add_translation(app, as_json)
    app.add_middleware(Masking, render=as_json)

    @app.get("/")
    def fail() -> None:
        raise error

    return TestClient(app)


def test_arguments_are_refused_by_name_and_never_repeated(reading):
    """Unknown, doubled, ill-typed and out-of-bounds arguments are told; of the value nothing comes back."""
    client = reading.client("judge")
    for path, named in {
        "/api/v1/anomalies?limt=5": "`limt`",
        "/api/v1/anomalies?limit=5&limit=6": "`limit`",
        "/api/v1/anomalies?limit=0": "`limit`",
        "/api/v1/anomalies?min_severity=nan": "`min_severity`",
        "/api/v1/anomalies?since=yesterday": "`since`",
        "/api/v1/anomalies?since=1700000000": "`since`",
        "/api/v1/runs/..%2F..%2Fetc": "address",
    }.items():
        told = client.get(path)
        assert told.status_code in {404, 422}, path
        assert named in told.json()["message"], (path, told.json())
    body = {"verdict": "false_alarm", "anomaly": "a-1", "approve": "SECRET"}
    told = client.post("/api/v1/feedback", json=body)
    assert (told.status_code, "`approve`" in told.json()["message"]) == (422, True)
    assert "SECRET" not in told.text
    odd = client.post("/api/v1/feedback", content=b'{"\\ud800": 1}', headers={"Content-Type": "application/json"})
    assert odd.status_code == 422


def test_what_there_is_not_is_told_as_a_problem(reading):
    """Unknown ids, addresses and methods have the same form as every other refusal."""
    client = reading.client("reader")
    for answer, status in (
        (client.get("/api/v1/runs/shop-2"), 404),
        (client.get("/api/v1/nothing"), 404),
        (client.delete("/api/v1/runs"), 404),
        (client.get("/api/v1/devices/d99/peers"), 404),
    ):
        assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE), answer.url
    assert "shop-1" in client.get("/api/v1/runs/shop-2").json()["message"], "near matches are offered"


def test_a_body_that_is_too_large_or_no_json_is_refused(reading):
    """Megabytes are not read, and a body without its type is not parsed."""
    client = reading.client("judge")
    large = client.post("/api/v1/feedback", json={"verdict": "true", "note": "x" * 2_000_000})
    assert large.status_code == 413
    plain = client.post("/api/v1/feedback", content=b'{"verdict": "true"}', headers={"Content-Type": "text/plain"})
    assert plain.status_code == 422
