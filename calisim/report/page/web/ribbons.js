// Traffic as ribbons between boxes: width by bytes, colour and pattern by fate, a pipe around what is encapsulated.
import { s } from "./dom.js";
import { SIGNS, bytes, fate, number } from "./words.js";

const WIDEST = 16;
const MOST = 160;

const between = (one, other, t) => [one[0] + (other[0] - one[0]) * t, one[1] + (other[1] - one[1]) * t];

// The first part of a cubic curve, up to t.
function until(curve, t) {
  const [a, b, c, d] = curve;
  const [ab, bc, cd] = [between(a, b, t), between(b, c, t), between(c, d, t)];
  const [abc, bcd] = [between(ab, bc, t), between(bc, cd, t)];
  return [a, ab, abc, between(abc, bcd, t)];
}

const text = ([a, b, c, d]) => `M${a.map(Math.round)} C${[...b, ...c, ...d].map((value) => value.toFixed(1)).join(" ")}`;

// What a place is drawn as when subnets are shown: the box of its subnet, or itself.
export function boxNames(map) {
  const names = map.nodes.map((node) => `node/${node.name}`);
  for (const vpc of map.vpcs) for (const subnet of vpc.subnets) for (const node of subnet.nodes) names[node] = `subnet/${subnet.name}`;
  return [...names, ...map.hosts.map((host) => host.name), "outside"];
}

export function flowsOf(rows, outcomes, names) {
  const found = rows.map(([sender, receiver, end, outcome, packets, sent, wire]) => ({
    from: names[sender], to: names[receiver], end, outcome: outcomes[outcome], packets, sent, wire }));
  return found.sort((one, other) => other.sent - one.sent || one.from.localeCompare(other.from));
}

// Where on the edges of their boxes ribbons begin and end, so that they cross as little as may be.
function anchors(flows, boxes) {
  const ends = new Map();
  const add = (name, flow, side, towards) => {
    if (!ends.has(name)) ends.set(name, []);
    ends.get(name).push({ flow, side, towards });
  };
  const middle = (name) => boxes.get(name).x + boxes.get(name).w / 2;
  for (const flow of flows) {
    if (flow.from === flow.to) continue;
    add(flow.from, flow, "start", middle(flow.to));
    add(flow.to, flow, "finish", middle(flow.from));
  }
  for (const [name, list] of ends) {
    const box = boxes.get(name);
    list.sort((one, other) => one.towards - other.towards || (one.side < other.side ? 1 : -1));
    list.forEach(({ flow, side }, index) => { flow[side] = box.x + box.w * (0.08 + (0.84 * (index + 0.5)) / list.length); });
  }
}

function curveOf(flow, boxes, loops) {
  const [one, other] = [boxes.get(flow.from), boxes.get(flow.to)];
  if (flow.from === flow.to) {
    const place = loops.get(flow.from) ?? 0;
    loops.set(flow.from, place + 1);
    const x = one.x + one.w * (0.16 + 0.3 * (place % 3));
    const y = one.y + one.h;
    const w = one.w * 0.14;
    return [[x, y], [x, y + 44], [x + w, y + 44], [x + w, y]];
  }
  const [start, finish] = [flow.start, flow.finish];
  if (one.y === other.y || flow.from.startsWith("subnet/") === flow.to.startsWith("subnet/")) {
    const rise = 152 + Math.min(26, Math.abs(start - finish) / 40);
    return [[start, one.y], [start, one.y - rise], [finish, other.y - rise], [finish, other.y]];
  }
  const up = one.y > other.y;                       // to the outside, or back
  const [y1, y2] = up ? [one.y, other.y + other.h] : [one.y + one.h, other.y];
  const bend = Math.abs(y1 - y2) * 0.5;
  return [[start, y1], [start, y1 + (up ? -bend : bend)], [finish, y2 + (up ? bend : -bend)], [finish, y2]];
}

const deathAt = (flow) => {
  if (flow.end === "sender") return 0.07;
  if (flow.end === "receiver" || !flow.end) return 0.95;
  return flow.end.startsWith("igw/") ? 0.72 : 0.5;
};

// draws the flows; gives [element, labels] with the labels apart, to lie above everything
export function ribbons(flows, boxes, encaps) {
  const shown = flows.filter((flow) => boxes.has(flow.from) && boxes.has(flow.to)).slice(0, MOST);
  anchors(shown, boxes);
  const most = Math.max(...shown.map((flow) => flow.sent), 1);
  const loops = new Map();
  const taken = [];
  const labels = [];
  const drawn = shown.map((flow) => {
    const kind = fate(flow.outcome.verdict);
    const whole = curveOf(flow, boxes, loops);
    const cut = kind === "lost" || kind === "refused";
    const curve = cut ? until(whole, flow.from === flow.to ? 0.5 : deathAt(flow)) : whole;
    const width = Math.max(1.6, (WIDEST * flow.sent) / most);
    const wrap = flow.outcome.encap;
    const d = text(curve);
    const word = `${flow.from} → ${flow.to}: ${number(flow.packets)} packets, ${bytes(flow.sent)}, ${flow.outcome.word}`
      + `${flow.end ? ` (lost at ${flow.end})` : ""}`;
    const tip = curve[3];
    label(labels, taken, flow, kind, cut ? tip : until(whole, 0.5)[3], encaps);
    const line = (name, w) => s("path", { d, class: name, "stroke-width": w.toFixed(1) });
    return s(
      "g", { class: `ribbon ${kind} ${wrap}` }, s("title", {}, word),
      wrap !== "none" && [line("pipe", width + 7), line("bore", width + 4)], line("core", width),
      cut ? s("g", { class: "cross", transform: `translate(${tip[0].toFixed(1)} ${tip[1].toFixed(1)})` },
        s("circle", { r: 8 }), s("path", { d: "M-4 -4L4 4M4 -4L-4 4" })) : arrow(curve, width));
  });
  return [s("g", {}, drawn), s("g", { class: "labels" }, labels)];
}

function arrow(curve, width) {
  const [from, tip] = [curve[2], curve[3]];
  const angle = (Math.atan2(tip[1] - from[1], tip[0] - from[0]) * 180) / Math.PI;
  const size = 5 + width * 0.45;
  return s("path", {
    class: "arrowhead", d: `M0 0L${-size * 1.4} ${size * 0.8}L${-size * 1.4} ${-size * 0.8}Z`,
    transform: `translate(${tip[0].toFixed(1)} ${tip[1].toFixed(1)}) rotate(${angle.toFixed(0)})` });
}

function label(labels, taken, flow, kind, [x, y], encaps) {
  const words = `${kind === "lost" ? `${SIGNS.lost} ` : ""}${number(flow.packets)} ${flow.outcome.word}`;
  const w = words.length * 6.4 + 12;
  const shift = flow.from === flow.to ? 16 : -2;
  for (const dy of [0, -18, 18, -36, 36, 54]) {
    const box = { x: x - w / 2, y: y - 9 + shift + dy, w, h: 17 };
    if (taken.some((other) => box.x < other.x + other.w && other.x < box.x + box.w && box.y < other.y + other.h && other.y < box.y + box.h)) continue;
    taken.push(box);
    labels.push(s(
      "g", { class: `label ${kind} ${encaps[flow.outcome.encap] ? flow.outcome.encap : "none"}` },
      s("rect", { x: box.x, y: box.y, width: w, height: box.h, rx: 8 }), s("text", { x, y: box.y + 12.5 }, words)));
    return;
  }
}
