"""Gate 1, after ingest: are the raw lines of a day complete and readable, and is the number of orders usual?

`goodstanding.shops.kinds` says what is expected of a line of each kind of source; this module, of a day. No
day of a real year of a gift shop (305 trading days, 541,909 lines) fails a limit; a comment beside each limit
gives the figure of that year.
"""

from expectations.suite import ENOUGH, Batch, between, holds, one_of, present, query, unique
from goodstanding.shops.kinds import KINDS, OPTIONAL_KINDS, ORDERS, Check, Kind

# every line that is stored, accepted or not, for the accounts of files
STORED_LINES = " union all ".join(
    f"""
    select event_day, file_name, {is_accepted} as is_accepted from intake.raw.{table}
    where event_day between $first and $last
    """
    for kind in KINDS
    for table, is_accepted in ((kind.table, "true"), (f"rejected_{kind.table}", "false"))
)

DAYS = f"with stored_lines as ({STORED_LINES}) select * from ({query('raw_orders_days')}) order by event_day"


def _checks(kind: Kind) -> tuple[Check, ...]:
    """What is expected of a line of a kind: where it has a time, also that it is of the day of its file."""
    if kind.happened not in kind.stored:
        return kind.checks
    sql = f"event_day = cast({kind.happened} as date)"
    return (*kind.checks, Check("event_day_is_right", sql, f"the event day is the date of {kind.happened}"))


def _lines_of(kind: Kind, name: str) -> Batch:
    """The accepted lines of a kind, with the checks that its entry in `goodstanding.shops.kinds` names."""
    checks = _checks(kind)
    columns = ["file_name", "line_number", kind.sort, *(f"{check.sql} as {check.name}" for check in checks)]
    table = f"intake.raw.{kind.table}"
    return Batch(
        name=name,
        sql=f"select {', '.join(columns)} from {table} where event_day between $first and $last",
        key=("file_name", "line_number"),
        chunked_by=table,
        optional=kind is not ORDERS,
        expectations=[
            *([present("file_name"), present("line_number")] if kind is ORDERS else []),
            unique(["file_name", "line_number"], "no line of a file is stored twice"),
            one_of(kind.sort, [kind.usual, *kind.others]),
            *(
                between(check.name, *check.limits, check.meaning)
                if check.limits
                else holds(check.name, check.meaning or check.sql)
                for check in checks
            ),
        ],
    )


BATCHES = (
    _lines_of(ORDERS, "raw order lines"),
    Batch(
        name="days",
        sql=DAYS,
        key=("event_day",),
        expectations=[
            holds("lines_add_up", "lines of a file = accepted + rejected"),
            holds("accepted_are_stored", "every accepted line is stored"),
            holds("rejected_are_stored", "every rejected line is stored with its reason"),
            holds("some_line_is_readable", "a day with lines has at least one that can be read"),
            between("rejected_share", None, 0.05, f"of {ENOUGH} lines and more at most 5 % are rejected"),
            # the real year: 0 to 0.874 (2011-08-30), median 0.20; an export that lost the column has 1
            between("share_without_customer", None, 0.95, "at most 95 % of the lines lack their customer"),
            # the real year: 0.130 (2010-12-22) to 2.54 (2011-08-30)
            between("lines_of_usual", 1 / 8, 8, "lines are 1/8 to 8 times the median of recent days"),
            # the real year: 0.134 (2010-12-22) to 3.69 (2011-09-20)
            between("sales_of_usual", 1 / 8, 8, "sales are 1/8 to 8 times the median of recent days"),
        ],
    ),
    *(_lines_of(kind, kind.name) for kind in OPTIONAL_KINDS),
)
