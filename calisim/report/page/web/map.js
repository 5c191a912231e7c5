// The map of one variant: boxes in boxes, drawn with as much detail as there is room for; traffic above them.
import { h, replace, s } from "./dom.js";
import { layout } from "./layout.js";
import { boxNames, flowsOf, ribbons, routersOf, widest } from "./ribbons.js";
import { colours, onTheme } from "./theme.js";
import { number } from "./words.js";

const COLOURS = ["paper", "ink", "quiet", "node", "nodeline", "pod", "podline", "lost", "lostpaper", "accent", "arrived"];
const MOST_ZOOM = 60;
const DOT = 18;                 // pixels, under which a node is a dot
const NEAR = 60;                // flows drawn of a chosen node …
const OF_ONE = 4;               // … and how wide the widest of them is

// The most bytes of a ribbon; maps side by side have the same scale.
export function widestOf(report, id) {
  const variant = report.variants.find((one) => one.id === id);
  const map = report.maps[variant.map];
  return widest(flowsOf(variant.bySubnet, variant.outcomes, boxNames(map)), routersOf(map));
}

export class MapView {
  constructor(report, id, onNode) {
    this.onNode = onNode;
    this.chosen = null;
    this.box = null;
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.overlay = s("svg", { class: "overlay", role: "img" });
    this.tip = h("div", { class: "tip", hidden: true });
    this.stage = h("div", { class: "mapstage", tabindex: "0", role: "application" }, this.canvas, this.overlay, this.tip);
    const control = (name, sign, action) => h("button", { type: "button", "aria-label": name, title: name, onclick: action }, sign);
    this.title = h("h3");
    this.find = h("input", { type: "search", placeholder: "Find a node or pod", onchange: () => this.search(this.find.value) });
    this.say = h("p", { class: "maptext", "aria-live": "polite" });
    this.element = h(
      "figure", { class: "map" },
      h("div", { class: "mapbar" }, this.title, this.find,
        control("Zoom in", "+", () => this.zoomBy(1.6)), control("Zoom out", "−", () => this.zoomBy(1 / 1.6)), control("Show all", "⤢", () => this.fit())),
      this.stage, this.say);
    this.events();
    onTheme(() => { this.palette = null; this.draw(); });
    new ResizeObserver(() => this.resize()).observe(this.stage);
    this.take(report, id);
  }

  // Another document or variant; what is looked at stays, where it is still there. most: the most bytes of a ribbon on both maps.
  show(report, id, most) {
    const chosen = this.chosen === null ? null : this.map.nodes[this.chosen].name;
    const used = this.used();
    const before = this.map;
    this.take(report, id);
    this.most = most;
    const node = this.map.nodes.findIndex((one) => one.name === chosen);
    this.chosen = node < 0 ? null : node;
    this.tell();
    if (this.plan && (JSON.stringify(before) !== JSON.stringify(this.map) || used.join() !== this.used().join())) {
      this.plan = null;
      this.resize();
    } else this.draw();
  }

  take(report, id) {
    this.report = report;
    this.variant = report.variants.find((one) => one.id === id);
    this.map = report.maps[this.variant.map];
    this.names = boxNames(this.map);
    this.routers = routersOf(this.map);
    this.nodeNames = [...this.map.nodes.map((node) => `node/${node.name}`), ...this.map.hosts.map((host) => host.name), "outside"];
    this.subnetOf = new Map();
    for (const vpc of this.map.vpcs) for (const subnet of vpc.subnets) for (const node of subnet.nodes) this.subnetOf.set(node, subnet);
    this.busiest = (this.variant.nodes ?? []).slice(0, this.map.nodes.length).reduce((most, sums) => Math.max(most, sums[0] + sums[2]), 0);
    const lost = this.variant.bySubnet.filter((row) => this.variant.outcomes[row[3]].verdict === "dropped").reduce((sum, row) => sum + row[4], 0);
    this.title.textContent = id;
    this.overlay.setAttribute("aria-label", `Map of ${this.map.nodes.length} nodes in ${this.map.vpcs.length} VPC, traffic of ${id}: ${number(lost)} packets lost; the tables below hold the same numbers`);
    this.stage.setAttribute("aria-label", `Map, ${id}: arrows move, plus and minus zoom, 0 shows all`);
    this.find.setAttribute("aria-label", `Find a node or pod on the map of ${id}`);
  }

