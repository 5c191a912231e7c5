// The player: one packet through every stage, alone or through two variants in lock-step.
import { bytesPanel } from "./bytes.js";
import { code, h, icon, replace } from "./dom.js";
import { headerPanels } from "./headers.js";
import { aligned, places, stations, steps } from "./path.js";
import { Scene, positions } from "./scene.js";
import { SIGNS, fate, fateOfWord } from "./words.js";

const PAUSE = 1400;            // milliseconds at speed 1

const place = (object) => (object.line ? `${object.file}:${object.line}` : object.file);

export const decider = (object) => (object ? `${object.kind} ${object.name}, ${place(object)}` : "");

// Why a packet died, by whose line, and what cures it.
export function dropCard(journey, way, reasons) {
  const end = journey.steps[journey.steps.length - 1];
  const rows = [["Where", `${end.where}, stage ${end.stage}`], ["Decided by", decider(end.decidedBy) || "no single object"]];
  return h(
    "section", { class: "drop", "aria-label": `Lost: ${journey.reason}` },
    h("h4", {}, h("span", { class: "badge lost" }, `${SIGNS.lost} ${journey.reason}`), way === "reply" && " on the way back"),
    h("p", { class: "says" }, end.says),
    h("dl", {}, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]), journey.told.length > 0 && [
      h("dt", {}, "Told"), h("dd", {}, journey.told.map((line) => h("div", {}, line)))]),
    journey.cure.length > 0 ? [h("h5", {}, "Cure"), journey.cure.map((line) => code(line, "the cure"))]
      : h("p", { class: "quiet" }, reasons[journey.reason] && `In general: ${reasons[journey.reason]}`));
}

function policy(journey) {
  const asked = journey.policy.filter((side) => side.tiers.length || !side.allowed);
  if (!asked.length) return null;
  return h("details", { class: "policy" }, h("summary", {}, "What the policies say"), asked.map((side) => h(
    "div", {}, h("p", {}, h("strong", {}, `${side.direction} of ${side.endpoint}: `), side.allowed ? "allowed by " : "denied by ", side.says),
    h("ul", {}, side.tiers.flatMap((tier) => tier.policies.map((one) => h(
      "li", {}, `${one.policy.kind} ${one.policy.name} (${place(one.policy)})`,
      one.rules.length === 0 && h("div", { class: "quiet" }, `it has no ${side.direction} rules: it allows nothing`),
      h("ul", {}, one.rules.map((rule) => h(
        "li", {}, `${rule.matches ? "✓ matches" : "✗ does not match"}: ${rule.says}`,
        rule.misses.map((miss) => h("div", { class: "quiet" }, miss))))))))))));
}

class Lane {
  constructor(report, journey, variant) {
    const told = journey.told[variant];
    this.variant = variant;
    this.told = told;
    if (!told) return;
    const known = places(report.maps[report.variants.find((one) => one.id === variant).map]);
    this.all = steps(told);
    this.encaps = report.encaps;
    this.stations = stations(this.all, known);
    this.sentence = h("p", { class: "sentence", "aria-live": "polite" });
    this.headers = h("div");
    this.list = ["request", "reply"].map((way) => this.all.some((entry) => entry.way === way) && h(
      "div", {}, h("h4", {}, way === "request" ? "Request" : "Reply"), h("ol", { class: "stages" }, this.all.map((entry, number) => entry.way === way && h(
        "li", {}, h("button", { type: "button", "data-step": number, class: entry.last ? fate(entry.journey.verdict) : "" },
          h("span", { class: "where" }, [entry.step.where, entry.step.interface, entry.step.direction].filter(Boolean).join(" ")),
          " ", entry.step.says))))));
    this.verdict = fate(told.trace.verdict);
  }

  draw(columnsOf, journey) {
    this.scene = new Scene(this.all, this.stations, columnsOf, this.encaps, `${journey.from} to ${journey.to}, ${this.variant}`);
  }

