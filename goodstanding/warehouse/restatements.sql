-- Where the coming publication differs from the one that readers have now, as the table `differences`. Run in the copy
-- that is about to be published, with the publication that readers have now attached as `previous`. On an ordinary
-- day no day that both show can have changed, and no table but the list of files is compared.

insert into marts.restatements by name
select * from previous.marts.restatements;

-- Every file that only one of the two publications rests on, or that they read in different ways, with its day. Where the
-- files of a day are the same and its version is not, they were read by another mapping.
create temp table changed_files as
with

files as (
    select
        event_day,
        file_name,
        coalesce(coming.file_hash, shown.file_hash) as file_hash,
        (shown.file_hash is distinct from coming.file_hash) as is_other_content,
        (shown.day_version is distinct from coming.day_version) as is_other_day
    from previous.marts.source_files as shown
    full join marts.source_files as coming using (event_day, file_name)
),

final as (
    select
        event_day,
        file_name,
        file_hash
    from files
    where is_other_content or is_other_day
    -- beside a file with another content, the other files of its day are as they were
    qualify is_other_content or not bool_or(is_other_content) over (partition by event_day)
)

select * from final;

-- With another SQL, or other settings of it, every figure may be another, and no file is the cause.
create temp table scope as
select
    (shown.definition is distinct from coming.definition) as is_redefined,
    case
        when is_redefined then date '0001-01-01'
        else (select min(event_day) from changed_files)
    end as first_day
from previous.marts.publication as shown
cross join marts.publication as coming;

create temp table differences as
with

as_of_days as (
    select days.as_of
    from intermediate.int_as_of_days as days
    cross join scope
    where days.purpose = 'scores' and days.as_of >= scope.first_day
),

-- customers whom the restatements took out of the classes, and who may be in them again
taken_back as (
    select
        customer_id,
        as_of
    from previous.marts.restatements
    group by customer_id, as_of
    having arg_max(to_class is null, restated_at)
),

shown as (
    select
        customer_id,
        as_of,
        class,
        credit_score
    from previous.marts.customer_classes

    union all

    select
        customer_id,
        as_of,
        null as class,
        null as credit_score
    from taken_back
),

-- restricted to these days, or the join below would read every day that was ever kept
coming as (
    select classes.*
    from marts.customer_classes as classes
    semi join as_of_days using (as_of)
),

final as (
    select
        shown.customer_id,
        shown.as_of,
        shown.class as from_class,
        coming.class as to_class,
        shown.credit_score as from_credit_score,
        coming.credit_score as to_credit_score
    from shown
    semi join as_of_days using (as_of)
    left join coming using (customer_id, as_of)
    where
        shown.class is distinct from coming.class
        or shown.credit_score is distinct from coming.credit_score
)

select * from final;
