// The head of a live page: what is wrong with the file, and what the changes did.
import { h, replace } from "./dom.js";
import { SIGNS, bytes, number } from "./words.js";

function problem(one) {
  const caret = one.text && one.column ? `\n${" ".repeat(one.column - 1)}^` : "";
  return h("li", {}, one.where && h("strong", {}, h("bdi", {}, one.where), ": "), one.path && h("code", {}, one.path), one.path && ": ", one.message,
    one.text && h("pre", { tabindex: "0" }, `${one.text}${caret}`), one.hint && h("p", { class: "cure" }, one.hint));
}

function list(problems, sentence) {
  return problems.length > 0 && h("div", { class: "drop problems" }, h("h2", {}, `${SIGNS.lost} ${sentence}`), h("ul", {}, problems.map(problem)));
}

const amount = (value, unit) => (unit === "bytes" ? bytes(value) : number(value));

function turn(one) {
  const by = one.now - one.before;
  return by ? `${by > 0 ? "+" : "−"}${amount(Math.abs(by), one.unit)}` : "=";
}

export class News {
  constructor(onPlay) {
    this.onPlay = onPlay;
    this.wrong = h("div", { "aria-live": "polite" });
    this.sentence = h("p", { class: "answer", "aria-live": "polite" });
    this.changes = h("ul", { class: "changes" });
    this.numbers = h("div");
    this.difference = h("section", { id: "difference", "aria-labelledby": "difference-title", hidden: true },
      h("h2", { id: "difference-title" }, "Difference"), this.changes, this.sentence, this.numbers);
    this.element = h("div", {}, this.wrong, this.difference);
    this.shown = "";
    this.switched = "";
  }

  state(state, error = "") {
    const shown = JSON.stringify([state.faults, state.problems, state.notes, error]);
    if (shown !== this.shown) {
      this.shown = shown;
      replace(this.wrong,
        list(error ? [{ message: error }] : [], "That did not work"),
        list(state.faults, "The file cannot be read; what you see is its last version that could"),
        list(state.problems, "This cannot be drawn; what you see is the last picture that could"),
        state.notes.length > 0 && h("details", { class: "notes" }, h("summary", {}, `${number(state.notes.length)} ${state.notes.length > 1 ? "warnings" : "warning"}`), h("ul", {}, state.notes.map((line) => h("li", {}, line)))));
    }
    if (JSON.stringify(state.changes) === this.switched) return;
    this.switched = JSON.stringify(state.changes);
    replace(this.changes, state.changes.map(([what, before, now]) => h("li", {}, h("bdi", {}, what), ": ", before, " → ", h("strong", {}, now))));
  }

  // What the changes did; null without any.
  picture(difference, pair) {
    this.difference.hidden = !difference;
    if (!difference) return;
    this.sentence.textContent = difference.sentence;
    this.sentence.classList.toggle("worse", difference.lost > 0);
    const moved = difference.numbers.filter((one) => one.before !== one.now);
    const column = (title, number_ = true) => h("th", { scope: "col", class: number_ && "number" }, title);
    replace(this.numbers,
      moved.length > 0 && h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Numbers before and now" }, h("table", {},
        h("caption", { class: "offscreen" }, "Numbers before and now"),
        h("thead", {}, h("tr", {}, column("What", false), column(`Before (${pair[0]})`), column("Now"), column("Change"))),
        h("tbody", {}, moved.map((one) => h("tr", {}, h("th", { scope: "row" }, one.title), ["before", "now"].map((side) => h("td", { class: "number" }, amount(one[side], one.unit))), h("td", { class: "number" }, turn(one))))))),
      (difference.lost > 0 || difference.mended > 0) && h("p", {}, h("button", { type: "button", onclick: this.onPlay }, "Show a packet that fares differently")));
  }
}
