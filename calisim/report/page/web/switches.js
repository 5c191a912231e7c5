// The side of a live page: everything of the scenario that can be switched, and what becomes of it.
import { code, h, replace } from "./dom.js";
import { number } from "./words.js";

const HEADS = {
  pool: "IP pools", check: "Source/destination check", ipip: "Protocol 4 in security groups", policy: "Policies", down: "Nodes that are down" };
const MANY = 8;                 // policies, above which one may search them

export class Switches {
  // ask(name, body) sends a wish; names() are the nodes that there are.
  constructor(ask, names) {
    this.ask = ask;
    this.names = names;
    this.built = "";
    this.listed = null;
    this.written = "";
    this.controls = new Map();
    this.busy = h("p", { class: "busy" }, h("progress", { "aria-label": "Working" }), " ", h("span"));
    this.status = h("p", { class: "status", role: "status" });
    this.effect = h("p", { class: "effect", hidden: true }, h("a", { href: "#difference" }));
    const button = (title, action, key) => h("button", { type: "button", title: key && `${title} (${key})`, onclick: action }, title);
    this.undo = button("Undo", () => ask("undo"), "Ctrl+Z");
    this.redo = button("Redo", () => ask("redo"), "Ctrl+Shift+Z");
    this.reset = button("Reset", () => ask("reset"));
    this.save = button("Save as scenario", () => ask("save"));
    this.download = h("a", { class: "button", href: "scenario.yaml", download: "scenario-changed.yaml" }, "Download");
    this.base = h("select", { onchange: () => ask("switch", { base: this.base.value }) });
    this.start = h("label", { class: "row" }, h("span", {}, "Start from variant"), this.base);
    this.groups = h("div", { class: "groups" });
    this.node = h("input", { list: "nodes", "aria-label": "Node", placeholder: "node", oninput: () => this.offer() });
    this.known = h("datalist", { id: "nodes" });
    this.turn = button("Take down", () => this.turnNode());
    this.down = h("ul", { class: "downs" });
    this.saved = h("div", { class: "saved", role: "status" });
    this.element = h(
      "aside", { "aria-label": "Switches" }, h("h2", {}, "Switch"), this.status, this.effect, this.busy,
      h("div", { class: "buttons" }, this.undo, this.redo, this.reset), h("div", { class: "buttons" }, this.save, this.download), this.saved,
      this.start, this.groups,
      h("fieldset", {}, h("legend", {}, HEADS.down), h("div", { class: "buttons" }, this.node, this.known, this.turn), this.down));
    addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.target.closest?.("input:not([type=checkbox]), textarea")) return;
    const key = event.key.toLowerCase();
    if (key !== "z" && key !== "y") return;
    event.preventDefault();
    const redo = key === "y" || event.shiftKey;
    if (!(redo ? this.redo : this.undo).disabled) this.ask(redo ? "redo" : "undo");
  }

  show(state) {
    this.state = state;
    const shape = JSON.stringify([state.toggles.map(({ id, title, note }) => [id, title, note]), state.bases]);
    if (shape !== this.built) {
      this.built = shape;
      this.build();
    }
    for (const toggle of state.toggles) this.set(toggle);
    this.base.value = state.base;
    this.undo.disabled = !state.undo;
    this.redo.disabled = !state.redo;
    this.reset.disabled = !state.changes.length;
    this.save.disabled = !state.changes.length;
    this.download.hidden = !state.changes.length;
    this.busy.hidden = !state.busy;
    this.busy.lastChild.textContent = state.busy;
    this.status.textContent = state.ended ? "calisim view has ended." : state.changes.length ? `${number(state.changes.length)} ${state.changes.length > 1 ? "changes" : "change"}` : "As the file has it";
    if (state.saved !== this.written) {
      this.written = state.saved;
      replace(this.saved, state.saved && [h("p", { class: "quiet" }, "Saved: ", h("bdi", {}, state.saved)), code(state.command, "the command")]);
    }
    if (state.down.join() === this.listed) return;
    this.listed = state.down.join();
    replace(this.down, state.down.map((name) => h(
      "li", {}, h("bdi", {}, name), " ", h("button", { type: "button", "aria-label": `Bring up ${name}`, onclick: () => this.choose({ [`down/${name}`]: false }) }, "Bring up"))));
    this.offer();
  }

  choose(choices) {
    this.ask("switch", { choices });
  }

  build() {
    this.controls.clear();
    replace(this.base, this.state.bases.map((id) => h("option", { value: id }, id)));
    const of = (kind) => this.state.toggles.filter((one) => one.kind === kind);
    replace(this.groups, [this.pools(of("mode"), of("nat")), this.group("check", of("check")), this.group("ipip", of("ipip")), this.group("policy", of("policy"))]);
  }

  pools(modes, nats) {
    if (!modes.length) return null;
    return h("fieldset", {}, h("legend", {}, HEADS.pool), modes.map((mode, index) => {
      const select = h("select", { onchange: () => this.choose({ [mode.id]: select.value }) },
        h("option", { value: "", hidden: true }, "mixed"), this.state.modes.map(([id, title]) => h("option", { value: id }, title)));
      this.controls.set(mode.id, { select, mark: h("span", { class: "was" }) });
      return h("div", { class: "pool" }, h("p", { class: "quiet" }, h("bdi", {}, mode.title)),
        h("label", { class: "row" }, h("span", {}, "encapsulation"), select), this.controls.get(mode.id).mark, this.box(nats[index], "natOutgoing"));
    }));
  }

  group(kind, toggles) {
    if (!toggles.length) return null;
    const all = (value) => () => this.choose(Object.fromEntries(toggles.map((one) => [one.id, value])));
    const list = h("div", { class: "list" }, toggles.map((one) => this.box(one, one.title, one.note)));
    const search = toggles.length > MANY && h("input", { type: "search", placeholder: "Filter", "aria-label": `Filter: ${HEADS[kind]}`, oninput: (event) => {
      const words = event.target.value.toLowerCase();
      for (const row of list.children) row.hidden = !row.textContent.toLowerCase().includes(words);
    } });
    return h("fieldset", {}, h("legend", {}, HEADS[kind]), search, list, toggles.length > 1 && h(
      "div", { class: "buttons" }, h("button", { type: "button", "aria-label": `${HEADS[kind]}: all on`, onclick: all(true) }, "All on"),
      h("button", { type: "button", "aria-label": `${HEADS[kind]}: all off`, onclick: all(false) }, "All off")));
  }

  box(toggle, title, note = "") {
    const input = h("input", { type: "checkbox", role: "switch", onchange: () => this.choose({ [toggle.id]: input.checked }) });
    const mark = h("span", { class: "was" });
    this.controls.set(toggle.id, { input, mark });
    return h("div", { class: "switch" }, h("label", {}, input, h("span", {}, h("bdi", {}, title), note && h("span", { class: "quiet" }, ` ${note}`))), mark);
  }

  set(toggle) {
    const { input, select, mark } = this.controls.get(toggle.id);
    if (input) {
      input.checked = toggle.now === true;
      input.indeterminate = toggle.now === null;
    } else select.value = toggle.now ?? "";
    mark.textContent = toggle.now === toggle.value ? "" : `● was ${toggle.was}`;
  }

  // What the changes did, in short: the whole is in the main part, which may be out of sight.
  tell(difference) {
    this.effect.hidden = !difference;
    if (!difference) return;
    const lost = difference.numbers.find((one) => one.title === "Lost");
    this.effect.firstChild.textContent = lost.before === lost.now && difference.lost === 0 ? `As many lost: ${number(lost.now)}` : `Lost: ${number(lost.before)} → ${number(lost.now)}`;
  }

  // A node that was chosen on a map.
  point(node) {
    if (!node) return;
    this.node.value = node.name;
    this.offer();
  }

  offer() {
    const written = this.node.value.trim();
    const names = this.names();
    const down = this.state.down.includes(written);
    this.turn.textContent = down ? "Bring up" : "Take down";
    this.turn.disabled = !names.has(written);
    const near = [];
    for (const name of names) {
      if (near.length < 50 && name.includes(written) && name !== written) near.push(name);
    }
    replace(this.known, near.map((name) => h("option", { value: name })));
  }

  turnNode() {
    const name = this.node.value.trim();
    this.choose({ [`down/${name}`]: !this.state.down.includes(name) });
  }
}
