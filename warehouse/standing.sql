-- What dbt does not make in the standing file. Run at every opening, so each statement must be repeatable.
create schema if not exists predictions;
create schema if not exists state;

-- Who buys within 90 days, as of the newest day; replaced whole by the scoring step.
create table if not exists predictions.purchases (
    customer_id varchar,
    as_of date,
    buy_90d_probability double,
    model_id varchar,
);

-- The SQL by which everything in this file was computed; empty until a whole build has succeeded.
create table if not exists state.built_by (
    fingerprint varchar not null,
);