  head(journey) {
    const word = this.told && (journey.outcomes[this.variant] ?? null);
    const otherwise = word && fateOfWord(word) !== fate(this.told.trace.request.verdict);
    this.waitword = h("span", { class: "chip unknown waitword" });
    return h(
      "div", { class: "lanehead" }, h("h3", {}, this.variant),
      this.told && h("span", { class: `badge ${this.verdict}`, "data-verdict": this.told.trace.verdict }, `${SIGNS[this.verdict]} ${this.told.trace.verdict}`),
      this.waitword,
      word && !otherwise && h("span", { class: "quiet" }, `in the traffic: ${word}`),
      otherwise && h("p", { class: "otherwise" }, `In the traffic, where others had gone before, these packets end as ${word}; this one goes alone.`));
  }

  show(number) {
    const entry = this.all[number];
    const { step } = entry;
    this.scene.show(number);
    const before = number && this.all[number - 1].way === entry.way ? this.all[number - 1].step : null;
    replace(
      this.sentence,
      h("strong", {}, [step.where, step.interface, step.direction].filter(Boolean).join(" ") || step.stage), `: ${step.says}`,
      h("span", { class: "quiet" }, ` (stage ${step.stage})`),
      step.decidedBy && h("span", { class: "decider" }, ` ${decider(step.decidedBy)}`));
    const wrap = this.scene.wrapOf(step);
    replace(this.headers, headerPanels(step.headers, before && before.headers, wrap && this.encaps[wrap].title), this.octets(number));
    for (const list of this.list) {
      if (!list) continue;
      for (const button of list.querySelectorAll("button")) {
        const mine = Number(button.dataset.step) === number;
        if (mine) button.setAttribute("aria-current", "step");
        else button.removeAttribute("aria-current");
        if (mine) this.reveal(button);
      }
    }
  }

  octets(number) {
    const { step, way } = this.all[number];
    if (!step.bytes) return h("p", { class: "octets none" }, "Between two interfaces: no bytes to see here.");
    let last = number - 1;
    while (last >= 0 && this.all[last].way === way && !this.all[last].step.bytes) last -= 1;
    const before = last >= 0 && this.all[last].way === way ? this.all[last].step : null;
    const layers = (one) => one.headers.map((header) => header.layer);
    return bytesPanel(step.bytes, layers(step), before && { hex: before.bytes, layers: layers(before) });
  }

  reveal(button) {
    const box = button.closest(".stagebox");
    if (!box) return;
    const [top, bottom] = [button.offsetTop - box.offsetTop, button.offsetTop - box.offsetTop + button.offsetHeight];
    if (top < box.scrollTop) box.scrollTop = top;
    else if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
  }
}

