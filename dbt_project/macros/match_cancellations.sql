{#-
    Matches the cancellations of one customer and product with the purchases before them.

    `events`: an expression for the array, in the order of events, of structs (line_id, quantity), purchases
    positive and cancellations negative. Gives an array of structs
    (cancellation_line_id, purchase_line_id, quantity, rule), one per purchase that a cancellation reached.

    It is a fold: what a cancellation may take is what the ones before it left open, so no match depends on
    what comes later. Sets of rows cannot say that, a fold over an array can: list_reduce here, aggregate on
    Spark. Its cost is the square of a group's open purchases, which are few (the longest of the real year: 187).
-#}
{% macro match_cancellations(events) -%}
    {{ return(adapter.dispatch('match_cancellations', 'goodstanding')(events)) }}
{%- endmacro %}

{% macro duckdb__match_cancellations(events) -%}
    list_reduce(
        {{ events }},
        lambda state, event: case
            when event.quantity > 0 then {
                'still_open': list_append(
                    state.still_open,
                    {'line_id': event.line_id, 'quantity': event.quantity, 'left_open': event.quantity}
                ),
                'matches': state.matches
            }
            else list_transform(
                [{{ _duckdb_taken('state.still_open', '-event.quantity') }}],
                lambda taken: {
                    'still_open': list_filter(
                        list_transform(
                            state.still_open,
                            lambda purchase, i: {
                                'line_id': purchase.line_id,
                                'quantity': purchase.quantity,
                                'left_open': purchase.left_open - taken[i]
                            }
                        ),
                        lambda purchase: purchase.left_open > 0
                    ),
                    'matches': list_concat(
                        state.matches,
                        list_filter(
                            list_transform(
                                state.still_open,
                                lambda purchase, i: {
                                    'cancellation_line_id': event.line_id,
                                    'purchase_line_id': purchase.line_id,
                                    'quantity': taken[i],
                                    'rule': case
                                        when
                                            taken[i] = purchase.quantity
                                            and taken[i] = -event.quantity
                                            then 'mirror'
                                        else 'reach_back'
                                    end
                                }
                            ),
                            lambda match: match.quantity > 0
                        )
                    )
                }
            )[1]
        end,
        {
            'still_open': cast(
                [] as struct(line_id varchar, quantity bigint, left_open bigint)[]
            ),
            'matches': cast(
                []
                as struct(
                    cancellation_line_id varchar, purchase_line_id varchar, quantity bigint, rule varchar
                )[]
            )
        }
    ).matches
{%- endmacro %}

{#- how much of each open purchase a cancellation takes: all of the latest mirror, else back from the latest -#}
{% macro _duckdb_taken(still_open, wanted) -%}
    list_transform(
        [
            list_max(
                list_transform(
                    {{ still_open }},
                    lambda purchase, i: case
                        when purchase.quantity = {{ wanted }} and purchase.left_open = purchase.quantity then i
                        else 0
                    end
                )
            )
        ],
        lambda mirror: list_transform(
            {{ still_open }},
            lambda purchase, i: cast(
                case
                    when mirror > 0 then case when i = mirror then purchase.left_open else 0 end
                    else greatest(
                        0,
                        least(
                            purchase.left_open,
                            {{ wanted }} - coalesce(
                                list_sum(
                                    list_transform({{ still_open }}[i + 1:], lambda later: later.left_open)
                                ),
                                0
                            )
                        )
                    )
                end as bigint
            )
        )
    )[1]
{%- endmacro %}

{#-
    The order of the events of a customer and product: by when they happened, a sale before a cancellation; then, within an
    invoice, by the place of the line in its file, which is the order in which the shop recorded them; then by what the lines
    say. The name of a file plays no part. No two lines are equal in all of it but duplicates, so the order is total.
-#}
{% macro event_order() -%}
    ordered_at_utc,
    case when invoice_kind = 'sale' then 0 else 1 end,
    invoice_no,
    line_number,
    quantity,
    amount,
    unit_price nulls last,
    line_total nulls last,
    description nulls last,
    country nulls last,
    payment_type nulls last,
    channel nulls last,
    weight nulls last,
    ordered_at
{%- endmacro %}

{#- an array, in a given order, of the structs (line_id, quantity) of a group -#}
{% macro collect_events(line_id, quantity, order_by) -%}
    {{ return(adapter.dispatch('collect_events', 'goodstanding')(line_id, quantity, order_by)) }}
{%- endmacro %}

{% macro duckdb__collect_events(line_id, quantity, order_by) -%}
    list({'line_id': {{ line_id }}, 'quantity': {{ quantity }}} order by {{ order_by }})
{%- endmacro %}

{#- one row per element of an array of structs, its fields as columns -#}
{% macro unnest_matches(matches) -%}
    {{ return(adapter.dispatch('unnest_matches', 'goodstanding')(matches)) }}
{%- endmacro %}

{% macro duckdb__unnest_matches(matches) -%}
    unnest({{ matches }}, max_depth := 2)
{%- endmacro %}
