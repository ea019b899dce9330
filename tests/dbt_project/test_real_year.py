"""The marts of the real year hold the figures that were counted independently of this project."""

from decimal import Decimal

import duckdb

from bench.peer_duckdb import standing


def test_lines_invoices_and_customers_are_those_of_the_year(real_year):
    assert real_year.rows(
        """
        select
            count(*), count(*) filter (outcome = 'no_customer'), count(customer_id),
            count(*) filter (outcome = 'duplicate'),
            count(*) filter (outcome not in ('no_customer', 'duplicate'))
        from marts.order_lines
        """
    ) == [(541_909, 135_080, 406_829, 5_225, 401_604)]
    assert real_year.rows("select count(*), count(*) filter (kind = 'cancellation') from marts.invoices") == [
        (22_190, 3_654)
    ]
    assert real_year.rows("select count(*), count(distinct customer_id) from marts.customer_profiles") == [
        (4_372, 4_372)
    ]


def test_the_amounts_of_all_outcomes_sum_to_the_exact_total(real_year):
    by_outcome = real_year.rows("select outcome, sum(amount) from marts.order_lines group by outcome")
    assert sum(amount for _, amount in by_outcome) == Decimal("9747747.934")
    assert all(isinstance(amount, Decimal) for _, amount in by_outcome)


def test_every_customer_has_a_class_and_the_quarters_are_those_of_an_independent_count(real_year):
    assert real_year.rows("select count(*) from marts.customer_profiles where class is null") == [(0,)]
    # recomputed from the order lines alone, by other means than the models
    recomputed = """
        with
        kept as (
            select customer_id, invoice_no, min(event_day) as day, sum(kept_amount) as net
            from marts.order_lines
            where outcome in ('kept', 'partly_cancelled', 'cancelled')
            group by all having net > 0
        ),
        measures as (
            select
                customer_id, date '2011-12-09' - max(day) as recency, count(*) as frequency,
                sum(net) as monetary
            from kept group by 1
        ),
        borders as (
            select
                quantile_cont(recency, [.25, .5, .75]) as r, quantile_cont(frequency, [.25, .5, .75]) as f,
                quantile_cont(monetary::double, [.25, .5, .75]) as m
            from measures
        ),
        scored as (
            select
                customer_id,
                4 - len(list_filter(r, lambda b: recency > b)) as r_score,
                1 + len(list_filter(f, lambda b: frequency > b)) as f_score,
                1 + len(list_filter(m, lambda b: monetary::double > b)) as m_score
            from measures, borders
        ),
        classed as (
            select *, r_score + f_score + m_score as credit_score,
                quantile_cont(r_score + f_score + m_score, [.25, .5, .75]) over () as c
            from scored
        )
        select
            customer_id, r_score, f_score, m_score, credit_score,
            ['Worst', 'Average', 'Good', 'Best'][1 + len(list_filter(c, lambda b: credit_score > b))]
        from classed order by 1
    """
    stored = """
        select customer_id, r_score, f_score, m_score, credit_score, class
        from marts.customer_classes where as_of = date '2011-12-09' order by 1
    """
    assert real_year.rows(recomputed) == real_year.rows(stored)


def test_matches_and_classes_equal_those_of_the_plain_scripts(real_year, real_landing):
    with duckdb.connect() as connection:
        peer = standing(real_landing, connection)
    found = dict(real_year.rows("select outcome, count(*) from marts.order_lines group by 1"))
    assert found == {name: count for name, count in peer["outcomes"].items() if count}
    classes = dict(
        real_year.rows(
            "select class, count(*) from marts.customer_classes where as_of = '2011-12-09' group by 1"
        )
    )
    assert classes == peer["classes"]


def test_there_is_a_snapshot_of_every_day_and_none_knows_its_future(real_year):
    assert real_year.rows("select count(distinct as_of), min(as_of) from marts.rfm_borders") == [
        (374, real_year.rows("select date '2010-12-01'")[0][0])
    ]
    assert real_year.rows("select count(*) from marts.rfm_scores where recency < 0") == [(0,)]


def test_an_order_is_judged_by_what_master_data_had_said_the_day_before(real_year):
    working = {name: real_year.home / "warehouse" / f"{name}.duckdb" for name in ("standing", "intake")}
    with duckdb.connect() as connection:
        for name, path in working.items():
            connection.execute(f"attach '{path}' as {name} (read_only)")
        connection.execute("use standing")
        columns = [name for name, *_ in connection.execute("describe marts.master_data").fetchall()]
        shared = ", ".join(columns)
        differ, same, first_orders = connection.execute(
            f"""
            with
            asked as (
                select {shared} from features.order_features
                where as_of in (select as_of from marts.master_data)
            ),
            known as (
                select * from asked
                where orders > 0
            )
            select
                (select count(*) from (from known except select {shared} from marts.master_data)),
                (select count(*) from known),
                (
                    select count(*) from asked anti join marts.master_data using (customer_id, as_of)
                    where orders = 0
                )
            """
        ).fetchall()[0]
    assert differ == 0
    assert (same, first_orders) == (473, 115)
