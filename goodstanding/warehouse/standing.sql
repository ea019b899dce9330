-- What dbt does not make in the standing file. Run at every opening, so each statement must be repeatable.
create schema if not exists predictions;
create schema if not exists state;

-- The table of before there were several questions; readers would take its old rows for those of today.
drop table if exists predictions.purchases;

-- What customers will do, as of the newest day. All four are replaced whole by the scoring step.
create table if not exists predictions.customers (
    customer_id varchar,
    as_of date,
    buy_30d_probability double,
    buy_60d_probability double,
    buy_90d_probability double,
    return_60d_probability double,
    class_next_quarter varchar,
    class_next_quarter_probability double,
    expected_orders_90d double,
    expected_spend_90d double,
    next_order_day date,
    next_order_from date,
    next_order_until date,
    segment varchar,
    -- the model of who buys within 90 days, as in predictions.models
    model_id varchar,
    note varchar
);

-- Which model made the predictions of a question, or why there are none; one row per question.
create table if not exists predictions.models (
    as_of date,
    question varchar,
    model_id varchar,
    data_day date,
    recipe varchar,
    note varchar
);

-- How far the day's data are from those that each model was trained on (drift); one row per question, kind and name.
create table if not exists predictions.drift (
    as_of date,
    question varchar,
    kind varchar,
    name varchar,
    value double,
    allowed double,
    is_within boolean
);

-- The points scorecard by which a decision (cod, emi) is made, or the note why there is none; one row per decision.
create table if not exists predictions.scorecards (
    as_of date,
    decision varchar,
    model_id varchar,
    data_day date,
    -- as goodstanding.decisions.scorecard.Scorecard writes and reads it
    card json,
    -- why there is none; else what its target stands for, and why it should be trained again
    note varchar
);

-- The SQL by which everything in this file was computed; empty until a whole build has succeeded.
create table if not exists state.built_by (
    fingerprint varchar not null
);
