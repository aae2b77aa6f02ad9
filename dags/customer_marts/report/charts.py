"""The report's charts: Vega-Lite specifications drawn to inline SVG, without any script.

Sizes are fixed here (autosize none), because the page swaps wording by language after drawing:
texts that differ by language go in as placeholders and come out as two `tspan`s. Colours are the
light theme's; the page's style sheet maps them to the dark theme by attribute selectors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from markupsafe import Markup, escape

from customer_marts.report.credit_figures import Bridge
from customer_marts.report.figures import Month
from customer_marts.report.formats import Text, display_width, shortened
from customer_marts.report.sales_figures import Retention, StageMonths

REVENUE = "#6f9bd1"
MARGIN = "#173a6b"
INVOICED = "#98a5b8"
CASH = "#0c7a70"
LATE = "#c2571b"
INK = "#1c2430"
MUTED = "#566070"
GRID = "#e2e7ef"
ZERO = "#aab4c2"
# A lifecycle stage by its code: blue and green buy, the warmer the longer silent.
STAGE_COLOURS = {
    "active": REVENUE,
    "reactivated": "#7fc4ba",
    "new": CASH,
    "slowing": "#f3cf9a",
    "at_risk": "#e59a4d",
    "dormant": LATE,
    "lost": "#7d2f12",
    "potential": "#ccd4df",
}

# A grade by its code, in the same colours: green and blue are good, the warmer the weaker.
GRADE_COLOURS = {
    "AAA": CASH,
    "AA": "#7fc4ba",
    "A": REVENUE,
    "B": "#f3cf9a",
    "C": "#e59a4d",
    "D": "#7d2f12",
    "none": "#ccd4df",
}

_WIDE = 620
_NARROW = 360
_FONT_SIZE = 12
_ROW_HEIGHT = 30
_STACKED_ROW_HEIGHT = 33
_BARS_WIDE = 500
# A name column is as wide as its names, in columns of half a Chinese character, up to a limit.
_COLUMN_WIDTH = 7.0
_NAME_COLUMNS = 26

_MONTH_LABEL_WIDTH = 62

Spec = dict[str, Any]

_MONTH: Spec = {"field": "month", "type": "ordinal"}


@dataclass(frozen=True)
class Chart:
    """A drawn chart: one SVG for wide pages, and one for narrow pages where it differs."""

    wide: Markup
    narrow: Markup | None
    unit: Text | None = None
    has_partial_month: bool = False


@dataclass(frozen=True)
class Bar:
    """One row of a bar chart: what it is, how long it is, and what is written at its end."""

    label: Text
    value: float
    caption: Text
    colour: str
    aside: Text | None = None


@dataclass(frozen=True)
class PairedBar:
    """One row with two shares (0 to 1) to compare."""

    label: Text
    first: float
    second: float


@dataclass
class _Words:
    """Texts of one chart that depend on the language, behind placeholders."""

    markup: list[str] = field(default_factory=list)

    def place(self, words: Text) -> str:
        """Both languages in one line."""
        return self._keep(words, "", "")

    def place_stacked(self, words: Text) -> str:
        """Chinese under English, in a text of its own anchor."""
        return self._keep(words, ' x="0" dy="-.3em"', ' x="0" dy="1.15em"')

    def place_amount(self, words: Text) -> str:
        """One language at a time: the same number on two scales would only confuse."""
        return self._keep(words, "", ' class="amount"')

    def _keep(self, words: Text, english: str, chinese: str) -> str:
        space = "" if chinese else " "
        if words.en == words.zh:
            self.markup.append(str(escape(words.en)))
        else:
            self.markup.append(
                f'<tspan lang="en"{english}>{escape(words.en)}</tspan>'
                f'<tspan lang="zh-Hans"{chinese}>{space}{escape(words.zh)}</tspan>'
            )
        # The sign does not occur in numbers and names of SVG; the number finds the text again.
        return f"\u00a7{len(self.markup) - 1}\u00a7"

    def fill(self, svg: str) -> str:
        filled = re.sub("\u00a7(\\d+)\u00a7", lambda match: self.markup[int(match[1])], svg)
        return re.sub(r'<text ([^>]*>)(?=<tspan[^>]* x="0")', r'<text class="stacked" \1', filled)


def scale_of(largest: Decimal | float, currency: str | None, unit_zh: str) -> tuple[float, Text]:
    """What to divide a chart's amounts by, and the unit that its axis then has."""
    from customer_marts.report.labels import text

    for divisor, key in ((1e6, "chart.million"), (1e3, "chart.thousand")):
        if float(largest) >= 2 * divisor:
            return divisor, text(key, currency=currency or "", unit=unit_zh)
    return 1.0, text("chart.units", currency=currency or "", unit=unit_zh)


