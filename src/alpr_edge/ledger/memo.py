"""The draft of an information memo after a suspected disclosure. Pure: facts in, sections out.

It states what the ledger shows and, as plainly, what it does not. A person finishes and sends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from html import escape

from alpr_edge.ledger.facts import Facts, describe
from alpr_edge.ledger.kinds import Access, KeyChange
from alpr_edge.ledger.verify import Verdict


class Suspicion(StrEnum):
    """What is thought to have happened."""

    LOST_DEVICE = "lost-device"
    LEAKED_CERTIFICATE = "leaked-certificate"
    STOLEN_LAPTOP = "stolen-laptop"
    OTHER = "other"


_WHAT = {
    Suspicion.LOST_DEVICE: "A device is lost or may be in the hands of others.",
    Suspicion.LEAKED_CERTIFICATE: "A certificate or its private key may be known to others.",
    Suspicion.STOLEN_LAPTOP: "A laptop on which reads were shown or to which they were exported "
    "is lost or stolen.",
    Suspicion.OTHER: "Reads may have become known to someone who should not know them.",
}
_STEPS = {
    Suspicion.LOST_DEVICE: (
        "Revoke the device's certificate at the broker and its key at the witness.",
        "Keep the witness's newest checkpoint of the device: it bounds what the device recorded.",
        "Rotate the city's keys if the device held more than their public halves.",
    ),
    Suspicion.LEAKED_CERTIFICATE: (
        "Revoke the certificate; let the broker refuse it before new ones are issued.",
        "Compare the broker's log with the batches below: connections that no device made.",
        "Issue new certificates; the ledgers will show them as changed certificates.",
    ),
    Suspicion.STOLEN_LAPTOP: (
        "Lock the accounts that were used on the laptop.",
        "Ask each person below which exports were still on it.",
    ),
    Suspicion.OTHER: ("Keep an export of the ledger before anything is changed.",),
}


@dataclass(frozen=True, slots=True)
class Table:
    """Attributes:
    rows: texts, as many a row as there are heads.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with sentences, points and tables, in this order."""

    title: str
    sentences: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Memo:
    """The whole memo."""

    title: str
    lines: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...] = field(default=())


def draft(
    device: str,
    suspicion: Suspicion,
    facts: Facts,
    verdict: Verdict,
    *,
    made_at: str,
    evidence: Sequence[str],
    certificate: str = "",
) -> Memo:
    """The memo about one device and the period of `facts`.

    Args:
        evidence: names of the files that lie beside the memo.
        certificate: the beginning of a SHA-256; only batches under it count then.
    """
    period = f"{facts.begin[:10] or 'the beginning'} to {facts.end[:10] or 'now'} (UTC)"
    return Memo(
        "Information memo (draft): suspected disclosure of licence-plate reads",
        (
            ("To", "City Council, through the IT department"),
            ("From", "[name, department]"),
            ("Date", made_at),
            ("Concerning", f"device {device}, period {period}"),
        ),
        (
            Section(
                "What is suspected",
                (_WHAT[suspicion], "[Who noticed it, when, and how; reference of the case.]"),
            ),
            _left(facts, certificate),
            _seen_by_people(facts),
            _affected(suspicion, facts, certificate),
            _protected(facts),
            Section("What is to be done", (), _STEPS[suspicion]),
            _limits(verdict),
            Section(
                "Evidence",
                (
                    f"Ledger {verdict.origin}, {verdict.signed_size} signed entries, "
                    f"root {verdict.root}. The ledger {_holds(verdict)}.",
                    "Attached: " + ", ".join(evidence) + "."
                    if evidence
                    else "Nothing is attached.",
                ),
            ),
        ),
    )


def _left(facts: Facts, certificate: str) -> Section:
    rows = tuple(
        (
            f"{name}:{port}",
            digest[:16] or "not encrypted",
            str(sent.count),
            sent.first_at[:16].replace("T", " "),
            sent.last_at[:16].replace("T", " "),
            sent.first_id,
            sent.last_id,
        )
        for (name, port, digest), sent in sorted(facts.sent.items())
        if digest.startswith(certificate)
    )
    heads = ("Destination", "Certificate", "Reads", "From", "To", "First id", "Last id")
    if not rows and facts.sent:
        others = sum(sent.count for sent in facts.sent.values())
        text = (
            f"No read left under a certificate that begins with {certificate}; {others} reads left "
            "under others in this period. Check the certificate's SHA-256 before you rely on this."
        )
        return Section("What left the device", (text,))
    if not rows:
        return Section("What left the device", ("No read left the device in this period.",))
    return Section(
        "What left the device",
        (
            "Every batch is on record before it is sent. Reads are told by their ids; the texts of "
            "plates are not in this memo and not in the ledger.",
        ),
        (),
        Table(heads, rows),
    )


def _seen_by_people(facts: Facts) -> Section:
    entries = facts.listed.get("access", [])
    rows = tuple(
        (
            e.at[:16].replace("T", " "),
            e.body.who,
            e.body.first or "",
            e.body.last or "",
            describe(e),
        )
        for e in entries
        if isinstance(e.body, Access)
    )
    if not rows:
        text = "Nobody had reads shown or exported on the device in this period."
        return Section("Who looked at reads", (text,))
    heads = ("Time", "Who", "First id", "Last id", "What and why")
    return Section("Who looked at reads", (), (), Table(heads, rows))


def _affected(suspicion: Suspicion, facts: Facts, certificate: str) -> Section:
    total = facts.total
    sent = sum(s.count for (_, _, c), s in facts.sent.items() if c.startswith(certificate))
    gone = sum(facts.deleted.values())
    waiting = max(0, total.published - total.delivered - gone)
    exported = sum(
        e.body.count for e in facts.listed.get("access", []) if isinstance(e.body, Access)
    )
    texts = {
        Suspicion.LOST_DEVICE: (
            f"On the device there may be up to {waiting} reads that were published, not delivered "
            "and not deleted by the last entry of the period. Delivered reads are erased on the "
            "device. Pictures are not stored.",
        ),
        Suspicion.LEAKED_CERTIFICATE: (
            f"With a client's key others could have sent reads in the device's name; with a "
            f"broker's key they could have received up to {sent} reads that left in this period.",
        ),
        Suspicion.STOLEN_LAPTOP: (f"Up to {exported} reads were shown or exported to people.",),
        Suspicion.OTHER: (f"At most {sent} reads left and {exported} were shown or exported.",),
    }
    return Section("How many reads could be affected", texts[suspicion])


def _protected(facts: Facts) -> Section:
    plain = sum(s.count for (_, _, c), s in facts.sent.items() if not c)
    sealed = [
        e.body
        for e in facts.listed.get("key_change", [])
        if isinstance(e.body, KeyChange) and e.body.key == "outbox"
    ]
    transport = (
        f"{plain} reads left without encryption."
        if plain
        else "All reads that left were sent over TLS 1.2 or newer."
    )
    rest = "Reads that wait on the device are encrypted; "
    rest += (
        "their key is sealed in the TPM."
        if sealed and sealed[-1].sealed
        else "their key lies in a file of the service's user, so whoever has the whole disk may "
        "have the key, unless a TPM seals it (see the health document)."
    )
    return Section("What was encrypted", (transport, rest))


def _limits(verdict: Verdict) -> Section:
    return Section(
        "What the ledger does not show",
        (
            "It shows what the device recorded, not what someone did with a copy of its disk, nor "
            "what the receiving system did afterwards.",
            "It does not name vehicles or persons. Whether a read is of a particular vehicle can "
            "be told only where the read itself is stored.",
            "Witnesses that saw it: " + (", ".join(verdict.cosigned) or "none was asked for") + ".",
        ),
    )


def _holds(verdict: Verdict) -> str:
    return "was checked and holds" if verdict.holds else "was checked and DOES NOT HOLD"


def memo_html(memo: Memo) -> str:
    """The memo as one self-contained page."""
    lines = "".join(f"<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in memo.lines)
    parts = [f"<h1>{escape(memo.title)}</h1><table>{lines}</table>"]
    for section in memo.sections:
        parts.append(f"<h2>{escape(section.title)}</h2>")
        parts += [f"<p>{escape(text)}</p>" for text in section.sentences]
        if section.points:
            points = "".join(f"<li>{escape(text)}</li>" for text in section.points)
            parts.append(f"<ul>{points}</ul>")
        if section.table is not None:
            head = "".join(f'<th scope="col">{escape(text)}</th>' for text in section.table.heads)
            body = "".join(
                "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>"
                for row in section.table.rows
            )
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
    style = (
        "body{font:16px/1.5 serif;max-width:50rem;margin:0 auto;padding:1rem}"
        "table{border-collapse:collapse}td,th{border:1px solid #999;padding:.2rem .5rem;"
        "text-align:left;vertical-align:top;word-break:break-word}"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(memo.title)}</title><style>{style}</style></head><body><main>"
        f"{''.join(parts)}</main></body></html>\n"
    )