export class Player {
  constructor(report, onStep) {
    this.report = report;
    this.onStep = onStep;
    this.playing = null;
    this.speed = 1;
    this.stage = h("div", { class: "lanes" });
    const control = (name, sign, action, key) => h(
      "button", { type: "button", "aria-label": name, title: `${name} (${key})`, onclick: action }, icon(sign));
    this.toggle = control("Play", "play", () => this.play(), "space");
    this.range = h("input", { type: "range", min: 0, value: 0, "aria-label": "Stage", oninput: () => this.go(Number(this.range.value)) });
    this.count = h("output", { class: "count" });
    this.element = h(
      "div", { class: "player", role: "group", "aria-label": "Packet player" },
      h("div", { class: "controls" },
        control("First stage", "first", () => this.go(0), "Home"), control("Step back", "back", () => this.step(-1), "←"), this.toggle,
        control("Step on", "on", () => this.step(1), "→"), control("Last stage", "last", () => this.go(this.frames.length - 1), "End"),
        this.range, this.count,
        h("label", {}, "Speed ", h("select", { onchange: (event) => { this.speed = Number(event.target.value); } },
          [0.5, 1, 2, 4].map((speed) => h("option", { value: speed, selected: speed === 1 }, `${speed}×`))))),
      this.stage,
      h("p", { class: "quiet keys" }, "The upper line is the request’s way, the lower one the reply’s. Keys: space plays and pauses, ← and → step, Home and End jump; click a stage to go there."));
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.element.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-step]");
      if (button) this.goTo(Number(button.closest(".lane").dataset.lane), Number(button.dataset.step));
    });
  }

  // Another journey, or the same as it is now: then the packet stays at the stage where it was.
  load(journey, variants) {
    this.pause();
    const same = this.journey && ["from", "to", "protocol", "port", "size"].every((part) => this.journey[part] === journey[part]);
    const at = same && this.lanes.length ? this.frames[this.frame][0] : 0;
    const frame = same ? this.frame : 0;
    this.journey = journey;
    const all = variants.map((variant) => new Lane(this.report, journey, variant));
    this.lanes = all.filter((lane) => lane.told);
    const columnsOf = this.lanes.length && positions(this.lanes.map((lane) => lane.stations.row));
    for (const lane of this.lanes) lane.draw(columnsOf, journey);
    this.frames = this.lanes.length === 2 ? aligned(this.lanes[0].all, this.lanes[1].all)
      : (this.lanes[0]?.all ?? []).map((_, number) => [number]);
    this.range.max = Math.max(this.frames.length - 1, 0);
    replace(
      this.stage,
      all.map((lane) => h(
        "div", { class: "lane", "data-lane": this.lanes.indexOf(lane), "data-variant": lane.variant }, lane.head(journey),
        lane.told ? [h("div", { class: "scenebox", tabindex: "0", role: "region", "aria-label": `The way through ${lane.variant}` }, lane.scene.element), lane.sentence]
          : h("p", { class: "quiet" }, "This variant has no such sender or receiver."))),
      h("div", { class: this.lanes.length > 1 ? "details" : "details one" }, this.lanes.map((lane, number) => h(
        "div", { class: "lane", "data-lane": number },
        h("div", {}, this.lanes.length > 1 && h("h3", {}, lane.variant), lane.headers),
        h("div", {}, ["request", "reply"].map((way) => lane.told.trace[way]?.reason && dropCard(lane.told.trace[way], way, this.report.reasons)),
        h("div", { class: "stagebox", tabindex: "0", role: "region", "aria-label": `Stages, ${lane.variant}` }, lane.list),
        policy(lane.told.trace.request),
        h("p", { class: "quiet" }, journey.commands[lane.variant] ? "The same in a terminal:" : "Save it as a scenario to have the same in a terminal."),
        journey.commands[lane.variant] && code(journey.commands[lane.variant], "the command"))))));
    const stage = this.frames.findIndex((one) => one[0] === at && at !== null);
    this.go(stage < 0 ? frame : stage);
  }

  key(event) {
    if (event.target.closest("select, input, textarea, summary") || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === " " && event.target.closest("button")) return;
    const action = {
      " ": () => this.play(), ArrowLeft: () => this.step(-1), ArrowRight: () => this.step(1), Home: () => this.go(0),
      End: () => this.go(this.frames.length - 1),
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  goTo(lane, step) {
    this.pause();
    this.go(this.frames.findIndex((frame) => frame[lane] === step));
  }

  step(by) {
    this.pause();
    this.go(this.frame + by);
  }

  go(frame) {
    if (!this.frames.length) return;
    this.frame = Math.max(0, Math.min(frame, this.frames.length - 1));
    this.range.value = this.frame;
    this.count.textContent = `${this.frame + 1} / ${this.frames.length}`;
    this.element.dataset.frame = this.frame;
    this.lanes.forEach((lane, number) => {
      let at = this.frame;
      while (at >= 0 && this.frames[at][number] === null) at -= 1;
      lane.show(at < 0 ? 0 : this.frames[at][number]);
      const waits = this.frames[this.frame][number] === null;
      lane.waitword.textContent = at >= 0 && this.frames[at][number] === lane.all.length - 1 ? "has ended" : "waits for the other";
      for (const box of this.stage.querySelectorAll(`.lane[data-lane="${number}"]`)) box.classList.toggle("waits", waits);
      if (number === 0) this.onStep(lane, at < 0 ? 0 : this.frames[at][number]);
    });
  }

  play() {
    if (this.playing) {
      this.pause();
      return;
    }
    if (this.frame === this.frames.length - 1) this.go(0);
    replace(this.toggle, icon("pause"));
    this.toggle.setAttribute("aria-label", "Pause");
    const next = () => {
      if (this.frame >= this.frames.length - 1) {
        this.pause();
        return;
      }
      this.go(this.frame + 1);
      this.playing = setTimeout(next, PAUSE / this.speed);
    };
    this.playing = setTimeout(next, PAUSE / 2 / this.speed);
  }

  pause() {
    clearTimeout(this.playing);
    this.playing = null;
    replace(this.toggle, icon("play"));
    this.toggle.setAttribute("aria-label", "Play");
  }
}
