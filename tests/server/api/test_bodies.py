"""Bodies are taken exactly as their schema states them: nothing is dropped, coerced or said twice."""

import gzip
import json

import pytest

BODIES = {
    "runs": "AskedRun",
    "runs/shop-1/advance": "AskedWalk",
    "feedback": "AskedVerdict",
    "feedback/missed": "AskedMiss",
    "suggestions/adjustments": "AskedAdjustments",
    "suggestions/settings": "AskedDetector",
    "suggestions/rollback": "AskedRollback",
    "suggestions/s-1/decision": "AskedDecision",
    "telemetry/query": "AskedQuery",
    "prune": "AskedPruning",
}
NESTED = {"AskedSettings"}
OTHERS = {
    "string": (5, True, ["x"], {"x": 1}),
    "integer": ("5", True, 5.5, [5]),
    "number": ("0.1", True, [0.1]),
    "boolean": ("true", 1, 0, "yes"),
    "array": ("x", {"x": 1}),
    "object": ("x", [["x", "y"]]),
}


@pytest.fixture(scope="module")
def schemas(patient):
    """What the surface says of its bodies."""
    return patient.client().get("/openapi.json").json()["components"]["schemas"]


def posted(server, path, content):
    """The answer to that body."""
    if not isinstance(content, bytes):
        content = json.dumps(content).encode()
    return server.client("all").post(f"/api/v1/{path}", content=content, headers={"Content-Type": "application/json"})


def kind_of(schema, schemas):
    """The JSON type of a field, whether or not it may be null."""
    first = schema["anyOf"][0] if "anyOf" in schema else schema
    return schemas[first["$ref"].rpartition("/")[2]]["type"] if "$ref" in first else first["type"]


@pytest.mark.parametrize("settings", [{"min_rows": "50"}, {"contamination": "0.02"}, {"min_rows": True}, {"rows": 50}, []])
def test_settings_of_a_run_are_taken_as_strictly(patient, settings):
    """A part of a body is no looser than the whole."""
    answer = posted(patient, "runs", {"connector": "synthetic", "location": "x", "settings": settings})
    assert (answer.status_code, "`settings" in answer.json()["message"]) == (422, True), answer.text


def test_these_are_all_bodies_that_there_are(schemas):
    """A new one is held to the same."""
    assert {name for name in schemas if name.startswith("Asked")} - NESTED == set(BODIES.values())


@pytest.mark.parametrize(("path", "name"), BODIES.items())
def test_no_field_takes_a_value_of_another_type(patient, schemas, path, name):
    """Each is refused by its name, and the refusal says what it should be."""
    for field, schema in schemas[name]["properties"].items():
        for value in OTHERS[kind_of(schema, schemas)]:
            answer = posted(patient, path, {field: value})
            assert answer.status_code == 422, (field, value, answer.text)
            assert f"`{field}" in answer.json()["message"], (field, value, answer.text)


@pytest.mark.parametrize(("path", "name"), BODIES.items())
def test_no_field_is_unknown_or_given_twice(patient, schemas, path, name):
    """Not dropped, and not the last one taken: what a person was shown and what is used may differ then."""
    assert schemas[name]["additionalProperties"] is False
    strange = posted(patient, path, {"strange": 1})
    assert (strange.status_code, "`strange`" in strange.json()["message"]) == (422, True)
    one = next(iter(schemas[name]["properties"]))
    twice = posted(patient, path, f'{{"{one}": null, "{one}": null}}'.encode())
    assert (twice.status_code, f"`{one}`" in twice.json()["message"]) == (422, True)


def test_what_is_given_twice_is_refused_before_anything_is_decided(patient):
    """A decision that reads no to one reader and yes to another is none."""
    body = b'{"digest": "' + b"0" * 32 + b'", "approved": false, "approved": true}'
    answer = posted(patient, "suggestions/s-1/decision", body)
    assert (answer.status_code, answer.json()["message"]) == (422, "`approved` is given twice. Give it once.")
    nested = posted(patient, "feedback", b'{"verdict": "expected", "scope": {"cohort": "a", "cohort": "b"}}')
    assert (nested.status_code, "`cohort` is given twice" in nested.json()["message"]) == (422, True)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"5", b'"x"', b"[" * 100_000, b'{"a":' * 100_000, b"9" * 10_000, b"\xff\xfe{}", b"NaN"],
    ids=range(11),
)
def test_a_body_that_is_no_object_is_refused(patient, body):
    """However deep, long or odd: a refusal, never a fault."""
    answer = posted(patient, "suggestions/s-1/decision", body)
    assert answer.status_code in {400, 422}, answer.text
    assert answer.json()["error"] == "InvalidInput"
    assert len(answer.text) < 1_000


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400])
def test_numbers_that_json_or_a_bound_cannot_hold_are_refused(patient, number):
    """NaN is neither above nor below any bound."""
    for path, field in (("suggestions/settings", "contamination"), ("prune", "runs_older_than_days")):
        answer = posted(patient, path, f'{{"{field}": {number}}}'.encode())
        assert (answer.status_code, answer.json()["error"]) == (422, "InvalidInput"), answer.text


@pytest.mark.parametrize("moment", [20260301, 1_700_000_000, 1.5, True, "20260301T", "yesterday", ["2026-03-01"], "9999-12-31"])
def test_a_time_is_text_that_says_so(patient, moment):
    """20260301 as a number is no day: nobody knows whether it is a count of seconds."""
    answer = posted(patient, "feedback", {"verdict": "true", "since": moment})
    assert (answer.status_code, "`since`" in answer.json()["message"]) == (422, True), answer.text


def test_what_to_do_about_a_body_is_said(patient):
    """Too long, or no JSON: the words are not those of the library."""
    pieces = (b"x" * 65_536 for _ in range(17))
    long = patient.client("all").post("/api/v1/feedback", content=pieces, headers={"Content-Type": "application/json"})
    assert (long.status_code, "1 MiB" in long.json()["message"]) == (413, True)
    packed = posted(patient, "feedback", gzip.compress(b"{}"))
    assert (packed.status_code, "UTF-8" in packed.json()["message"]) == (400, True)
