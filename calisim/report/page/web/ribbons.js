// Traffic as ribbons between boxes: width by bytes, colour and pattern by fate, a pipe around what is encapsulated.
import { s } from "./dom.js";
import { SIGNS, bytes, fate, number } from "./words.js";

const WIDEST = 16;
const MOST = 160;
const MOST_ARCS = 30;

const between = (one, other, t) => [one[0] + (other[0] - one[0]) * t, one[1] + (other[1] - one[1]) * t];

// The first part of a cubic curve, up to t.
function until(curve, t) {
  const [a, b, c, d] = curve;
  const [ab, bc, cd] = [between(a, b, t), between(b, c, t), between(c, d, t)];
  const [abc, bcd] = [between(ab, bc, t), between(bc, cd, t)];
  return [a, ab, abc, between(abc, bcd, t)];
}

const fixed = (points) => points.flat().map((value) => value.toFixed(1)).join(" ");

// Curves, each where the last one ends, as one path.
const text = (curves) => `M${fixed([curves[0][0]])}${curves.map(([, ...rest]) => `C${fixed(rest)}`).join("")}`;

const ends = (curves) => curves[curves.length - 1];

// From top or bottom of one box to another, leaving and arriving upright.
function upright([x1, y1], [x2, y2]) {
  const bend = (y2 - y1) / 2;
  return [[x1, y1], [x1, y1 + bend], [x2, y2 - bend], [x2, y2]];
}

// The router that each subnet's traffic to other subnets goes through.
export function routersOf(map) {
  return new Map(map.vpcs.flatMap((vpc) => vpc.subnets.map((subnet) => [`subnet/${subnet.name}`, `vpc/${vpc.name}`])));
}

// What a place is drawn as when subnets are shown: the box of its subnet, or itself.
export function boxNames(map) {
  const names = map.nodes.map((node) => `node/${node.name}`);
  for (const vpc of map.vpcs) for (const subnet of vpc.subnets) for (const node of subnet.nodes) names[node] = `subnet/${subnet.name}`;
  return [...names, ...map.hosts.map((host) => host.name), "outside"];
}

export function flowsOf(rows, outcomes, names) {
  const found = rows.map(([sender, receiver, end, outcome, packets, sent, wire]) => ({
    from: names[sender], to: names[receiver], end, outcome: outcomes[outcome], packets, sent, wire }));
  return ordered(found);
}

const inVpc = (name) => /^(subnet|node)\//.test(name);
const inCloud = (end) => /^(vpc|igw)\//.test(end);

// What dies in the cloud, or before it leaves, is drawn as far as that, and where arcs would be too many each flow is drawn
// to its VPC's router and from there: flows that have this in common are one. routers: the router of each subnet.
function gathered(flows, routers) {
  const whole = together(flows.map((flow) => ({
    ...flow, to: inCloud(flow.end) ? flow.end : flow.end === "sender" && flow.from !== flow.to ? "sender" : flow.to })));
  const far = (flow) => flow.from !== flow.to && routers.has(flow.from) && routers.has(flow.to);
  if (whole.filter(far).length <= MOST_ARCS) return whole;
  return together(whole.flatMap((flow) => (far(flow)
    ? [{ ...flow, to: routers.get(flow.from), halfway: flow.end !== "" }, { ...flow, from: routers.get(flow.to) }] : [flow])));
}

function together(flows) {
  const found = new Map();
  for (const flow of flows) {
    const key = JSON.stringify([flow.from, flow.to, flow.end, flow.halfway, flow.outcome.word, flow.outcome.verdict, flow.outcome.encap]);
    const one = found.get(key);
    if (one) {
      one.packets += flow.packets;
      one.sent += flow.sent;
    } else found.set(key, { ...flow });
  }
  return ordered([...found.values()]);
}

function ordered(flows) {
  return flows.sort((one, other) => other.sent - one.sent || one.from.localeCompare(other.from));
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
    add(flow.from, flow, "start", flow.to === "sender" ? 0 : middle(flow.to));
    if (flow.to !== "sender") add(flow.to, flow, "finish", middle(flow.from));
  }
  for (const [name, list] of ends) {
    const box = boxes.get(name);
    list.sort((one, other) => one.towards - other.towards || (one.side < other.side ? 1 : -1));
    list.forEach(({ flow, side }, index) => { flow[side] = box.x + box.w * (0.08 + (0.84 * (index + 0.5)) / list.length); });
  }
}

function curveOf(flow, boxes, loops) {
  const [one, other] = [boxes.get(flow.from), boxes.get(flow.to)];
  if (flow.to === "sender") return [upright([flow.start, one.y], [flow.start, one.y - 26])];
  if (inCloud(flow.from)) return [upright([flow.start, one.y + one.h], [flow.finish, other.y])];
  if (inCloud(flow.to)) return [upright([flow.start, one.y], [flow.finish, other.y + other.h + (flow.end ? 10 : 0)])];
  if (flow.from === flow.to) {
    const place = loops.get(flow.from) ?? 0;
    loops.set(flow.from, place + 1);
    const x = one.x + one.w * (0.14 + 0.37 * (place % 2.5));
    const y = one.y + one.h;
    const w = one.w * 0.14;
    return [[[x, y], [x, y + 44], [x + w, y + 44], [x + w, y]]];
  }
  const [start, finish] = [flow.start, flow.finish];
  if (inVpc(flow.from) && inVpc(flow.to)) {
    const rise = flow.from.startsWith("node/") ? 60 : 152 + Math.min(26, Math.abs(start - finish) / 40);
    return [[[start, one.y], [start, one.y - rise], [finish, other.y - rise], [finish, other.y]]];
  }
  const up = one.y > other.y;                       // to the outside, or back
  const [y1, y2] = up ? [one.y, other.y + other.h] : [one.y + one.h, other.y];
  const gate = gateway(up ? one : other, boxes);
  if (!gate) return [upright([start, y1], [finish, y2])];
  const x = gate.x + gate.w * (0.15 + 0.7 * ((up ? start : finish) - gate.left) / gate.span);
  return up ? [upright([start, y1], [x, gate.y + gate.h]), upright([x, gate.y], [finish, y2])]
    : [upright([start, y1], [x, gate.y]), upright([x, gate.y + gate.h], [finish, y2])];
}

