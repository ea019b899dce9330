-- What this publication tells readers otherwise than the one before it: the differences are added to the
-- restatements that are carried over. Run in the copy that is about to be published, with the publication that
-- readers have now attached as `previous`. On an ordinary day no day that both show can have changed, and no table
-- but the list of files is compared.

insert into marts.restatements by name
select * from previous.marts.restatements;

-- Every file that this publication does not rest on as the one before it did, and since which day that may show.
-- Where the files of a day are the same and its version is not, they are read otherwise: by another mapping.
create temp table changed_files as
with

files as (
    select
        event_day,
        file_name,
        coalesce(now.file_hash, before.file_hash) as file_hash,
        before.file_hash is distinct from now.file_hash as is_other_content,
        before.day_version is distinct from now.day_version as is_other_day,
    from previous.marts.source_files as before
    full join marts.source_files as now using (event_day, file_name)
),

final as (
    select
        event_day,
        file_name,
        file_hash,
    from files
    where is_other_content or is_other_day
    -- beside a file with another content, the other files of its day are as they were
    qualify is_other_content or not bool_or(is_other_content) over (partition by event_day)
)

select * from final;

-- With another SQL, or other settings of it, every figure may be another, and no file is the cause.
create temp table scope as
select
    before.definition is distinct from now.definition as is_redefined,
    case
        when is_redefined then date '0001-01-01'
        else (select min(event_day) from changed_files)
    end as first_day,
from previous.marts.publication as before
cross join marts.publication as now;

create temp table differences as
with

as_of_days as (
    select days.as_of
    from intermediate.int_as_of_days as days
    cross join scope
    where days.purpose = 'scores' and days.as_of >= scope.first_day
),

-- who was there, was told to be there no longer, and may be back
taken_back as (
    select
        customer_id,
        as_of,
    from previous.marts.restatements
    group by customer_id, as_of
    having arg_max(to_class is null, restated_at)
),

told as (
    select
        customer_id,
        as_of,
        class,
        credit_score,
    from previous.marts.customer_classes

    union all

    select
        customer_id,
        as_of,
        null as class,
        null as credit_score,
    from taken_back
),

final as (
    select
        told.customer_id,
        told.as_of,
        told.class as from_class,
        now.class as to_class,
        told.credit_score as from_credit_score,
        now.credit_score as to_credit_score,
    from told
    semi join as_of_days using (as_of)
    left join marts.customer_classes as now using (customer_id, as_of)
    where told.class is distinct from now.class or told.credit_score is distinct from now.credit_score
)

select * from final;

insert into marts.restatements by name
with

-- what a customer's lines of a file say, in any order: a line more above them changes nothing but their numbers
contents as (
    select
        is_now,
        event_day,
        file_name,
        customer_id,
        sum(
            hash(
                invoice_no, invoice_kind, stock_code, is_product, description, quantity, unit_price, ordered_at,
                country
            )
        ) as content,
    from (
        select true as is_now, * from marts.order_lines
        union all by name
        select false as is_now, * from previous.marts.order_lines
    )
    semi join changed_files using (event_day, file_name)
    where customer_id in (select customer_id from differences)
    group by is_now, event_day, file_name, customer_id
),

-- the earliest file that says something else of the customer; in a day, the first by name
own_files as (
    select
        customer_id,
        min((event_day, file_name)) as first_file,
    from (
        select
            customer_id,
            event_day,
            file_name,
        from contents
        group by customer_id, event_day, file_name
        having count(*) = 1 or min(content) <> max(content)
    )
    group by customer_id
),

-- for whom no line of their own changed, the others' changed, and with them the borders of the quarters
causes as (
    select
        differences.*,
        case
            when scope.is_redefined then 'definition'
            when own_files.first_file[1] <= differences.as_of then 'own_lines'
            else 'borders'
        end as cause,
        case cause
            when 'own_lines' then own_files.first_file
            when 'borders' then (select min((event_day, file_name)) from changed_files)
        end as first_file,
    from differences
    cross join scope
    left join own_files using (customer_id)
)

select
    causes.* exclude (first_file),
    changed_files.event_day as changed_day,
    changed_files.file_name,
    changed_files.file_hash,
    publication.run_id,
    publication.published_at as restated_at,
from causes
cross join marts.publication as publication
left join changed_files
    on
        changed_files.event_day = causes.first_file[1]
        and changed_files.file_name = causes.first_file[2]
order by causes.as_of, causes.customer_id;
