// Both headers of a packet side by side, what the last stage changed marked.
import { h } from "./dom.js";
import { number, protocol } from "./words.js";

const PORTS = [6, 17];

// [field, value, width in bits, as RFC 791 and the transport's RFC order them]
export function fields(header) {
  const rows = [
    ["Length", `${number(header.length)} B`],
    ["Don't fragment", header.df ? "yes" : "no"],
    ["TTL", String(header.ttl)],
    ["Protocol", `${header.protocol} ${protocol(header.protocol)}`],
    ["Source", header.src],
    ["Destination", header.dst],
  ];
  if (header.offset || header.moreFragments) rows.splice(2, 0, ["Piece", `from byte ${number(header.offset)}${header.moreFragments ? "" : ", the last"}`]);
  if (PORTS.includes(header.protocol)) rows.push(["Source port", String(header.sport)], ["Destination port", String(header.dport)]);
  return rows;
}

const of = (headers, layer) => headers.find((header) => header.layer === layer) ?? null;

function panel(layer, title, header, before) {
  const old = before ? new Map(fields(before)) : new Map();
  const rows = fields(header).map(([name, value]) => {
    const was = old.get(name);
    const changed = before !== null && was !== value;
    return h(
      "tr", { class: changed && "changed", "data-field": name },
      h("th", { scope: "row" }, name),
      h("td", {}, changed && was !== undefined && h("del", {}, was, " "), changed ? h("mark", {}, value) : value));
  });
  return h(
    "table", { class: `header ${layer}`, "data-layer": layer },
    h("caption", {}, title, before === null && h("span", { class: "new" }, " new here")), h("tbody", {}, rows));
}

// headers and those of the step before (null: there is none).
export function headerPanels(headers, before, wrap) {
  const outer = of(headers, "outer");
  const inner = of(headers, "inner");
  const first = before === null;
  const gone = !first && of(before, "outer") && !outer;
  const none = h("div", { class: "header none" }, h("p", {}, gone ? "The outer header is off." : "No outer header: the packet travels as it is."));
  return h(
    "div", { class: "headers" },
    outer ? panel("outer", `Outer header${wrap ? ` – ${wrap}` : ""}`, outer, first ? outer : of(before, "outer")) : none,
    inner ? panel("inner", "Inner header – the packet", inner, first ? inner : of(before, "inner") ?? inner) : null);
}
