// The page: answer, map, journeys, tables – drawn from a document, and again from the next one with the reader where he was.
import { h, replace } from "./dom.js";
import { MapView, widestOf } from "./map.js";
import { Player } from "./player.js";
import { boxNames, flowsOf } from "./ribbons.js";
import { table } from "./table.js";
import { themeButton } from "./theme.js";
import { SIGNS, bytes, fate, fateOfWord, number, share, wrapOfWord } from "./words.js";

function chip(word, part) {
  const kind = fateOfWord(word);
  return h("span", { class: `chip ${kind} ${wrapOfWord(word)}` }, kind === "lost" ? `${SIGNS.lost} ` : "", part ? `${part} ${word}` : word);
}

function story(report) {
  const steps = report.comparison.steps ?? [];
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

function variants(report) {
  const wireOf = (one) => Object.values(one.scopes).reduce((sum, scope) => sum + scope.bytes.wire, 0);
  return table(
    report.variants.length > 1 ? "Variants: the same packets through each" : "What became of the packets",
    [
      { title: "Variant", value: (one) => one.id, cell: (one) => h("strong", {}, one.id) },
      { title: "Arrived", value: (one) => one.packets.delivered + one.packets.exited, cell: (one) => [bar(one.packets), ` ${number(one.packets.delivered + one.packets.exited)}`], number: true },
      { title: "Lost", value: (one) => lostOf(one.packets), cell: (one) => number(lostOf(one.packets)), number: true },
      { title: "Why", value: (one) => Object.keys(one.packets.dropped).join(" "), cell: (one) => Object.entries(one.packets.dropped).map(([reason, count]) => h("span", { class: "chip lost" }, `${SIGNS.lost} ${reason} `, number(count))) },
      { title: "Encapsulated", value: (one) => one.encapsulated, cell: (one) => `${share(one.encapsulated, one.packets.sent)}`, number: true },
      { title: "Outer headers", value: (one) => one.overheadBytes, cell: (one) => bytes(one.overheadBytes), number: true },
      { title: "On the wire", value: wireOf, cell: (one) => bytes(wireOf(one)), number: true },
      { title: "Pod MTU", value: (one) => one.podMtu, cell: (one) => `${number(one.podMtu)}${one.podMtuMax ? `–${number(one.podMtuMax)}` : ""} B`, number: true },
    ], report.comparison.variants);
}

function needs(report) {
  const rows = report.comparison.variants.flatMap((variant) => variant.needs.map((need) => ({ variant: variant.id, ...need })));
  if (!rows.length) return null;
  return table("Needs: each left out once, the same packets sent again", [
    { title: "Variant", value: (row) => row.variant },
    { title: "Needs", value: (row) => row.need, cell: (row) => [row.need, row.met ? "" : h("span", { class: "chip lost" }, "missing here")] },
    { title: "Lost if forgotten", value: (row) => row.ifForgotten.lost ?? -1, cell: (row) => (row.ifForgotten.lost === null ? "not counted" : number(row.ifForgotten.lost)), number: true },
    { title: "For example", value: (row) => (row.ifForgotten.example ? `${row.ifForgotten.example.from} → ${row.ifForgotten.example.to} ${row.ifForgotten.example.reason}` : "") },
    { title: "Why", value: (row) => [row.why, row.note].filter(Boolean).join("; ") },
  ], rows);
}

function flows(report, id) {
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
    line("refused", "refused"), line("pipe ipip", "in an IPIP tunnel"), line("pipe vxlan", "in a VXLAN tunnel"),
    line("route", "the packet of the journey below"), h("li", { class: "quiet" }, "width: bytes as sent"));
}

function pick(label, ids, chosen, onchange, none) {
  const select = h("select", { onchange: () => onchange(select.value) }, none && h("option", { value: "" }, none), ids.map((id) => h("option", { value: id, selected: id === chosen }, id)));
  return h("label", {}, `${label} `, select);
}