def revenue_chart(
    months: Sequence[Month], currency: str | None, unit_zh: str, title: Text
) -> Chart:
    """Revenue as bars with the margin in them (or below zero); margin left out when unknown."""
    largest = max(abs(month.revenue or Decimal(0)) for month in months)
    divisor, unit = scale_of(largest, currency, unit_zh)
    has_margin = any(month.margin is not None for month in months)
    values = [
        {
            "month": f"{month.month_on:%Y-%m}",
            "revenue": float(month.revenue or 0) / divisor,
            "margin": None if month.margin is None else float(month.margin) / divisor,
            "opacity": 0.45 if month.is_partial else 1,
        }
        for month in months
    ]
    layers = [_month_bars("revenue", REVENUE, 0.2)]
    if has_margin:
        layers.append(_month_bars("margin", MARGIN, 0.2))
    layers.append(_zero_line())

    def spec(width: int) -> Spec:
        return _month_spec(values, layers, width)

    return _month_chart(spec, months, title, unit)


def cash_chart(months: Sequence[Month], currency: str | None, unit_zh: str, title: Text) -> Chart:
    """Invoiced as bars, cash in as a line over them."""
    largest = max(
        abs(amount or Decimal(0)) for month in months for amount in (month.invoiced, month.cash_in)
    )
    divisor, unit = scale_of(largest, currency, unit_zh)
    values = [
        {
            "month": f"{month.month_on:%Y-%m}",
            "invoiced": float(month.invoiced or 0) / divisor,
            "cash": float(month.cash_in or 0) / divisor,
            "opacity": 0.45 if month.is_partial else 1,
        }
        for month in months
    ]
    y_cash = {"field": "cash", "type": "quantitative"}
    layers: list[Spec] = [
        _month_bars("invoiced", INVOICED, 0.2),
        _zero_line(),
        {
            "mark": {"type": "line", "color": CASH, "strokeWidth": 2.5, "strokeJoin": "round"},
            "encoding": {"x": _MONTH, "y": y_cash},
        },
        {
            "mark": {"type": "point", "filled": True, "color": CASH, "size": 26, "opacity": 1},
            "encoding": {"x": _MONTH, "y": y_cash},
        },
    ]

    def spec(width: int) -> Spec:
        return _month_spec(values, layers, width)

    return _month_chart(spec, months, title, unit)


def stage_chart(
    history: StageMonths, title: Text, colours: Mapping[str, str] = STAGE_COLOURS
) -> Chart:
    """Customers by stage at the end of each month, stacked in the order of the stages."""
    values: list[Spec] = []
    for index, month_on in enumerate(history.months):
        height = 0
        for stage in history.stages:
            if stage.counts[index]:
                values.append(
                    {
                        "month": f"{month_on:%Y-%m}",
                        "from": height,
                        "to": height + stage.counts[index],
                        "colour": colours.get(stage.code, INVOICED),
                    }
                )
            height += stage.counts[index]
    layers: list[Spec] = [
        {
            "mark": {"type": "bar", "width": {"band": 0.8}},
            "encoding": {
                "x": _MONTH,
                "y": {"field": "from", "type": "quantitative"},
                "y2": {"field": "to"},
                "color": {"field": "colour", "type": "nominal", "scale": None, "legend": None},
            },
        },
        _zero_line(),
    ]

    def spec(width: int) -> Spec:
        return _month_spec(values, layers, width)

    described = Text(
        "; ".join(f"{stage.label.en} {stage.counts[-1]}" for stage in history.stages),
        "；".join(f"{stage.label.zh} {stage.counts[-1]}" for stage in history.stages),
    )
    return _two_widths(spec, title, described)


