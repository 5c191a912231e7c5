// The way of one packet as a drawing: VPC ⊃ subnet ⊃ node around its stations, tunnels as pipes, the packet as a parcel.
import { replace, s } from "./dom.js";
import { columns } from "./path.js";
import { SIGNS, fate, protocol } from "./words.js";

const [HEIGHT, MIDDLE, HALF, GAP] = [236, 142, 46, 22];
const TRACK = { request: -14, reply: 14 };
const FRAMES = [["vpc", 8, 76], ["subnet", 34, 66], ["node", 60, 56]];       // class, top, air at the sides

const short = (text, most) => (text.length > most ? `${text.slice(0, most - 6)}…${text.slice(-5)}` : text);
const outer = (step) => step.headers.find((header) => header.layer === "outer");

// Where stations stand: both rows of a lock-step in common columns.
export function positions(rows) {
  const row = rows.length === 2 ? columns(...rows).map(([one, other]) => one ?? other) : rows[0];
  let x = 86;
  return new Map(row.map((station, index) => {
    const before = row[index - 1];
    if (index) {
      x += 2 * HALF + GAP;
      for (const frame of ["node", "subnet", "vpc"]) if (before.where[frame] !== station.where[frame]) x += 10;
    }
    return [station.key, x];
  }));
}

function frames(row, xs) {
  const drawn = [];
  for (const [name, top, air] of FRAMES) {
    let start = 0;
    for (let index = 1; index <= row.length; index += 1) {
      if (index < row.length && row[index].where[name] === row[start].where[name] && row[index].where.vpc === row[start].where.vpc) continue;
      const inside = row[start].where[name];
      if (inside) {
        const [left, right] = [xs[start] - air, xs[index - 1] + air];
        const zone = name === "subnet" && row[start].where.zone && row[start].where.zone !== inside ? ` · ${row[start].where.zone}` : "";
        drawn.push(s(
          "g", { class: `frame ${name}` },
          s("rect", { x: left, y: top, width: right - left, height: HEIGHT - top - (top / 4), rx: 10 }),
          s("text", { x: left + 10, y: top + 17 }, short(`${name === "vpc" ? "VPC" : name} ${inside}${zone}`, Math.floor((right - left) / 7.6)))));
      }
      start = index;
    }
  }
  return drawn;
}

function station(one, x) {
  return s(
    "g", { class: `station ${one.kind}` }, s("title", {}, `${one.title} ${one.note}`.trim()),
    s("rect", { x: x - HALF, y: MIDDLE - 34, width: 2 * HALF, height: 68, rx: one.kind === "pod" || one.kind === "outside" ? 16 : 6 }),
    s("text", { x, y: MIDDLE + 54 }, short(one.title, 15)));
}

function leg(from, to, way, wrap, name, dead) {
  const y = MIDDLE + TRACK[way];
  const line = { x1: from, y1: y, x2: to, y2: y };
  return s(
    "g", { class: `leg ${way} ${wrap || "plain"} ${dead ? "lost" : ""}`, "data-leg": name },
    wrap && s("line", { ...line, class: "pipe" }), wrap && s("line", { ...line, class: "bore" }), s("line", { ...line, class: "core" }));
}

export class Scene {
  // row and at: the stations of the steps; places: where stations stand
  constructor(all, { row, at }, columnsOf, encaps, title) {
    this.all = all;
    this.at = at;
    this.xs = row.map((one) => columnsOf.get(one.key));
    this.encaps = encaps;
    const width = Math.max(...columnsOf.values()) + 86;
    const legs = all.slice(1).map((entry, index) => {
      const before = all[index];
      if (entry.way !== before.way || at[index] === at[index + 1]) return null;
      const wrap = outer(before.step) && outer(entry.step) ? this.wrapOf(entry.step) : "";
      return leg(this.xs[at[index]], this.xs[at[index + 1]], entry.way, wrap, index + 1, entry.last && entry.journey.verdict === "dropped");
    });
    this.legs = legs.filter(Boolean);
    this.parcel = s("g", { class: "parcel" });
    this.element = s(
      "svg", { class: "scene", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": title },
      s("title", {}, title), frames(row, this.xs), row.map((one, index) => station(one, this.xs[index])), this.legs, this.parcel);
    this.element.style.minWidth = `${Math.min(width, 560)}px`;
    this.element.style.maxWidth = `${width * 1.3}px`;
  }

  wrapOf(step) {
    const header = outer(step);
    if (!header) return "";
    return header.protocol === 4 ? "ipip" : "vxlan";
  }

  show(number) {
    const entry = this.all[number];
    for (const one of this.legs) one.classList.toggle("done", Number(one.dataset.leg) <= number);
    const x = this.xs[this.at[number]];
    const y = MIDDLE + TRACK[entry.way];
    const wrap = this.wrapOf(entry.step);
    const inner = entry.step.headers.find((header) => header.layer === "inner") ?? entry.step.headers[0];
    const end = entry.last ? fate(entry.journey.verdict) : null;
    this.parcel.style.transform = `translate(${x}px, ${y}px)`;
    replace(
      this.parcel,
      wrap ? s("rect", { class: `wrap ${wrap}`, x: -38, y: -19, width: 76, height: 38, rx: 6 }) : null,
      wrap ? s("text", { class: "wrapword", y: -22 }, this.encaps[wrap].title) : null,
      s("rect", { class: `packet ${end ?? ""}`, x: -29, y: -12, width: 58, height: 24, rx: 4 }),
      s("text", { class: "packetword", y: 5 }, `${end ? `${SIGNS[end]} ` : ""}${inner ? protocol(inner.protocol).replace("protocol", "IP") : "packet"}`));
  }
}
