// The page: answer, map, journeys, tables – from the one document that stands in it.
import { h } from "./dom.js";
import { MapView } from "./map.js";
import { Player } from "./player.js";
import { boxNames, flowsOf } from "./ribbons.js";
import { table } from "./table.js";
import { themeButton } from "./theme.js";
import { SIGNS, bytes, fate, fateOfWord, number, share, wrapOfWord } from "./words.js";

const report = JSON.parse(document.getElementById("data").textContent);
const { comparison, scenario } = report;
const ids = report.variants.map((variant) => variant.id);
const several = ids.length > 1;

function chip(word, part) {
  const kind = fateOfWord(word);
  return h("span", { class: `chip ${kind} ${wrapOfWord(word)}` }, kind === "lost" ? `${SIGNS.lost} ` : "", part ? `${part} ${word}` : word);
}

function story() {
  const steps = comparison.steps ?? [];
  if (!steps.length) return null;
  const scopes = Object.keys(report.scopes).filter((scope) => steps.some((step) => step.scopes[scope]));
  const cell = (outcomes) => {
    const words = Object.entries(outcomes ?? {});
    const total = words.reduce((sum, [, count]) => sum + count, 0);
    return words.length ? words.map(([word, count]) => chip(word, count < total && share(count, total).replace(".0 %", " %"))) : "–";
  };
  return h(
    "div", { class: "table" }, h("h3", {}, "Step by step: what becomes of the packets"),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Story" }, h("table", { class: "story" },
      h("caption", { class: "offscreen" }, "What becomes of the packets after each step"),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Step"), scopes.map((scope) => h("th", { scope: "col" }, report.scopes[scope])))),
      h("tbody", {}, steps.map((step) => h(
        "tr", {}, h("th", { scope: "row" }, `${step.step}. ${step.title}`), scopes.map((scope) => h("td", {}, cell(step.scopes[scope])))))))));
}

const lostOf = (packets) => packets.sent - packets.delivered - packets.exited;

function bar(packets) {
  const parts = [["arrived", packets.delivered + packets.exited], ["lost", lostOf(packets)]];
  const strip = h("span", { class: "bar", role: "img", "aria-label": `${share(lostOf(packets), packets.sent)} lost` }, parts.map(([kind, count]) => {
    const part = h("span", { class: kind });
    part.style.width = `${packets.sent ? (100 * count) / packets.sent : 0}%`;
    return part;
  }));
  return strip;
}

function variants() {
  const wireOf = (one) => Object.values(one.scopes).reduce((sum, scope) => sum + scope.bytes.wire, 0);
  return table(
    several ? "Variants: the same packets through each" : "What became of the packets",
    [
      { title: "Variant", value: (one) => one.id, cell: (one) => h("strong", {}, one.id) },
      { title: "Arrived", value: (one) => one.packets.delivered + one.packets.exited, cell: (one) => [bar(one.packets), ` ${number(one.packets.delivered + one.packets.exited)}`], number: true },
      { title: "Lost", value: (one) => lostOf(one.packets), cell: (one) => number(lostOf(one.packets)), number: true },
      { title: "Why", value: (one) => Object.keys(one.packets.dropped).join(" "), cell: (one) => Object.entries(one.packets.dropped).map(([reason, count]) => h("span", { class: "chip lost" }, `${SIGNS.lost} ${reason} `, number(count))) },
      { title: "Encapsulated", value: (one) => one.encapsulated, cell: (one) => `${share(one.encapsulated, one.packets.sent)}`, number: true },
      { title: "Outer headers", value: (one) => one.overheadBytes, cell: (one) => bytes(one.overheadBytes), number: true },
      { title: "On the wire", value: wireOf, cell: (one) => bytes(wireOf(one)), number: true },
      { title: "Pod MTU", value: (one) => one.podMtu, cell: (one) => `${number(one.podMtu)}${one.podMtuMax ? `–${number(one.podMtuMax)}` : ""} B`, number: true },
    ], comparison.variants);
}