// Which two variants differ most: the first one that loses, against the best.
function initial(report) {
  const { comparison } = report;
  const ids = report.variants.map((variant) => variant.id);
  if (ids.length === 1) return [ids[0], ""];
  const lost = new Map(comparison.variants.map((one) => [one.id, lostOf(one.packets)]));
  const wrapped = new Map(comparison.variants.map((one) => [one.id, one.encapsulated]));
  const named = (id) => (comparison.answer.includes(id) ? 0 : 1);
  const ordered = [...ids].sort((one, other) => lost.get(one) - lost.get(other) || wrapped.get(one) - wrapped.get(other) || named(one) - named(other));
  const best = ordered[0];
  const overlays = ids.filter((id) => lost.get(id) === lost.get(best)).sort((one, other) => wrapped.get(other) - wrapped.get(one) || named(one) - named(other));
  const other = overlays[0] !== best && wrapped.get(overlays[0]) > wrapped.get(best) ? overlays[0] : ordered[ordered.length - 1];
  return [other, best];
}

const outcome = (told) => (told ? told.trace.request.reason ?? told.trace.reply?.reason ?? told.trace.verdict : "not there");

// What makes two journeys of two documents the same one.
const keyOfJourney = ({ from, to, protocol, port, size }) => JSON.stringify([from, to, protocol, port, size]);

export class Page {
  // parts: above and aside are elements for the main part's head and side; footer a sentence; onNode hears of a node chosen on a map.
  constructor(report, { above = null, aside = null, footer = "Everything on this page is inside this file.", onNode = null } = {}) {
    this.drawn = new Map();
    this.onNode = onNode;
    this.pool = [];
    this.views = [];
    this.pair = null;
    this.report = report;
    [this.first, this.second] = initial(report);
    this.title = h("h1");
    this.lead = h("p", { class: "lead" });
    this.sentence = h("p", { class: "answer" });
    this.overview = h("div");
    this.choosers = h("div", { class: "choose" });
    this.maps = h("div", { class: "maps" });
    this.count = h("p", { class: "quiet" });
    this.cards = h("ul", { class: "cards" });
    this.player = new Player(report, (lane, step) => {
      const view = this.views.find((one) => one.variant.id === lane.variant);
      const { way } = lane.all[step];
      view?.follow(lane.told[way], lane.all[step].box);
    });
    this.needs = h("div");
    this.tables = h("div");
    this.assumptions = h("ul");
    this.origin = h("p");
    this.footer = footer;
    const main = h("main", {}, above,
      h("section", { id: "answer", "aria-labelledby": "answer-title" }, h("h2", { id: "answer-title" }, "Answer"), this.sentence, this.overview),
      h("section", { id: "map", "aria-labelledby": "map-title" }, h("div", { class: "sectionhead" }, h("h2", { id: "map-title" }, "Map"), this.choosers), legend(), this.maps),
      h("section", { id: "journey", "aria-labelledby": "journey-title" }, h("h2", { id: "journey-title" }, "Journey of a packet"), this.count, this.cards, this.player.element),
      h("section", { id: "tables", "aria-labelledby": "tables-title" }, h("h2", { id: "tables-title" }, "Tables"), this.needs, this.tables,
        h("div", {}, h("h3", {}, "Rests on"), this.assumptions)));
    document.body.classList.toggle("live", aside !== null);
    document.body.append(
      h("header", {}, h("div", { class: "bar0" }, h("div", {}, h("p", { class: "brand" }, "calisim"), this.title, this.lead), themeButton()),
        h("nav", { "aria-label": "Parts" }, ["Answer", "Map", "Journey", "Tables"].map((name) => h("a", { href: `#${name.toLowerCase()}` }, name)))),
      aside ? h("div", { class: "work" }, aside, main) : main,
      h("footer", {}, this.origin));
    this.current = null;
    this.fill();
  }

  // The next document. pair: the two variants to be laid side by side, where they are new.
  update(report, pair = null) {
    const before = JSON.stringify(this.pair);
    this.report = report;
    this.player.report = report;
    this.pair = pair;
    const known = (id) => report.variants.some((variant) => variant.id === id);
    if (JSON.stringify(pair) !== before || !known(this.first)) [this.first, this.second] = pair ?? initial(report);
    else if (this.second && !known(this.second)) this.second = "";
    this.fill();
  }

  // Does what a part is made of differ from what it shows? It is asked once for each drawing.
  differs(part, ...made) {
    const text = JSON.stringify(made);
    const other = this.drawn.get(part) !== text;
    this.drawn.set(part, text);
    return other;
  }

  chosen() {
    return this.second && this.second !== this.first ? [this.first, this.second] : [this.first];
  }

