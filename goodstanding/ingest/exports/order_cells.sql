-- The lines of the exports with one text for each column: the first that says something of several, and a cell that
-- stands on one line of its order on all of them. `text_lines` has every column that is read, as text.

create or replace temp table whole_lines as
with

firsts as (
    select
        file_name,
        line_number,
        {% for column, first in firsts %}
        {{ first }} as {{ column }},
        {% endfor %}
        fault,
        record
    from text_lines
),

final as (
    select
        * {% if carried %}replace (
            {% for column in carried %}
            -- in a line that cannot be split rightly nothing is sure, not even the order
            if(
                fault is null,
                coalesce({{ column }}, first_value({{ column }} ignore nulls) over of_order),
                {{ column }}
            ) as {{ column }}{{ "," if not loop.last }}
            {% endfor %}
        ){% endif %}

    from firsts
    window
        of_order as (
            partition by file_name, fault is null, {{ order_key }}
            order by line_number rows between unbounded preceding and unbounded following
        )
)

select * from final;

create or replace temp table text_lines as
select * from whole_lines;

drop table whole_lines;