@dataclass(frozen=True)
class Line:
    """A series over months: its name, colour and values (None: not known, the line breaks)."""

    label: Text
    colour: str
    values: tuple[float | None, ...]


def line_chart(months: Sequence[date], lines: Sequence[Line], title: Text, unit: Text) -> Chart:
    """Series over months, from zero; each month's point is marked."""
    values = [
        {
            "month": f"{month_on:%Y-%m}",
            **{f"line{place}": line.values[index] for place, line in enumerate(lines)},
        }
        for index, month_on in enumerate(months)
    ]
    layers: list[Spec] = [_zero_line()]
    for place, line in enumerate(lines):
        y = {"field": f"line{place}", "type": "quantitative"}
        layers += [
            {
                "mark": {"type": "line", "color": line.colour, "strokeWidth": 2.5},
                "encoding": {"x": _MONTH, "y": y},
            },
            {
                "mark": {
                    "type": "point",
                    "filled": True,
                    "color": line.colour,
                    "size": 26,
                    "opacity": 1,
                },
                "encoding": {"x": _MONTH, "y": y},
            },
        ]

    def spec(width: int) -> Spec:
        return _month_spec(values, layers, width)

    known = [
        [
            f"{line.values[index]:.1f}"
            for index in range(len(months))
            if line.values[index] is not None
        ]
        for line in lines
    ]
    described = Text(
        "; ".join(
            f"{line.label.en}: {', '.join(shown)}" for line, shown in zip(lines, known, strict=True)
        ),
        "；".join(
            f"{line.label.zh}: {', '.join(shown)}" for line, shown in zip(lines, known, strict=True)
        ),
    )
    return _two_widths(spec, title, described, unit)


def bridge_chart(bridge: Bridge, captions: Sequence[Text], title: Text) -> Chart:
    """The provision from opening to closing: balances from zero, movements where they stand."""
    words = _Words()
    name_width = _name_width([step.label for step in bridge.steps])
    plot = _BARS_WIDE - name_width - 8
    values: list[Spec] = []
    level = 0.0
    for step, caption in zip(bridge.steps, captions, strict=True):
        start = 0.0 if step.is_balance else level
        level = start + float(step.months)
        grows = LATE if step.months > 0 else CASH
        values.append(
            {
                "label": words.place_stacked(_short(step.label)),
                "from": min(start, level),
                "to": max(start, level),
                "caption": words.place_amount(caption),
                "colour": REVENUE if step.is_balance else grows,
            }
        )
    high = max(value["to"] for value in values) or 1.0
    low = min(0.0, *(value["from"] for value in values))
    y = _name_axis(values)
    x = {
        "field": "from",
        "type": "quantitative",
        "axis": None,
        # Room for the caption behind the longest bar.
        "scale": {"domain": [low, high + (high - low) * 76 / plot * 1.6], "nice": False},
    }
    spec = _framed(
        {
            "data": {"values": values},
            "width": plot,
            "height": _STACKED_ROW_HEIGHT * len(values),
            "layer": [
                {
                    "mark": {"type": "bar", "height": {"band": 0.62}},
                    "encoding": {
                        "y": y,
                        "x": x,
                        "x2": {"field": "to"},
                        "color": {
                            "field": "colour",
                            "type": "nominal",
                            "scale": None,
                            "legend": None,
                        },
                    },
                },
                {
                    "mark": {"type": "text", "align": "left", "dx": 6, "color": INK},
                    "encoding": {
                        "y": y,
                        "x": {**x, "field": "to"},
                        "text": {"field": "caption"},
                    },
                },
            ],
        },
        left=name_width,
        right=8,
        top=6,
        bottom=4,
    )
    pairs = list(zip(bridge.steps, captions, strict=True))
    described = Text(
        "; ".join(f"{step.label.en} {caption.en}" for step, caption in pairs),
        "；".join(f"{step.label.zh} {caption.zh}" for step, caption in pairs),
    )
    return Chart(wide=_draw(spec, title, described, words), narrow=None)


