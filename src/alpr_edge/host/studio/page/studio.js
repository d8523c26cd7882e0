// The page round the drawing: login, picture, verdict, commit, points, placement, self-test.

import { Editor, node } from "./editor.js";

const $ = (id) => document.getElementById(id);
const percent = (share) => (share * 100).toFixed(share < 0.1 ? 1 : 0) + " %";
let state = {}, verdict = {}, inForce = null, base = "", map = null, points = [];

async function ask(name, args = {}) {
  const answer = await fetch(`api/${name}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(args) });
  const value = await answer.json();
  if (value && value.error) {
    const { code, message, hint } = value.error;
    throw new Error(message + (hint ? ` (${hint})` : "") + (code ? ` [${code}]` : ""));
  }
  return value;
}

function tell(text, good = false) {
  $("message").hidden = !text;
  $("message").textContent = text;
  $("message").classList.toggle("good", good);
}

function said(text) { $("said").textContent = text; }

async function doing(button, work) {
  tell("");
  button.disabled = true;
  try { await work(); } catch (error) { tell(error.message); } finally { button.disabled = false; }
}

// --- the drawing ---

const editor = new Editor($("canvas"), {
  changed: (byHand) => { if (byHand) tell(""); shapesChanged(); },
  picked: () => { listShapes(); detail(); buttons(); },
  said,
  marked: (at) => { markPoint(at); },
  dragged: (index, at) => { points[index].at = at; chosen = index; listPoints(); drawPoints(); },
});

let judging = 0;
function shapesChanged() {
  listShapes();
  $("margin").value = +(editor.rest.margin * 100).toFixed(3);
  $("band").value = +(editor.rest.band * 100).toFixed(3);
  $("whole").checked = editor.rest.whole_frame;
  $("nothing").checked = editor.rest.nothing_protected;
  clearTimeout(judging);
  judging = setTimeout(judge, 120);
}

const WORDS = {
  same: ["As in force", "Nothing changes."],
  wider: ["Wider", "It covers all that is protected now: one person may commit it."],
  narrower: ["Narrower", "It protects less than now: two people, or the city."],
  first: ["First masks", "Nothing is in force: two people, or the city."],
  unsound: ["Not sound", "It cannot be committed as it is."],
};

async function judge() {
  if (!state.person) return;
  let asked;
  try { asked = await ask("judge", { zones: editor.zones() }); } catch (error) { tell(error.message); return; }
  const before = verdict.verdict;
  verdict = asked;
  const [title, text] = WORDS[verdict.verdict];
  const box = $("verdict");
  box.className = verdict.verdict;
  box.replaceChildren();
  box.append(make("strong", title), make("p", text));
  if (verdict.core_share !== undefined) {
    box.append(make("p", `Blanked ${percent(verdict.core_share)} of the picture, tainting ${percent(verdict.band_share)}`));
    if (verdict.added_px || verdict.removed_px) box.append(make("p", `Against now: ${verdict.added_px} pixels more blanked, ${verdict.removed_px} less`));
  }
  fill($("narrowings"), [...(verdict.problems || []), ...(verdict.narrowings || [])].map((line) => make("li", line)));
  compare();
  if (before !== verdict.verdict) said(title);
}

function make(name, text = "", values = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(values)) made.setAttribute(key, value);
  return made;
}

function fill(parent, children) { parent.replaceChildren(...children); }

function listShapes() {
  fill($("list"), editor.shapes.map((shape, index) => {
    const item = make("li"), button = make("button", "", { type: "button" });
    button.append(make("span", "", { class: `chip ${shape.kind}`, "aria-hidden": "true" }), make("span", shape.name), make("span", `${shape.kind}, ${shape.points.length} corners`, { class: "kind" }));
    button.setAttribute("aria-current", String(index === editor.at));
    button.addEventListener("click", () => { editor.pick(index); editor.svg.focus(); });
    item.append(button);
    return item;
  }));
}

function detail() {
  const shape = editor.at === null ? null : editor.shapes[editor.at];
  $("detail").hidden = !shape;
  if (!shape) return;
  if (document.activeElement !== $("name")) $("name").value = shape.name;
  $("taints-row").hidden = shape.kind !== "gate";
  $("taints").value = shape.taints;
}

function buttons() {
  for (const button of document.querySelectorAll("[data-draw]")) {
    button.setAttribute("aria-pressed", String(Boolean(editor.drawing && editor.drawing.kind === button.dataset.draw)));
  }
}

for (const button of document.querySelectorAll("[data-draw]")) {
  button.addEventListener("click", () => { editor.drawing ? editor.stop() : editor.start(button.dataset.draw); });
}
$("undo").addEventListener("click", () => editor.undo());
$("zoom-in").addEventListener("click", () => editor.zoom(1.3));
$("zoom-out").addEventListener("click", () => editor.zoom(1 / 1.3));
$("zoom-fit").addEventListener("click", () => editor.fit());
$("show-old").addEventListener("change", () => { $("old").toggleAttribute("hidden", !$("show-old").checked); });
$("name").addEventListener("change", () => editor.set({ name: $("name").value.trim() || "mask" }));
$("taints").addEventListener("change", () => editor.set({ taints: $("taints").value }));
$("delete").addEventListener("click", () => editor.remove());
for (const [id, key, read] of [
  ["margin", "margin", (input) => Number(input.value) / 100], ["band", "band", (input) => Number(input.value) / 100],
  ["whole", "whole_frame", (input) => input.checked], ["nothing", "nothing_protected", (input) => input.checked],
]) {
  $(id).addEventListener("change", () => { editor.keep(); editor.rest[key] = read($(id)); editor.change(); });
}
$("reset").addEventListener("click", () => editor.load(inForce));
$("save").addEventListener("click", () => {
  const link = make("a", "", { href: "data:application/json," + encodeURIComponent(JSON.stringify(editor.zones(), null, 1)), download: "masks.json" });
  link.click();
});
$("open").addEventListener("change", async () => {
  const [file] = $("open").files;
  if (!file) return;
  try { editor.load(JSON.parse(await file.text())); } catch { tell("That file is no drawing of masks"); }
  $("open").value = "";
});

// --- the unit ---

$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  doing(form.querySelector("button"), async () => {
    const values = Object.fromEntries(new FormData(form));
    try { show(await ask("login", values)); } finally { form.elements.password.value = form.elements.code.value = ""; }
    picture();
  });
});
$("logout").addEventListener("click", () => doing($("logout"), async () => show(await ask("logout"))));

async function picture() {
  await doing($("take"), async () => {
    if (state.masks && !state.masks.zones) {
      tell("Nothing is in force yet, so everything is protected and there is no picture. Take the masks from the map (Place), open a drawing, or draw on the empty frame; the picture comes with the first masks.", true);
      return;
    }
    show(await ask("still"));
    editor.picture(`api/still.jpg?${Date.now()}`);
    const { taken_at, width, height, mask_digest } = state.still;
    $("still-about").textContent = `${width}×${height}, taken ${taken_at}, under the masks ${mask_digest.slice(0, 12)}`;
    said(`Picture of ${taken_at}`);
  });
}
$("take").addEventListener("click", picture);

function show(now) {
  const was = state.person;
  state = now;
  $("unit").textContent = now.about.unit ? `${now.about.unit} / ${now.about.camera || ""}` : "";
  $("link").classList.toggle("on", now.connected);
  $("link").textContent = now.connected ? `${now.port.split("/").pop()} at ${now.baud} baud` : now.trouble || "no unit";
  const reads = now.status.phase || now.status.state;
  $("reads").textContent = reads ? `unit: ${reads}` : "";
  $("reads").classList.toggle("stop", Boolean(reads) && reads !== "reading");
  $("person").textContent = now.person ? `${now.person.name}, ${now.person.level}` : "";
  $("logout").hidden = !now.person;
  $("panel-login").hidden = Boolean(now.person);
  for (const button of [$("take"), $("check-place"), $("load-map"), $("map-masks"), $("run-test"), $("save-fit")]) if (!now.moving) button.disabled = !now.person;
  if (now.person && now.masks) {
    if (now.masks.frame) editor.frame(now.masks.frame);
    const text = JSON.stringify(now.masks.zones);
    if (text !== base) {
      // The drawing begins as what is in force; a drawing that differs is kept.
      const untouched = !base || JSON.stringify(inForce) === base && JSON.stringify(editor.zones()) === drawnFrom;
      base = text;
      inForce = now.masks.zones;
      editor.old(inForce);
      if (untouched) { editor.load(inForce); drawnFrom = JSON.stringify(editor.zones()); }
      judge();
    }
  }
  if (!now.person && was) { tell("Logged out by the unit: too long idle, or the cable was out"); }
  if (!now.person) { editor.part("image").removeAttribute("href"); }
  if (Boolean(was) !== Boolean(now.person)) tabs(current);
  moving(now.moving);
  pending(now);
}
let drawnFrom = "";

function moving(what) {
  $("moving").hidden = !what;
  if (!what) return;
  $("progress").max = what.total || 1;
  $("progress").value = what.done;
  const left = what.left_s === null ? "" : `, ${Math.ceil(what.left_s)} s left`;
  $("progress-text").textContent = what.total ? `${what.what}: ${Math.round(what.done / 1024)} of ${Math.round(what.total / 1024)} KiB${left}` : `${what.what}: the unit is at it`;
}

function pending(now) {
  const waits = Boolean(now.masks && now.masks.confirm_before);
  $("pending").hidden = !waits;
  if (!waits) return;
  const left = now.confirm_left_s === null ? (new Date(now.masks.confirm_before) - Date.now()) / 1000 : now.confirm_left_s;
  const clock = left > 0 ? `${Math.floor(left / 60)}:${String(Math.floor(left % 60)).padStart(2, "0")}` : "over";
  $("pending-text").textContent = `Old and new masks protect together. Time to confirm: ${clock}. Unconfirmed, it stays so.`;
  $("confirm").disabled = left <= 0;
}
$("confirm").addEventListener("click", () => doing($("confirm"), async () => {
  show(await ask("confirm"));
  tell("Confirmed: the new masks alone are in force", true);
}));

async function poll() {
  try { show(await (await fetch("api/state")).json()); } catch { $("link").classList.remove("on"); $("link").textContent = "the studio was closed"; }
  setTimeout(poll, state.moving ? 300 : 700);
}

// --- commit ---

function compare() {
  const rows = [];
  const names = (zones, list) => new Map(((zones && zones[list]) || []).map((one) => [one.name, JSON.stringify([one.polygon || one.line, one.holes || [], one.taints || ""])]));
  const now = editor.zones();
  for (const [list, word] of [["masks", "mask"], ["bands", "band"], ["gates", "gate"]]) {
    const old = names(inForce, list), after = names(now, list);
    for (const [name, text] of after) if (old.get(name) !== text) rows.push([old.has(name) ? "changed" : "new", word, name]);
    for (const name of old.keys()) if (!after.has(name)) rows.push(["gone", word, name]);
  }
  for (const key of ["margin", "band", "whole_frame", "nothing_protected"]) {
    const old = (inForce && inForce[key]) || 0, after = now[key] || 0;
    if (old !== after) rows.push(["changed", key.replace("_", " "), `${old} → ${after}`]);
  }
  const box = $("compare");
  box.className = verdict.verdict || "";
  const table = make("table"), body = make("tbody");
  table.append(make("caption", "", { class: "said" }), body);
  for (const row of rows) { const tr = make("tr"); tr.append(...row.map((text) => make("td", text))); body.append(tr); }
  const title = WORDS[verdict.verdict] ? WORDS[verdict.verdict][0] : "";
  fill(box, [make("strong", title), rows.length ? table : make("p", "Nothing is changed."), ...(verdict.narrowings || []).map((line) => make("p", line))]);
  const alone = ["wider", "same"].includes(verdict.verdict);
  $("second").hidden = alone;
  for (const input of $("second").querySelectorAll("input:not([name=minutes])")) input.required = !alone;
  $("commit").querySelector("button").disabled = ["same", "unsound", undefined].includes(verdict.verdict);
}

$("commit").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target, values = Object.fromEntries(new FormData(form));
  doing(form.querySelector("button"), async () => {
    const args = { zones: editor.zones(), reason: values.reason, password: values.password, minutes: Number(values.minutes || 10) };
    if (!$("second").hidden) args.second = { name: values.second_name, password: values.second_password, code: values.second_code };
    try { await committed(await ask("commit", args)); } finally { for (const one of form.querySelectorAll("[type=password], [name=second_code]")) one.value = ""; }
  });
});
$("order").addEventListener("submit", (event) => {
  event.preventDefault();
  const values = Object.fromEntries(new FormData(event.target));
  doing(event.target.querySelector("button"), async () => committed(await ask("commit", { order: values.order, minutes: Number(values.minutes) })));
});

async function committed(done) {
  const words = { one_person: "one person", two_people: "two people", city: "the city" };
  tell(`Record ${done.number} committed on the word of ${words[done.authority]}${done.confirm_before ? ": old and new protect together until it is confirmed" : ", in force"}`, true);
  base = "";
  drawnFrom = JSON.stringify(editor.zones());
  show(await (await fetch("api/state")).json());
}

// --- place: points on picture and map, fit, placement ---

let chosen = 0;  // the point that the next place in picture or map is for
function listPoints() {
  const table = make("table"), head = make("tr");
  head.append(...["point", "in the picture", "longitude latitude"].map((t) => make("th", t, { scope: "col" })), make("td"));
  table.append(head);
  points.forEach((point, index) => {
    const row = make("tr", "", index === chosen ? { "aria-current": "true" } : {});
    const cell = (value, label, set, place) => {
      const input = make("input", "", { "aria-label": `${label} of point ${index + 1}`, value });
      input.addEventListener("change", () => { set(input.value.trim()); drawPoints(); });
      const td = make("td");
      td.append(input);
      if (place) {
        const button = make("button", "⌖", { type: "button", title: "Set", "aria-label": `Set point ${point.name} ${place === pickInPicture ? "in the picture" : "on the map"}` });
        button.addEventListener("click", () => place(index));
        td.append(button);
      }
      return td;
    };
    const [wide, high] = editor.size;
    row.append(
      cell(point.name, "Name", (text) => { point.name = text.replace(/\s+/g, "-") || point.name; }),
      cell(point.at ? `${(point.at[0] * wide).toFixed(1)} ${(point.at[1] * high).toFixed(1)}` : "", "Pixels", (text) => { const [x, y] = text.split(/[\s,]+/).map(Number); if (x >= 0 && y >= 0) point.at = [x / wide, y / high]; }, pickInPicture),
      cell(point.place ? point.place.join(" ") : "", "Place", (text) => { const place = text.split(/[\s,]+/).map(Number); if (place.length === 2 && place.every(Number.isFinite)) { point.place = place; point.xy = null; } }, pickOnMap),
    );
    const gone = make("button", "×", { type: "button", "aria-label": `Delete point ${point.name}` });
    gone.addEventListener("click", () => { points.splice(index, 1); chosen = Math.max(0, Math.min(chosen, points.length - 1)); listPoints(); drawPoints(); });
    const td = make("td");
    td.append(gone);
    row.append(td);
    table.append(row);
  });
  fill($("points"), points.length ? [table] : []);
}

function pickInPicture(index) {
  chosen = index;
  const { name, at } = points[index];
  listPoints();
  editor.mark(at);
  said(`Where is ${name} in the picture? Click, or move the cross with the arrow keys and press Space.`);
}

function pickOnMap(index) {
  chosen = index;
  const { name, xy } = points[index];
  listPoints();
  if (xy) [mapCross[0], mapCross[1]] = xy;
  drawMap();
  $("map").focus();
  said(`Where is ${name} on the map? Click, or move the cross with the arrow keys and press Enter.`);
}

function drawPoints() {
  editor.marks = points.map(({ name, at }) => ({ name, at }));
  editor.draw();
  drawMap();
}

$("add-point").addEventListener("click", () => {
  let number = points.length + 1;
  while (points.some((p) => p.name === `p${number}`)) number += 1;
  points.push({ name: `p${number}`, at: null, place: null });
  pickInPicture(points.length - 1);
});

function markPoint(at) {
  const point = points[chosen];
  if (!point) return;
  point.at = at;
  drawPoints();
  if (point.place) { listPoints(); said(`${point.name} put there`); } else pickOnMap(chosen);
}

const mapCross = [0, 0];
function drawMap() {
  const svg = $("map");
  svg.replaceChildren();
  if (!map || !map.origin) { node("text", { x: 10, y: 20, "font-size": 12 }, svg).textContent = map ? "no register and no calibration yet" : "not loaded"; svg.setAttribute("viewBox", "0 0 340 250"); return; }
  const reach = mapReach;
  // The cross stays in view: the map goes with it.
  mapAt[0] = Math.min(mapCross[0] + reach * 0.85, Math.max(mapCross[0] - reach * 0.85, mapAt[0]));
  mapAt[1] = Math.min(mapCross[1] + reach * 0.3, Math.max(mapCross[1] - reach * 0.95, mapAt[1]));
  const left = mapAt[0] - reach * 0.9, top = -mapAt[1] - reach;
  svg.setAttribute("viewBox", `${left} ${top} ${reach * 1.8} ${reach * 1.32}`);
  const ring = (rings) => rings.map((r) => "M" + r.map(([x, y]) => `${x} ${-y}`).join("L") + "Z").join("");
  for (const site of map.sites) for (const part of ["taint", "lanes", "core", "grounds"]) if (site[part].length) node("path", { d: ring(site[part]), class: part, "fill-rule": "evenodd" }, svg);
  if (map.camera) {
    const edge = (deg) => { const a = (map.camera.heading_deg + deg) * Math.PI / 180; return `${Math.sin(a) * reach * 1.5} ${-Math.cos(a) * reach * 1.5}`; };
    const half = map.camera.hfov_deg / 2;
    node("path", { d: `M0 0L${edge(-half)}L${edge(half)}Z`, class: "view" }, svg);
    node("circle", { cx: 0, cy: 0, r: reach / 60, class: "camera" }, svg);
  }
  for (const { name, xy } of points) if (xy) {
    node("circle", { cx: xy[0], cy: -xy[1], r: reach / 55, class: "mark" }, svg);
    node("text", { x: xy[0] + reach / 40, y: -xy[1], "font-size": reach / 16 }, svg).textContent = name;
  }
  node("path", { d: `M${mapCross[0] - reach / 30} ${-mapCross[1]}h${reach / 15}M${mapCross[0]} ${-mapCross[1] - reach / 30}v${reach / 15}`, stroke: "#b3001b" }, svg);
  node("text", { x: left + reach * 1.76, y: top + reach * 0.1, "font-size": reach / 14, "text-anchor": "end" }, svg).textContent = "N ↑";
}
let mapReach = 60;
const mapAt = [0, 0];

async function placePoint(x, y) {
  const point = points[chosen];
  if (!point || !map || !map.origin) return;
  point.xy = [x, y];
  point.place = await ask("place", { origin: map.origin, x, y });
  listPoints();
  drawPoints();
  said(`Point ${point.name} is at ${point.place.join(" ")}`);
}
const onMap = (event) => new DOMPoint(event.clientX, event.clientY).matrixTransform($("map").getScreenCTM().inverse());
let panned = false;
$("map").addEventListener("pointerdown", (event) => {
  // Dragged, the map moves, and the cross with it; a click takes a place.
  const start = [event.clientX, event.clientY], at = [...mapAt], cross = [...mapCross], unit = 1 / $("map").getScreenCTM().a;
  panned = false;
  const move = (now) => {
    const [dx, dy] = [(now.clientX - start[0]) * unit, (now.clientY - start[1]) * unit];
    panned ||= Math.hypot(now.clientX - start[0], now.clientY - start[1]) > 4;
    if (!panned) return;
    [mapAt[0], mapAt[1], mapCross[0], mapCross[1]] = [at[0] - dx, at[1] + dy, cross[0] - dx, cross[1] + dy];
    drawMap();
  };
  const up = () => { window.removeEventListener("pointermove", move); window.removeEventListener("pointerup", up); };
  window.addEventListener("pointermove", move);
  window.addEventListener("pointerup", up);
});
$("map").addEventListener("click", (event) => {
  if (panned) return;
  const at = onMap(event);
  mapCross[0] = at.x; mapCross[1] = -at.y;
  placePoint(at.x, -at.y);
});
$("map").addEventListener("wheel", (event) => { event.preventDefault(); mapReach = Math.min(150, Math.max(10, mapReach * (event.deltaY < 0 ? 0.85 : 1.18))); drawMap(); }, { passive: false });
$("map").addEventListener("keydown", (event) => {
  const step = mapReach / (event.shiftKey ? 20 : 200);
  const way = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
  if (way) { mapCross[0] += way[0]; mapCross[1] += way[1]; drawMap(); } else if (event.key === "Enter") placePoint(...mapCross);
  else if (event.key === "+") { mapReach *= 0.85; drawMap(); } else if (event.key === "-") { mapReach *= 1.18; drawMap(); } else return;
  event.preventDefault();
});
$("load-map").addEventListener("click", () => doing($("load-map"), async () => { map = await ask("map"); drawMap(); }));

function answers() {
  const [wide, high] = editor.size;
  const lines = points.filter((p) => p.at && p.place).map((p) => `${p.name} ${p.place[0]} ${p.place[1]} 0 ${(p.at[0] * wide).toFixed(1)} ${(p.at[1] * high).toFixed(1)}`);
  return [["camera", (state.about && state.about.camera) || "camera"], ["frame", `${wide}x${high}`], ["lens", $("lens").value], ["position", $("position").value], ["height", $("height").value], ["method", "points"], ...lines.map((line) => ["points", line]), ["points", "done"]];
}
$("fit").addEventListener("click", () => doing($("fit"), async () => {
  const found = await ask("fit", { answers: answers() });
  const box = $("fitted");
  if (found.problem) { fill(box, [make("p", found.problem)]); return; }
  const table = make("table");
  for (const one of found.residuals) { const row = make("tr"); row.append(make("td", one.name), make("td", `${one.off_px[0]} ${one.off_px[1]} px`, { class: "n" }), make("td", one.used ? "" : "left out")); table.append(row); }
  fill(box, [make("p", `Off by ${found.rms_px} px on average; heading ${found.heading_deg}°, tilt ${found.tilt_deg}°, ${found.height_m} m high`), table, ...found.warnings.map((line) => make("p", line))]);
}));
$("save-fit").addEventListener("click", () => doing($("save-fit"), async () => {
  const done = await ask("calibrate", { answers: answers() });
  tell(`Calibration saved on the unit${done && done.rms_px !== undefined ? `: off by ${done.rms_px} px` : ""}`, true);
}));

$("map-masks").addEventListener("click", () => doing($("map-masks"), async () => {
  const found = await ask("map_masks");
  const { masks = [], bands = [] } = found.zones;
  if (!masks.length && !bands.length) { tell(`The map asks for no mask here: ${found.text}`, true); return; }
  editor.add(found.zones);
  tabs("masks");
  tell("Masks from the map are in the drawing: look at them, then commit", true);
}));

$("check-place").addEventListener("click", () => doing($("check-place"), async () => {
  const found = await ask("placement"), box = $("placement");
  const bad = found.verdict === "must_not_stand";
  const lines = [make("strong", found.text || found.verdict || "not checked"), ...(found.reasons || []).map((line) => make("p", line))];
  if (found.far_m) lines.push(make("p", `Plates can be read from ${found.near_m} to ${found.far_m} m`));
  for (const text of found.suggestions || []) lines.push(make("p", `Better: ${text}`));
  box.className = bad ? "narrower" : "wider";
  fill(box, lines);
}));

// --- self-test ---

const TESTED = { at: "tested at", finding: "what is wrong", read: "read beside the masks", painted: "drawn beside the masks", hidden: "drawn behind the masks", note: "note" };
const FINDINGS = {
  a_masked_pixel_shows: "a pixel behind a mask is not black: do not leave the unit so, tell the maker",
  read_behind_the_mask: "a plate behind a mask was read: do not leave the unit so, tell the maker",
  passed_on_the_band: "a plate on the band was not suppressed: do not leave the unit so, tell the maker",
  not_read_beside_the_mask: "too few plates beside the masks were read: look at light, focus and the lens, then run it again",
};

$("run-test").addEventListener("click", () => doing($("run-test"), async () => {
  const before = JSON.stringify(await ask("self_test"));
  await ask("run_self_test");
  said("Self-test is running");
  let found = {};
  for (let i = 0; i < 30; i++) {
    found = await ask("self_test");
    if (["passed", "failed"].includes(found.state) && JSON.stringify(found) !== before) break;
    await new Promise((done) => setTimeout(done, 1000));
  }
  const table = make("table");
  for (const [key, value] of Object.entries(found)) {
    if (key === "state" || value === null || value === "") continue;
    const row = make("tr");
    row.append(make("th", TESTED[key] || key, { scope: "row" }), make("td", FINDINGS[value] || String(value).replace(/(T\d\d:\d\d:\d\d)\.\d+/, "$1")));
    table.append(row);
  }
  const box = $("tested");
  box.className = found.state === "passed" ? "wider" : "narrower";
  fill(box, [make("strong", found.state === "passed" ? "Passed" : `Not passed: ${found.state}`), ...(found.state === "passed" && !found.note ? [make("p", "Behind the masks nothing was seen, beside them it could see.")] : []), table]);
  await picture();
  $("test-picture").src = `api/still.jpg?${Date.now()}`;
  $("test-picture").alt = "The view after the test: what is protected is black";
  $("test-picture").hidden = false;
}));

// --- tabs ---

const NAMES = ["masks", "commit", "place", "test"];
let current = "masks";
function tabs(name) {
  if (name !== current) tell("");
  current = name;
  for (const one of NAMES) {
    const tab = $(`tab-${one}`), here = one === name;
    tab.setAttribute("aria-selected", String(here));
    tab.tabIndex = here ? 0 : -1;
    $(`panel-${one}`).hidden = !here || !state.person;
  }
  if (name === "place") { listPoints(); drawMap(); }
}
for (const name of NAMES) {
  $(`tab-${name}`).addEventListener("click", () => tabs(name));
  $(`tab-${name}`).addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = NAMES[(NAMES.indexOf(name) + step + NAMES.length) % NAMES.length];
    tabs(next);
    $(`tab-${next}`).focus();
  });
}

tabs("masks");
poll();
