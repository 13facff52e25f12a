"""Which foreign SQL may run: one SELECT over `telemetry`, of known clauses and functions. All that is not listed is refused."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import duckdb

from server.errors import InvalidInput

SOURCE = "telemetry"
LONGEST = 4000
_ADVICE = f"Write one SELECT (or WITH ... SELECT) over `{SOURCE}`."

_CLAUSES = re.compile(
    "SELECT_NODE|SET_OPERATION_NODE|BASE_TABLE|JOIN|EMPTY|SUBQUERY|COLUMN_REF|STAR|FUNCTION|VALUE_CONSTANT|CASE_EXPR|"
    "COMPARE_.*|CONJUNCTION_.*|(ARRAY_)?OPERATOR_(?!TRY$).*|WINDOW_.*|(ORDER|LIMIT|DISTINCT)_(MODIFIER|DEFAULT)|"
    "ASCENDING|DESCENDING|UNION|EXCEPT|INTERSECT|BETWEEN|TYPE"
)
"""Left out on purpose: table functions (files, settings), recursion, SHOW and DESCRIBE, parameters, lambdas and pivots."""

_ALLOWED = (
    "+ - * / // % ~~ !~~ ~~* !~~* ~~~ abs sign round floor ceil ceiling trunc sqrt ln log log2 log10 exp power pow mod",
    "greatest least coalesce ifnull nullif isnan isfinite isinf",
    "count count_star count_if sum avg mean min max median mode mad stddev stddev_samp stddev_pop variance var_samp var_pop",
    "quantile quantile_cont quantile_disc approx_count_distinct approx_quantile arg_min arg_max min_by max_by first last",
    "any_value bool_and bool_or corr covar_samp covar_pop regr_slope regr_intercept regr_r2 skewness kurtosis",
    "row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value",
    "date_trunc date_part datepart date_diff datediff time_bucket year month day dayofweek isodow dayofyear week hour minute",
    "second epoch dayname monthname strftime to_seconds to_minutes to_hours to_days to_weeks now today",
    "lower upper trim ltrim rtrim length strlen substring substr left right starts_with ends_with contains prefix suffix",
    "like_escape ilike_escape not_like_escape not_ilike_escape regexp_matches split_part",
)
_FUNCTIONS = frozenset(name for line in _ALLOWED for name in line.split())
"""None of them reads anything but its arguments, and none makes a text or a list that is longer than they are."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What stands in a parsed query."""

    parts: tuple[Mapping[str, Any], ...]

    def values(self, name: str) -> Iterator[Any]:
        return (part[name] for part in self.parts if name in part)


def columns_read(connection: Any, sql: str) -> frozenset[str] | None:
    """The column names that the query reads, in lower case; None if it may read all.

    Raises:
        InvalidInput: it may not run.
    """
    if len(sql) > LONGEST:
        raise InvalidInput(f"the query has {len(sql):,} characters, at most {LONGEST:,} are read. {_ADVICE}")
    found = _Found(tuple(_parts(_parsed(connection, sql))))
    _require_clauses(found)
    _require_tables(found)
    _require_functions(found)
    kinds = {kind for kind in found.values("type") if isinstance(kind, str)}
    if "STAR" in kinds or "NATURAL" in set(found.values("ref_type")):
        return None
    named = [*found.values("column_names"), *found.values("using_columns")]
    return frozenset(part.lower() for names in named for part in names)


def _parsed(connection: Any, sql: str) -> Mapping[str, Any]:
    try:
        (text,) = connection.execute("SELECT json_serialize_sql(?::VARCHAR, skip_null := true)", [sql]).fetchall()[0]
        parsed = json.loads(text)
    except (duckdb.Error, RecursionError, UnicodeEncodeError) as error:
        raise InvalidInput(f"the query cannot be read ({type(error).__name__}). {_ADVICE}") from error
    if parsed.get("error"):
        raise InvalidInput(f"not a SELECT, or not SQL: {parsed.get('error_message', '')}. {_ADVICE}")
    if len(parsed["statements"]) != 1:
        raise InvalidInput(f"{len(parsed['statements'])} statements. {_ADVICE}")
    return parsed["statements"][0]


def _parts(tree: object) -> Iterator[Mapping[str, Any]]:
    """Every object of the tree; its depth is the query's, which can be thousands, so not by recursion."""
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            known = cast("dict[str, Any]", part)
            yield known
            waiting.extend(known.values())
        elif isinstance(part, list):
            waiting.extend(cast("list[object]", part))


def _require_clauses(found: _Found) -> None:
    if any(found.values("named_param_map")):
        raise InvalidInput(f"parameters are not taken: write the values. {_ADVICE}")
    for part in found.parts:
        kind = part.get("type")
        if isinstance(kind, str) and not _CLAUSES.fullmatch(kind):
            what = {"TABLE_FUNCTION": "table functions", "RECURSIVE_CTE_NODE": "recursion", "SHOW_REF": "SHOW and DESCRIBE"}
            raise InvalidInput(f"{what.get(kind, kind.lower())} cannot be used here. {_ADVICE}")


def _require_tables(found: _Found) -> None:
    named = {str(each["key"]).lower() for entries in found.values("cte_map") for each in entries.get("map", ())}
    for part in found.parts:
        if part.get("type") == "BASE_TABLE":
            path = part.get("qualified_name", {}).get("path", ())
            if len(path) != 1 or path[0].lower() not in {SOURCE, *named}:
                raise InvalidInput(f"there is no table {'.'.join(path)!r}. {_ADVICE}")


def _require_functions(found: _Found) -> None:
    for part in found.parts:
        if "function_name" in part:
            name, path = str(part["function_name"]).lower(), part.get("qualified_name", {}).get("path", ())
            if name not in _FUNCTIONS or len(path) > 1:
                raise InvalidInput(f"the function {name!r} cannot be used here. Aggregates, windows, dates and arithmetic can.")
