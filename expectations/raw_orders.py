"""Gate 1, after ingest: are the raw lines of a day complete and readable, and is the number of orders usual?

`goodstanding.shops.kinds` says what is expected of a line of each kind of source; this module, of a day. No
day of a real year of a gift shop (305 trading days, 541,909 lines) fails a limit; a comment beside each limit
gives the figure of that year.
"""

from expectations.suite import TOO_YOUNG, Batch, between, holds, one_of, present, query, unique
from expectations.usual import BEYOND, judge_days, judge_parts
from goodstanding.core.sql import literal
from goodstanding.shops.kinds import KINDS, OPTIONAL_KINDS, ORDERS, WAITS, Check, Kind

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


# of a line that is set aside as one of another day: how far that is from the day of the file
DAYS_OFF = r"date_diff('day', event_day, try_cast(regexp_extract(reason, ': a row of (\S+) in', 1) as date))"


def _about_lines_aside(query_name: str, asked_days: str, parts: str = "") -> str:
    """A query about the lines of all kinds that were set aside on the days that `asked_days` selects."""
    lines = " union all ".join(
        f"""
        select
            '{kind.name}' as kind, event_day, file_name, line_number, raw_text, reason,
            coalesce(place, file_name || ':' || line_number) as place,
            ends_with(reason, {literal(WAITS)}) as is_waiting, coalesce({DAYS_OFF}, 0) as days_off
        from intake.raw.rejected_{kind.table}
        where event_day in (select event_day from asked_days)
        """
        for kind in KINDS
    )
    given = f"with asked_days as ({asked_days}), aside_lines as ({lines})"
    return f"{given} {parts} select * from ({query(query_name)})"


def _about_neighbours(asked_days: str, at_least: int) -> str:
    """A query about the lines that were set aside as those of the day before or after, on some days."""
    return _about_lines_aside("raw_orders_neighbours", asked_days, f", least as (select {at_least} as days)")


# the failed days together, as of the last of them
FAILED_DAYS = """
    select max(event_day) over () as told_day, event_day
    from (select unnest(cast($days as date[])) as event_day)
"""
# With one bad day in a week chance may have it; the same neighbour on a second day is how the files are cut.
# Each day of a range is told by its own last days.
LAST_DAYS = f"select * from ({query('raw_orders_last_days')})"
SET_ASIDE = f"""
    select * from ({_about_lines_aside("raw_orders_set_aside", FAILED_DAYS)})
    union all
    select text from ({_about_neighbours(FAILED_DAYS, at_least=1)})
"""
LOST = f"""
    select * from ({_about_neighbours(LAST_DAYS, at_least=2)})
    union all
    select * from ({_about_lines_aside("raw_orders_lost", LAST_DAYS)})
"""

# the lines of each day that are set aside until their own day is loaded: they are not lost
WAITING_LINES = " union all ".join(
    f"select event_day from intake.raw.rejected_{kind.table} where ends_with(reason, {literal(WAITS)})"
    for kind in KINDS
)
USUAL = (
    f"with waiting_lines as ({WAITING_LINES}) select * from ({query('raw_orders_usual')}) order by event_day"
)


def _checks(kind: Kind) -> tuple[Check, ...]:
    """What is expected of a line of a kind: where it has a time, also that it is of the day of its file."""
    if kind.happened not in kind.stored:
        return kind.checks
    sql = f"event_day = cast({kind.happened} as date)"
    return (*kind.checks, Check("event_day_is_right", sql, f"the event day is the date of {kind.happened}"))


def _lines_of(kind: Kind, name: str) -> Batch:
    """The accepted lines of a kind, with the checks that its entry in `goodstanding.shops.kinds` names."""
    checks = _checks(kind)
    columns = [
        "event_day",
        "file_name",
        "line_number",
        kind.sort,
        *(f"{check.sql} as {check.name}" for check in checks),
    ]
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
        ],
        causes={"some_line_is_readable": SET_ASIDE},
    ),
    Batch(
        name="days beside recent days",
        sql=USUAL,
        key=("event_day",),
        judge=judge_days,
        expectations=[
            holds(
                "rejected_share",
                "at most 5 % (limits.rejected_share) of the lines are set aside, or few enough for chance",
            ),
            # the real years: 0 to 0.55 (2011-01-28), median 0.12; an export that lost the column has 1
            holds(
                "share_without_customer",
                "at most 80 % (limits.share_without_customer) of the invoices lack their customer, or few "
                "enough for chance",
            ),
            # the real year: 0 to 0.43 (2011-01-28), median 0.02; an export that turned its signs has 1
            holds(
                "share_below_zero",
                "at most 75 % (limits.share_below_zero) of the invoices that are no cancellations have a "
                "quantity below zero, or few enough for chance",
            ),
            # the real year: 0.130 (2010-12-22) to 2.54 (2011-08-30)
            holds(
                "lines_of_usual",
                "lines are 1/8 to 8 times (limits.times_usual) the median of recent days, with leave for "
                "small shops",
            ),
            # the real year: 0.134 (2010-12-22) to 3.69 (2011-09-20)
            holds(
                "sales_of_usual",
                "sales are 1/8 to 8 times (limits.times_usual) the median of recent days, with leave for "
                "small shops",
            ),
        ],
        not_judged={
            "share_without_customer": "the day has no invoice",
            "share_below_zero": "the day has no invoice but cancellations",
            "lines_of_usual": TOO_YOUNG,
            "sales_of_usual": TOO_YOUNG,
        },
        causes={"rejected_share": SET_ASIDE},
        tells=LOST,
    ),
    Batch(
        name="parts of days beside recent days",
        sql=query("raw_orders_parts"),
        key=("event_day", "part"),
        judge=judge_parts,
        # the real years: at most 0.25, 0.28 and 0.33 beyond a tenth of the recent days
        expectations=[
            holds(
                f"{name}_share",
                f"at most half (limits.beyond_usual) of the {what} recent days, or few enough for chance",
            )
            for name, what in (
                ("prices_above", "prices are above the highest tenth of"),
                ("prices_below", "prices are below the lowest tenth of"),
                ("quantities_above", "quantities are above the highest tenth of"),
                ("quantities_below", "quantities are below the lowest tenth of"),
            )
        ],
        not_judged={f"{name}_share": TOO_YOUNG for name in BEYOND},
    ),
    *(
        Batch(
            name=f"invoice numbers ({key})",
            sql=query(f"raw_orders_{key}"),
            key=("file_name", "line_number"),
            chunked_by="intake.raw.order_lines",
            # without rows unless the mapping says stop
            optional=True,
            expectations=[holds(column, f"{meaning}; invoices.{key} in the mapping says stop")],
        )
        for key, column, meaning in (
            ("number_again", "number_is_new", "no other day has a sale of that invoice number"),
            ("two_customers", "customer_is_one", "an invoice number has one customer on a day"),
        )
    ),
    *(_lines_of(kind, kind.name) for kind in OPTIONAL_KINDS),
)
