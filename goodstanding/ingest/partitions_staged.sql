-- What the days of a part will hold: `staged_files` becomes raw.files, and `staged_days` raw.days. The lines are
-- there already: staged_<table> of each kind. `found_files` is a frame of the files.

create or replace temp table staged_files as
with

lines as (
    {% for kind in kinds %}
    select
        file_name,
        reason is null as is_accepted
    from staged_{{ kind.table }}
    {{ "union all" if not loop.last }}
    {% endfor %}
),

counts as (
    select
        file_name,
        count(*) filter (where is_accepted) as accepted,
        count(*) filter (where not is_accepted) as rejected
    from lines
    group by file_name
),

final as (
    select
        {{ source }} as source,
        cast(found_files.event_day as date) as event_day,
        found_files.file_name,
        cast(found_files.file_hash as varchar) as file_hash,
        cast(found_files.bytes as bigint) as bytes,
        cast(found_files.lines as bigint) as lines,
        coalesce(counts.accepted, 0) as accepted,
        coalesce(counts.rejected, 0) as rejected,
        cast(found_files.note as varchar) as note,
        {{ now }} as loaded_at,
        {{ run_id }} as run_id
    from found_files
    left join counts on found_files.file_name = counts.file_name
)

select * from final;

create or replace temp table staged_days as
with

all_days as (
    select cast(unnest(generate_series(cast({{ first }} as timestamp), {{ last }}, interval 1 day)) as date) as event_day
),

-- What the lines of a day say, in whatever order. Not the same where the same bytes are read in another way, by a
-- mapping that was changed.
contents as (
    {% for kind in kinds %}
    select
        event_day,
        '{{ kind.name }}' as kind,
        count(*) || '-' || bit_xor(hash({{ kind.content }})) as content
    from staged_{{ kind.table }}
    where reason is null
    group by event_day
    {{ "union all" if not loop.last }}
    {% endfor %}
),

-- Orders have no prefix: a day of orders alone has the version that it had before there were other kinds.
day_contents as (
    select
        event_day,
        string_agg(if(kind = 'orders', '', kind || ':') || content, ',' order by kind) as content
    from contents
    group by event_day
),

counts as (
    select
        event_day,
        count(*) as files,
        sum(lines) as lines,
        sum(accepted) as accepted,
        sum(rejected) as rejected,
        array_to_string(list(file_hash order by file_name), ',') as file_hashes
    from staged_files
    group by event_day
),

final as (
    select
        {{ source }} as source,
        all_days.event_day,
        md5(coalesce(day_contents.content, '') || '/' || coalesce(counts.file_hashes, '')) as version,
        coalesce(counts.files, 0) as files,
        coalesce(counts.lines, 0) as lines,
        coalesce(counts.accepted, 0) as accepted,
        coalesce(counts.rejected, 0) as rejected,
        {{ simulated }} as simulated,
        {{ now }} as loaded_at,
        {{ run_id }} as run_id,
        false as admitted
    from all_days
    left join day_contents on all_days.event_day = day_contents.event_day
    left join counts on all_days.event_day = counts.event_day
)

select * from final;
