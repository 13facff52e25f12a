"""The decision memory in a folder: what goes in comes out, for its tenant, by numbers, words and filters."""

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from server.domain.memory import DecisionKind, RecallQuery
from server.errors import StoreBusy, Unavailable
from server.storage.memory import QdrantMemory

DRAIN = {"TotalBatteryLevelDrop_mean": 9.0, "TotalBatteryLevelDrop_std": 4.0}
WEAK = {"WiFiSignalStrength_mean": -7.0, "DisconnectCount_mean": 5.0}


def _ids(memory, **query):
    return [each.decision.id for each in memory.recall(RecallQuery(tenant="acme", **query), limit=20)]


def test_a_decision_comes_back_whole_after_a_restart(tmp_path, make_decision):
    """Every field is kept, and the signature's likeness is 1 for the same case."""
    decision = make_decision("a", signature=DRAIN, cohort=("Zebra / TC57 / 13",), devices=("d1",), rows=3, subject="i1")
    memory = QdrantMemory(tmp_path)
    memory.remember([decision])
    memory.close()
    again = QdrantMemory(tmp_path)
    (recalled,) = again.recall(RecallQuery(tenant="acme", signature=DRAIN))
    again.close()
    assert recalled.decision == decision
    assert recalled.likeness == pytest.approx(1)


def test_numbers_and_words_each_find_what_is_like_them(memory, make_decision):
    """With both, the decision that fits both comes first."""
    memory.remember(
        [
            make_decision("drain", signature=DRAIN, words="worn cells"),
            make_decision("weak", signature=WEAK, words="dead access point above aisle 12"),
            make_decision("both", signature=DRAIN, words="cold store"),
        ]
    )
    assert _ids(memory, words="access points at the aisle")[0] == "weak"
    assert set(_ids(memory, signature=DRAIN)[:2]) == {"drain", "both"}
    assert _ids(memory, signature=DRAIN, words="in the cold store")[0] == "both"
    assert _ids(memory) == []


def test_the_opposite_case_is_unlike(memory, make_decision):
    """A battery that drops too fast is not one that never drops."""
    memory.remember([make_decision("a", signature={"m_mean": 9.0, "n_mean": -8.0})])
    (found,) = memory.recall(RecallQuery(tenant="acme", signature={"m_mean": -9.0, "n_mean": 8.0}, words="docked kiosks"))
    assert found.likeness < 0


def test_a_decision_without_numbers_or_words_is_found_by_what_it_has(memory, make_decision):
    """And has no likeness where it has no numbers."""
    memory.remember([make_decision("words", signature={}), make_decision("numbers", words="", signature=DRAIN)])
    (found,) = memory.recall(RecallQuery(tenant="acme", words="kiosks"))
    assert (found.decision.id, found.likeness) == ("words", None)
    assert _ids(memory, signature=DRAIN) == ["numbers"]


def test_tenants_see_only_their_own(memory, make_decision):
    """Even where ids are the same."""
    memory.remember([make_decision("a", words="lobby acme"), make_decision("a", tenant="other", words="lobby other")])
    (found,) = memory.recall(RecallQuery(tenant="acme", words="lobby"))
    assert found.decision.words == "lobby acme"
    assert (memory.count("acme"), memory.count("other"), memory.count("nobody")) == (1, 1, 0)


@pytest.mark.parametrize(
    "restriction",
    [
        {"fleet": "west"},
        {"kind": DecisionKind.SUGGESTION},
        {"outcome": "applied"},
        {"metric": "Download"},
        {"cohort": "Elo / I / 10"},
        {"since": datetime(2026, 3, 5, tzinfo=UTC)},
    ],
    ids=lambda restriction: next(iter(restriction)),
)
def test_each_filter_restricts(memory, make_decision, restriction):
    """By numbers as by words."""
    wanted = make_decision(
        "wanted",
        fleet="west",
        day=4,
        kind=DecisionKind.SUGGESTION,
        outcome="applied",
        metrics=("Upload", "Download"),
        cohort=("Zebra / TC57 / 13", "Elo / I / 10"),
    )
    memory.remember([make_decision("not", metrics=("Upload",), cohort=("Zebra / TC57 / 13",), day=3), wanted])
    assert sorted(_ids(memory, words="kiosks", signature=wanted.signature)) == ["not", "wanted"]
    assert _ids(memory, words="kiosks", **restriction) == ["wanted"]
    assert _ids(memory, signature=wanted.signature, **restriction) == ["wanted"]


def test_an_undone_decision_takes_the_place_of_what_it_was(memory, make_decision):
    """Remembering the same id again replaces it."""
    memory.remember([make_decision("a"), make_decision("a", words="kiosks first")])
    memory.remember([make_decision("a", undone=True)])
    (found,) = memory.recall(RecallQuery(tenant="acme", words="kiosks"))
    assert found.decision.undone
    assert memory.count("acme") == 1


def test_losing_the_folder_loses_nothing(tmp_path, make_decision):
    """P9: rebuilt in another order, the memory recalls the same in the same order, ties included."""
    signatures = [DRAIN, WEAK, {"Upload_mean": 8.0, "Download_mean": 3.0}]
    words = ["worn cells", "docked kiosks", "access point is dead"]
    decisions = [make_decision(f"d{i}", day=i % 7, signature=signatures[i % 3], words=words[i % 2]) for i in range(60)]
    queries = [
        RecallQuery(tenant="acme", signature=signature, words=text) for signature in [*signatures, {}] for text in [*words, ""]
    ]
    memory = QdrantMemory(tmp_path / "m")
    memory.remember(decisions)
    before = [memory.recall(query) for query in queries]
    memory.close()
    shutil.rmtree(tmp_path / "m")
    memory = QdrantMemory(tmp_path / "m")
    assert memory.count("acme") == 0
    assert memory.rebuild(reversed(decisions)) == 60
    after = [memory.recall(query) for query in queries]
    assert after == before
    assert memory.rebuild(decisions[:2]) == 2
    assert memory.count("acme") == 2
    memory.close()


def test_threads_lose_no_decision(tmp_path, make_decision):
    """Eight threads remember and recall at once; everything is there, after a restart too."""
    memory = QdrantMemory(tmp_path)

    def work(thread: int) -> None:
        for i in range(20):
            memory.remember([make_decision(f"{thread}-{i}")])
            assert memory.recall(RecallQuery(tenant="acme", words="kiosks", signature=DRAIN))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert memory.count("acme") == 160
    memory.close()
    again = QdrantMemory(tmp_path)
    assert again.count("acme") == 160
    again.close()


@pytest.mark.usefixtures("memory")
def test_a_second_process_is_told_that_the_memory_is_busy(tmp_path):
    """One process holds the folder."""
    code = (
        "import sys, pathlib\nfrom server.errors import StoreBusy\nfrom server.storage.memory import QdrantMemory\n"
        f"try:\n    QdrantMemory(pathlib.Path({str(tmp_path / 'memory')!r}))\n"
        "except StoreBusy as error:\n    sys.exit(7 if 'another process' in str(error) else 2)\nsys.exit(1)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 7


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path):
    """And is not taken for one that is busy."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be opened") as error:
        QdrantMemory(tmp_path / "file")
    assert not isinstance(error.value, StoreBusy)


def test_newer_decisions_come_first_where_nothing_else_differs(memory, make_decision):
    """Equal fits share a rank."""
    memory.remember([make_decision("old"), make_decision("new", time=datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=9))])
    assert _ids(memory, words="kiosks") == ["new", "old"]