// The internet gateway under which a box lies.
function gateway(box, boxes) {
  let found = null;
  for (const [name, one] of boxes) if (name.startsWith("igw/") && one.y < box.y && (!found || one.y > found.y)) found = one;
  return found && { ...found, left: found.x + found.w / 2 - found.reach, span: 2 * found.reach };
}

const deathAt = (flow) => {
  if (flow.end === "receiver" || !flow.end) return 0.95;
  return 1;
};

// The bytes of the widest ribbon.
export const widest = (flows, routers) => Math.max(1, ...gathered(flows, routers).map((flow) => flow.sent));

// Draws flows, of which one of most bytes is widestLine pixels wide, whatever the zoom; gives [element, labels], the labels to lie
// above everything.
export function ribbons(flows, boxes, routers, encaps, most, zoom, widestLine = WIDEST) {
  const shown = gathered(flows, routers).filter((flow) => boxes.has(flow.from) && (boxes.has(flow.to) || flow.to === "sender")).slice(0, MOST);
  anchors(shown, boxes);
  const loops = new Map();
  const taken = [];
  const labels = [];
  const drawn = shown.map((flow) => {
    const kind = fate(flow.outcome.verdict);
    const whole = curveOf(flow, boxes, loops);
    const cut = (kind === "lost" || kind === "refused") && !flow.halfway;
    const curve = cut ? [until(whole[0], flow.from === flow.to ? 0.5 : deathAt(flow))] : whole;
    const width = Math.max(1.6, (widestLine * flow.sent) / most);
    const wrap = flow.outcome.encap;
    const d = text(curve);
    const word = `${flow.from} → ${flow.to}: ${number(flow.packets)} packets, ${bytes(flow.sent)}, ${flow.outcome.word}${flow.end ? `, lost at ${flow.end}` : ""}`;
    const tip = ends(curve)[3];
    label(labels, taken, zoom, flow, kind, flow.to === "sender" ? [tip[0], tip[1] - 16] : until(whole[0], 0.5)[3], encaps);
    const line = (name, w) => s("path", { d, class: name, "stroke-width": w.toFixed(1) });
    return s(
      "g", { class: `ribbon ${kind} ${wrap}` }, s("title", {}, word),
      wrap !== "none" && [line("pipe", width + (widestLine < WIDEST ? 5 : 7)), line("bore", width + (widestLine < WIDEST ? 3 : 4))], line("core", width),
      cut ? s("g", { class: "cross", transform: `translate(${tip[0].toFixed(1)} ${tip[1].toFixed(1)}) scale(${1 / zoom})` },
        s("circle", { r: 8 }), s("path", { d: "M-4 -4L4 4M4 -4L-4 4" })) : arrow(ends(curve), width, zoom));
  });
  return [s("g", {}, drawn), s("g", { class: "labels" }, labels)];
}

function arrow(curve, width, zoom) {
  const [from, tip] = [curve[2], curve[3]];
  const angle = (Math.atan2(tip[1] - from[1], tip[0] - from[0]) * 180) / Math.PI;
  const size = 5 + width * 0.45;
  return s("path", {
    class: "arrowhead", d: `M0 0L${-size * 1.4} ${size * 0.8}L${-size * 1.4} ${-size * 0.8}Z`,
    transform: `translate(${tip[0].toFixed(1)} ${tip[1].toFixed(1)}) rotate(${angle.toFixed(0)}) scale(${1 / zoom})` });
}

function label(labels, taken, zoom, flow, kind, [x, y], encaps) {
  const words = `${kind === "lost" ? `${SIGNS.lost} ` : ""}${number(flow.packets)} ${flow.outcome.word}`;
  const capitals = (words.match(/[A-Z_]/g) ?? []).length;
  const w = (words.length * 6.1 + capitals * 1.8 + 14) / zoom;
  const shift = flow.from === flow.to ? 16 : -2;
  for (const dy of [0, -18, 18, -36, 36, 54]) {
    const box = { x: x - w / 2, y: y + (shift + dy - 9) / zoom, w, h: 17 / zoom };
    if (taken.some((other) => box.x < other.x + other.w && other.x < box.x + box.w && box.y < other.y + other.h && other.y < box.y + box.h)) continue;
    taken.push(box);
    labels.push(s(
      "g", {
        class: `label ${kind} ${encaps[flow.outcome.encap] ? flow.outcome.encap : "none"}`,
        transform: `translate(${x.toFixed(1)} ${box.y.toFixed(1)}) scale(${1 / zoom})` },
      s("rect", { x: (-w * zoom) / 2, width: w * zoom, height: 17, rx: 8 }), s("text", { y: 12.5 }, words)));
    return;
  }
}