function needs() {
  const rows = comparison.variants.flatMap((variant) => variant.needs.map((need) => ({ variant: variant.id, ...need })));
  if (!rows.length) return null;
  return table("Needs: each left out once, the same packets sent again", [
    { title: "Variant", value: (row) => row.variant },
    { title: "Needs", value: (row) => row.need, cell: (row) => [row.need, row.met ? "" : h("span", { class: "chip lost" }, "missing here")] },
    { title: "Lost if forgotten", value: (row) => row.ifForgotten.lost ?? -1, cell: (row) => (row.ifForgotten.lost === null ? "not counted" : number(row.ifForgotten.lost)), number: true },
    { title: "For example", value: (row) => (row.ifForgotten.example ? `${row.ifForgotten.example.from} → ${row.ifForgotten.example.to} ${row.ifForgotten.example.reason}` : "") },
    { title: "Why", value: (row) => [row.why, row.note].filter(Boolean).join("; ") },
  ], rows);
}

function flows(id) {
  const variant = report.variants.find((one) => one.id === id);
  const map = report.maps[variant.map];
  const detailed = variant.byNode !== null;
  const names = detailed ? [...map.nodes.map((node) => node.name), ...map.hosts.map((host) => host.name), "outside"] : boxNames(map);
  const rows = flowsOf(detailed ? variant.byNode : variant.bySubnet, variant.outcomes, names);
  return table(`Traffic between ${detailed ? "nodes" : "subnets"}, ${id}`, [
    { title: "From", value: (row) => row.from }, { title: "To", value: (row) => row.to },
    { title: "Scope", value: (row) => report.scopes[row.outcome.scope] },
    { title: "Fate", value: (row) => `${row.outcome.verdict} ${row.outcome.word}`, cell: (row) => h("span", { class: `chip ${fate(row.outcome.verdict)} ${row.outcome.encap}` }, `${SIGNS[fate(row.outcome.verdict)]} ${row.outcome.word}`) },
    { title: "Lost at", value: (row) => row.end },
    { title: "Packets", value: (row) => row.packets, cell: (row) => number(row.packets), number: true },
    { title: "Bytes sent", value: (row) => row.sent, cell: (row) => number(row.sent), number: true },
    { title: "On the wire", value: (row) => row.wire, cell: (row) => number(row.wire), number: true },
  ], rows);
}

