// The drawing: polygons, bands and gate lines over the picture, with mouse, touch and keyboard.
// Coordinates are parts of the frame, 0..1; on screen they are pixels of the frame.

const SVG = "http://www.w3.org/2000/svg";
const LISTS = { mask: "masks", band: "bands", gate: "gates" };

export function node(name, values = {}, parent = null) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(values)) made.setAttribute(key, value);
  if (parent) parent.append(made);
  return made;
}

const clamp = (value, low = 0, high = 1) => Math.min(high, Math.max(low, value));

export class Editor {
  constructor(svg, { changed, picked, said, marked, dragged }) {
    this.svg = svg;
    this.told = { changed, picked, said, marked, dragged };
    this.size = [1920, 1080];
    this.shapes = [];
    this.rest = { margin: 0, band: 0, whole_frame: false, nothing_protected: false };
    this.at = null;            // index of the picked shape
    this.drawing = null;       // {kind, points}
    this.marking = false;      // the next click is a place in the picture
    this.cross = [0.5, 0.5];
    this.undone = [];
    this.marks = [];
    this.part = (id) => svg.querySelector("#" + id);
    this.fit();
    svg.addEventListener("pointerdown", (e) => this.down(e));
    svg.addEventListener("pointermove", (e) => this.hover(e));
    svg.addEventListener("dblclick", (e) => { if (this.drawing) { e.preventDefault(); this.finish(); } });
    svg.addEventListener("wheel", (e) => { e.preventDefault(); this.zoom(e.deltaY < 0 ? 1.2 : 1 / 1.2, this.place(e)); }, { passive: false });
    svg.addEventListener("keydown", (e) => this.key(e));
  }

  // --- what is drawn ---

  zones() {
    const of = (kind) => this.shapes.filter((s) => s.kind === kind);
    const zones = { masks: of("mask").map((s) => ({ name: s.name, polygon: s.points, ...(s.holes.length ? { holes: s.holes } : {}) })) };
    if (of("band").length) zones.bands = of("band").map((s) => ({ name: s.name, polygon: s.points }));
    if (of("gate").length) zones.gates = of("gate").map((s) => ({ name: s.name, line: s.points, taints: s.taints }));
    for (const [key, value] of Object.entries(this.rest)) if (value) zones[key] = value;
    return zones;
  }

  load(zones) {
    this.shapes = [];
    for (const [kind, list] of Object.entries(LISTS)) {
      for (const one of (zones && zones[list]) || []) {
        this.shapes.push({ kind, name: one.name, points: (one.polygon || one.line).map((p) => [...p]), holes: one.holes || [], taints: one.taints || "both" });
      }
    }
    this.rest = { margin: 0, band: 0, whole_frame: false, nothing_protected: false };
    for (const key of Object.keys(this.rest)) if (zones && zones[key]) this.rest[key] = zones[key];
    this.at = null;
    this.drawing = null;
    this.undone = [];
    this.draw();
    this.told.changed(false);
    this.told.picked();
  }

  // Shapes that come to those that are drawn; one of the same kind and name is replaced.
  add(zones) {
    this.keep();
    for (const [kind, list] of Object.entries(LISTS)) {
      for (const one of zones[list] || []) {
        this.shapes = this.shapes.filter((s) => s.kind !== kind || s.name !== one.name);
        this.shapes.push({ kind, name: one.name, points: (one.polygon || one.line).map((p) => [...p]), holes: one.holes || [], taints: one.taints || "both" });
      }
    }
    for (const key of ["margin", "band"]) this.rest[key] = Math.max(this.rest[key], zones[key] || 0);
    this.rest.nothing_protected = false;
    this.pick(null);
    this.change("Masks added");
  }

  // The next click, or Space, is a place in the picture.
  mark(at) {
    if (at) this.cross = [...at];
    this.drawing = null;
    this.marking = true;
    this.svg.classList.add("draw");
    this.svg.focus();
    this.draw();
  }

  frame(size) {
    if (size[0] === this.size[0] && size[1] === this.size[1]) return;
    this.size = size;
    this.fit();
    this.draw();
  }

  picture(url) {
    const image = this.part("image");
    image.setAttribute("href", url);
    image.setAttribute("width", this.size[0]);
    image.setAttribute("height", this.size[1]);
  }

  keep() {
    this.undone.push(JSON.stringify([this.shapes, this.rest]));
    if (this.undone.length > 100) this.undone.shift();
  }

