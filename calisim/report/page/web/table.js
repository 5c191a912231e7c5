// Tables that can be sorted by any column and filtered by any word.
import { h, replace } from "./dom.js";

const FIRST = 20;
const kept = new Map();         // caption → how the reader left the table, should it be drawn again

// columns: {title, value(row) → text or number, cell(row) → node or text, number: true}
export function table(caption, columns, rows, { filter = rows.length > 8, sort = null } = {}) {
  let { order, words, shown } = kept.get(caption) ?? { order: sort, words: "", shown: FIRST };
  const body = h("tbody");
  const status = h("p", { class: "quiet", role: "status" });
  const more = h("button", { type: "button", onclick: () => { shown *= 4; draw(); } }, "Show more");
  const heads = columns.map((column, index) => h(
    "th", { scope: "col", class: column.number && "number" },
    h("button", { type: "button", onclick: () => turn(index) }, column.title, h("span", { class: "arrow", "aria-hidden": "true" }))));

  function turn(index) {
    const down = order && order.index === index ? !order.down : Boolean(columns[index].number);
    order = { index, down };
    draw();
  }

  function chosen() {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    const found = rows.filter((row) => {
      const text = columns.map((column) => String(column.value(row))).join(" ").toLowerCase();
      return wanted.every((word) => text.includes(word));
    });
    if (!order) return found;
    const { value } = columns[order.index];
    const compare = (one, other) => (typeof one === "number" && typeof other === "number"
      ? one - other : String(one).localeCompare(String(other), "en", { numeric: true }));
    return found.sort((one, other) => (order.down ? -1 : 1) * compare(value(one), value(other)));
  }

  function draw() {
    kept.set(caption, { order, words, shown });
    const found = chosen();
    heads.forEach((head, index) => {
      const mine = order && order.index === index;
      head.setAttribute("aria-sort", mine ? (order.down ? "descending" : "ascending") : "none");
      head.querySelector(".arrow").textContent = mine ? (order.down ? " ▼" : " ▲") : "";
    });
    replace(body, found.slice(0, shown).map((row) => h("tr", {}, columns.map((column) => h(
      "td", { class: column.number && "number" }, column.cell ? column.cell(row) : column.value(row))))));
    more.hidden = found.length <= shown;
    status.textContent = found.length > shown || words
      ? `${Math.min(shown, found.length).toLocaleString("en-US")} of ${rows.length.toLocaleString("en-US")} rows` : "";
  }

  const input = h("input", {
    type: "search", placeholder: "Filter", "aria-label": `Filter: ${caption}`, value: words,
    oninput: (event) => { words = event.target.value; shown = FIRST; draw(); } });
  draw();
  return h(
    "div", { class: "table" },
    h("div", { class: "tablebar" }, h("h3", {}, caption), filter && input),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
      h("table", {}, h("caption", { class: "offscreen" }, caption), h("thead", {}, h("tr", {}, heads)), body)),
    status, more);
}
