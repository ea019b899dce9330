"""Gate 2, after the transform: is every raw order line of the days in the marts, and does the money add up?

dbt's tests hold the marts to their contracts as a whole; this gate compares the days of the run with raw,
exactly (decimals, never floats), and with recent days.
"""

import great_expectations.expectations as gxe

from expectations.suite import TOO_YOUNG, Batch, between, holds, one_of, present, query, unique
from expectations.usual import judge_invoices, judge_unmatched

OUTCOMES = (
    "no_customer",
    "duplicate",
    "adjustment",
    "cancellation",
    "unmatched_cancellation",
    "cancelled",
    "partly_cancelled",
    "kept",
)


INVOICES = """
select
    event_day,
    invoice_no,
    kind,
    customer_id,
    left(customer_id, 8) as customer,
    lines,
    (net_amount = gross_amount - cancelled_amount - returned_amount) is true as net_is_right,
    (is_kept = (kind = 'sale' and net_amount > 0)) is true as is_kept_is_right
from marts.invoices
where event_day between $first and $last
"""

ACCOUNTS = f"accounts as ({query('invoices_accounts')})"
BELOW_ZERO = f"below_zero as ({query('invoices_below_zero')})"
UNMATCHED = (
    f"with {ACCOUNTS}, {BELOW_ZERO} select * from ({query('invoices_unmatched')}) order by event_day, kind"
)
CAUSES = f"""
    select * from ({query("invoices_unmatched_causes")})
    union all
    select * from (with {ACCOUNTS} select * from ({query("invoices_accounts_causes")}))
    union all
    select * from (with {BELOW_ZERO} select * from ({query("invoices_below_zero_causes")}))
"""

BATCHES = (
    Batch(
        name="order lines",
        sql=query("invoices_lines"),
        key=("file_name", "line_number"),
        chunked_by="marts.order_lines",
        expectations=[
            unique(["file_name", "line_number"], "no order line appears twice"),
            present("outcome", "every line has an outcome"),
            one_of("outcome", OUTCOMES),
            one_of("cancellation_rule", ["mirror", "reach_back"]),
            holds("customer_is_right", "outcome is no_customer where there is none, and only there"),
            holds("amount_is_right", "amount = line_total, else quantity x unit_price"),
            between("cancelled_quantity", 0, None),
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A="quantity_size",
                column_B="cancelled_quantity",
                or_equal=True,
                description="no more is cancelled than was bought",
            ),
            holds("outcome_is_right", "the outcome says how much of the line was cancelled"),
            holds("kept_amount_is_right", "kept_amount is what is left of a purchase, else 0"),
        ],
    ),
    Batch(
        name="invoices",
        sql=INVOICES,
        key=("invoice_no", "event_day", "kind", "customer"),
        chunked_by="marts.invoices",
        expectations=[
            unique(
                ["customer_id", "invoice_no", "event_day", "kind"],
                "one row per customer, invoice number, day and kind",
            ),
            present("customer_id", "every invoice has its customer"),
            one_of("kind", ["sale", "cancellation"]),
            between("lines", 1, None),
            holds("net_is_right", "net_amount = gross_amount - cancelled_amount - returned_amount"),
            holds("is_kept_is_right", "kept are the sales with a net_amount above 0, and only those"),
        ],
    ),
    Batch(
        name="days",
        sql=query("invoices_days"),
        key=("event_day",),
        expectations=[
            holds("lines_are_conserved", "as many order lines as raw has"),
            holds("amount_is_conserved", "the same sum of money as raw has"),
            # the real year: 0.196 (2010-12-22) to 1.76 (2011-09-22)
            holds(
                "invoices_of_usual",
                "sales invoices are 1/8 to 8 times (limits.times_usual) the median of recent days, with "
                "leave for small shops",
            ),
        ],
        judge=judge_invoices,
        not_judged={
            "lines_are_conserved": "another run has ingested the day since",
            "amount_is_conserved": "another run has ingested the day since",
            "invoices_of_usual": TOO_YOUNG,
        },
    ),
    Batch(
        name="references to purchases",
        sql=UNMATCHED,
        key=("event_day", "kind"),
        optional=True,
        judge=judge_unmatched,
        expectations=[
            # the real year, of cancellations: 0 to 0.5 where a day has ten or more, 0.15 of all
            holds(
                "unmatched_share",
                "at most half (limits.unmatched_share) of the cancellations, or of what names an order, "
                "finds no purchase, and of the invoices below zero counts as a sale, or few enough for "
                "chance",
            ),
        ],
        not_judged={"unmatched_share": "fewer than 7 days before it had any"},
        causes={"unmatched_share": CAUSES},
        tells=CAUSES,
    ),
)