  undo() {
    const before = this.undone.pop();
    if (!before) return this.told.said("Nothing to undo");
    [this.shapes, this.rest] = JSON.parse(before);
    this.pick(this.at !== null && this.at < this.shapes.length ? this.at : null);
    this.change("Undone");
  }

  change(said) {
    this.draw();
    this.told.changed(true);
    if (said) this.told.said(said);
  }

  pick(index) {
    this.at = index;
    this.draw();
    this.told.picked();
  }

  start(kind) {
    this.drawing = { kind, points: [] };
    this.at = null;
    this.svg.classList.add("draw");
    this.svg.focus();
    this.draw();
    this.told.picked();
    this.told.said(`New ${kind}: click its corners, or move the cross with the arrow keys and press Space. Enter ends, Escape gives up.`);
  }

  finish() {
    const { kind, points } = this.drawing;
    const kept = points.filter((p, i) => i === 0 || p[0] !== points[i - 1][0] || p[1] !== points[i - 1][1]);
    if (kept.length < (kind === "gate" ? 2 : 3)) return this.told.said("Too few corners");
    this.stop();
    this.keep();
    let number = 1;
    while (this.shapes.some((s) => s.name === `${kind} ${number}`)) number += 1;
    this.shapes.push({ kind, name: `${kind} ${number}`, points: kept, holes: [], taints: "both" });
    this.rest.nothing_protected = false;
    this.pick(this.shapes.length - 1);
    this.change(`${kind} ${number} drawn`);
  }

  stop() {
    this.drawing = null;
    this.marking = false;
    this.svg.classList.remove("draw");
    this.draw();
    this.told.picked();
  }

  remove() {
    if (this.at === null) return;
    this.keep();
    const [gone] = this.shapes.splice(this.at, 1);
    this.pick(null);
    this.change(`${gone.name} deleted`);
    this.svg.focus();
  }

  set(values) {
    this.keep();
    if (this.at !== null) Object.assign(this.shapes[this.at], values);
    this.change();
    this.told.picked();
  }

  // --- mouse and touch ---

  place(event) {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    return [point.x / this.size[0], point.y / this.size[1]];
  }

  down(event) {
    if (event.button !== 0) return;
    const at = this.place(event).map((v) => clamp(v));
    if (this.marking) {
      this.stop();
      this.told.marked(at);
      return;
    }
    if (this.drawing) {
      this.drawing.points.push(at);
      this.draw();
      return;
    }
    const { corner, middle, shape, mark } = event.target.dataset;
    if (mark !== undefined) {
      this.drag(event, (now) => { this.marks[mark].at = now.map((v) => clamp(v)); this.draw(); }, true, () => this.told.dragged(Number(mark), this.marks[mark].at));
      return;
    }
    if (corner !== undefined || middle !== undefined) {
      const points = this.shapes[this.at].points;
      let index = Number(corner ?? middle);
      this.keep();
      if (middle !== undefined) points.splice((index += 1), 0, at);
      this.drag(event, (now) => { points[index] = now.map((v) => clamp(v)); });
    } else if (shape !== undefined) {
      this.pick(Number(shape));
      const one = this.shapes[this.at], before = JSON.stringify(one.points);
      this.keep();
      this.drag(event, (now) => this.shift(one, JSON.parse(before), now[0] - at[0], now[1] - at[1]));
    } else {
      const view = [...this.view], x = event.clientX, y = event.clientY;
      const unit = 1 / this.svg.getScreenCTM().a;
      this.drag(event, (now, e) => {
        this.view[0] = view[0] - (e.clientX - x) * unit;
        this.view[1] = view[1] - (e.clientY - y) * unit;
        this.show();
      }, true);
    }
  }

  drag(event, move, panning = false, ended = () => {}) {
    event.preventDefault();
    this.svg.focus();
    let moved = false;
    const onMove = (e) => { moved = true; move(this.place(e), e); if (!panning) this.draw(); };
    const onUp = () => {
      window.removeEventListener("pointermove", onMove);
      window.removeEventListener("pointerup", onUp);
      if (moved) ended();
      else if (panning && this.at !== null && event.target.dataset.mark === undefined) this.pick(null);
      if (!panning) { if (moved) this.change(); else this.undone.pop(); this.draw(); }
    };
    window.addEventListener("pointermove", onMove);
    window.addEventListener("pointerup", onUp);
  }

  shift(shape, points, dx, dy) {
    // The whole shape stops at the frame's edge: what leaves it would be cut off.
    const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
    dx = clamp(dx, -Math.min(...xs), 1 - Math.max(...xs));
    dy = clamp(dy, -Math.min(...ys), 1 - Math.max(...ys));
    if (shape.holes.length) return;  // a hole moves with its mask only by numbers
    shape.points = points.map(([x, y]) => [clamp(x + dx), clamp(y + dy)]);
  }

