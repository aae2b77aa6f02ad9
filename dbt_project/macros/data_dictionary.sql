{#- The paperwork of the marts that are built as rows of a values list: table, place (0 for the table
    itself), column, type, label and description. Empty while dbt only parses. -#}
{% macro described_marts() -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() | sort(attribute='name') -%}
            {%- if
                node.resource_type == 'model'
                and node.fqn[1] == 'marts'
                and node.unique_id in selected_resources
            -%}
                {{ described_row(node.name, 0, none, none, none, node.description) }}
                {%- for column in node.columns.values() -%}
                    {{ described_row(
                        node.name, loop.index, column.name, column.data_type,
                        column.config.meta.label_zh, column.description
                    ) }}
                {%- endfor -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{% macro described_row(table_name, column_no, column_name, data_type, label_zh, description) -%}
    ('{{ table_name }}', {{ column_no }}
    {%- for text in [column_name, data_type, label_zh, description] -%}
        , {% if text is none %}null{% else %}'{{ text | trim | replace("'", "''") }}'{% endif %}
    {%- endfor -%}
    ),
{% endmacro %}
