"""People are let in by a hashed password, slowly where somebody guesses; on localhost its user needs none."""

from pathlib import Path

import pytest

from chat_ui.people import People, PeopleUnreadable, Person, hashed, matches


class Clock:
    """A clock that a test turns."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def people(clock: Clock) -> People:
    """Ann, with a password."""
    return People({"ann": Person("ann", token="t", agent_token="a", password=hashed("right"))}, clock)


def file_of(folder: Path, text: str) -> Path:
    """A file of people that only its owner reads."""
    path = folder / "people.toml"
    path.write_text(text, "utf-8")
    path.chmod(0o600)
    return path


def test_the_right_password_lets_in_and_others_do_not() -> None:
    """A wrong password and an unknown name get the same nothing."""
    known = people(Clock())
    assert known.admitted("ann", "right") is known.named("ann")
    assert known.admitted("ann", "wrong") is None
    assert known.admitted("bob", "right") is None


def test_guessing_makes_a_name_wait() -> None:
    """After five failures even the right password has to wait half a minute."""
    clock = Clock()
    known = people(clock)
    for _ in range(5):
        known.admitted("ann", "guess")
    assert known.admitted("ann", "right") is None
    clock.now = 61.0
    assert known.admitted("ann", "right") is not None


def test_a_stored_password_says_nothing_of_it() -> None:
    """Hashes are salted: the same password twice is stored differently, and both match."""
    one, other = hashed("secret"), hashed("secret")
    assert one != other
    assert "secret" not in one
    assert matches("secret", one)
    assert matches("secret", other)
    assert not matches("secret", "secret")


def test_the_local_user_needs_no_password() -> None:
    """Alone and without a password: only then is nobody asked."""
    assert People.local("me", "t").only() == Person("me", token="t", agent_token="t")
    assert people(Clock()).only() is None
    assert People.local("me", "t").admitted("me", "") is None


def test_people_come_from_a_file(tmp_path: Path) -> None:
    """A table each, with a hash and a token; without a token of its own, the agent has the person's."""
    path = file_of(tmp_path, f'[ann]\npassword = "{hashed("x")}"\ntoken = "t"\nprofile = "analyst"\n')
    ann = People.of_file(path).named("ann")
    assert ann is not None
    assert (ann.token, ann.agent_token, ann.profile) == ("t", "t", "analyst")
    assert "token='t'" not in repr(ann)


@pytest.mark.parametrize("text", ['[ann]\npassword = "plain"\ntoken = "t"', '[ann]\ntoken = "t"', "ann = 1", "[ann"])
def test_a_file_that_lacks_something_is_refused(tmp_path: Path, text: str) -> None:
    """A plain password above all; the refusal says what to write."""
    with pytest.raises(PeopleUnreadable):
        People.of_file(file_of(tmp_path, text))


def test_people_whom_a_proxy_or_a_provider_knows_need_no_password(tmp_path: Path) -> None:
    """Named alone with a token, and still nobody who is let in unasked."""
    path = file_of(tmp_path, '["ann@example.org"]\ntoken = "t"\n')
    with pytest.raises(PeopleUnreadable, match="password"):
        People.of_file(path)
    known = People.of_file(path, passwords=False)
    assert known.named("ann@example.org") is not None
    assert known.only() is None
    assert known.admitted("ann@example.org", "") is None


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """Tokens are in it."""
    path = file_of(tmp_path, "")
    path.chmod(0o644)
    with pytest.raises(PeopleUnreadable, match="chmod 600"):
        People.of_file(path)