  fill() {
    const { report } = this;
    const { scenario, comparison } = report;
    this.title.textContent = scenario.name;
    this.lead.textContent = scenario.description;
    this.lead.hidden = !scenario.description;
    if (this.sentence.textContent !== comparison.answer) this.sentence.textContent = comparison.answer;
    if (this.differs("overview", comparison.steps, comparison.variants)) replace(this.overview, story(report), variants(report));
    if (this.differs("needs", comparison.variants.map((one) => [one.id, one.needs]))) replace(this.needs, needs(report));
    if (this.differs("assumptions", comparison.assumptions)) replace(this.assumptions, comparison.assumptions.map((line) => h("li", {}, line)));
    this.count.textContent = report.journeys.length < report.classes ? `${number(report.classes)} ways to fare, the ${report.journeys.length} that lose most or are largest; each stands for all packets that fare alike.`
      : "Each stands for all packets that fare alike in every variant shown.";
    this.origin.textContent = `Made by calisim from ${scenario.file}. ${this.footer}`;
    this.show();
  }

  show() {
    const { report } = this;
    const ids = report.variants.map((variant) => variant.id);
    const shown = this.chosen();
    if (this.differs("choosers", ids, this.first, this.second)) {
      replace(this.choosers, ids.length > 1 && [
        pick("Variant", ids, this.first, (id) => { this.first = id; this.show(); }),
        pick("beside", ids, this.second, (id) => { this.second = id; this.show(); }, "nothing")]);
    }
    this.views = shown.map((id, lane) => (this.pool[lane] ??= new MapView(report, id, this.onNode)));
    const most = Math.max(...shown.map((id) => widestOf(report, id)));
    this.views.forEach((view, lane) => view.show(report, shown[lane], most));
    if (this.maps.children.length !== shown.length) replace(this.maps, this.views.map((view) => view.element));
    this.maps.classList.toggle("two", shown.length === 2);
    if (this.differs("tables", shown, shown.map((id) => report.variants.find((one) => one.id === id)))) replace(this.tables, shown.map((id) => flows(report, id)));
    const found = report.journeys.findIndex((journey) => keyOfJourney(journey) === this.current);
    if (found < 0) this.current = this.worth();
    if (this.differs("cards", shown, report.journeys)) this.deal(shown);
    this.open();
  }

  // The journey that shows most: the one that was asked for, or one that fares differently in the two variants.
  worth() {
    const [one, other] = this.chosen();
    const found = this.report.journeys.findIndex((journey) => !journey.packets || (other && journey.outcomes[one] !== journey.outcomes[other]));
    return this.report.journeys.length ? keyOfJourney(this.report.journeys[Math.max(0, found)]) : null;
  }

  play(key = this.worth()) {
    this.current = key;
    this.open();
  }

  deal(shown) {
    const { scrollTop } = this.cards;
    replace(this.cards, this.report.journeys.map((journey) => h("li", {}, h(
      "button", { type: "button", "data-key": keyOfJourney(journey), onclick: () => this.play(keyOfJourney(journey)) },
      h("span", { class: "pair" }, h("bdi", {}, journey.from), h("br"), "→ ", h("bdi", {}, journey.to)),
      h("span", { class: "quiet" }, journey.packets ? `${number(journey.packets)} packet${journey.packets > 1 ? "s" : ""}, ${journey.scope}` : "asked for",
        `, ${journey.protocol}${journey.port === null ? "" : ` ${journey.port}`}, ${number(journey.size)} B`),
      h("span", { class: "chips" }, shown.map((id) => chip(journey.outcomes[id] ?? outcome(journey.told[id]))))))));
    this.cards.scrollTop = scrollTop;
  }

  open() {
    const { cards } = this;
    for (const button of cards.querySelectorAll("button")) {
      const mine = button.dataset.key === this.current;
      button.setAttribute("aria-pressed", String(mine));
      const { offsetTop, offsetHeight } = button.parentElement;
      if (mine && (offsetTop < cards.scrollTop || offsetTop + offsetHeight > cards.scrollTop + cards.clientHeight)) cards.scrollTop = offsetTop - 4;
    }
    const journey = this.report.journeys.find((one) => keyOfJourney(one) === this.current);
    this.player.element.hidden = !journey;
    if (journey && this.differs("player", journey, this.chosen(), this.report.maps)) this.player.load(journey, this.chosen());
  }
}
