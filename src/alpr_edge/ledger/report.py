"""The audit report as one self-contained HTML page. Pure: facts and a verdict in, text out.

Plain language, exceptions first, every plot with its table, no script, nothing fetched; prints on
A4. It holds what the ledger holds, so it cannot hold a plate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from alpr_edge.ledger import svg
from alpr_edge.ledger.facts import Day, Facts, describe
from alpr_edge.ledger.svg import bars
from alpr_edge.ledger.verify import Verdict, Weight
from alpr_edge.types import DropReason

_STYLE = """
:root{--ink:#1a1a1a;--line:#b5b5b5;--bar:#1f5f8b;--bad:#8b1a1a}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:#fff;max-width:60rem;
margin:0 auto;padding:1rem 1.25rem 3rem;overflow-wrap:break-word}
h1{font-size:1.7rem;line-height:1.2}h2{font-size:1.25rem;margin-top:2.2rem;
border-bottom:2px solid var(--ink)}h3{font-size:1.05rem}
table{border-collapse:collapse;width:100%;margin:.6rem 0}caption{text-align:left;font-weight:600}
th,td{border:1px solid var(--line);padding:.25rem .5rem;text-align:left;vertical-align:top}
td{overflow-wrap:anywhere}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
td.n,td.s{white-space:nowrap}caption.quiet{position:absolute;width:1px;height:1px;overflow:hidden;
clip-path:inset(50%)}figure{margin:.8rem 0}figcaption{font-weight:600}
thead th{background:#eee}.bad{border-left:.4rem solid var(--bad);padding:.2rem .8rem}
.good{border-left:.4rem solid #1b6b34;padding:.2rem .8rem}
svg{width:100%;height:auto}svg rect{fill:var(--bar)}svg line{stroke:var(--line)}
svg text{font:11px system-ui,sans-serif;fill:var(--ink)}
code{font-size:.85em;word-break:break-all}.wide{overflow-x:auto}
@media print{body{font-size:10pt;max-width:none;padding:0}h2{break-after:avoid}
tr,figure,li,p,.keep{break-inside:avoid}caption,thead{break-after:avoid}
thead{display:table-header-group}.wide{overflow:visible}table{font-size:8.5pt}
th,td{padding:.15rem .35rem}
@page{size:A4;margin:16mm;@bottom-right{content:counter(page) " / " counter(pages);font-size:8pt}}}
"""
_REASONS = {
    DropReason.TOUCHES_MASK: "touched a mask",
    DropReason.TOUCHES_BAND: "touched the band round a mask",
    DropReason.PROTECTED_GROUND: "was on protected ground",
    DropReason.VIEW_UNPROVEN: "the view was not proven to be the commissioned one",
    DropReason.CROSSES_GATE: "crossed a gate line",
    DropReason.STARTED_IN_VIEW: "appeared in the middle of the view",
    DropReason.ENDED_IN_VIEW: "vanished in the middle of the view",
    DropReason.KIN_TAINTED: "may have been a vehicle that was kept back",
    DropReason.WEAK_READ: "read too weakly",
    DropReason.UNREAD: "not read",
    DropReason.FRAME_GAP: "pictures were missing",
    DropReason.HELD_TOO_LONG: "not settled in time",
    DropReason.OVERFLOW: "too many vehicles at once",
    DropReason.SHUTDOWN: "the service ended",
    DropReason.STOPPED: "reading was stopped meanwhile",
}
_LISTS = (
    ("mask_change", "Changes of masks"),
    ("commissioning", "Commissioning"),
    ("config_change", "Changes of the configuration"),
    ("access", "Reads shown or exported, with reasons"),
    ("file_moved", "Files fetched and brought over the console"),
    ("login", "Logins"),
    ("self_test", "Self-tests"),
    ("drift", "Stops because the view shifted"),
    ("update", "Updates"),
    ("key_change", "Keys"),
    ("model_check", "Checks of the models' manifest"),
    ("software_scan", "Scans for face and biometric software"),
    ("time_correction", "Corrections of the clock"),
    ("trigger", "Alarms"),
    ("start_failed", "Starts that failed"),
    ("witnessed", "Cosignatures of witnesses, as the device verified them"),
    ("reported", "Reports, memos and exports of this ledger"),
    ("storage_fault", "Storage faults"),
)
_MOST_LISTED = 500
_KEPT_TOGETHER = 24
"""A table of so many rows fits on a page and is not broken."""
_MOST_DAYS = 62
"""More days than these are told by month."""
_WHOLE_S = 23.5 * 3600
_MOST_SHORT_DAYS = 20
_SHORT = 24
"""A cell of so many characters is not broken either."""


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """One device: its name, its facts, and whether its ledger holds."""

    name: str
    facts: Facts
    verdict: Verdict


def device_page(one: DeviceReport, *, made_at: str, made_by: str) -> str:
    """The report about one device."""
    facts, total = one.facts, one.facts.total
    parts = [
        _head(f"Audit report: {one.name}", facts, made_at, made_by),
        _verdict(one.verdict),
        "<h2>Exceptions</h2>",
        _exceptions(_all_exceptions(one)),
        "<h2>In short</h2>",
        _table(
            "What the device did in this period",
            ("", ""),
            [
                ("Ran", f"{total.seconds / 3600:,.1f} hours on {len(facts.days)} days"),
                ("Pictures looked at", f"{total.frames:,} ({total.failed_frames:,} failed)"),
                ("Reads published", f"{total.published:,}"),
                ("Reads delivered and erased", f"{total.delivered:,}"),
                ("Starts", f"{facts.boots}, of which {facts.unclean} after a crash or power cut"),
                ("Connection lost", f"{facts.links_down} times"),
                ("Entries in the ledger", f"{facts.entries:,} in the period"),
            ],
            heads_in_rows=True,
        ),
        _days(facts),
        _suppressions(facts),
        _sent(facts),
        _deletions(facts),
        _running(facts),
        *(_listed(title, facts, kind) for kind, title in _LISTS),
        _nothing_of(facts),
        _reading_help(),
    ]
    return _page(f"Audit report: {one.name}", parts)


def fleet_page(all_: Sequence[DeviceReport], *, made_at: str, made_by: str) -> str:
    """The report about many devices: exceptions of all first, then a row for each."""
    first = all_[0].facts if all_ else Facts()
    exceptions = [f"{one.name}: {text}" for one in all_ for text in _all_exceptions(one)]
    whole = [one.facts.total for one in all_]
    days: dict[str, float] = {}
    for one in all_:
        for name, day in one.facts.days.items():
            days[name] = days.get(name, 0) + day.published
    rows = [
        (
            one.name,
            "holds" if one.verdict.holds else "DOES NOT HOLD",
            f"{total.seconds / 3600:,.1f}",
            f"{total.frames:,}",
            f"{total.published:,}",
            str(len(one.facts.listed.get("mask_change", ()))),
            str(len(one.facts.listed.get("access", ()))),
            str(len(_all_exceptions(one))),
            one.facts.boot.software if one.facts.boot else "",
        )
        for one, total in zip(all_, whole, strict=True)
    ]
    parts = [
        _head(f"Audit report: {len(all_)} devices", first, made_at, made_by),
        "<h2>Exceptions</h2>",
        _exceptions(exceptions),
        "<h2>All devices</h2>",
        "<p>"
        f"{sum(t.published for t in whole):,} reads published in "
        f"{sum(t.seconds for t in whole) / 3600:,.0f} hours of running; "
        f"{sum(one.verdict.holds for one in all_)} of {len(all_)} ledgers hold.</p>",
        bars("Reads published a day, all devices", _short(days), unit="reads"),
        _table(
            "A row for each device",
            (
                *("Device", "Ledger", "Hours", "Pictures", "Reads", "Mask changes"),
                *("Accesses", "Exceptions", "Software"),
            ),
            rows,
            numbers=range(2, 8),
        ),
        _suppressions_of([one.facts for one in all_]),
        _reading_help(),
    ]
    return _page(f"Audit report: {len(all_)} devices", parts)


def _all_exceptions(one: DeviceReport) -> list[str]:
    broken = [f"LEDGER: {f.text}." for f in one.verdict.findings if f.weight is Weight.BROKEN]
    notes = [f"Ledger: {f.text}." for f in one.verdict.findings if f.weight is Weight.NOTE]
    return [*broken, *one.facts.exceptions(), *notes]


def _head(title: str, facts: Facts, made_at: str, made_by: str) -> str:
    begin, end = facts.begin[:10] or "the beginning", facts.end[:10] or "now"
    return (
        f"<h1>{escape(title)}</h1><p>Period: {escape(begin)} to {escape(end)} (UTC; the last day "
        f"is not included). Made {escape(made_at)} by {escape(made_by)}.</p>"
    )


def _verdict(verdict: Verdict) -> str:
    seen = ", ".join(escape(name) for name in verdict.cosigned) or "no witness that was asked for"
    if verdict.holds:
        text = (
            f"<strong>The ledger holds.</strong> {verdict.size:,} entries were checked one by one "
            f"against the device's signature over {verdict.signed_size:,} of them."
        )
    else:
        text = "<strong>The ledger does not hold.</strong> See the exceptions."
    return (
        f'<div class="{"good" if verdict.holds else "bad"}"><p>{text} Seen by {seen}. '
        f"Root <code>{escape(verdict.root)}</code>.</p></div>"
    )


def _exceptions(texts: Sequence[str]) -> str:
    if not texts:
        return '<p class="good">None.</p>'
    shown = "".join(f"<li>{escape(text)}</li>" for text in texts[:_MOST_LISTED])
    more = f"<p>And {len(texts) - _MOST_LISTED} more.</p>" if len(texts) > _MOST_LISTED else ""
    return f'<div class="bad"><ul>{shown}</ul>{more}</div>'


def _days(facts: Facts) -> str:
    """Plots by day; the table by day, or by month where days would fill pages."""
    days = sorted(facts.days.items())
    long = len(days) > _MOST_DAYS
    # Labels of a long period name months, of a short one days.
    short = slice(0, 7) if long else slice(5, None)
    return "".join(
        [
            f"<h2>{'Month by month' if long else 'Day by day'}</h2>",
            bars(
                "Hours running a day",
                [(d[short], x.seconds / 3600) for d, x in days],
                unit="hours",
                top=24,
            ),
            bars(
                "Pictures looked at a day",
                [(d[short], x.frames) for d, x in days],
                unit="pictures",
            ),
            bars("Reads published a day", [(d[short], x.published) for d, x in days], unit="reads"),
            _months(days) if long else _day_table("day", "Day", days),
            _quiet_days(days) if long else "",
        ]
    )


def _months(days: Sequence[tuple[str, Day]]) -> str:
    months: dict[str, Day] = {}
    for name, day in days:
        months.setdefault(name[:7], Day()).add(day)
    return _day_table("month", "Month", list(months.items()))


def _quiet_days(days: Sequence[tuple[str, Day]]) -> str:
    """Days on which the device ran for less than it could, as a sentence."""
    short = [f"{name} ({day.seconds / 3600:.1f} h)" for name, day in days if day.seconds < _WHOLE_S]
    if not short:
        return "<p>It ran all day on every one of these days.</p>"
    more = f" and {len(short) - _MOST_SHORT_DAYS} more" if len(short) > _MOST_SHORT_DAYS else ""
    named = ", ".join(short[:_MOST_SHORT_DAYS])
    return f"<p>Days on which it ran for less than 23.5 hours: {escape(named)}{more}.</p>"


def _day_table(each: str, head: str, rows: Sequence[tuple[str, Day]]) -> str:
    return _table(
        f"Running, pictures and reads a {each}",
        (head, "Hours", "Pictures", "Failed", "Reads published", "Delivered"),
        [
            (
                name,
                f"{day.seconds / 3600:,.1f}",
                f"{day.frames:,}",
                f"{day.failed_frames:,}",
                f"{day.published:,}",
                f"{day.delivered:,}",
            )
            for name, day in rows
        ],
        numbers=range(1, 6),
    )


def _suppressions(facts: Facts) -> str:
    return _suppressions_of([facts])


def _suppressions_of(all_: Sequence[Facts]) -> str:
    counts = {reason: sum(f.suppressed[reason] for f in all_) for reason in DropReason}
    names = {r: _REASONS.get(r, r.replace("_", " ")) for r in counts}
    ordered = sorted(counts, key=lambda reason: -counts[reason])
    rows = [(names[r], f"at most {counts[r]:,}") for r in ordered]
    return "".join(
        [
            "<h2>Vehicles kept back, by reason</h2><p>Upper bounds on purpose: each hour tells "
            "only the next power of two, never less than eight, so that no count tells of one "
            "visit. A quiet hour therefore shows as eight.</p>",
            svg.rows(
                "Kept back, at most",
                [(names[r], counts[r]) for r in ordered],
                unit="vehicles, upper bounds",
            ),
            _table("Kept back", ("Reason", "How many"), rows, numbers=(1,)),
        ]
    )


def _sent(facts: Facts) -> str:
    rows = [
        (
            f"{name}:{port}",
            certificate[:16] + "…" if certificate else "NOT ENCRYPTED",
            f"{sent.count:,}",
            f"{sent.repeated:,}",
            f"{sent.batches:,}",
            sent.first_at[:16].replace("T", " "),
            sent.last_at[:16].replace("T", " "),
        )
        for (name, port, certificate), sent in sorted(facts.sent.items())
    ]
    return "<h2>What left the device</h2>" + _table(
        "Reads sent, by destination and the broker's certificate",
        ("Destination", "Certificate (SHA-256)", "Reads", "Repeats", "Batches", "First", "Last"),
        rows,
        numbers=(2, 3, 4),
        empty="Nothing left the device.",
    )


def _deletions(facts: Facts) -> str:
    rows = [(reason.replace("_", " "), f"{n:,}") for reason, n in sorted(facts.deleted.items())]
    return "<h2>Deletions</h2>" + _table(
        "Reads deleted on the device without having been delivered",
        ("Why", "How many"),
        rows,
        numbers=(1,),
        empty="None but after delivery.",
    )


def _running(facts: Facts) -> str:
    boot = facts.boot
    if boot is None:
        return ""
    rows = [
        ("Software", boot.software),
        *((f"Model {n}", digest) for n, digest in enumerate(boot.models, 1)),
        ("Configuration", boot.config),
        ("Masks", boot.mask),
        ("Register of premises", boot.register_digest or "not recorded"),
        ("Commissioning", boot.commissioning or "not recorded"),
        ("Device key", boot.key or "not recorded"),
    ]
    return "<h2>What runs</h2>" + _table(
        "Software and the SHA-256 of what was loaded at the newest start",
        ("", ""),
        rows,
        heads_in_rows=True,
    )


def _listed(title: str, facts: Facts, kind: str) -> str:
    entries = facts.listed.get(kind, [])
    rows = [(str(e.seq), e.at[:19].replace("T", " "), describe(e)) for e in entries[:_MOST_LISTED]]
    more = (
        f"<p>And {len(entries) - _MOST_LISTED} more in the ledger.</p>"
        if len(entries) > _MOST_LISTED
        else ""
    )
    if not rows:
        return ""
    table = _table(title, ("Entry", "Time (UTC)", "What"), rows, numbers=(0,), quiet=True)
    return f"<h2>{escape(title)}</h2>{table}{more}"


def _nothing_of(facts: Facts) -> str:
    """What has no entry in the period, in one sentence instead of a heading each."""
    missing = [title for kind, title in _LISTS if not facts.listed.get(kind)]
    if not missing:
        return ""
    return f"<h2>Nothing in this period of</h2><p>{escape('; '.join(missing))}.</p>"


def _table(
    caption: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Iterable[int] = (),
    heads_in_rows: bool = False,
    empty: str = "None.",
    quiet: bool = False,
) -> str:
    """A table; `quiet`: its caption only says again what the heading above says."""
    if not rows:
        return f"<p>{escape(empty)}</p>"
    right = set(numbers)

    def cell(at: int, text: str) -> str:
        css = ' class="n"' if at in right else ' class="s"' if len(text) <= _SHORT else ""
        if at == 0 and heads_in_rows:
            return f'<th scope="row">{escape(text)}</th>'
        return f"<td{css}>{escape(text)}</td>"

    head = "".join(
        f'<th scope="col"{" class=" + chr(34) + "n" + chr(34) if at in right else ""}>'
        f"{escape(text)}</th>"
        for at, text in enumerate(heads)
    )
    body = "".join(
        "<tr>" + "".join(cell(at, text) for at, text in enumerate(row)) + "</tr>" for row in rows
    )
    top = "" if heads_in_rows else f"<thead><tr>{head}</tr></thead>"
    hidden = ' class="quiet"' if quiet else ""
    keep = " keep" if len(rows) <= _KEPT_TOGETHER else ""
    return (
        f'<div class="wide{keep}"><table><caption{hidden}>{escape(caption)}</caption>{top}'
        f"<tbody>{body}</tbody></table></div>"
    )


def _short(days: dict[str, float]) -> list[tuple[str, float]]:
    return [(name[5:], value) for name, value in sorted(days.items())]


def _reading_help() -> str:
    return (
        "<h2>How far this can be trusted</h2><p>The numbers are the device's own statements. The "
        "check shows that they were not changed after they were signed, and, where a witness has "
        "cosigned, that the device told everybody the same. It does not show that the device told "
        "the truth, nor that it saw only what it should: that is what commissioning, attestation "
        "and a look at the camera are for. No entry can hold a plate.</p>"
    )


def _page(title: str, parts: Iterable[str]) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>"
        f"{''.join(parts)}</main></body></html>\n"
    )
