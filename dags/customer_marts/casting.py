"""SQL that types a source's texts by the contract and finds the texts that do not fit.

Every column is read as text first (``"text_<column>"``), so that a value which does not fit can be
shown as the source wrote it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from customer_marts.feeds import NUMERIC_TYPES, Column, Company, Contract, FeedMapping, Mapped
from customer_marts.sql import identifier, literal, trimmed
from customer_marts.units import UNITS

# a time of day, then Z or an offset: what follows a bare date's day is no offset
_ZONED = "[0-9]:[0-9]{2}.*([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)$"
# DuckDB also reads 0x10 and 1_000 as numbers; no source means that
_NO_NUMBER = "[^0-9+.eE-]"
# wide enough for any landed number times any unit
_EXACT = "decimal(28, 10)"
_FACTOR = "decimal(12, 3)"
# what a list writes where a row has its code, on the line that sums the others
_TOTAL = "(本(页|日|周|旬|月|季|年|期))?(合|总|小|共|累)\\s*计[:：]?|((grand|sub)[ -]?)?total[:：]?"
TOTAL_LINE = "total_line"

_MASKS = {
    "name": "left({0}, 1) || '**'",
    "phone": "case when length({0}) >= 11 then left({0}, 3) || '****' || right({0}, 4) "
    "else '****' || right({0}, 2) end",
    "email": "left({0}, 1) || '***' || regexp_extract({0}, '@.*$')",
}


@dataclass(frozen=True)
class Fault:
    """A rule that a row can break. ``sql``: true on a row that does. ``may_be_waived``: the row
    could be landed all the same.
    """

    sql: str
    rule: str
    column: str
    reason: str
    owner: str
    may_be_waived: bool = False


def masked(text: str, kind: str) -> str:
    """SQL of personal text made unreadable but recognisable: 王**, 138****5678, w***@example.com.

    kind: name, phone or email, as the contract says. Null stays null.
    """
    return f"({_MASKS[kind].format(text)})"


class Casting:
    """Types the columns of one feed of one company. zone: the source's, of times without offset."""

    def __init__(
        self, company: Company, contract: Contract, mapping: FeedMapping, zone: str
    ) -> None:
        self.contract, self.mapping, self.zone = contract, mapping, zone
        self.business_zone = company.time_zone
        self.shift_minutes = int(company.day_shift.total_seconds()) // 60

    def texts(self, name: str) -> tuple[list[str], list[str]]:
        """Selected texts of a column (and of its unit), and the names of those that identify the
        row's content.
        """
        mapped = self.mapping.columns.get(name)
        if mapped is None:
            return [f'cast(null as varchar) as "text_{name}"'], []
        if mapped.constant is not None:
            return [f'{literal(mapped.constant)} as "text_{name}"'], []
        assert mapped.column is not None
        texts = [f'{trimmed(identifier(mapped.column))} as "text_{name}"']
        content = [f'"text_{name}"']
        if mapped.unit_column:
            texts.append(f'{trimmed(identifier(mapped.unit_column))} as "unit_{name}"')
            content.append(f'"unit_{name}"')
        return texts, content

    def values(self, name: str) -> list[str]:
        """Selected typed values: the column, and the business date derived from it."""
        column = self.contract.all_columns[name]
        mapped = self.mapping.columns.get(name)
        text = self._mapped_text(name, mapped)
        if column.type == "timestamp":
            return self._moments(name, column, mapped, text)
        if column.type == "date":
            parsed = self._parsed(text, mapped, "date")
            whole = f"cast({self._parsed(text, mapped, 'timestamp')} as date)"
            return [f"coalesce({parsed}, {whole}) as {identifier(name)}"]
        if column.type == "boolean":
            value = (
                f"case when lower({text}) in ('1', 'true', 't', 'yes', 'y', '是') then true "
                f"when lower({text}) in ('0', 'false', 'f', 'no', 'n', '否') then false end"
            )
            if name == "is_deleted":
                return [
                    f'{value} as "given_{name}"',
                    f'coalesce("given_{name}", false) as {identifier(name)}',
                ]
            return [f"{value} as {identifier(name)}"]
        if column.type == "text":
            value = masked(text, column.personal) if column.personal else text
            return [f"{value} as {identifier(name)}"]
        if self._converts_tax(name):
            return [
                f'{self._number(name)} as "given_{name}"',
                f"{self._without_or_with_tax(name)} as {identifier(name)}",
            ]
        return [f"{self._number(name)} as {identifier(name)}"]

    def faults(self, name: str) -> list[Fault]:
        """Rules on the column's text: missing, not of its type, too precise, in no known unit."""
        column = self.contract.all_columns[name]
        mapped = self.mapping.columns.get(name)
        text, value, faults = f'"text_{name}"', identifier(name), []
        if name == "is_deleted" or self._converts_tax(name):
            value = f'"given_{name}"'

        def fault(sql: str, rule: str, en: str, zh: str) -> None:
            owner = self.contract.owner
            faults.append(Fault(f"({sql})", rule, name, f"{en} / {zh}", owner))

        def unfit(en: str, zh: str) -> None:
            fault(f"{text} is not null and {value} is null", f"invalid_{name}", en, zh)

        if column.required:
            fault(f"{text} is null", f"missing_{name}", f"{name} is missing", f"缺少{name}")
        if mapped is not None and mapped.unit_column:
            known = ", ".join(literal(unit) for unit in UNITS)
            fault(
                f'{text} is not null and ("unit_{name}" in ({known})) is not true',
                f"unknown_unit_{name}",
                f"the unit of {name} is not known",
                f"{name}的计量单位未知",
            )
        if column.type in ("date", "timestamp"):
            unfit(f"{name} is not a {column.type}", f"{name}不是有效日期")
        elif column.type == "boolean":
            unfit(f"{name} is neither yes nor no", f"{name}不是布尔值")
        elif column.type in NUMERIC_TYPES:
            unfit(f"{name} is not a number", f"{name}不是数字")
            fault(
                f"{value} <> {self._exact(name)}",
                f"too_precise_{name}",
                f"{name} has more decimals than {column.sql_type} holds",
                f"{name}小数位过多",
            )
        if name != "tax" and self._converts_tax(name):
            fault(
                f"{value} is not null and {identifier(name)} is null",
                f"unknown_tax_{name}",
                f"the tax in {name} is not known",
                f"{name}所含税额未知",
            )
        return faults

    def total_faults(self) -> list[Fault]:
        """A line that sums others is no row: its key, or the code of what it refers to, says so."""
        contract = self.contract
        codes = [*contract.key, *(reference.column for reference in contract.references)]
        return [
            Fault(
                f"regexp_full_match({identifier(name)}, '(?i:{_TOTAL})')",
                TOTAL_LINE,
                name,
                "a line that sums the others, no row of its own / 合计行，不是一行业务数据",
                contract.owner,
            )
            for name in dict.fromkeys(codes)
            if contract.columns[name].type == "text" and name in self.mapping.columns
        ]

    def _moments(self, name: str, column: Column, mapped: Mapped | None, text: str) -> list[str]:
        moment = (
            f"case when regexp_matches({text}, '{_ZONED}') "
            f"then try_cast({text} as timestamptz) "
            f"else timezone('{self.zone}', {self._parsed(text, mapped, 'timestamp')}) end"
        )
        values = [f"timezone('UTC', {moment}) as {identifier(name)}"]
        if column.business_date:
            local = f"timezone('{self.business_zone}', {moment})"
            if self.shift_minutes:
                local = f"{local} + interval {self.shift_minutes} minute"
            values.append(f"cast({local} as date) as {identifier(column.business_date)}")
        return values

    def _exact(self, name: str) -> str:
        """The number a text stands for in the contract's unit, with all its decimals."""
        mapped = self.mapping.columns.get(name)
        text = self._mapped_text(name, mapped)
        if mapped is None or not (mapped.unit or mapped.unit_column):
            return f"try_cast({text} as decimal(38, 12))"
        if mapped.unit:
            factor = f"cast('{UNITS[mapped.unit]}' as {_FACTOR})"
        else:
            cases = " ".join(f"when {literal(unit)} then '{UNITS[unit]}'" for unit in UNITS)
            factor = f'cast(case "unit_{name}" {cases} end as {_FACTOR})'
        return f"try(try_cast({text} as {_EXACT}) * {factor})"

    def _number(self, name: str) -> str:
        column = self.contract.all_columns[name]
        mapped = self.mapping.columns.get(name)
        text = self._mapped_text(name, mapped)
        scaled = mapped is not None and (mapped.unit or mapped.unit_column)
        value = self._exact(name) if scaled else text
        return (
            f"case when not regexp_matches({text}, '{_NO_NUMBER}') "
            f"then try_cast({value} as {column.sql_type}) end"
        )

    def _converts_tax(self, name: str) -> bool:
        if name == "tax":
            # a tax that the source does not give follows from the amount's rate
            amount = self.mapping.columns.get("amount")
            return (
                name not in self.mapping.columns
                and amount is not None
                and amount.tax_rate is not None
                and self._converts_tax("amount")
            )
        mapped = self.mapping.columns.get(name)
        column = self.contract.columns.get(name)
        return bool(mapped and mapped.tax and column and column.tax and mapped.tax != column.tax)

    def _without_or_with_tax(self, name: str) -> str:
        """The amount as the contract wants it; or the tax itself, where only its rate is known."""
        if name == "tax":
            given, converted = self._number("amount"), self._without_or_with_tax("amount")
            return f"abs(({given}) - ({converted})) * sign({given})"
        mapped = self.mapping.columns[name]
        column = self.contract.columns[name]
        given, to_net = self._number(name), mapped.tax == "included"
        by_rate = "null"
        if mapped.tax_rate is not None:
            by_rate = self._by_tax_rate(given, column, mapped.tax_rate, to_net)
        if name != "amount" or "tax" not in self.mapping.columns:
            return by_rate
        tax = self._number("tax")
        converted = f"coalesce(({given}) {'-' if to_net else '+'} ({tax}), {by_rate})"
        return f"try_cast({converted} as {column.sql_type})"

    @staticmethod
    def _by_tax_rate(given: str, column: Column, rate: float, to_net: bool) -> str:
        decimals = 4 if column.type == "price" else 2
        factor = int((1 + Decimal(str(rate))) * 10_000)
        if not to_net:
            gross = f"({given}) * cast('{Decimal(factor) / 10_000}' as decimal(6, 4))"
            return f"try_cast(round({gross}, {decimals}) as {column.sql_type})"
        # whole smallest units throughout: a decimal division would be a double's
        units = f"cast(({given}) * {10**decimals} as hugeint)"
        net = f"sign({units}) * ((2 * abs({units}) * 10000 + {factor}) // (2 * {factor}))"
        unit = f"cast('{Decimal(1).scaleb(-decimals)}' as decimal(5, 4))"
        return f"try_cast(cast({net} as decimal(33, 0)) * {unit} as {column.sql_type})"

    @staticmethod
    def _mapped_text(name: str, mapped: Mapped | None) -> str:
        text = f'"text_{name}"'
        if mapped is None or not mapped.values:
            return text
        cases = " ".join(
            f"when {literal(given)} then {literal(meant)}" for given, meant in mapped.values.items()
        )
        return f"case {text} {cases} else {text} end"

    @staticmethod
    def _parsed(text: str, mapped: Mapped | None, kind: str) -> str:
        if mapped is not None and mapped.format:
            return f"cast(try_strptime({text}, {literal(mapped.format)}) as {kind})"
        return f"try_cast({text} as {kind})"