  hover(event) {
    if (!this.drawing) return;
    this.cross = this.place(event).map((v) => clamp(v));
    this.draw();
  }

  // --- keys ---

  key(event) {
    const big = event.shiftKey ? 10 : 1;
    const step = { ArrowLeft: [-big, 0], ArrowRight: [big, 0], ArrowUp: [0, -big], ArrowDown: [0, big] }[event.key];
    const corner = event.target.dataset ? event.target.dataset.corner : undefined;
    if (event.ctrlKey || event.metaKey) {
      if (event.key === "z") { event.preventDefault(); this.undo(); }
      return;
    }
    if (this.drawing || this.marking) {
      if (step) {
        const far = event.shiftKey ? 5 : 1;
        this.cross = [clamp(this.cross[0] + step[0] * far / this.size[0]), clamp(this.cross[1] + step[1] * far / this.size[1])];
        this.draw();
      } else if (event.key === " ") {
        if (this.marking) { const at = this.cross; this.stop(); this.told.marked(at); }
        else { this.drawing.points.push([...this.cross]); this.draw(); this.told.said(`Corner ${this.drawing.points.length} at ${this.px(this.cross)}`); }
      } else if (event.key === "Enter" && this.drawing) this.finish();
      else if (event.key === "Backspace" && this.drawing) { this.drawing.points.pop(); this.draw(); }
      else if (event.key === "Escape") { this.stop(); this.told.said("Given up"); }
      else return;
      event.preventDefault();
      return;
    }
    if (corner !== undefined && this.at !== null) {
      const shape = this.shapes[this.at], index = Number(corner), points = shape.points;
      if (step) {
        this.keep();
        points[index] = [clamp(points[index][0] + step[0] / this.size[0]), clamp(points[index][1] + step[1] / this.size[1])];
        this.change(this.px(points[index]));
      } else if (event.key === "Insert" || event.key === "i") {
        this.keep();
        const next = points[(index + 1) % points.length];
        points.splice(index + 1, 0, [(points[index][0] + next[0]) / 2, (points[index][1] + next[1]) / 2]);
        this.change("Corner added");
      } else if (event.key === "Delete" || event.key === "Backspace") {
        if (points.length <= (shape.kind === "gate" ? 2 : 3)) return this.told.said("It needs the corners that it has");
        this.keep();
        points.splice(index, 1);
        this.change("Corner deleted");
      } else if (event.key === "Escape") { this.svg.focus(); return this.pick(null); }
      else return;
      event.preventDefault();
      const again = this.part("handles").querySelector(`[data-corner="${Math.min(index, points.length - 1)}"]`);
      if (again) again.focus();
      return;
    }
    if (step && this.at !== null) {
      this.keep();
      const shape = this.shapes[this.at];
      this.shift(shape, shape.points, step[0] / this.size[0], step[1] / this.size[1]);
      this.change();
    } else if (step) {
      this.view[0] += step[0] * 20; this.view[1] += step[1] * 20;
      this.show();
    } else if (event.key === "Delete") this.remove();
    else if (event.key === "+") this.zoom(1.2);
    else if (event.key === "-") this.zoom(1 / 1.2);
    else if (event.key === "0") this.fit();
    else if ("mbg".includes(event.key) && event.key.length === 1) this.start({ m: "mask", b: "band", g: "gate" }[event.key]);
    else return;
    event.preventDefault();
  }

  px([x, y]) { return `${Math.round(x * this.size[0])}, ${Math.round(y * this.size[1])}`; }

  // --- view ---

  fit() {
    this.view = [0, 0, this.size[0], this.size[1]];
    this.show();
  }

  zoom(by, about = [(this.view[0] + this.view[2] / 2) / this.size[0], (this.view[1] + this.view[3] / 2) / this.size[1]]) {
    const [x, y, wide, high] = this.view;
    const now = clamp(wide / by, this.size[0] / 40, this.size[0] * 1.5), scale = now / wide;
    const px = about[0] * this.size[0], py = about[1] * this.size[1];
    this.view = [px - (px - x) * scale, py - (py - y) * scale, now, high * scale];
    this.show();
  }

  show() {
    this.svg.setAttribute("viewBox", this.view.join(" "));
    this.draw();
  }

  // --- drawing ---

