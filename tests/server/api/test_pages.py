"""The approval page: it shows what is stored, takes a decision from its own pages only, and runs nothing foreign."""

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from server.api.pages.rendering import foreign
from server.api.pages.sessions import COOKIE, Sessions, signing_key
from server.domain.feedback import Verdict
from server.domain.identity import Principal, Scope
from server.domain.suggestion import GateFinding, Preview, PreviewRow
from server.errors import InvalidInput
from server.settings import TokenSettings

URL = "http://127.0.0.1:8800"
OWN = {"Origin": URL}


class Seen(HTMLParser):
    """What a browser would make of a page: its elements, their attributes, and the labels of its fields."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def before_the_page(local, judged, form_of):
    """The local user's browser before a pending suggestion: its id, the client, the page, and the form's fields."""
    name = judged(local, None)
    client = local.client()
    answer = client.get(f"/approvals/{name}")
    assert answer.status_code == 200, answer.text
    return name, client, answer, form_of(answer.text)


def test_a_person_approves_what_the_page_shows_and_it_can_then_be_applied(before_the_page, local):
    """The decision is recorded as of the page, bound to the digest that it showed, and applied by somebody else (P11)."""
    name, client, page, fields = before_the_page
    stored = local.desk.app.corrections.get(Principal(name="x"), name)
    assert fields["digest"] == stored.suggestion.digest
    assert fields["digest"] in page.text
    assert fields["preview"] == stored.preview.digest
    sent = client.post(f"/approvals/{name}", data={**fields, "decision": "approve", "reason": "rollout"}, headers=OWN)
    assert (sent.status_code, sent.headers["location"]) == (303, f"/approvals/{name}")
    decided = local.desk.app.corrections.get(Principal(name="x"), name)
    assert (decided.status.value, decided.decision.channel, decided.decision.reason) == ("approved", "page", "rollout")
    after = client.get(f"/approvals/{name}").text
    assert "Approved by" in after
    assert "rollout" in after
    assert 'name="decision"' not in after
    assert local.client().post(f"/api/v1/suggestions/{name}/apply").status_code == 200
    assert "In force since baseline version 2" in client.get(f"/approvals/{name}").text


def test_the_local_user_cannot_be_locked_out(before_the_page):
    """Without tokens there is nobody to log in as, so leaving leads back to the page."""
    name, client, page, fields = before_the_page
    assert "Log out" not in page.text
    assert client.post("/approvals/logout", data=fields, headers=OWN).status_code == 303
    assert 'name="decision"' in client.get(f"/approvals/{name}").text


def test_a_second_click_and_a_replayed_form_change_nothing(before_the_page, local):
    """A form holds for one decision: what was rejected cannot be approved with the same form."""
    name, client, _, fields = before_the_page
    assert client.post(f"/approvals/{name}", data={**fields, "decision": "reject"}, headers=OWN).status_code == 303
    replayed = client.post(f"/approvals/{name}", data={**fields, "decision": "approve"}, headers=OWN)
    assert replayed.status_code == 409
    assert local.desk.app.corrections.get(Principal(name="x"), name).status.value == "rejected"


@pytest.mark.parametrize(
    ("change", "headers"),
    [
        ({"token": ""}, OWN),
        ({"token": "0" * 64}, OWN),
        ({}, {}),
        ({}, {"Origin": "null"}),
        ({}, {"Origin": "http://127.0.0.1:3000"}),
        ({}, {"Origin": "http://evil.example"}),
        ({}, OWN | {"Content-Type": "text/plain"}),
    ],
    ids=["no token", "wrong token", "no origin", "null origin", "another port", "another site", "no form"],
)
def test_a_form_from_elsewhere_decides_nothing(before_the_page, local, change, headers):
    """Forged requests of other sites, of other ports of this machine and without the session's token are refused."""
    name, client, _, fields = before_the_page
    sent = client.post(f"/approvals/{name}", data={**fields, **change, "decision": "approve"}, headers=headers)
    assert sent.status_code == 403
    assert local.desk.app.corrections.get(Principal(name="x"), name).status.value == "pending"


def test_another_sessions_form_decides_nothing(before_the_page, local):
    """A form token is worth nothing with another browser's cookie, nor without one."""
    name, _, _, fields = before_the_page
    other = local.client()
    assert other.post(f"/approvals/{name}", data={**fields, "decision": "approve"}, headers=OWN).status_code == 403
    other.get("/approvals")
    assert other.post(f"/approvals/{name}", data={**fields, "decision": "approve"}, headers=OWN).status_code == 403


def test_an_approval_of_another_content_is_refused(before_the_page, local):
    """A changed digest is stale, and so is a preview that has changed since it was looked at."""
    name, client, _, fields = before_the_page
    for field in ("digest", "preview"):
        sent = client.post(f"/approvals/{name}", data={**fields, field: "0" * 32, "decision": "approve"}, headers=OWN)
        assert sent.status_code == 409, field
    assert local.desk.app.corrections.get(Principal(name="x"), name).status.value == "pending"


