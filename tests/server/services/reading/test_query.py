"""Foreign SQL sees one fleet's rows with readable names, and nothing else."""

import pytest

from server.domain.identity import Principal
from server.errors import InvalidInput


def test_a_query_counts_what_the_store_holds(desk, who) -> None:
    """Rows, devices and names by cohort column are those of the fleet's window."""
    found = desk.questions.query_telemetry(
        who, "SELECT ModelId, count(*) AS n, count(DISTINCT device) AS devices FROM telemetry GROUP BY 1 ORDER BY 1"
    )
    rows = desk.scores.assign(model=desk.scores["cohort"].map(lambda cohort: cohort[1])).groupby("model")
    assert {model: (n, devices) for model, n, devices in found.rows} == {
        model: (len(group), group["device"].nunique()) for model, group in rows
    }
    assert found.columns == ("ModelId", "n", "devices")


def test_missing_values_are_null_and_times_are_utc_text(desk, who) -> None:
    """Share of missing values as the store's health says; the last time with its zone."""
    found = desk.questions.query_telemetry(
        who, "SELECT avg(CASE WHEN Download IS NULL THEN 1 ELSE 0 END), max(time) FROM telemetry"
    )
    share, last = found.rows[0]
    health = desk.app.telemetry.health(desk.run.fleet)
    assert share == pytest.approx(health.missing_share["Download"])
    assert last == health.last.isoformat()


def test_more_rows_than_the_limit_are_cut_and_said(desk, who) -> None:
    """As many as asked for, in the order asked for."""
    found = desk.questions.query_telemetry(who, "SELECT * FROM telemetry ORDER BY time DESC, device DESC", limit=7)
    assert (len(found.rows), found.truncated) == (7, True)
    assert found.columns == found.source_columns
    last = desk.scores.sort_values(["time", "device"], ascending=False).head(7)
    assert [row[0] for row in found.rows] == list(last["device"])


def test_each_tenant_sees_only_its_own_rows(desk, who) -> None:
    """The rival's fleet of the same name has other rows."""
    rival = Principal(name="eve", tenant="rival")
    count = "SELECT count(*), count(DISTINCT device) FROM telemetry"
    own, other = (desk.questions.query_telemetry(each, count).rows[0] for each in (who, rival))
    assert own[0] == len(desk.scores)
    assert other[1] <= 3


@pytest.mark.parametrize("table", ['"default/shop".telemetry', '"rival/shop".telemetry', "information_schema.tables"])
def test_the_stores_own_tables_are_out_of_reach(desk, who, table) -> None:
    """There is one table, by one name."""
    with pytest.raises(InvalidInput, match="there is no table"):
        desk.questions.query_telemetry(who, f"SELECT * FROM {table}")
