-- What the days of a part will hold: `staged_files` becomes raw.files, and `staged_days` raw.days. The lines are
-- there already: staged_<table> of each kind. `found_files` is a frame of the files.

create or replace temp table staged_files as
with

lines as (
    {% for kind in kinds %}
    select
        event_day,
        file_name,
        reason is null as is_accepted
    from staged_{{ kind.table }}
    {{ "union all" if not loop.last }}
    {% endfor %}
),

counts as (
    select
        event_day,
        file_name,
        count(*) filter (where is_accepted) as accepted,
        count(*) filter (where not is_accepted) as rejected
    from lines
    group by event_day, file_name
),

files as (
    select
        cast(event_day as date) as file_day,
        file_name,
        cast(file_hash as varchar) as file_hash,
        cast(bytes as bigint) as bytes,
        cast(lines as bigint) as lines,
        cast(note as varchar) as note
    from found_files
),

-- what the files hold of the days beside their own
taken_in as (
    select
        files.*,
        counts.event_day,
        counts.accepted + counts.rejected as lines_of_day
    from counts
    inner join files on counts.file_name = files.file_name and counts.event_day <> files.file_day
),

taken_by_others as (
    select
        file_name,
        sum(lines_of_day) as lines_of_day
    from taken_in
    group by file_name
),

shares as (
    select * from taken_in
    union all by name
    select
        files.*,
        files.file_day as event_day,
        files.lines - coalesce(taken_by_others.lines_of_day, 0) as lines_of_day
    from files
    left join taken_by_others on files.file_name = taken_by_others.file_name
),

final as (
    select
        {{ source }} as source,
        shares.event_day,
        shares.file_name,
        shares.file_day,
        shares.file_hash,
        shares.bytes,
        cast(shares.lines_of_day as bigint) as lines,
        coalesce(counts.accepted, 0) as accepted,
        coalesce(counts.rejected, 0) as rejected,
        shares.note,
        {{ now }} as loaded_at,
        {{ run_id }} as run_id
    from shares
    left join counts on shares.event_day = counts.event_day and shares.file_name = counts.file_name
    where shares.event_day between {{ first }} and {{ last }}
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
        count(*) filter (where file_day = event_day) as files,
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
