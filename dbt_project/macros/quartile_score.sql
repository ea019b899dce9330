{#- 1 to 4: in which quarter a value lies; a value on a border belongs to the quarter below it -#}
{% macro quartile_score(value, borders) -%}
    case
        when cast({{ value }} as double) <= {{ borders }}.q25 then 1
        when cast({{ value }} as double) <= {{ borders }}.q50 then 2
        when cast({{ value }} as double) <= {{ borders }}.q75 then 3
        else 4
    end
{%- endmacro %}
