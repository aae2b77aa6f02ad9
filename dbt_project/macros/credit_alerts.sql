{#-
    The columns of a warning of credit_alerts before its rule is applied, of the kind given; those
    that `columns` does not name are null.
-#}
{% macro warning_of(kind, columns) -%}
    {%- set text = dbt.type_string() %}
    {%- set types = {
        'document_id': text,
        'since_on': 'date',
        'told_on': 'date',
        'amount': 'decimal(18, 2)',
        'limit_amount': 'decimal(18, 2)',
        'exposure_amount': 'decimal(18, 2)',
        'count_documents': 'bigint',
        'value': 'double',
        'change': 'double',
        'from_grade': text,
        'to_grade': text,
        'name_en': text,
        'name_zh': text,
        'reason_en': text,
        'reason_zh': text,
        'other_on': 'date',
    } -%}
    '{{ kind }}' as kind,
        {{ columns.get('customer_id', 'customer_id') }} as customer_id
        {%- for name, type in types.items() %},
        cast({{ columns.get(name, 'null') }} as {{ type }}) as {{ name }}
        {%- endfor %}
{%- endmacro %}