def retention_chart(retention: Retention, title: Text, unit: Text) -> Chart:
    """The pooled cohorts by months since the first order: still buying, and ordered in it."""
    values = [
        {
            "since": month.months_since,
            "retention": float(100 * month.retention),
            "survival": None if month.survival is None else float(100 * month.survival),
        }
        for month in retention.months
    ]
    last = retention.months[-1].months_since
    left, right = 44, 14

    def spec(width: int) -> Spec:
        x = {
            "field": "since",
            "type": "quantitative",
            "scale": {"domain": [0, last], "nice": False},
            "axis": {
                "values": list(range(0, last + 1, 3 if last > 6 else 1)),
                "title": None,
                "domain": False,
                "tickColor": ZERO,
                "format": "d",
            },
        }
        y_axis = {"title": None, "domain": False, "ticks": False, "tickCount": 5, "format": ",~f"}
        layers = [
            {
                "mark": {"type": "line", "color": colour, "strokeWidth": wide},
                "encoding": {
                    "x": x,
                    "y": {
                        "field": name,
                        "type": "quantitative",
                        "scale": {"domain": [0, 100]},
                        "axis": y_axis,
                    },
                },
            }
            for name, colour, wide in (("retention", REVENUE, 2), ("survival", CASH, 2.5))
        ]
        size = {"width": width - left - right, "height": 210}
        return _framed(
            {"data": {"values": values}, "layer": layers, **size},
            left=left,
            right=right,
            top=10,
            bottom=26,
        )

    described = Text(
        "; ".join(f"{month.months_since}: {month.retention:.1%}" for month in retention.months),
        "；".join(f"{month.months_since}: {month.retention:.1%}" for month in retention.months),
    )
    return _two_widths(spec, title, described, unit)


def bar_chart(bars: Sequence[Bar], title: Text, aside_title: Text | None = None) -> Chart:
    """Horizontal bars with their amounts at the end, and an optional column at the right."""
    words = _Words()
    has_aside = any(bar.aside for bar in bars)
    right = 58 if has_aside else 8
    name_width = _name_width([bar.label for bar in bars])
    plot = _BARS_WIDE - name_width - right
    # Room for the caption after the longest bar, and before zero when a bar is negative.
    longest = max((abs(bar.value) for bar in bars), default=0.0) or 1.0
    low = min((bar.value for bar in bars), default=0.0)
    caption_share = 76 / plot
    high = max(max((bar.value for bar in bars), default=0.0), 0.0) + longest * caption_share * 1.6
    values = [
        {
            "label": words.place_stacked(_short(bar.label)),
            "value": bar.value,
            "caption": words.place_amount(bar.caption),
            "from": max(bar.value, 0.0),
            "aside": words.place(bar.aside) if bar.aside else "",
            "colour": bar.colour,
        }
        for bar in bars
    ]
    y = _name_axis(values)
    x = {
        "field": "value",
        "type": "quantitative",
        "scale": {"domain": [min(low, 0.0), high], "nice": False},
        "axis": None,
    }
    layers: list[Spec] = [
        {
            "mark": {"type": "bar", "height": {"band": 0.62}},
            "encoding": {
                "y": y,
                "x": x,
                "color": {"field": "colour", "type": "nominal", "scale": None, "legend": None},
            },
        },
        {
            "mark": {"type": "text", "align": "left", "dx": 6, "color": INK},
            "encoding": {
                "y": y,
                "x": {**x, "field": "from"},
                "text": {"field": "caption"},
            },
        },
    ]
    top = 6
    if has_aside:
        layers.append(
            {
                "mark": {"type": "text", "align": "right", "color": MUTED},
                "encoding": {
                    "y": y,
                    "x": {"value": plot + right - 4},
                    "text": {"field": "aside"},
                },
            }
        )
        if aside_title is not None:
            top = 22
            layers.append(
                {
                    "data": {"values": [{"title": words.place(aside_title)}]},
                    "mark": {"type": "text", "align": "right", "color": MUTED, "fontSize": 11},
                    "encoding": {
                        "x": {"value": plot + right - 4},
                        "y": {"value": -11},
                        "text": {"field": "title"},
                    },
                }
            )
    is_stacked = any(bar.label.en != bar.label.zh for bar in bars)
    height = (_STACKED_ROW_HEIGHT if is_stacked else _ROW_HEIGHT) * len(bars)
    spec = _framed(
        {"data": {"values": values}, "layer": layers, "width": plot, "height": height},
        left=name_width,
        right=right,
        top=top,
        bottom=4,
    )
    return Chart(wide=_draw(spec, title, _list_of(bars), words), narrow=None)