function legend() {
  const line = (kind, word) => h("li", {}, h("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), word);
  return h("ul", { class: "legend", "aria-label": "Legend" }, line("arrived", "arrives"), line("lost", "lost, up to where it dies"),
    line("refused", "refused"), line("pipe ipip", "in an IPIP tunnel"), line("pipe vxlan", "in a VXLAN tunnel"), h("li", { class: "quiet" }, "width: bytes as sent"));
}

function pick(label, chosen, onchange, none) {
  const select = h("select", { onchange: () => onchange(select.value) }, none && h("option", { value: "" }, none), ids.map((id) => h("option", { value: id, selected: id === chosen }, id)));
  return h("label", {}, `${label} `, select);
}

// Which two variants differ most: the first one that loses, against the best.
function initial() {
  if (!several) return [ids[0], ""];
  const lost = new Map(comparison.variants.map((one) => [one.id, lostOf(one.packets)]));
  const wrapped = new Map(comparison.variants.map((one) => [one.id, one.encapsulated]));
  const named = (id) => (comparison.answer.includes(id) ? 0 : 1);
  const ordered = [...ids].sort((one, other) => lost.get(one) - lost.get(other) || wrapped.get(one) - wrapped.get(other) || named(one) - named(other));
  const best = ordered[0];
  const overlays = ids.filter((id) => lost.get(id) === lost.get(best)).sort((one, other) => wrapped.get(other) - wrapped.get(one) || named(one) - named(other));
  const other = overlays[0] !== best && wrapped.get(overlays[0]) > wrapped.get(best) ? overlays[0] : ordered[ordered.length - 1];
  return [other, best];
}

let [first, second] = initial();
const maps = h("div", { class: "maps" });
const tables = h("div");
let views = [];
const player = new Player(report, (lane, step) => {
  const view = views.find((one) => one.variant.id === lane.variant);
  const way = lane.all[step].way;
  view?.follow(lane.told[way], lane.all[step].box);
});
const cards = h("ul", { class: "cards" });
let current = Math.max(0, report.journeys.findIndex((journey) => !journey.packets || (second && journey.outcomes[first] !== journey.outcomes[second])));

function show() {
  const chosen = second && second !== first ? [first, second] : [first];
  views = chosen.map((id) => new MapView(report, id));
  const most = Math.max(...views.map((view) => view.widest()));
  for (const view of views) view.most = most;
  maps.replaceChildren(...views.map((view) => view.element));
  maps.classList.toggle("two", chosen.length === 2);
  tables.replaceChildren(...chosen.map(flows));
  cards.replaceChildren(...report.journeys.map((journey, index) => h("li", {}, h(
    "button", { type: "button", "aria-pressed": String(index === current), onclick: () => { current = index; open(); } },
    h("span", { class: "pair" }, h("bdi", {}, journey.from), h("br"), "→ ", h("bdi", {}, journey.to)),
    h("span", { class: "quiet" }, journey.packets ? `${number(journey.packets)} packet${journey.packets > 1 ? "s" : ""}, ${journey.scope}` : "asked for",
      `, ${journey.protocol}${journey.port === null ? "" : ` ${journey.port}`}, ${number(journey.size)} B`),
    h("span", { class: "chips" }, chosen.map((id) => chip(journey.outcomes[id] ?? outcome(journey.told[id]))))))));
  open();
}

function outcome(told) {
  return told ? told.trace.request.reason ?? told.trace.reply?.reason ?? told.trace.verdict : "not there";
}

function open() {
  cards.querySelectorAll("button").forEach((button, index) => {
    button.setAttribute("aria-pressed", String(index === current));
    const { offsetTop, offsetHeight } = button.parentElement;
    if (index === current && (offsetTop < cards.scrollTop || offsetTop + offsetHeight > cards.scrollTop + cards.clientHeight)) cards.scrollTop = offsetTop - 4;
  });
  player.load(report.journeys[current], second && second !== first ? [first, second] : [first]);
}

const choosers = several && h("div", { class: "choose" },
  pick("Variant", first, (id) => { first = id; show(); }), pick("beside", second, (id) => { second = id; show(); }, "nothing"));

document.body.append(
  h("header", {}, h("div", { class: "bar0" },
    h("div", {}, h("p", { class: "brand" }, "calisim"), h("h1", {}, scenario.name), scenario.description && h("p", { class: "lead" }, scenario.description)),
    themeButton()),
  h("nav", { "aria-label": "Parts" }, ["Answer", "Map", "Journey", "Tables"].map((name) => h("a", { href: `#${name.toLowerCase()}` }, name)))),
  h("main", {},
    h("section", { id: "answer", "aria-labelledby": "answer-title" }, h("h2", { id: "answer-title" }, "Answer"),
      h("p", { class: "answer" }, comparison.answer), story(), variants()),
    h("section", { id: "map", "aria-labelledby": "map-title" }, h("div", { class: "sectionhead" }, h("h2", { id: "map-title" }, "Map"), choosers), legend(), maps),
    h("section", { id: "journey", "aria-labelledby": "journey-title" }, h("h2", { id: "journey-title" }, "Journey of a packet"),
      h("p", { class: "quiet" }, report.journeys.length < report.classes ? `${number(report.classes)} ways to fare, the ${report.journeys.length} that lose most or are largest; each stands for all packets that fare alike.`
        : "Each stands for all packets that fare alike in every variant shown."),
      cards, player.element),
    h("section", { id: "tables", "aria-labelledby": "tables-title" }, h("h2", { id: "tables-title" }, "Tables"), needs(), tables,
      h("div", {}, h("h3", {}, "Rests on"), h("ul", {}, comparison.assumptions.map((line) => h("li", {}, line)))))),
  h("footer", {}, h("p", {}, `Made by calisim from ${scenario.file}. Everything on this page is inside this file.`)));
show();
document.documentElement.dataset.ready = "yes";
