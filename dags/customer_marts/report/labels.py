"""Every fixed wording of the report, in English and in Chinese."""

from __future__ import annotations

from customer_marts.report.formats import Text

_LABELS: dict[str, tuple[str, str]] = {
    # page
    "page.title": ("Customer report", "客户数据报告"),
    "page.figures": ("Exact figures", "精确数据"),
    "page.total": ("Total", "合计"),
    "page.unknown": ("unknown", "未知"),
    # header
    "header.release": ("Release", "发布版本"),
    "header.as_of": ("As of", "截止日期"),
    "header.parent": ("Previous release", "上一版本"),
    "header.first": ("none: this is the first", "无（首个版本）"),
    "header.run": ("Run", "运行编号"),
    "header.published": ("Published", "发布时间"),
    "header.code": ("Code version", "代码版本"),
    "header.kind": ("Built by", "构建方式"),
    "header.rebuild": ("full rebuild", "全量重建"),
    "header.increment": ("increment on the previous release", "在上一版本上增量更新"),
    "header.data_through": ("Data through", "数据截至"),
    "header.no_data": ("no feed", "无此数据源"),
    "header.behind": ("behind by {days} d", "落后 {days} 天"),
    # feeds
    "feed.customers": ("Customers", "客户"),
    "feed.products": ("Products", "产品"),
    "feed.fx_rates": ("Exchange rates", "汇率"),
    "feed.market_prices": ("Market prices", "市场价格"),
    "feed.orders": ("Orders", "订单"),
    "feed.order_lines": ("Order lines", "订单明细"),
    "feed.deliveries": ("Deliveries", "交货"),
    "feed.invoices": ("Invoices", "发票"),
    "feed.payments": ("Payments", "收款"),
    "feed.survey_responses": ("Survey responses", "调查问卷"),
    "feed.complaints": ("Complaints", "投诉"),
    "feed.interactions": ("Customer contacts", "客户往来"),
    "feed.opportunities": ("Opportunities", "商机"),
    "feed.customer_costs": ("Customer costs", "客户成本"),
    # verdicts
    "verdict.gates_passed": ("All gates passed", "质量门全部通过"),
    "verdict.gates_warned": ("Gates passed with warnings", "质量门通过，但有警告"),
    "verdict.gates_failed": ("A gate failed", "有质量门未通过"),
    "verdict.gates_unknown": ("Gate results not recorded", "未记录质量门结果"),
    "verdict.balanced": ("Every row accounted for", "每一行均有去向"),
    "verdict.unbalanced": ("Ledger does not balance", "对账不平"),
    "verdict.no_ledger": ("No ledger in this release", "本版本无对账台账"),
    "verdict.quarantined": ("{count} rows in quarantine", "隔离区有 {count} 行"),
    "verdict.no_quarantine": ("Quarantine is empty", "隔离区为空"),
    # sections
    "section.overview": ("Book overview", "客户总览"),
    "section.management": ("Scorecard, next actions, risks", "记分卡、行动与风险"),
    "section.segments": ("Segments", "客户细分"),
    "section.movement": ("Movement", "客户变动"),
    "section.strategic": ("Concentration and strategic accounts", "集中度与战略客户"),
    "section.value": ("Expected value", "预期价值"),
    "section.retention": ("Retention and next offers", "留存与推荐"),
    "section.receivables": ("Receivables", "应收账款"),
    "section.credit": ("Credit", "信用管理"),
    "section.health": ("Run health", "运行质量"),
    "section.rows": ("Contents of the release", "版本内容"),
    "section.notes": ("How to read this report", "阅读说明"),
    # tiles
    "tile.customers": ("Customers", "客户数"),
    "tile.active": ("Customers with orders, last 12 months", "近12个月下单客户"),
    "tile.revenue": ("Revenue, last 12 months", "近12个月收入"),
    "tile.margin_rate": ("Margin rate", "毛利率"),
    "tile.cash_in": ("Cash in, last 12 months", "近12个月回款"),
    "tile.open": ("Open receivables", "未清应收账款"),
    "tile.overdue": ("Overdue share", "逾期占比"),
    "tile.nps": ("Net promoter score, last 12 months", "近12个月净推荐值 NPS"),
    "tile.in_book": ("known by the as-of date", "截至截止日期的全部客户"),
    "tile.active_note": ("{share} of all customers", "占全部客户 {share}"),
    "tile.change": ("{change} on the 12 months before", "较前12个月 {change}"),
    "tile.change_points": (
        "{change} points on the 12 months before",
        "较前12个月 {change} 个百分点",
    ),
    "tile.no_before": ("no full 12 months before to compare", "之前不足12个月，无法比较"),
    "tile.coverage": ("costs known for {share} of revenue", "成本覆盖收入的 {share}"),
    "tile.overdue_note": (
        "{amount} owed by {count} customers",
        "{count} 家客户逾期 {amount}",
    ),
    "tile.open_note": ("all documents not yet settled", "全部未结清单据"),
    "tile.unapplied": (
        "{amount} of customers' credit is not deducted",
        "未抵扣客户贷方余额 {amount}",
    ),
    "tile.nps_thin": (
        "n = {answers} from {customers} customers: too few for an interval, or all alike",
        "n = {answers}，来自 {customers} 家客户：回答过少或完全一致，不给区间",
    ),
    "tile.nps_note": (
        "n = {answers} from {customers} customers; 95 % interval {low} to {high}",
        "n = {answers}，{customers} 家客户；95% 区间 {low} 至 {high}",
    ),
    "tile.hhi": ("HHI of revenue", "收入集中度 HHI"),
    "tile.gini": ("Gini of revenue", "收入基尼系数"),
    "tile.top_5": ("Top 5 customers' share", "前5大客户收入占比"),
    "tile.groups": ("Concentrated groups", "高集中度集团"),
    "tile.hhi_note": (
        "as concentrated as {count} customers of one size",
        "相当于 {count} 家同等规模客户",
    ),
    "tile.gini_note": ("0 = all alike, 1 = one has all", "0 为完全均等，1 为一家独占"),
    "tile.top_5_note": ("of {count} customers with revenue", "有收入客户共 {count} 家"),
    "tile.groups_note": ("together {share} of revenue", "合计占收入 {share}"),
    "tile.no_groups": ("no group or customer reaches it", "没有集团或客户达到界限"),
    "tile.change_year": ("{change} on a year ago", "较一年前 {change}"),
    "tile.change_year_points": ("{change} points on a year ago", "较一年前 {change} 个百分点"),
    "tile.provision": ("Provision for receivables", "应收账款坏账准备"),
    "tile.provision_note": ("{share} of what is owed", "占应收余额 {share}"),
    "tile.provision_change": ("{change} in {count} months", "{count} 个月内 {change}"),
    "tile.dso": ("Days sales outstanding", "应收周转天数 DSO"),
    "tile.dso_note": (
        "{days} if everybody paid on the day",
        "若全部按期付款为 {days} 天",
    ),
    "tile.dso_change": ("{change} days on a year ago", "较一年前 {change} 天"),
    "tile.over_limit": ("Customers over their limit", "超额度客户数"),
    "tile.over_limit_note": ("{amount} above the limits", "超出额度 {amount}"),
    "tile.nobody_over": ("nobody is over the limit", "没有客户超额度"),
    "tile.no_limit": ("customers without a limit: {count}", "无额度客户：{count} 家"),
    "tile.alerts": ("Open alerts", "待处理预警"),
    "tile.alerts_note": (
        "{critical} critical, {warning} warnings",
        "紧急 {critical} 条，预警 {warning} 条",
    ),
    # movement
    "chart.stages": (
        "Customers by lifecycle stage, last 12 months",
        "近12个月各生命周期阶段客户数",
    ),
    "chart.stages_note": (
        "Customers at each month's end; the last bar is the state on {day}.",
        "各月末客户数；最后一柱为 {day} 的状态。",
    ),
    "movement.moves": (
        "Movements between stages, {since} to {until}",
        "{since} 至 {until} 的阶段变动",
    ),
    "movement.moves_absent": ("Movements between stages", "阶段变动"),
    "movement.stayed": ("Stayed in their stage", "阶段未变"),
    "movement.others": ("{count} other movements", "其他 {count} 种变动"),
    "movement.none": ("No customer changed its stage.", "没有客户变动阶段。"),
    "movement.down": ("falls", "下降"),
    "movement.up": ("rises", "上升"),
    "movement.silent": (
        "Slipping away: silent beyond their own rhythm",
        "正在流失：沉默时间超出自身采购节奏",
    ),
    "movement.silent_lead": (
        (
            "{count} customers with {amount} of revenue in 12 months ({share}); the {shown}"
            " largest are listed."
        ),
        "共 {count} 家，近12个月收入 {amount}（占 {share}）；列出其中最大的 {shown} 家。",
    ),
    "col.stage": ("Stage", "阶段"),
    "col.from": ("From", "原阶段"),
    "col.to": ("To", "现阶段"),
    "col.revenue_12": ("Revenue, 12 months", "近12个月收入"),
    "col.stage_reason": ("Why this stage", "阶段依据"),
    "col.silent_days": ("Silent, days", "沉默天数"),
    "col.own_p95": ("Own 95 %, days", "自身间隔95%（天）"),
    # portraits
    "segments.portraits": (
        "Portraits by lifecycle stage, 12 months",
        "各生命周期阶段画像（12个月）",
    ),
    "segments.portraits_note": (
        "Thin: too few customers to conclude from. n is the number of answers.",
        "“样本少”：客户过少，不宜下结论。n 为回答数。",
    ),
    "segments.thin": ("thin", "样本少"),
    "col.margin_share": ("Share of margin", "毛利占比"),
    "col.rhythm": ("Days between orders", "下单间隔（天）"),
    "col.csat": ("CSAT (n)", "满意度 (n)"),
    "col.nps": ("NPS (n)", "净推荐值 (n)"),
    "col.drift": ("In 3 months", "3个月变化"),
    # concentration and strategic accounts
    "strategic.concentration": ("Concentration", "集中度"),
    "strategic.groups": (
        "Groups and customers that reach the concentration bound",
        "达到集中度界限的集团与客户",
    ),
    "strategic.list": ("Strategic accounts", "战略客户名单"),
    "strategic.risk": (
        "! The group, or the customer itself, reaches the concentration bound.",
        "! 所属集团（或客户自身）达到集中度界限。",
    ),
    "strategic.weights": ("What the score is made of", "得分构成"),
    "strategic.consistency": ("Consistency ratio CR", "一致性比率 CR"),
    "strategic.limit": ("at most {limit}", "上限 {limit}"),
    "strategic.stages": ("How the list came about", "名单的形成"),
    "strategic.short": (
        "The history holds {count} months: shares are of these months only.",
        "历史数据仅 {count} 个月：占比按这些月份计算。",
    ),
    "col.group": ("Group", "集团"),
    "col.members": ("Members", "成员数"),
    "col.receivables_share": ("Share of receivables", "应收占比"),
    "col.group_share": ("Its group's share", "集团收入占比"),
    "col.rank": ("Rank", "排名"),
    "col.score": ("Score", "得分"),
    "col.income": ("Value by income", "收益法价值"),
    "col.criterion": ("Criterion", "指标"),
    "col.ahp": ("Weight (AHP)", "AHP权重"),
    "col.entropy": ("Entropy weight", "熵权"),
    "col.known": ("Known for", "已知客户数"),
    # retention and offers
    "chart.retention": ("Retention by months since the first order", "首单后各月留存"),
    "chart.of_cohort": (
        "% of customers, by months since the first order",
        "客户占比（%），按首单后月数",
    ),
    "chart.retention_note": (
        (
            "{cohorts} monthly cohorts pooled, each counted by its customers: {first} at month 0,"
            " {last} at month {months}."
        ),
        (
            "合并 {cohorts} 个月度同期群，按客户数加权：第0个月 {first} 家，"
            "第 {months} 个月 {last} 家。"
        ),
    ),
    "chart.opening_note": (
        (
            "Customers of before the books ({count}, first seen from {month} on) are left out: when"
            " they began is not in them."
        ),
        "账套之前的老客户（{count} 家，自 {month} 起首次出现）未计入：其起始时间不在账套内。",
    ),
    "retention.retained": ("Ordered in the month", "当月下单"),
    "retention.surviving": ("Ordered then or later", "当月或以后仍下单"),
    "retention.at": ("Retention at a glance", "留存概览"),
    "retention.offers": ("The {count} best product recommendations", "最佳产品推荐前 {count} 项"),
    "card.who": ("Who", "基本信息"),
    "card.behaviour": ("Buying", "采购行为"),
    "card.value": ("Value", "客户价值"),
    "card.credit": ("Credit", "应收与信用"),
    "card.voice": ("Voice", "满意度与投诉"),
    "card.actions": ("What to do next", "下一步行动"),
    "card.risks": ("Risks", "风险"),
    "card.warnings": ("Credit warnings", "信用预警"),
    "card.months": ("The last 12 months", "近12个月"),
    "card.satisfaction": ("Satisfaction", "满意度"),
    "card.cash": ("Cash in", "回款"),
    "management.scorecard": ("Scorecard", "月度记分卡"),
    "management.actions": (
        "The first {count} of {all} actions on this period's lists",
        "本期 {all} 项行动中的前 {count} 项",
    ),
    "management.actions_note": (
        (
            "The best of each kind first; expected value is chance times stake less cost. Due "
            "counts from the day an action came on the list; overdue of all: {overdue}."
        ),
        (
            "各类行动中价值最高者在前；预期价值＝成功率×价值−成本。期限自列入清单之日起算；"
            "全部行动中逾期 {overdue} 项。"
        ),
    ),
    "management.pipeline": ("Deals by stage", "各阶段商机"),
    "management.pipeline_note": (
        (
            "Of the deals that left a stage in the last 12 months, the share that went on, with "
            "its 95 % interval; half of those that entered a stage left it within the median "
            "days. Of {closed} deals closed in them, {unseen} were never seen in an open stage."
        ),
        (
            "转化率为近12个月离开该阶段的商机中晋级的占比及其95%区间；中位天数为半数商机离开该阶段所用天数。"
            "期间结案 {closed} 个商机，其中 {unseen} 个未见其在办阶段。"
        ),
    ),
    "management.risk": ("Risk", "风险"),
    "management.risks": ("The {count} gravest risks", "前 {count} 项重大风险"),
    "management.risks_note": (
        (
            "Kinds of risk of one customer overlap: do not add them up. Due counts from the day a "
            "risk reached its level; overdue of the whole register: {overdue}."
        ),
        (
            "同一客户的各类风险相互重叠，不可相加。期限自达到该等级之日起算；"
            "登记册中逾期 {overdue} 项。"
        ),
    ),
    "management.overdue": ("overdue by {days} d", "逾期 {days} 天"),
    "absent.nothing_to_do": ("No rule finds anything to do.", "没有规则触发任何行动。"),
    "absent.no_risks": ("No customer has an amount at risk.", "没有客户存在金额风险。"),
    "col.measure": ("Measure", "指标"),
    "col.actual": ("Actual", "实际"),
    "col.previous": ("Month before", "上月"),
    "col.target": ("Target", "目标"),
    "col.status": ("Status", "状态"),
    "col.action": ("Action", "行动"),
    "col.worth": ("Expected value", "预期价值"),
    "col.due": ("Due", "期限"),
    "col.definition": ("What it is", "定义"),
    "col.open_deals": ("Open deals", "在手商机"),
    "col.open_value": ("Their value", "在手金额"),
    "col.waiting": ("Longest in the stage", "最长停留"),
    "col.went_on": ("Went on", "阶段转化率"),
    "col.median_days": ("Median days", "停留中位天数"),
    "col.won_from_here": ("Won in the end", "经此阶段赢单率"),
    "col.level": ("Level", "等级"),
    "col.likelihood": ("Likelihood", "可能性"),
    "col.impact": ("Impact", "影响金额"),
    "col.expected_loss": ("Expected loss", "预期损失"),
    "value.top": (
        "The {count} customers of most expected value",
        "预期价值最高的 {count} 家客户",
    ),
    "value.models": ("The models behind it", "所用模型"),
    "value.total_cost": (
        "{count} customers are valued: margin less cost to serve less credit loss, discounted.",
        "共对 {count} 家客户估值：折现毛利减服务成本减信用损失。",
    ),
    "value.total_revenue": (
        "{count} customers are valued by their discounted net revenue: no cost is known.",
        "共对 {count} 家客户估值：成本未知，按折现净收入计。",
    ),
    "value.in_default": (
        "{count} of them are in default and not in the list: what they owe comes first.",
        "其中 {count} 家已违约，不列入名单：须先清欠。",
    ),
    "value.provisional": (
        "* Provisional: its sale type's models of purchases and margins have not both passed yet.",
        "* 暂估：该销售类型的采购与毛利模型尚未全部通过检验。",
    ),
    "subject.purchases": ("Purchases", "采购次数"),
    "subject.margin": ("Margin per purchase", "单次毛利"),
    "subject.renewals": ("Renewal", "续约"),
    "value.in_force": ("in force", "现用"),
    "value.not_promoted": ("provisional, not promoted", "暂估，未启用"),
    "value.untested": ("not tested: the book is too young", "未检验：历史不足"),
    "sale_type.contract": ("Contract", "长协"),
    "sale_type.spot": ("Spot", "现货"),
    "col.sale_type": ("Sale type", "销售类型"),
    "col.subject": ("Forecasts", "预测内容"),
    "col.model": ("Model", "模型"),
    "col.model_state": ("State", "状态"),
    "col.bias": ("Holdout bias", "检验期偏差"),
    "col.mae": ("Error (best simple rule)", "误差（最佳简单规则）"),
    "col.alive": ("P(alive)", "存续概率"),
    "col.purchases_12": ("Purchases, 12 months", "12个月采购次数"),
    "col.value_12": ("Value, 12 months", "12个月价值"),
    "col.value_range": ("Interval", "区间"),
    "col.value_36": ("Value, 36 months", "36个月价值"),
    "absent.nobody_valued": (
        "No customer can be valued: too few buy again for a model.",
        "重复购买客户过少，尚无模型可估值。",
    ),
    "col.months_since": ("Months since", "首单后月数"),
    "col.product": ("Product", "产品"),
    "col.why": ("Why", "依据"),
    "col.expected": ("Expected in a year", "预期年收入"),
    # charts and tables of the overview
    "chart.revenue": ("Revenue and margin by month", "月度收入与毛利"),
    "chart.revenue_only": ("Revenue by month", "月度收入"),
    "chart.cash": ("Cash in against invoiced by month", "月度回款与开票对比"),
    "chart.top": (
        "Top {count} customers by revenue, last 12 months",
        "近12个月收入前 {count} 名客户",
    ),
    "chart.rfm": (
        "Share of customers and of revenue by RFM segment",
        "各RFM细分的客户占比与收入占比",
    ),
    "chart.ageing_due": ("By days past the due date", "按逾期天数（到期日起）"),
    "chart.ageing_invoice": ("By days since the invoice date", "按账龄（开票日起）"),
    "chart.million": ("{currency} million", "百万{unit}"),
    "chart.thousand": ("{currency} thousand", "千{unit}"),
    "chart.units": ("{currency}", "{unit}"),
    "chart.months": ("{count} months, {first} to {last}", "{first} 至 {last}，共 {count} 个月"),
    "chart.partial": (
        "The pale last month runs to {day} only.",
        "浅色的最后一个月仅截至 {day}。",
    ),
    "chart.no_margin": (
        "No margin is shown: no order in these months has a known cost.",
        "未显示毛利：这些月份的订单均无成本数据。",
    ),
    "chart.derived": (
        "The company delivers no invoices: they are derived from orders and payment terms.",
        "公司未提供发票数据：发票由订单和付款期限推算。",
    ),
    "chart.cumulative": ("Cumulative", "累计"),
    "col.month": ("Month", "月份"),
    "col.customer": ("Customer", "客户"),
    "col.industry": ("Industry", "行业"),
    "col.manager": ("Account manager", "客户经理"),
    "col.revenue": ("Revenue", "收入"),
    "col.margin": ("Margin", "毛利"),
    "col.margin_rate": ("Margin rate", "毛利率"),
    "col.change": ("Change", "同比"),
    "col.share": ("Share", "占比"),
    "col.last_order": ("Last order", "最近下单"),
    "col.invoiced": ("Invoiced", "开票"),
    "col.cash_in": ("Cash in", "回款"),
    "col.customers": ("Customers", "客户数"),
    "col.customer_share": ("Share of customers", "客户占比"),
    "col.revenue_share": ("Share of revenue", "收入占比"),
    "col.class": ("Class", "类别"),
    "col.currency": ("Currency", "币种"),
    "col.orders": ("Orders", "订单数"),
    "overview.basis": (
        "As of {as_of}, amounts in {currency}.",
        "截至 {as_of}，金额币种为 {currency}。",
    ),
    "overview.other_currencies": (
        "Of these, orders in other currencies, converted, last 12 months",
        "其中：外币订单（已折算），近12个月",
    ),
    # segments
    "segments.rfm": ("RFM segment", "RFM细分"),
    "segments.abc": ("ABC class", "ABC分类"),
    "segments.lifecycle": ("Lifecycle", "生命周期"),
    "segments.industry": ("Industry", "行业"),
    "segments.unclassified": ("Not classified", "未分类"),
    "segments.others": ("All others", "其他合计"),
    "segments.basis": (
        "Amounts above run from each customer's first order to the as-of date.",
        "以上金额为每个客户自首次下单至截止日期的累计。",
    ),
    # receivables
    "receivables.ageing": ("Ageing of open receivables", "未清应收账款账龄"),
    "receivables.overdue": ("Top {count} customers by overdue amount", "逾期金额前 {count} 名客户"),
    "col.bucket": ("Bucket", "账龄段"),
    "col.open": ("Open", "未清金额"),
    "col.documents": ("Documents", "单据数"),
    "col.overdue": ("Overdue", "逾期金额"),
    "col.overdue_share": ("Share of all overdue", "占全部逾期"),
    "col.oldest": ("Oldest, days overdue", "最长逾期天数"),
    "col.terms": ("Terms, days", "账期（天）"),
    "col.last_paid": ("Last payment", "最近付款"),
    # credit
    "credit.provision": (
        "Receivables by days overdue, and the provision",
        "应收账款逾期账龄与坏账准备",
    ),
    "credit.receivables": ("All receivables", "应收账款合计"),
    "credit.set_to_default": ("D: graded by a reviewer", "D：由复核人评定"),
    "credit.in_default": ("In default, due or not", "违约客户（含未到期）"),
    "credit.by_default": ("Loss given default, at least", "不低于违约损失率"),
    "credit.reviewed": ("Reviewed on their own", "单项计提客户"),
    "credit.bills_held": (
        "Bills held or endorsed, not matured",
        "在手及已背书未到期票据",
    ),
    "credit.bridge": ("Movement of the provision", "坏账准备变动"),
    "credit.this_month": ("{month}, to {day}", "{month}，至 {day}"),
    "credit.months": ("{count} months from {first}", "自 {first} 起 {count} 个月"),
    "chart.bridge": (
        "Movement of the provision, {count} months",
        "近 {count} 个月坏账准备变动",
    ),
    "bridge.adds": ("adds to the provision", "增加准备"),
    "bridge.takes": ("takes from it", "减少准备"),
    "bridge.opening": ("Opening", "期初"),
    "bridge.new": ("New invoices", "新增应收"),
    "bridge.reopened": ("Open again", "恢复应收"),
    "bridge.paid": ("Paid", "收款"),
    "bridge.credited": ("Credit notes", "红字发票"),
    "bridge.written_off": ("Written off", "核销"),
    "bridge.aged": ("Aged", "账龄变动"),
    "bridge.default_change": ("Into default, and cured", "违约状态变动"),
    "bridge.rate_change": ("Other loss rates", "损失率变动"),
    "bridge.specific_change": ("Reviews", "单项计提变动"),
    "bridge.exchange": ("Exchange rates", "汇率变动"),
    "bridge.closing": ("Closing", "期末"),
    "credit.metrics": ("The book by month", "月度应收指标"),
    "chart.dso": ("Days sales outstanding by month", "月度应收周转天数"),
    "chart.dso_note": (
        "At each month's end; the last month at {day}.",
        "各月末数；最后一个月截至 {day}。",
    ),
    "chart.collection": ("Collection rate by month", "月度回款率"),
    "chart.collection_note": ("Full months only.", "仅列完整月份。"),
    "unit.days": ("days", "天"),
    "unit.percent": ("per cent", "百分比"),
    "credit.grades": ("Customers by grade", "客户信用等级分布"),
    "chart.grades": (
        "Customers by grade at each month's end",
        "各月末客户信用等级分布",
    ),
    "credit.not_graded": ("Not graded", "未评级"),
    "credit.new": ("New", "新客户"),
    "credit.card": ("What the grades rest on", "评级依据"),
    "credit.card_in_force": ("Scorecard in force", "现用评分卡"),
    "credit.no_card": ("none", "无"),
    "credit.card_verdict": ("Verdict on the fit of {day}", "{day} 建模结论"),
    "credit.card_measures": ("On customers it had not seen", "样本外检验"),
    "credit.card_base": (
        "{rows} cases, {defaults} of them defaults",
        "{rows} 个样本，其中违约 {defaults} 个",
    ),
    "credit.migration": (
        "Grades in {month}: from, to",
        "{month} 等级迁移（行：原等级，列：现等级）",
    ),
    "credit.migration_absent": ("Moves between grades", "等级迁移"),
    "credit.migration_note": (
        "Red: downgraded. Green: upgraded. Both ends by the card in force.",
        "红色：下调；绿色：上调。两端均按现用评分卡评级。",
    ),
    "credit.from_to": ("From / to", "原等级 / 现等级"),
    "credit.exposures": (
        "Top {count} exposures against their limits",
        "敞口前 {count} 名客户与额度",
    ),
    "credit.all_customers": ("All {count} customers with exposure", "全部 {count} 家有敞口客户"),
    "credit.headroom_note": (
        (
            "Headroom is the smaller of the customer's own and its group's; below zero is over the"
            " limit. What is used is of the customer's own limit."
        ),
        "可用额度取客户自身与所属集团中较小者，负数为超额度。使用率按客户自身额度计。",
    ),
    "credit.bills": ("Acceptance bills by maturity", "承兑汇票到期分布"),
    "credit.bills_note": (
        "Passed on: endorsed or discounted; can come back until maturity.",
        "已转出：已背书或贴现，到期前可被追索。",
    ),
    "credit.alerts": ("Open alerts by kind", "各类待处理预警"),
    "credit.alerts_note": (
        "One amount may stand behind several alerts: they are not added up.",
        "同一金额可能对应多条预警，故不合计。",
    ),
    "credit.alerts_first": (
        "The first {count} alerts to work through",
        "优先处理的 {count} 条预警",
    ),
    "credit.exceptions": ("Documents in doubt", "存疑单据"),
    "col.loss_rate": ("Rate", "计提比例"),
    "col.provision": ("Provision", "坏账准备"),
    "col.rate_basis": ("Where the rate is from", "比例依据"),
    "col.dso": ("DSO", "应收周转天数"),
    "col.best_dso": ("Best possible DSO", "最佳可能 DSO"),
    "col.collection": ("Collected, with bills", "回款率（含票据）"),
    "col.cash_collection": ("Collected in cash", "现金回款率"),
    "col.grade": ("Grade", "等级"),
    "col.pd": ("Mean PD, 12 months", "平均违约概率（12个月）"),
    "col.exposure": ("Exposure", "敞口"),
    "col.exposure_share": ("Share of exposure", "敞口占比"),
    "col.limit": ("Limit", "额度"),
    "col.utilisation": ("Used", "使用率"),
    "col.headroom": ("Headroom", "可用额度"),
    "col.recommended": ("Recommended", "建议额度"),
    "col.advice": ("Advice", "建议"),
    "col.matures": ("Matures", "到期"),
    "col.bills": ("Bills", "张数"),
    "col.held_bank": ("Held, bank", "在手银行承兑"),
    "col.held_commercial": ("Held, commercial", "在手商业承兑"),
    "col.passed_on": ("Passed on", "已转出"),
    "col.alert": ("Alert", "预警"),
    "col.count": ("Number", "数量"),
    "col.at_risk": ("At risk", "涉及金额"),
    "col.since": ("Since", "起始日"),
    "col.evidence": ("Evidence", "依据"),
    "col.doubt": ("Doubt", "疑点"),
    "col.treatment": ("Meanwhile", "目前处理"),
    # run health
    "health.gates": ("Gates", "质量门"),
    "health.gate_landing": ("① at landing: what came in", "① 落地：输入数据"),
    "health.gate_marts": ("② on the candidate: what goes out", "② 候选版本：输出数据"),
    "health.gate_other": ("Other checks", "其他检查"),
    "health.findings": ("What did not pass", "未通过项"),
    "health.no_findings": ("Nothing to report: every expectation was met.", "无：所有检查均通过。"),
    "health.all_suites": ("All suites", "全部检查套件"),
    "health.conservation": (
        "Conservation: pulled = accepted + quarantined + duplicate + superseded",
        "守恒：拉取 = 接受 + 隔离 + 重复 + 被替代",
    ),
    "health.quarantine": ("Quarantine", "隔离区"),
    "health.quarantine_empty": (
        "No row is in quarantine: everything delivered is in the marts.",
        "隔离区无数据：全部交付数据均已进入集市。",
    ),
    "health.quarantine_how": (
        "List the rows with `marts quarantine`; nothing is lost, each row keeps its source line.",
        "用 `marts quarantine` 列出明细；数据不会丢失，每行保留其来源位置。",
    ),
    "health.steps": ("Time by step", "各步骤耗时"),
    "health.not_recorded": ("Not recorded in this release's manifest.", "本版本清单中未记录。"),
    "col.gate": ("Gate", "质量门"),
    "col.suites": ("Suites", "检查套件"),
    "col.passed": ("Passed", "通过"),
    "col.warned": ("Warned", "警告"),
    "col.failed": ("Failed", "失败"),
    "col.seconds": ("Time", "耗时"),
    "col.suite": ("Suite", "检查套件"),
    "col.table": ("Table", "表"),
    "col.column": ("Column", "列"),
    "col.rule": ("Rule", "规则"),
    "col.severity": ("Severity", "严重程度"),
    "col.finding": ("Finding", "结果"),
    "col.rows": ("Rows", "行数"),
    "col.result": ("Result", "结果"),
    "col.feed": ("Feed", "数据源"),
    "col.pulled": ("Pulled", "拉取"),
    "col.accepted": ("Accepted", "接受"),
    "col.quarantined": ("Quarantined", "隔离"),
    "col.duplicate": ("Duplicate", "重复"),
    "col.superseded": ("Superseded", "被替代"),
    "col.amount_pulled": ("Amount pulled", "拉取金额"),
    "col.balance": ("Balance", "差额"),
    "col.balanced": ("balances", "平衡"),
    "col.reason": ("Reason", "原因"),
    "col.amount": ("Amount", "金额"),
    "col.owner": ("Owner", "责任方"),
    "col.todo": ("What to do", "处理办法"),
    "col.step": ("Step", "步骤"),
    "severity.critical": ("critical", "严重"),
    "severity.warning": ("warning", "警告"),
    "severity.info": ("info", "提示"),
    "result.passed": ("passed", "通过"),
    "result.warned": ("warned", "警告"),
    "result.failed": ("failed", "失败"),
    # what to do about a quarantine rule: by its prefix
    "todo.unknown": (
        "Wait, or deliver the missing master record: the row joins by itself when it arrives.",
        "等待或补交缺失的主数据：主数据到达后该行自动进入集市。",
    ),
    "todo.type": (
        "Correct the value at the source, or the column's mapping in the company file.",
        "在源系统更正数值，或修改公司配置中的列映射。",
    ),
    "todo.waiver": (
        "Mend the row, or waive it again: marts quarantine fix or waive.",
        "更正该行或重新豁免：marts quarantine fix 或 waive。",
    ),
    "todo.currency": (
        "Correct the code, or declare the currency and its rates in the company file.",
        "更正币种代码，或在公司配置中声明该币种及其汇率。",
    ),
    "todo.default": (
        "Correct the row at the source; the corrected row arrives with the next batch.",
        "在源系统更正该行；更正后的数据随下一批到达。",
    ),
    # rows and files
    "rows.marts": ("Rows per mart", "各集市行数"),
    "rows.before": ("Previous release", "上一版本"),
    "rows.difference": ("Difference", "差异"),
    "rows.new": ("new", "新增"),
    "rows.files": ("Files", "文件"),
    "rows.batches": ("Landed batches in this run", "本次落地批次"),
    "col.mart": ("Mart", "集市"),
    "col.file": ("File", "文件"),
    "col.size": ("Size", "大小"),
    "col.batches": ("Batches", "批次"),
    # why something is absent
    "absent.no_feed": (
        "The company delivers no {feeds}, or none has arrived yet.",
        "公司未提供{feeds}数据，或数据尚未到达。",
    ),
    "absent.no_rows": (
        "The {feeds} delivered hold no rows up to the as-of date for this figure.",
        "截至截止日期，{feeds}数据中没有可用于此项的记录。",
    ),
    "absent.no_mart": ("This release holds no mart {mart}.", "本版本没有集市 {mart}。"),
    "absent.no_surveys": ("No survey answers have arrived.", "尚无调查问卷数据。"),
    "absent.no_costs": ("No order has a known cost.", "订单均无成本数据。"),
    "absent.nothing_open": ("Every document is settled.", "所有单据均已结清。"),
    "absent.nothing_overdue": ("No customer is past a due date.", "没有客户逾期。"),
    "absent.one_month": (
        "The history holds one month: a movement needs two.",
        "历史数据仅有一个月，阶段变动至少需要两个月。",
    ),
    "absent.no_rhythm": (
        "The history is too short: no customer has enough orders to know its rhythm.",
        "历史数据过短：尚无客户有足够订单以得出采购节奏。",
    ),
    "absent.nobody_silent": (
        "No customer that could still be kept is silent beyond its own rhythm.",
        "尚可挽留的客户中，无沉默时间超出自身节奏者。",
    ),
    "absent.nobody_listed": (
        "No customer passes the screening and reaches the score of the list.",
        "没有客户通过初筛并达到名单得分。",
    ),
    "absent.no_cohorts": (
        (
            "The history is too short: no customer won since the books began has full months to"
            " follow."
        ),
        "历史数据过短：账套开始后新增的客户尚无完整月份可供跟踪。",
    ),
    "absent.no_offers": (
        "No customer lacks a product that customers like it buy.",
        "没有客户缺少同类客户所购买的产品。",
    ),
    "absent.no_ledger": ("The conservation ledger holds no batch.", "对账台账中没有批次。"),
    "absent.no_provision": (
        "Nothing has been owed at any month's end: there is nothing to provide for.",
        "各月末均无应收余额，无需计提。",
    ),
    "absent.no_dso": (
        "Nothing was invoiced in the months it goes by.",
        "所依据的月份内无开票。",
    ),
    "absent.no_full_month": (
        "No full month has ended yet, or no payments are fed.",
        "尚无完整月份，或无收款数据。",
    ),
    "absent.no_model_run": (
        (
            "No scorecard has been fitted: grades go by how customers equally late went on, until"
            " enough customers have defaulted."
        ),
        "尚未建立评分卡：在违约客户足够之前，按同等逾期客户的迁徙率评级。",
    ),
    "absent.no_exposure": (
        "No customer owes anything or has an order on the way.",
        "没有客户欠款或有在途订单。",
    ),
    "absent.no_bills": (
        "No acceptance bill is held, or was passed on and has not matured.",
        "没有在手承兑汇票，也没有已转出未到期的票据。",
    ),
    "absent.no_alerts": ("No customer meets a rule of the alerts.", "没有客户触发预警规则。"),
    "absent.no_exceptions": ("No document is in doubt.", "没有存疑单据。"),
    # notes
    "note.windows": (
        (
            "Every figure is computed as of {as_of}; later rows are not in it. “Last 12 "
            "months” runs from {start} (exclusive) to {as_of}, “the 12 months before” from "
            "{before} (exclusive) to {start}."
        ),
        (
            "所有数据按 {as_of} 计算，之后的记录不计入。“近12个月”为 {start}（不含）至 {as_of}，"
            "“前12个月”为 {before}（不含）至 {start}。"
        ),
    ),
    "note.revenue": (
        (
            "Revenue is the amount of orders that are not cancelled, net of tax and discount,"
            " on the order's business date."
        ),
        "收入为未取消订单的金额（不含税，已扣折扣），按订单业务日期计。",
    ),
    "note.margin": (
        (
            "Margin is revenue less the cost of the goods, where the cost is known. The "
            "margin rate divides it by the revenue of the same orders; orders without a cost "
            "are left out of both."
        ),
        (
            "毛利为收入减去货物成本（仅计成本已知的订单）。毛利率以同一批订单的收入为分母；"
            "无成本的订单不计入分子和分母。"
        ),
    ),
    "note.cash": (
        (
            "Cash in is receipts and prepayments less refunds and chargebacks, on the day "
            "they are money: acceptance bills when passed on or on maturity, dishonoured bills "
            "never. Invoiced is gross of tax, less credit notes, on the invoice date."
        ),
        (
            "回款为收款和预收款减去退款和拒付，按实际到账日计：承兑汇票按背书、贴现或到期日计，被拒付的汇票不计。"
            "开票金额含税，已减红字发票，按开票日期计。"
        ),
    ),
    "note.active": (
        "An active customer has at least one order, not cancelled, in the last 12 months.",
        "活跃客户指近12个月内至少有一笔未取消订单的客户。",
    ),
    "note.ageing": (
        (
            "Payments and credit notes settle the document they name, then the customer's oldest "
            "due one; open receivables are what remains. Two ageings are shown: days past the due "
            "date (not due while it has not passed) and days since the invoice date. The overdue "
            "share is what is past its due date, divided by all open receivables. A customer's "
            "credit (paid more than invoiced) is not deducted from what others owe."
        ),
        (
            "付款和红字发票先结清其指定的单据，再按到期日先后结清；剩余部分为未清应收账款。账龄按两种口径列示："
            "到期日后天数（未过到期日为未到期）和开票日后天数。逾期占比为已过到期日的金额除以全部未清"
            "应收账款。客户的贷方余额（付款多于开票）不抵扣其他客户的欠款。"
        ),
    ),
    "note.segments": (
        (
            "RFM scores recency, frequency and monetary value from 1 to 5 (5 is best). ABC "
            "sorts customers by margin (by revenue where no cost is known): A brings the "
            "first 80 %, B up to 95 %. Lifecycle goes by the days since the last order, "
            "adjusted for the season, against 95 % of the customer's own gaps between orders "
            "(fixed days where it has too few). The cut points are dated parameters; the "
            "reason for each customer is in customer_segments."
        ),
        (
            "RFM按最近购买、购买频率和金额打分（1至5，5为最高）。ABC按毛利排序（成本未知时按收入）："
            "A类贡献前80%，B类至95%。生命周期按距最近一次下单的天数（经季节调整）与客户自身下单间隔的"
            "95%分位比较划分（订单过少时用固定天数）。分界点为带生效日期的参数；"
            "每个客户的分类原因见 customer_segments。"
        ),
    ),
    "note.sales": (
        (
            "In Movement, Concentration and the portraits, 12 months are the as-of month and the"
            " eleven before it, and revenue is net of returns; elsewhere see “last 12 months”"
            " above. A fall is a move down from buying (active, reactivated, new) to slowing, at"
            " risk, dormant or lost; falls come first, by the revenue at stake."
        ),
        (
            "客户变动、集中度和画像中的12个月为截止月及其前11个月，收入已扣退货；其他各处见上文"
            "“近12个月”。下降指由在购阶段（活跃、回流、新）变为放缓、风险、沉睡或流失；"
            "下降按涉及收入列在最前。"
        ),
    ),
    "note.concentration": (
        (
            "HHI is the sum of squared shares in per cent (10,000 = one customer has all). The"
            " concentration bound is the share of revenue or receivables of a group, or of a"
            " customer without one, in strategic_bounds (10 % unless the company sets another)."
        ),
        (
            "HHI为各客户占比（百分数）的平方和（10,000 为一家独占）。集中度界限为集团"
            "（无集团时为客户）占收入或应收的比例，见 strategic_bounds（未另设时为10%）。"
        ),
    ),
    "note.strategic": (
        (
            "The strategic score weighs each customer's place among the assessed by the AHP"
            " weights; the entropy weights, by how far customers differ, are for comparison. Value"
            " by income is the margin of 12 months net of returns less the cost to serve."
        ),
        (
            "战略得分为客户在被评估客户中的位次按AHP权重加权；熵权反映客户间差异，仅供对照。"
            "收益法价值为近12个月毛利（已扣退货）减服务成本。"
        ),
    ),
    "note.retention": (
        (
            "A cohort is the customers of one month of first order. “Ordered then or later” tells"
            " silence from loss: the last half year or so is not known yet, and left out. The"
            " expected revenue of an offer is the median of the peers that buy the product, times"
            " the share that does."
        ),
        (
            "同期群为首单在同一月份的客户。“当月或以后仍下单”用以区分暂时沉默与流失；最近约半年尚不可知，"
            "不计入。推荐的预期收入为购买该产品的同类客户收入中位数乘以购买比例。"
        ),
    ),
    "note.provision": (
        (
            "The provision is what is owed in a bucket times the loss rate of its group, which is"
            " the share of a balance that ended lost by the book's own roll rates, or a judgement"
            " where the history is thin. All that a customer in default owes, due or not, has at"
            " least the loss given default as its rate; customers under a review of their own have"
            " their own amount. Bills held are provided for by kind of issuer, commercial ones of a"
            " customer in default like what it owes, and stand beside."
        ),
        (
            "坏账准备为各账龄段余额乘以所属组合的损失率。损失率按本账簿迁徙率推算最终损失的比例，历史不足时为"
            "判断值。违约客户的全部应收（无论是否到期）计提比例不低于违约损失率；单项计提客户按其单独金额。"
            "在手票据按承兑人类型计提，违约客户的商业汇票按违约损失率，单独列示。"
        ),
    ),
    "note.bridge": (
        (
            "The movement is counted in one order: write-offs, credit notes, payments, ageing,"
            " reopened and new claims at the opening rates, then defaults, then other rates. Over"
            " several months it is the sum of the months."
        ),
        (
            "变动依次计算：核销、红字发票、收款、账龄、恢复与新增（按期初比例），再计违约状态变动，最后为比例变动。"
            "多个月份为各月之和。"
        ),
    ),
    "note.dso": (
        (
            "DSO is open receivables over the invoiced of the last months, in days; the best"
            " possible is the same of what is not overdue. The collection rate is what was received"
            " in a month over what was open before it and invoiced in it; in cash, a bill counts"
            " when it is money, and bills held count as still to collect."
        ),
        (
            "应收周转天数为未清应收除以近几个月开票额再折算为天数；最佳可能值仅计未逾期部分。回款率为当月回款除以"
            "期初余额与当月开票之和；现金口径下票据在变现时计入，在手票据计为待收。"
        ),
    ),
    "note.grades": (
        (
            "A grade is a band of the probability of default within 12 months, by the scorecard in"
            " force or, without one, by roll rates; D is in default today, or so graded by a"
            " reviewer. Who has no document, or none within a year, is not graded. Past months are"
            " scored by today's card, so that a change is the customer's."
        ),
        (
            "等级为12个月内违约概率的区间，按现用评分卡计算，无评分卡时按迁徙率；D为当前已违约或由复核人评定。"
            "无单据或一年内无往来的客户不评级。过往月份亦按现用评分卡评分，变化只来自客户。"
        ),
    ),
    "note.limits": (
        (
            "Exposure is what it would cost if the customer stopped paying today: orders not"
            " delivered, deliveries not invoiced, open invoices and bills, less what was paid"
            " ahead. How the recommended limit comes about is told in credit_limits."
        ),
        (
            "敞口为客户今日停止付款所涉及的金额：未交货订单、已交货未开票、未清发票和票据，减预收款。"
            "建议额度的依据见 credit_limits。"
        ),
    ),
    "note.nps": (
        (
            "Net promoter score is the share of promoters (9 or 10 of 10) less the share of "
            "detractors (0 to 6), over the answers of the last 12 months; the answers of one "
            "customer go together, so its interval counts customers. The scorecard tells that of "
            "3 months."
        ),
        (
            "净推荐值为推荐者（9至10分）占比减去贬损者（0至6分）占比，按近12个月的回答计算；"
            "回答越少，区间越宽。"
        ),
    ),
    "note.currency": (
        (
            "Amounts are in {currency} and scaled; the exact amount appears when the pointer "
            "rests on it. Amounts of different currencies are never added."
        ),
        "金额以 {currency} 表示并经缩放；将光标停在数字上可见精确金额。不同币种的金额从不相加。",
    ),
}


def text(key: str, **values: object) -> Text:
    """The wording of `key` with `{names}` filled in both languages; KeyError when unknown."""
    en, zh = _LABELS[key]
    if values:
        return Text(en.format(**values), zh.format(**values))
    return Text(en, zh)


def has_label(key: str) -> bool:
    """Whether `key` has a wording."""
    return key in _LABELS
