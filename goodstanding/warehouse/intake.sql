-- The intake file: the ingested lines (raw) and the records of runs (ops). Run at every opening, so each
-- statement must be repeatable.
create schema if not exists raw;
create schema if not exists ops;

-- Each kind of source (goodstanding/shops/kinds.py) has four tables. Accepted lines, and lines that could not be used,
-- with the reason: one row per line of the files that are known now, replaced whole per source and event day. And the
-- lines of file versions that have ended (raw.file_versions), of either, with the time for which they were known.
{% for kind in kinds %}
create table if not exists raw.{{ kind.table }} (
    {{ kind.definition }}
);

create table if not exists raw.rejected_{{ kind.table }} (
    {{ rejected_definition }}
);

{% for table in [kind.table, "rejected_" ~ kind.table] %}
create table if not exists raw.superseded_{{ table }} as
select
    *,
    cast(null as timestamp) as known_from,
    cast(null as timestamp) as known_until
from raw.{{ table }}
where false;

-- a home from before the kind had one of its columns: null until the line is read again
{% if table == kind.table %}
{% for column, sql_type in kind.nullable_columns %}
alter table raw.{{ table }} add column if not exists {{ column }} {{ sql_type }};
alter table raw.superseded_{{ table }} add column if not exists {{ column }} {{ sql_type }};
{% endfor %}

{% else %}
-- a home from before lines that are set aside told their place in exports
alter table raw.{{ table }} add column if not exists place varchar;
alter table raw.superseded_{{ table }} add column if not exists place varchar;

{% endif %}
{% endfor %}
{% endfor %}
-- a home from before lines had amounts and prices more than 4 decimals
{% for table in ["order_lines", "superseded_order_lines"] %}
alter table raw.{{ table }} alter column unit_price drop not null;
alter table raw.{{ table }} alter column unit_price type decimal(18, 8);
update raw.{{ table }} set amount = round(quantity * unit_price, 4)
where amount is null;
{% endfor %}

-- One row per day and file with lines of that day: lines = accepted + rejected. `file_day` is the day of the file, which
-- may be a neighbour (files.rows_of_other_days of a mapping); it is null where an earlier version loaded the file.
create table if not exists raw.files (
    source varchar not null,
    event_day date not null,
    file_name varchar not null,
    file_hash varchar not null,
    bytes bigint not null,
    lines bigint not null,
    accepted bigint not null,
    rejected bigint not null,
    note varchar,
    loaded_at timestamp not null,
    run_id varchar not null,
    file_day date
);

alter table raw.files add column if not exists file_day date;

-- The exports that were read last: files of the landing that are of no single day. `orders` is how many invoice numbers one
-- has, `orders_off` how many of those that count do not come to their own total.
create table if not exists raw.exports (
    source varchar not null,
    kind varchar not null,
    file_name varchar not null,
    file_hash varchar not null,
    bytes bigint not null,
    lines bigint not null,
    orders bigint not null,
    orders_off bigint not null,
    first_day date,
    last_day date,
    run_id varchar not null
);

-- What ingest noticed about the lines of a file and did not stop for; replaced with the partitions of their days.
-- `topic` is one of goodstanding/warehouse/notices.py; `example` is a place like 2011-12-01.csv:7.
create table if not exists raw.notices (
    source varchar not null,
    event_day date not null,
    file_name varchar not null,
    topic varchar not null,
    lines bigint not null,
    example varchar not null,
    message varchar not null
);

-- One row per event day that was ingested, with or without a file. `version` changes when an ingest finds other
-- content; `transformed_version` is the version in the marts. dbt reads only days that are `admitted`: their current
-- version passed the gate of raw orders.
create table if not exists raw.days (
    source varchar not null,
    event_day date not null,
    version varchar not null,
    transformed_version varchar,
    admitted boolean not null,
    files bigint not null,
    lines bigint not null,
    accepted bigint not null,
    rejected bigint not null,
    simulated boolean not null,
    loaded_at timestamp not null,
    run_id varchar not null,
    primary key (source, event_day)
);

-- What was known when: one row per content that an event day has had, from the ingest that found it to the ingest
-- that found another. The last one is open. A day without a file has a version too.
create table if not exists raw.day_versions (
    source varchar not null,
    event_day date not null,
    version varchar not null,
    lines bigint not null,
    known_from timestamp not null,
    known_until timestamp,
    run_id varchar not null,
    ended_by_run_id varchar
);

-- The same of every file: a file that is replaced, withdrawn or read otherwise ends, a file that comes back begins
-- again. The lines of the open ones are in the tables of accepted and rejected lines, those of the ended ones in superseded_*.
create table if not exists raw.file_versions (
    source varchar not null,
    event_day date not null,
    file_name varchar not null,
    file_hash varchar not null,
    lines bigint not null,
    known_from timestamp not null,
    known_until timestamp,
    run_id varchar not null,
    ended_by_run_id varchar
);

-- What the marts have yet to compute: one row per change of a day's content. A row stays until a transform
-- has succeeded. `kind` says what changed and so which columns are filled:
--   day         the day itself and its lines without a customer; event_day alone
--   order_line  order lines of a customer; the columns by which the lines that depend on them are found
--   account     payments, returns or deliveries of a customer; of returns also the invoice_no, whose invoices they lower
create table if not exists raw.changes (
    event_day date not null,
    customer_id varchar,
    stock_code varchar,
    invoice_no varchar,
    invoice_kind varchar,
    kind varchar not null
);

-- A home from before the column had the kind in its nulls. On a table that has it, this changes nothing.
alter table raw.changes add column if not exists kind varchar;
update raw.changes set
    kind = case
        when customer_id is null then 'day'
        when stock_code is null then 'account'
        else 'order_line'
    end
where kind is null;
alter table raw.changes alter column kind set not null;

-- One row per gate, day and version of that day: the last verdict.
create table if not exists ops.verdicts (
    event_day date not null,
    version varchar not null,
    gate varchar not null,
    passed boolean not null,
    message varchar not null,
    judged_at timestamp not null,
    run_id varchar not null,
    primary key (event_day, version, gate)
);

-- One row per step of a run.
create table if not exists ops.steps (
    run_id varchar not null,
    step varchar not null,
    first_day date not null,
    last_day date not null,
    started_at timestamp not null,
    seconds double not null,
    peak_mb double not null,
    outcome varchar not null,
    numbers json
);

-- One row per dbt node of a run, from dbt's own run results.
create table if not exists ops.dbt_results (
    run_id varchar not null,
    first_day date not null,
    last_day date not null,
    node varchar not null,
    kind varchar not null,
    status varchar not null,
    seconds double not null,
    failures bigint,
    message varchar,
    finished_at timestamp not null
);

-- What was done once for this warehouse, by name: the shop it belongs to, the SQL it was built by.
create table if not exists ops.facts (
    name varchar primary key,
    value varchar not null
);
