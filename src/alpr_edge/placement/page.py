"""Placement reports as HTML: one camera, or a fleet on one page. Pure, self-contained, printable.

No script, no address, no font, no picture from elsewhere: the file can be mailed, printed and put
into an archive. Everything that came from a file is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from alpr_edge.exclusion.premises import Register, Site
from alpr_edge.placement.check import Placement, Policy, Verdict
from alpr_edge.placement.drawing import map_svg, picture_svg
from alpr_edge.placement.fleet import FleetRow

_STYLE = """
body{font:14px/1.45 sans-serif;color:#111;margin:1.5rem auto;max-width:66rem;padding:0 1rem}
h1{font-size:1.4rem;margin:0 0 .3rem}h2{font-size:1.05rem;margin:1.2rem 0 .4rem}
table{border-collapse:collapse;width:100%}th,td{border-bottom:1px solid #bbb;padding:.25rem .5rem;
text-align:left;vertical-align:top}th{background:#eee}td.n{text-align:right;white-space:nowrap}
.v{display:inline-block;padding:.15rem .6rem;border:2px solid;font-weight:bold}
.must_not_stand,.error{color:#8c0014}.fits_with_mask{color:#7a4b00}.fits{color:#1a5c2a}
.d{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0;max-width:31rem}figcaption{font-size:.85rem}
svg{max-width:100%;height:auto;border:1px solid #999}.m{border:2px dashed #555;padding:.3rem .6rem}
@media print{body{margin:0;max-width:none;font-size:11px}tr,figure{break-inside:avoid}
thead{display:table-header-group}.d svg{width:8.5cm;height:auto}}
"""


def camera_page(
    placement: Placement, sites: Sequence[Site], policy: Policy, register: Register, when: str
) -> str:
    """The report about one camera.

    Args:
        when: the day of the report, for people.
    """
    camera, pose = placement.camera, placement.camera.pose
    lon, lat = pose.place
    facts = [
        ("Position", f"{lat:.6f}, {lon:.6f} (latitude, longitude)"),
        ("Height, heading", f"{pose.height_m:.2f} m, {pose.heading_deg:.1f}° from north"),
        ("Tilt, roll", f"{pose.tilt_deg:.1f}°, {pose.roll_deg:.1f}°"),
        ("Lens", f"{camera.lens.hfov_deg:.1f}° at {camera.lens.width_px}×{camera.lens.height_px}"),
        ("Known to (95 %)", _known(placement)),
        ("Readable", _readable(placement)),
        ("Lost to masks", f"{placement.lost:.0%} of the readable ground"),
        ("Blanked", f"{placement.masked:.0%} of the picture"),
    ]
    rows = "".join(
        f"<tr><td>{escape(s.id)}</td><td>{escape(s.name)}</td><td>{escape(s.category)}</td>"
        f'<td class="n">{s.distance_m:.0f} m</td><td>{"yes" if s.in_view else "no"}</td>'
        f"<td>{'yes' if s.readable else 'no'}</td>"
        f'<td class="n">{s.share:.1%}</td></tr>'
        for s in placement.sites
    )
    better = "".join(f"<li>{escape(s.text)}</li>" for s in placement.suggestions)
    body = [
        f"<h1>Placement of {escape(camera.id)}</h1>",
        f"<p>{_verdict(placement.verdict)}</p>",
        "<ul>" + "".join(f"<li>{escape(r)}</li>" for r in placement.reasons) + "</ul>",
        '<div class="d"><figure>',
        map_svg(placement, sites, policy),
        "<figcaption>From above. Dark: premises; brown: with setback and driveways, blanked; pale: "
        "seen, but a vehicle on it is not read; blue: the view, darker where plates can be "
        "read.</figcaption></figure><figure>",
        picture_svg(placement),
        "<figcaption>The picture. Dark: blanked; hatched: vehicles that touch it are not read; "
        "red: gate lines. The grid lies on the ground, 5 m by 10 m.</figcaption></figure></div>",
        "<h2>Camera</h2><table>",
        *(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in facts),
        "</table><h2>Premises near by</h2>",
        "<table><thead><tr><th>Id</th><th>Name</th><th>Category</th><th>Distance</th>"
        "<th>In view</th><th>Plates readable without masks</th><th>Mask</th></tr></thead><tbody>",
        rows or '<tr><td colspan="7">none</td></tr>',
        "</tbody></table>",
        f"<h2>What would be better</h2><ul>{better}</ul>" if better else "",
    ]
    return _page(f"Placement of {camera.id}", body, register, policy, when)


def fleet_page(rows: Sequence[FleetRow], register: Register, policy: Policy, when: str) -> str:
    """One page about many cameras, worst first."""
    counts = dict.fromkeys((None, *reversed(Verdict)), 0)
    for row in rows:
        counts[row.verdict] += 1
    total = "".join(
        f"<tr><td>{_verdict(verdict)}</td><td class='n'>{count}</td></tr>"
        for verdict, count in counts.items()
    )
    lines = (
        f"<tr><td>{escape(row.id)}</td><td>{_verdict(row.verdict)}</td>"
        f'<td class="n">{_part(row)}</td><td class="n">{row.far_m:.0f} m</td>'
        f'<td class="n">{"" if row.nearest_m is None else f"{row.nearest_m:.0f} m"}</td>'
        f"<td>{escape(', '.join(row.sites[:6]))}</td><td>{escape(row.note)}</td></tr>\n"
        for row in sorted(rows, key=lambda r: r.rank)
    )
    body = [
        f"<h1>Placement of {len(rows)} cameras</h1><table>{total}</table>",
        "<h2>Worst first</h2><table><thead><tr><th>Camera</th><th>Verdict</th>"
        "<th>Readable ground lost</th><th>Reads to</th><th>Nearest in view</th><th>In view</th>"
        "<th>Why, and what would be better</th></tr></thead><tbody>\n",
        *lines,
        "</tbody></table>",
    ]
    return _page(f"Placement of {len(rows)} cameras", body, register, policy, when)


def _page(title: str, body: Sequence[str], register: Register, policy: Policy, when: str) -> str:
    rules = policy.rules
    made_up = (
        '<p class="m">The register is made up: an example, about no real place.</p>'
        if register.is_made_up
        else ""
    )
    foot = (
        f"<p><small>Register “{escape(register.title)}” of {escape(register.authority)}, number "
        f"{register.serial}, issued {register.issued}, SHA-256 {escape(register.digest)}. Vehicles "
        f"to {rules.vehicle_height_m:g} m, band {rules.band_m:g} m, plates of {policy.plate_m:g} m "
        f"readable from {policy.plate_px:g} px, at most {policy.most_lost:.0%} lost. Made by "
        f"alpr-edge, {escape(when)}. The check is about what this camera may see as stated; it "
        "proves nothing about a camera that was mounted otherwise.</small></p>"
    )
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
            made_up, *body, foot, "</body></html>\n",
        ]
    )  # fmt: skip


def _verdict(verdict: Verdict | None) -> str:
    if verdict is None:
        return '<span class="v error">cannot be judged</span>'
    return f'<span class="v {verdict.value}">{escape(verdict.text)}</span>'


def _part(row: FleetRow) -> str:
    return "" if row.verdict is None else f"{row.lost:.0%}"


def _known(placement: Placement) -> str:
    sigma = [1.96 * placement.camera.covariance[i][i] ** 0.5 for i in range(6)]
    return (
        f"position {max(sigma[0], sigma[1]):.2f} m, height {sigma[2]:.2f} m, "
        f"heading {sigma[3]:.2f}°, tilt {sigma[4]:.2f}°, roll {sigma[5]:.2f}°"
    )


def _readable(placement: Placement) -> str:
    if placement.far_m <= 0:
        return "nothing: plates are too small or out of the picture"
    return f"plates from {placement.near_m:.0f} m to {placement.far_m:.0f} m ahead"