  line(points, closed) {
    return "M" + points.map(([x, y]) => `${(x * this.size[0]).toFixed(2)} ${(y * this.size[1]).toFixed(2)}`).join("L") + (closed ? "Z" : "");
  }

  outline(parent, shape, extra = {}) {
    const closed = shape.kind !== "gate";
    const d = [shape.points, ...shape.holes].map((ring) => this.line(ring, closed)).join("");
    return node("path", { d, "fill-rule": "evenodd", ...extra }, parent);
  }

  arrow(parent, { points: [a, b], taints }, unit) {
    // Which crossing taints; left is the upper side of a line from left to right.
    const [wide, high] = this.size, x = (a[0] + b[0]) / 2 * wide, y = (a[1] + b[1]) / 2 * high;
    const dx = (b[0] - a[0]) * wide, dy = (b[1] - a[1]) * high, long = Math.hypot(dx, dy) || 1;
    const sign = taints === "left_to_right" ? 1 : -1, nx = -dy / long * sign, ny = dx / long * sign, r = 26 * unit;
    const tip = [x + nx * r, y + ny * r], side = (s) => `${tip[0] - nx * 9 * unit + s * dx / long * 7 * unit} ${tip[1] - ny * 9 * unit + s * dy / long * 7 * unit}`;
    node("path", { class: "arrow", d: `M${x - nx * r} ${y - ny * r}L${tip.join(" ")}M${side(-1)}L${tip.join(" ")}L${side(1)}` }, parent);
  }

  old(zones) {
    const group = this.part("old");
    group.replaceChildren();
    for (const [kind, list] of Object.entries(LISTS)) {
      for (const one of (zones && zones[list]) || []) {
        this.outline(group, { kind, points: one.polygon || one.line, holes: one.holes || [] }, { class: "was" });
      }
    }
  }

  draw() {
    const [wide, high] = this.size, unit = this.view[2] / 900;
    const rect = this.part("ground-rect");
    rect.setAttribute("width", wide);
    rect.setAttribute("height", high);
    const image = this.part("image");
    image.setAttribute("width", wide);
    image.setAttribute("height", high);
    const shapes = this.part("shapes");
    shapes.replaceChildren();
    this.shapes.forEach((shape, index) => {
      this.outline(shapes, shape, { class: `shape ${shape.kind}${index === this.at ? " picked" : ""}`, "data-shape": index });
      if (shape.kind === "gate" && shape.taints !== "both") this.arrow(shapes, shape, unit);
    });
    const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.corner : undefined;
    const handles = this.part("handles");
    handles.replaceChildren();
    if (this.at !== null && this.shapes[this.at]) {
      const { points, kind, name } = this.shapes[this.at];
      const sides = kind === "gate" ? points.length - 1 : points.length;
      for (let i = 0; i < sides; i++) {
        const next = points[(i + 1) % points.length];
        node("circle", { class: "middle", "data-middle": i, r: 4 * unit, cx: (points[i][0] + next[0]) / 2 * wide, cy: (points[i][1] + next[1]) / 2 * high }, handles);
      }
      points.forEach((p, i) => {
        node("circle", { class: "handle", "data-corner": i, r: 7 * unit, cx: p[0] * wide, cy: p[1] * high, tabindex: 0, role: "button",
          "aria-label": `Corner ${i + 1} of ${points.length} of ${name}, ${this.px(p)}` }, handles);
      });
    }
    if (focused !== undefined) (handles.querySelector(`[data-corner="${focused}"]`) || this.svg).focus();
    const draft = this.part("draft");
    draft.replaceChildren();
    if (this.drawing) {
      const points = [...this.drawing.points, this.cross];
      node("path", { class: "draft", d: this.line(points, this.drawing.kind !== "gate" && points.length > 2) }, draft);
    }
    const cross = this.part("cross");
    cross.replaceChildren();
    cross.toggleAttribute("hidden", !(this.drawing || this.marking));
    const [x, y] = [this.cross[0] * wide, this.cross[1] * high];
    node("path", { class: "cross", d: `M${x - 14 * unit} ${y}h${28 * unit}M${x} ${y - 14 * unit}v${28 * unit}` }, cross);
    const marks = this.part("marks");
    marks.replaceChildren();
    for (const [index, { name, at }] of this.marks.entries()) {
      if (!at) continue;
      node("circle", { class: "mark", "data-mark": index, cx: at[0] * wide, cy: at[1] * high, r: 5 * unit }, marks);
      node("text", { class: "mark-name", x: at[0] * wide + 8 * unit, y: at[1] * high - 6 * unit, "font-size": 14 * unit }, marks).textContent = name;
    }
  }
}