def paired_chart(bars: Sequence[PairedBar], title: Text) -> Chart:
    """Two shares per class, one above the other: customers first, revenue second."""
    words = _Words()
    right = 50
    name_width = _name_width([bar.label for bar in bars])
    plot = _BARS_WIDE - name_width - right
    values = []
    for bar in bars:
        label = words.place_stacked(_short(bar.label))
        for offset, (share, colour) in enumerate(((bar.first, INVOICED), (bar.second, REVENUE))):
            values.append(
                {
                    "label": label,
                    "offset": str(offset),
                    "share": share,
                    "caption": f"{100 * share:.1f} %".replace("-", "\u2212"),
                    "from": max(share, 0.0),
                    "colour": colour,
                }
            )
    y = _name_axis(values)
    offset_channel = {"field": "offset", "type": "nominal"}
    x = {"field": "share", "type": "quantitative", "axis": None, "scale": {"nice": False}}
    spec = _framed(
        {
            "data": {"values": values},
            "width": plot,
            "height": 38 * len(bars),
            "layer": [
                {
                    "mark": {"type": "bar", "height": {"band": 0.86}},
                    "encoding": {
                        "y": y,
                        "yOffset": offset_channel,
                        "x": x,
                        "color": {
                            "field": "colour",
                            "type": "nominal",
                            "scale": None,
                            "legend": None,
                        },
                    },
                },
                {
                    "mark": {
                        "type": "text",
                        "align": "left",
                        "dx": 5,
                        "color": MUTED,
                        "fontSize": 11,
                        "baseline": "middle",
                    },
                    "encoding": {
                        "y": {**y, "bandPosition": 0.5},
                        "yOffset": {**offset_channel, "bandPosition": 0.5},
                        "x": {**x, "field": "from"},
                        "text": {"field": "caption"},
                    },
                },
            ],
        },
        left=name_width,
        right=right,
        top=4,
        bottom=4,
    )
    listed = Text(
        "; ".join(f"{bar.label.en} {bar.first:.1%} / {bar.second:.1%}" for bar in bars),
        "；".join(f"{bar.label.zh} {bar.first:.1%} / {bar.second:.1%}" for bar in bars),
    )
    return Chart(wide=_draw(spec, title, listed, words), narrow=None)


def _list_of(bars: Sequence[Bar]) -> Text:
    return Text(
        "; ".join(f"{bar.label.en} {bar.caption.en}" for bar in bars),
        "；".join(f"{bar.label.zh} {bar.caption.zh}" for bar in bars),
    )


def _name_width(labels: Sequence[Text]) -> int:
    """Pixels that the longest of the names takes in either language."""
    short = [_short(label) for label in labels]
    longest = max(
        (max(display_width(name.en), display_width(name.zh)) for name in short), default=0
    )
    return round(longest * _COLUMN_WIDTH) + 14


def _short(label: Text) -> Text:
    return Text(shortened(label.en, _NAME_COLUMNS), shortened(label.zh, _NAME_COLUMNS))


def _month_bars(name: str, colour: str, gap: float) -> Spec:
    return {
        "mark": {"type": "bar", "color": colour, "width": {"band": 1 - gap}},
        "encoding": {
            "x": _MONTH,
            "y": {"field": name, "type": "quantitative"},
            "opacity": {"field": "opacity", "type": "quantitative", "scale": None, "legend": None},
        },
    }


def _zero_line() -> Spec:
    return {
        "data": {"values": [{}]},
        "mark": {"type": "rule", "color": ZERO},
        "encoding": {"y": {"datum": 0, "type": "quantitative"}},
    }