def test_verdicts_that_come_in_after_the_look_make_it_stale(before_the_page, local, form_of):
    """What the page showed is what is approved: with new verdicts one has to look again."""
    name, client, _, fields = before_the_page
    row = client.get("/api/v1/anomalies", params={"device": "d03", "limit": 1}).json()["anomalies"][0]
    local.client().post("/api/v1/feedback", json={"verdict": "false_alarm", "anomaly": row["id"]})
    sent = client.post(f"/approvals/{name}", data={**fields, "decision": "approve"}, headers=OWN)
    assert sent.status_code == 409
    anew = form_of(client.get(f"/approvals/{name}").text)
    assert client.post(f"/approvals/{name}", data={**anew, "decision": "approve"}, headers=OWN).status_code == 303


def test_hostile_names_and_notes_are_words_on_the_page(before_the_page):
    """No element of the page comes from a device's name, a note or a reason; what is invisible is spelled out."""
    _, _, page, _ = before_the_page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e" in page.text
    seen = Seen(page.text)
    assert seen.all("script") == []
    assert "\u202e" not in page.text
    assert not [name for _, attrs in seen.tags for name in attrs if name.startswith("on") or name == "style"]
    loads = [each.get("src") or each.get("href") or "" for tag in ("link", "img", "iframe", "a") for each in seen.all(tag)]
    assert all(each.startswith(("/", "#")) for each in loads), loads


