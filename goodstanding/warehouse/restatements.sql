-- What this publication tells readers otherwise than the one before it, as the table `differences`. Run in the copy
-- that is about to be published, with the publication that readers have now attached as `previous`. On an ordinary
-- day no day that both show can have changed, and no table but the list of files is compared.

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

-- named with its days, or the join below would take in every day that was ever kept
now as (
    select classes.*
    from marts.customer_classes as classes
    semi join as_of_days using (as_of)
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
    left join now using (customer_id, as_of)
    where told.class is distinct from now.class or told.credit_score is distinct from now.credit_score
)

select * from final;