  // Boxes that traffic begins or ends in: the others may be left out.
  used() {
    return [...new Set(this.variant.bySubnet.flatMap((row) => [this.names[row[0]], this.names[row[1]]]))].sort();
  }

  events() {
    const { stage } = this;
    let drag = null;
    stage.addEventListener("pointerdown", (event) => {
      drag = { x: event.clientX, y: event.clientY, left: this.view.x, top: this.view.y, moved: false };
    });
    addEventListener("pointerup", () => { drag = null; });
    stage.addEventListener("pointermove", (event) => {
      if (!drag) {
        this.hover(event);
        return;
      }
      if (Math.abs(event.clientX - drag.x) + Math.abs(event.clientY - drag.y) > 4 && this.view.z > 1) {
        drag.moved = true;
        this.view.x = drag.left - (event.clientX - drag.x) / this.view.z;
        this.view.y = drag.top - (event.clientY - drag.y) / this.view.z;
        this.draw();
      }
    });
    stage.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    stage.addEventListener("click", (event) => {
      const node = this.at(event);
      this.choose(node === this.chosen ? null : node);
    });
    stage.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey && document.activeElement !== stage) return;
      event.preventDefault();
      const { left, top } = stage.getBoundingClientRect();
      this.zoomBy(Math.exp(-event.deltaY / 300), event.clientX - left, event.clientY - top);
    }, { passive: false });
    stage.addEventListener("keydown", (event) => {
      const by = 60 / this.view.z;
      const moves = { ArrowLeft: [-by, 0], ArrowRight: [by, 0], ArrowUp: [0, -by], ArrowDown: [0, by] };
      if (moves[event.key]) {
        this.view.x += moves[event.key][0];
        this.view.y += moves[event.key][1];
        this.draw();
      } else if (event.key === "+" || event.key === "=") this.zoomBy(1.4);
      else if (event.key === "-") this.zoomBy(1 / 1.4);
      else if (event.key === "0") this.fit();
      else if (event.key === "Escape") this.choose(null);
      else return;
      event.preventDefault();
    });
  }

  resize() {
    const width = Math.max(300, Math.round(this.stage.clientWidth));
    if (this.plan && this.plan.width === width) return;
    this.plan = layout(this.map, width, new Set(this.used()));
    this.stage.style.height = `${this.plan.height}px`;
    if (this.view) this.draw();
    else this.fit();
  }

  fit() {
    this.view = { x: 0, y: 0, z: 1 };
    this.draw();
  }

  zoomBy(factor, x = this.plan.width / 2, y = this.plan.height / 2) {
    const z = Math.max(1, Math.min(MOST_ZOOM, this.view.z * factor));
    this.view.x += x / this.view.z - x / z;
    this.view.y += y / this.view.z - y / z;
    this.view.z = z;
    this.draw();
  }

  at(event) {
    const { left, top } = this.stage.getBoundingClientRect();
    const x = (event.clientX - left) / this.view.z + this.view.x;
    const y = (event.clientY - top) / this.view.z + this.view.y;
    const found = this.plan.cells.findIndex((cell) => cell && x >= cell.x && x <= cell.x + cell.w && y >= cell.y && y <= cell.y + cell.h);
    return found < 0 ? null : found;
  }

  describe(node) {
    const { name, address, pods, down } = this.map.nodes[node];
    const sums = this.variant.nodes?.[node];
    const count = Array.isArray(pods) ? pods.length : pods;
    return `${name} (${address}), subnet ${this.subnetOf.get(node)?.name}, ${number(count)} pods${down ? ", down" : ""}`
      + (sums ? `: sent ${number(sums[0])}, ${number(sums[1])} of them lost; ${number(sums[2])} received` : "");
  }

  hover(event) {
    const node = this.at(event);
    this.tip.hidden = node === null;
    if (node === null) return;
    const { left, top } = this.stage.getBoundingClientRect();
    this.tip.textContent = this.describe(node);
    const x = Math.min(event.clientX - left + 14, this.plan.width - 260);
    this.tip.style.transform = `translate(${Math.max(4, x)}px, ${event.clientY - top + 16}px)`;
  }

  choose(node) {
    this.chosen = node;
    this.tell();
    this.onNode?.(node === null ? null : this.map.nodes[node]);
    this.draw();
  }

  tell() {
    this.say.textContent = this.chosen === null ? "" : this.describe(this.chosen)
      + (this.variant.byNode ? ". Its own traffic is drawn." : ". There are too many flows to draw those of one node.");
  }

  search(text) {
    const wanted = text.trim().toLowerCase();
    if (!wanted) {
      this.choose(null);
      this.fit();
      return;
    }
    const fits = (name) => name.toLowerCase().includes(wanted);
    let node = this.map.nodes.findIndex((one) => one.name.toLowerCase() === wanted);
    if (node < 0) node = this.map.nodes.findIndex((one) => fits(one.name) || (Array.isArray(one.pods) && one.pods.some(fits)));
    if (node < 0) {
      this.say.textContent = `Nothing here is called ${text}.`;
      return;
    }
    const cell = this.plan.cells[node];
    this.view.z = Math.max(1, Math.min(MOST_ZOOM, 130 / cell.w));
    this.view.x = cell.x + cell.w / 2 - this.plan.width / 2 / this.view.z;
    this.view.y = cell.y + cell.h / 2 - this.plan.height / 2 / this.view.z;
    this.choose(node);
  }

  // The boxes that a journey crosses, and the one where the packet is.
  follow(boxes, box) {
    this.route = boxes;
    this.box = box;
    if (this.plan) this.drawOverlay();
  }

  draw() {
    if (!this.plan) return;
    this.palette ??= colours(this.stage, COLOURS);
    const { z } = this.view;
    const [w, height] = [this.plan.width / z, this.plan.height / z];
    this.view.x = Math.max(0, Math.min(this.view.x, this.plan.width - w));
    this.view.y = Math.max(0, Math.min(this.view.y, this.plan.height - height));
    this.drawCells();
    this.drawOverlay();
  }

  drawCells() {
    const { canvas, plan, view } = this;
    const sharp = Math.min(3, devicePixelRatio || 1);
    canvas.width = plan.width * sharp;
    canvas.height = plan.height * sharp;
    const pen = canvas.getContext("2d");
    const scale = sharp * view.z;
    pen.setTransform(scale, 0, 0, scale, -view.x * scale, -view.y * scale);
    const [right, bottom] = [view.x + plan.width / view.z, view.y + plan.height / view.z];
    plan.cells.forEach((cell, node) => {
      if (!cell || cell.x > right || cell.y > bottom || cell.x + cell.w < view.x || cell.y + cell.h < view.y) return;
      this.drawNode(pen, cell, node);
    });
  }

  drawNode(pen, cell, node) {
    const { palette, view: { z } } = this;
    const { name, pods, down } = this.map.nodes[node];
    const sums = this.variant.nodes?.[node];
    const lost = sums && sums[0] ? sums[1] / sums[0] : 0;
    const big = cell.w * z;
    pen.fillStyle = palette.node;
    pen.fillRect(cell.x, cell.y, cell.w, cell.h);
    if (big < DOT && sums && this.busiest) {     // too small for its pods: the darker the more it sends and gets
      pen.globalAlpha = 0.12 + 0.88 * (Math.log1p(sums[0] + sums[2]) / Math.log1p(this.busiest)) ** 6;
      pen.fillStyle = palette.arrived;
      pen.fillRect(cell.x, cell.y, cell.w, cell.h);
      pen.globalAlpha = 1;
    }
    if (lost) {                                  // a share of the cell, hatched: colour is not all that tells
      pen.save();
      pen.beginPath();
      pen.rect(cell.x, cell.y + cell.h * (1 - lost), cell.w, cell.h * lost);
      pen.clip();
      pen.fillStyle = palette.lostpaper;
      pen.fillRect(cell.x, cell.y, cell.w, cell.h);
      pen.strokeStyle = palette.lost;
      pen.lineWidth = Math.min(1, cell.w / 12);
      pen.beginPath();
      for (let x = -cell.h; x < cell.w; x += Math.max(6 / z, cell.w / 14)) {
        pen.moveTo(cell.x + x, cell.y + cell.h);
        pen.lineTo(cell.x + x + cell.h, cell.y);
      }
      pen.stroke();
      pen.restore();
    }
    if (big >= DOT || node === this.chosen) {
      pen.strokeStyle = node === this.chosen ? palette.accent : palette.nodeline;
      pen.lineWidth = (node === this.chosen ? 3 : 1) / z;
      pen.setLineDash(down ? [4 / z, 3 / z] : []);
      pen.strokeRect(cell.x, cell.y, cell.w, cell.h);
      pen.setLineDash([]);
    }
    if (big < 34) return;
    const size = Math.min(12, big / 7) / z;
    pen.fillStyle = palette.ink;
    pen.font = `600 ${size}px system-ui, sans-serif`;
    pen.fillText(fitted(pen, name, cell.w - 8 / z), cell.x + 4 / z, cell.y + size + 3 / z);
    if (big > 44) this.drawPods(pen, { x: cell.x + 4 / z, y: cell.y + size + 8 / z, w: cell.w - 8 / z, h: cell.h - size - 12 / z }, pods);
  }

  drawPods(pen, room, pods) {
    const { palette, view: { z } } = this;
    const named = Array.isArray(pods);
    const count = named ? pods.length : pods;
    if (!count || room.h <= 0 || room.w <= 0) return;
    const columns = Math.max(1, Math.ceil(Math.sqrt((count * room.w) / room.h / 1.4)));
    const rows = Math.ceil(count / columns);
    const [w, height] = [room.w / columns, Math.min(room.h / rows, 34 / z)];
    const gap = Math.min(w, height) * 0.16;
    pen.lineWidth = 0.8 / z;
    for (let index = 0; index < count; index += 1) {
      const x = room.x + (index % columns) * w;
      const y = room.y + Math.floor(index / columns) * height;
      pen.fillStyle = palette.pod;
      pen.fillRect(x, y, w - gap, height - gap);
      if (height * z > 5) {
        pen.strokeStyle = palette.podline;
        pen.strokeRect(x, y, w - gap, height - gap);
      }
      if (named && w * z > 58 && height * z > 11) {
        const size = Math.min(10, height * z * 0.62) / z;
        pen.fillStyle = palette.ink;
        pen.font = `${size}px system-ui, sans-serif`;
        pen.fillText(fitted(pen, pods[index].slice(pods[index].indexOf("/") + 1), w - gap - 4 / z), x + 3 / z, y + height * 0.66);
      }
    }
  }

  flows() {
    if (this.chosen === null) return flowsOf(this.variant.bySubnet, this.variant.outcomes, this.names);
    const rows = (this.variant.byNode ?? []).filter((row) => row[0] === this.chosen || row[1] === this.chosen);
    return flowsOf(rows, this.variant.outcomes, this.nodeNames).slice(0, NEAR);
  }

  drawOverlay() {
    const { plan, view, overlay } = this;
    overlay.setAttribute("viewBox", `${view.x} ${view.y} ${plan.width / view.z} ${plan.height / view.z}`);
    overlay.style.setProperty("--k", String(1 / view.z));
    const flows = this.flows();
    const [drawn, labels] = this.chosen === null ? ribbons(flows, plan.boxes, this.routers, this.report.encaps, this.most, view.z)
      : [ribbons(flows, plan.boxes, this.routers, this.report.encaps, widest(flows, this.routers), view.z, OF_ONE)[0], null];
    const [frames, gates] = this.frames();
    replace(overlay, frames, drawn, gates, view.z < 3 ? labels : null, this.journey());
  }

  frames() {
    const { plan } = this;
    const title = (x, y, name, word, most) => s("text", { x, y, class: name }, word.length > most ? `${word.slice(0, Math.max(3, most - 1))}…` : word);
    const rect = (box, name, rx) => s("rect", { x: box.x, y: box.y, width: box.w, height: box.h, rx, class: name });
    const host = (name, box) => [rect(box, "host", 8), title(box.x + box.w / 2, box.y + 25, "middle", name === "outside" ? "the internet" : name, Math.floor(box.w / 7))];
    const outside = [...this.map.hosts.map((one) => one.name), "outside"].filter((name) => plan.boxes.has(name));
    const drawnHosts = new Map(outside.map((name) => [plan.boxes.get(name), name]));
    const gates = plan.vpcs.filter((vpc) => vpc.gateway).map((vpc) => {
      const box = plan.boxes.get(`igw/${vpc.name}`);
      return [rect(box, "gateway", 14), title(box.x + box.w / 2, box.y + 18, "middle", "internet gateway", 30)];
    });
    const below = [
      plan.vpcs.map((vpc) => [
        rect(vpc.frame, "vpc", 14), title(vpc.frame.x + 14, vpc.frame.y + 22, "title", `VPC ${vpc.name} · ${vpc.cidrs.join(", ")}`, Math.floor((vpc.frame.w - (vpc.gateway ? 190 : 60)) / (vpc.gateway ? 2 : 1) / 7.6)),
        rect(plan.boxes.get(`vpc/${vpc.name}`), "router", 6),
        title(vpc.frame.x + 30, plan.boxes.get(`vpc/${vpc.name}`).y + 17, "", "VPC router", 40),
        vpc.subnets.map((subnet) => {
          const box = plan.boxes.get(`subnet/${subnet.name}`);
          const zone = subnet.zone && subnet.zone !== subnet.name ? ` · zone ${subnet.zone}` : "";
          return [
            rect(box, "subnet", 10), title(box.x + 12, box.y + 18, "title", `subnet ${subnet.name}${zone}`, Math.floor((box.w - 14) / 7.8)),
            title(box.x + 12, box.y + 34, "note", `${subnet.cidr} · ${number(subnet.nodes.length)} nodes`, Math.floor((box.w - 14) / 6.4))];
        })])];
    return [below, [gates, [...drawnHosts].map(([box, name]) => host(name, box))]];
  }

  journey() {
    if (!this.route) return null;
    const node = (name) => this.map.nodes.findIndex((one) => Array.isArray(one.pods) && one.pods.includes(name));
    const centre = (name) => {
      let box = this.plan.boxes.get(name);
      if (!box && name.includes("/")) box = this.plan.cells[node(name)];
      return box && [box.x + box.w / 2, box.y + box.h / 2];
    };
    const points = this.route.map(centre).filter(Boolean);
    const here = this.box && centre(this.box);
    return s("g", { class: "route" }, s("polyline", { points: points.map((point) => point.join(",")).join(" ") }),
      here && s("circle", { cx: here[0], cy: here[1], r: 7 / this.view.z }));
  }
}

function fitted(pen, text, width) {
  if (pen.measureText(text).width <= width) return text;
  let most = text.length - 1;
  while (most > 1 && pen.measureText(`${text.slice(0, most)}…`).width > width) most = Math.floor(most * 0.85);
  return `${text.slice(0, most)}…`;
}