def test_no_page_can_be_framed_or_run_a_script(before_the_page):
    """The headers forbid frames, scripts and everything from elsewhere, on pages and on refusals."""
    name, client, page, _ = before_the_page
    for answer in (page, client.get("/approvals"), client.get("/approvals/s-none"), client.post(f"/approvals/{name}")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "script-src" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
    assert client.get("/approvals/s-none").headers["content-type"].startswith("text/html")


def test_the_session_cookie_is_for_this_page_and_nobodys_script(before_the_page):
    """It is HttpOnly, of the same site strictly, and goes to the page's paths only."""
    _, _, page, _ = before_the_page
    cookie = page.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/approvals"} <= {part.strip() for part in cookie.split(";")}


def test_the_page_can_be_used_by_keyboard_and_screen_reader(before_the_page):
    """Every field has a label, every table its heads, the page a language, a title and one heading above all."""
    _, _, page, _ = before_the_page
    seen = Seen(page.text)
    assert seen.all("html")[0]["lang"] == "en"
    assert len(seen.all("h1")) == 1
    assert "width=device-width" in (seen.all("meta")[1]["content"] or "")
    labelled = {each["for"] for each in seen.all("label")}
    fields = [*seen.all("input"), *seen.all("textarea")]
    assert all(each["id"] in labelled for each in fields if each.get("type") != "hidden")
    assert all("scope" in each for each in seen.all("th"))
    assert not [each for _, each in seen.tags if int(each.get("tabindex") or 0) > 0]
    assert {each["value"] for each in seen.all("button") if each.get("name") == "decision"} == {"approve", "reject"}


def test_the_sheet_has_a_dark_and_a_narrow_look(local):
    """It answers what the person's system prefers."""
    sheet = local.client().get("/approvals/style.css")
    assert sheet.headers["content-type"].startswith("text/css")
    assert "prefers-color-scheme: dark" in sheet.text
    assert "max-width: 40rem" in sheet.text


def test_the_page_shows_moves_in_their_unit_and_the_preview_as_it_is_stored(before_the_page, local):
    """Level, group, amount in scales, since when; anomalies before and after; the gate's findings."""
    name, _, page, _ = before_the_page
    standing = local.desk.app.corrections.get(Principal(name="x"), name)
    text = re.sub(r"<[^>]+>", " ", page.text)
    move, preview = standing.suggestion.adjustments[0], standing.preview
    for told in (
        move.level.value,
        f"{move.amount:+.4g}",
        f"{move.in_scales:+.4g}",
        f"{move.since:%Y-%m-%d %H:%M} UTC",
        f"{preview.alarms_before:,} anomalies before, {preview.alarms_after:,} after",
        f"{standing.suggestion.evidence.verdicts} verdicts",
        *(finding.rule.replace("_", " ") for finding in preview.gate),
    ):
        assert told in text, told
    assert "<svg" in page.text


def test_only_what_may_be_overridden_gets_a_box(before_the_page, local):
    """A finding that nobody can accept takes the approve button away; hidden true anomalies are listed one by one."""
    name, client, _, _ = before_the_page
    for overridable in (True, False):
        preview = _harmful(local.desk.app.corrections.preview(Principal(name="x"), name), overridable=overridable)
        local.desk.app.corrections.preview = lambda *_, shown=preview: shown
        page = client.get(f"/approvals/{name}").text
        assert ('name="override" value="hidden_true"' in page) is overridable
        assert ('value="approve"' in page) is overridable
        assert "It would hide 1 anomalies that a person marked true" in page
        del local.desk.app.corrections.preview


def _harmful(preview: Preview, *, overridable: bool) -> Preview:
    row = PreviewRow(
        anomaly="a-1",
        device="d1",
        time=datetime(2025, 3, 4, tzinfo=UTC),
        metric="heat",
        severity_before=80,
        severity_after=20,
        verdict=Verdict.TRUE,
    )
    finding = GateFinding(rule="hidden_true", passed=False, overridable=overridable, detail="hides one")
    return preview.model_copy(update={"hidden_true": (row,), "gate": (finding,)})


def test_with_tokens_one_has_to_log_in_and_needs_the_scope_to_decide(changing, judged, form_of):
    """A token makes a session of its bearer; a reader sees the page and no form; a wrong token sees nothing."""
    name = judged(changing, "judge")
    client = changing.client()
    first = client.get(f"/approvals/{name}")
    assert (first.status_code, first.headers["location"]) == (303, f"/approvals/login?to=/approvals/{name}")
    ask = client.get(first.headers["location"])
    wrong = client.post("/approvals/login", data={**form_of(ask.text), "secret": "wrong"}, headers=OWN)
    assert wrong.status_code == 401
    assert client.get("/approvals").status_code == 303
    for who, may in (("reader", False), ("boss", True)):
        secret = f"anomalyst_{who}_{'x' * 30}"
        fields = form_of(client.get(first.headers["location"]).text)
        begun = client.post("/approvals/login", data={**fields, "secret": secret}, headers=OWN)
        assert (begun.status_code, begun.headers["location"]) == (303, f"/approvals/{name}")
        page = client.get(f"/approvals/{name}").text
        assert ('name="decision"' in page) is may
        assert secret not in begun.headers["set-cookie"]
    sent = client.post(f"/approvals/{name}", data={**form_of(page), "decision": "approve"}, headers=OWN)
    assert sent.status_code == 303
    assert changing.client("boss").get(f"/api/v1/suggestions/{name}").json()["decision"]["by"] == "boss"
    out = client.post("/approvals/logout", data=form_of(page), headers=OWN)
    assert out.headers["location"] == "/approvals/login"
    assert client.get("/approvals").status_code == 303


def test_a_session_without_the_scope_cannot_decide_by_hand(changing, judged, form_of):
    """The missing form is no lock; the server is."""
    name = judged(changing, "judge")
    client = changing.client()
    fields = form_of(client.get("/approvals/login").text)
    client.post("/approvals/login", data={**fields, "secret": f"anomalyst_reader_{'x' * 30}"}, headers=OWN)
    token = form_of(client.get(f"/approvals/{name}").text)["token"]
    digest = changing.client("boss").get(f"/api/v1/suggestions/{name}").json()["digest"]
    body = {"token": token, "digest": digest, "decision": "reject"}
    assert client.post(f"/approvals/{name}", data=body, headers=OWN).status_code == 403


def test_a_login_leads_to_a_page_of_this_server_only(changing, form_of):
    """An address from outside is no way out to another site."""
    client = changing.client()
    for to in ("https://evil.example", "//evil.example", "/approvals/../x", "/approvals/s-1\r\nX: y"):
        fields = form_of(client.get("/approvals/login", params={"to": to}).text)
        assert fields["to"] == "/approvals"
        boss = {**fields, "to": to, "secret": f"anomalyst_boss_{'x' * 30}"}
        assert client.post("/approvals/login", data=boss, headers=OWN).headers["location"] == "/approvals"


def test_a_cookie_opens_only_what_was_sealed_here(tmp_path):
    """Edited, foreign, expired and made-up cookies open nothing; taking a token out of the settings ends all sessions."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    key = signing_key(tmp_path, TokenSettings(listed=f"ann:read:default:{'0' * 64}"))
    sessions = Sessions(key, lambda: now)
    session = sessions.begun(Principal(name="ann", scopes=frozenset({Scope.READ})))
    cookie = sessions.sealed(session)
    assert sessions.opened(cookie) == session
    body, _, signature = cookie.partition(".")
    for wrong in (None, "", ".", body, f"{body}x.{signature}", f"{body}.{'0' * 64}", f"{body}.é", "é.é"):
        assert sessions.opened(wrong) is None, wrong
    assert Sessions(key, lambda: now + timedelta(hours=9)).opened(cookie) is None
    assert Sessions(signing_key(tmp_path, TokenSettings()), lambda: now).opened(cookie) is None
    assert sessions.begun(until=now + timedelta(minutes=5)).expires == now + timedelta(minutes=5)
    assert COOKIE.isidentifier()


def test_the_key_is_the_owners_alone(tmp_path):
    """It is made once, readable by its owner only; one that others can read is refused."""
    first = signing_key(tmp_path, TokenSettings())
    assert signing_key(tmp_path, TokenSettings()) == first
    path = tmp_path / "page.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["page.key"]
    path.chmod(0o644)
    with pytest.raises(InvalidInput, match="read by others"):
        signing_key(tmp_path, TokenSettings())


def test_foreign_text_is_quoted_capped_and_made_visible():
    """Whatever steers or shows nothing is spelled out."""
    assert foreign("a\u202eb\x00\u200b") == "“a\\u202eb\\x00\\u200b”"
    assert foreign("x" * 400) == f"“{'x' * 300}…”"
