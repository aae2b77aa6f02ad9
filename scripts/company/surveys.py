"""The simulated quarterly satisfaction surveys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from scripts.company.columns import Window, customer_code, latest, time_text
from scripts.company.effects import DRIVER_ITEM, DRIVER_WEIGHT, FAILING_DROP, is_failing
from scripts.company.trade import Chunk, clock_time
from scripts.company.world import DAY_SECONDS, NEVER, Floats, Integers, World, day_date

NEEDS = (
    ("need_supply_assurance", "functional", 4.3, 3.9),
    ("need_delivery_punctual", "functional", 4.1, 3.8),
    ("need_quality_stable", "functional", 4.2, 3.5),
    ("need_payment_flexible", "functional", 3.6, 3.6),
    ("need_contact_responsive", "emotional", 3.5, 3.3),
    ("need_trusted_partner", "emotional", 3.4, 2.7),
    ("need_industry_standing", "social", 2.6, 2.0),
    ("need_green_image", "social", 2.8, 2.3),
)
"""Question code, kind of need, mean importance, mean urgency (1..5)."""

ITEMS = ("csat_price", "csat_quality", "csat_delivery", "csat_service")
COMPLAINTS = {
    "csat_price": ("价格偏高,希望长协价格再优惠一些。", "市场价已回落,贵司调价太慢。"),
    "csat_quality": ("最近两批煤热值不稳定。", "质量与合同指标有偏差,化验结果出得慢。"),
    "csat_delivery": ("发货经常延期,影响生产。", "到货时间不准,车皮安排不及时。"),
    "csat_service": ("客服响应太慢,问题没人跟进。", "对账开票总要催好几次。"),
}
PRAISES = (
    "供应稳定,合作愉快。",
    "质量可靠,会继续采购。",
    "业务经理响应及时。",
    "整体满意,希望保持。",
)


def survey_responses(world: World, chunk: Chunk, window: Window) -> Iterator[dict[str, Any]]:
    """The quarterly surveys' responses, as the platform shows them at the end of the window's day.

    Asked in the last month of a quarter; a few respondents correct an answer some days later.
    """
    draws, customers = world.draws, chunk.customers
    owner = np.repeat(np.arange(len(customers)), world.count_quarters)
    quarter = np.tile(np.arange(world.count_quarters, dtype=np.int64), len(customers))
    number = customers.number[owner]
    day = world.quarter_opens[quarter] + 64 + draws.choice("answer day", 20, number, quarter)
    day = world.next_business(day)
    asked = (day >= world.start) & (day > customers.joined_on[owner] + 20)
    asked &= day <= customers.stopped_on[owner] + 30
    answers = draws.uniform("answers", number, quarter) < customers.of("response_rate")[owner]
    submitted = day * DAY_SECONDS + clock_time(draws, "answer hour", number, quarter)
    corrects = draws.uniform("corrects", number, quarter) < 0.025
    corrected = submitted + DAY_SECONDS * (1 + draws.choice("corrected after", 9, number, quarter))
    corrected = np.where(corrects, corrected, NEVER * DAY_SECONDS)
    updated = latest(window, submitted, corrected)
    changed = np.zeros(len(owner), dtype=np.bool_)
    changed[window.changed(updated)] = True
    shown = np.flatnonzero(asked & answers & changed)
    owner, quarter, number, day = owner[shown], quarter[shown], number[shown], day[shown]
    submitted, updated = submitted[shown], updated[shown]
    fails = is_failing(world, customers, owner, day)
    level = customers.satisfaction[owner, quarter] - FAILING_DROP * fails
    episode = customers.has_episode[owner, quarter]
    thermal = world.price_index[0] / world.price_mean[0]
    pressure = np.log(world.at(thermal, day))

    def rating(name: str, mean: Floats, spread: float, low: int, high: int) -> Integers:
        noise = spread * draws.normal(name, number, quarter)
        return np.clip(np.rint(mean + noise), low, high).astype(np.int64)

    driver = DRIVER_WEIGHT * draws.normal(DRIVER_ITEM, number, quarter)
    nps = rating("nps", 8.3 + 1.15 * level + driver, 0.9, 0, 10)
    nps = np.clip(nps + (updated > submitted), 0, 10)
    overall = rating("csat_overall", 4.0 + 0.6 * level + driver, 0.35, 1, 5)
    items = {
        "csat_price": rating("csat_price", 3.7 + 0.45 * level - 2.0 * pressure, 0.6, 1, 5),
        "csat_quality": rating("csat_quality", 4.1 + 0.5 * level, 0.6, 1, 5),
        "csat_delivery": rating("csat_delivery", 4.0 + 0.5 * level - 0.8 * episode, 0.6, 1, 5),
        "csat_service": rating("csat_service", 4.1 + 0.55 * level, 0.6, 1, 5),
    }
    talks = draws.uniform("talks", number, quarter)
    phrase = draws.choice("phrase", 4, number, quarter)
    first_need = draws.choice("first need", len(NEEDS), number, quarter)
    # asked with the year's last survey, when volumes of the next one are discussed; most tell
    usual_share = draws.normal("share of demand", number) + 0.8 * customers.is_contract[owner]
    share_mean = 100 / (1 + np.exp(-(0.2 + 0.8 * usual_share + 0.3 * level)))
    share = rating("share of demand told", share_mean, 4.0, 0, 100)
    tells_share = draws.uniform("tells share", number, quarter) < 0.7
    need_scores = []
    for place in range(4):
        code = (first_need + 3 * place) % len(NEEDS)
        importance = np.array([need[2] for need in NEEDS])[code]
        urgency = np.array([need[3] for need in NEEDS])[code] - 0.3 * level
        need_scores.append(
            (
                code.tolist(),
                rating(f"fulfilled {place}", 3.7 + 0.5 * level, 0.7, 1, 5).tolist(),
                rating(f"importance {place}", importance, 0.7, 1, 5).tolist(),
                rating(f"urgency {place}", urgency, 0.8, 1, 5).tolist(),
            )
        )
    when, changed_at = time_text(submitted).to_pylist(), time_text(updated).to_pylist()
    columns = {name: scores.tolist() for name, scores in items.items()}
    dates = [day_date(each) for each in day.tolist()]
    for index in range(len(shown)):
        worst = min(ITEMS, key=lambda item: columns[item][index])
        text = None
        if talks[index] < 0.4:
            is_bad = columns[worst][index] <= 3
            text = COMPLAINTS[worst][phrase[index] % 2] if is_bad else PRAISES[phrase[index]]
        survey = f"SV{dates[index].year}Q{(dates[index].month + 2) // 3}"
        yield {
            "response_id": f"{survey}-{number[index]:06d}",
            "customer_code": customer_code(int(number[index])),
            "survey_id": survey,
            "submitted_at": when[index].replace(" ", "T") + "+08:00",
            "updated_at": changed_at[index].replace(" ", "T") + "+08:00",
            "answers": [
                answer("nps", int(nps[index]), 0, 10, text=text),
                answer("csat_overall", int(overall[index]), 1, 5),
                *(answer(item, columns[item][index], 1, 5) for item in ITEMS),
                *(
                    answer(NEEDS[code[index]][0], score[index], 1, 5, importance[index],
                            urgency[index], NEEDS[code[index]][1])
                    for code, score, importance, urgency in need_scores
                ),
                *(
                    [answer("share_of_demand", int(share[index]), 0, 100)]
                    if dates[index].month >= 10 and tells_share[index]
                    else []
                ),
            ],
        }  # fmt: skip


def answer(
    question: str, score: int, low: int, high: int, importance: int | None = None,
    urgency: int | None = None, need_type: str | None = None, text: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """One answer as the platform writes it."""
    return {
        "question": question, "score": score, "min": low, "max": high, "importance": importance,
        "urgency": urgency, "need_type": need_type, "text": text,
    }  # fmt: skip