def _month_axis(values: Sequence[Spec], width: int) -> Spec:
    # As many labels as the width holds, at calendar steps: years, half-years, quarters, months.
    months = list(dict.fromkeys(str(value["month"]) for value in values))
    room = width // _MONTH_LABEL_WIDTH
    step = next((step for step in (1, 3, 6, 12) if len(months) <= step * room), 12)
    labelled = [month for month in months if (int(month[5:]) - 1) % step == 0] or months[:1]
    return {
        **_MONTH,
        "axis": {
            "values": labelled,
            "labelAngle": 0,
            "labelOverlap": False,
            "title": None,
            "domain": False,
            "ticks": True,
            "tickColor": ZERO,
            "labelFlush": False,
        },
    }


def _month_spec(values: Sequence[Spec], layers: Sequence[Spec], width: int) -> Spec:
    left, right = 44, 14
    axis_y = {"title": None, "domain": False, "ticks": False, "tickCount": 5, "format": ",~f"}
    drawn = []
    for layer in layers:
        encoding = dict(layer["encoding"])
        encoding["y"] = {**encoding["y"], "axis": axis_y}
        if "x" in encoding:
            encoding["x"] = _month_axis(values, width - left - right)
        drawn.append({**layer, "encoding": encoding})
    return _framed(
        {"data": {"values": values}, "layer": drawn, "width": width - left - right, "height": 210},
        left=left,
        right=right,
        top=10,
        bottom=26,
    )


def _month_chart(
    spec: Callable[[int], Spec], months: Sequence[Month], title: Text, unit: Text
) -> Chart:
    from customer_marts.report.labels import text

    span = text(
        "chart.months",
        count=len(months),
        first=f"{months[0].month_on:%Y-%m}",
        last=f"{months[-1].month_on:%Y-%m}",
    )
    drawn = _two_widths(spec, title, span, unit)
    return replace(drawn, has_partial_month=months[-1].is_partial)


def _two_widths(
    spec: Callable[[int], Spec], title: Text, description: Text, unit: Text | None = None
) -> Chart:
    return Chart(
        wide=_draw(spec(_WIDE), title, description, _Words()),
        narrow=_draw(spec(_NARROW), title, description, _Words()),
        unit=unit,
    )


def _name_axis(values: Sequence[Spec]) -> Spec:
    return {
        "field": "label",
        "type": "nominal",
        "sort": None,
        "axis": {
            "title": None,
            "domain": False,
            "ticks": False,
            "labelColor": INK,
            "labelLimit": 0,
            "labelPadding": 8,
        },
        "scale": {"domain": list(dict.fromkeys(str(value["label"]) for value in values))},
    }


def _framed(spec: Spec, *, left: int, right: int, top: int, bottom: int) -> Spec:
    return {
        **spec,
        "autosize": {"type": "none"},
        "padding": {"left": left, "right": right, "top": top, "bottom": bottom},
        "background": None,
        "config": {
            # Only measures here; the page's own font stack is set by its style sheet.
            "font": "Arial, sans-serif",
            "aria": False,
            "view": {"stroke": None},
            "axis": {
                "labelFontSize": _FONT_SIZE,
                "labelColor": MUTED,
                "gridColor": GRID,
                "labelPadding": 6,
            },
            "axisX": {"grid": False},
            "axisY": {"grid": True},
            "axisBand": {"grid": False},
            "text": {"fontSize": _FONT_SIZE},
        },
    }


def _draw(spec: Spec, title: Text, description: Text, words: _Words) -> Markup:
    import vl_convert

    return _inline(vl_convert.vegalite_to_svg(spec), title, description, words)


def _inline(svg: str, title: Text, description: Text, words: _Words) -> Markup:
    """The SVG as part of an HTML page: no namespaces, no fixed size or font, named for readers."""
    opening, body = svg.split(">", 1)
    view_box = re.search(r'viewBox="([^"]+)"', opening)
    if view_box is None:
        raise ValueError("the drawn chart has no viewBox")
    body = re.sub(r' (?:font-family|aria-[a-z]+|role|class|pointer-events)="[^"]*"', "", body)
    body = re.sub(r'<path d="M0,0h0v0h0Z"/>|<path d="" display="none"/>', "", body)
    label = escape(f"{title.en} / {title.zh}")
    detail = escape(f"{description.en} / {description.zh}")
    return Markup(
        f'<svg role="img" viewBox="{view_box[1]}" width="{view_box[1].split()[2]}">'
        f"<title>{label}</title><desc>{detail}</desc>{words.fill(body)}"
    )
