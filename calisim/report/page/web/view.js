// The page of a running calisim view: asks for news, draws them, and sends what the reader switches.
import { News } from "./news.js";
import { Page } from "./page.js";
import { Switches } from "./switches.js";

const AGAIN = 5000;             // milliseconds between two tries when nobody answers
const given = JSON.parse(document.getElementById("data").textContent);
let state = given.state;
let picture = given.picture;
let drawn = state.picture;
let said = "";                  // why the last wish could not be granted; stays until the next

async function ask(name, body = {}) {
  said = "";
  try {
    const answer = await fetch(name, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    if (!answer.ok) said = answer.headers.get("Content-Type")?.includes("json") ? (await answer.json()).error : await answer.text();
  } catch {
    said = "calisim view does not answer; has it been ended?";
  }
  news.state(state, said);
  if (said) switches.show(state);       // what could not be switched goes back
}

const names = () => new Set(picture.report.maps[0].nodes.map((node) => node.name));
const switches = new Switches(ask, names);
const news = new News(() => {
  page.play(page.worth());
  document.getElementById("journey").scrollIntoView();
});

function tell() {
  switches.show(state);
  news.state(state, said);
  document.documentElement.dataset.version = state.version;
}

const page = new Page(picture.report, {
  above: news.element, aside: switches.element, footer: "Served by calisim view on this machine alone.", onNode: (node) => switches.point(node) });

function draw() {
  document.title = `${picture.report.scenario.name} – calisim`;
  page.update(picture.report, picture.pair);
  news.picture(picture.difference, picture.pair);
  switches.tell(picture.difference);
  document.documentElement.dataset.picture = drawn;
}

async function follow() {
  for (;;) {
    try {
      const answer = await fetch(`news?since=${state.version}`);
      if (!answer.ok) throw new Error(answer.statusText);
      state = await answer.json();
      if (state.picture !== drawn) {
        const wanted = state.picture;
        picture = await (await fetch("picture")).json();
        drawn = wanted;
        draw();
      }
      tell();
    } catch {
      state = { ...state, ended: true, busy: "" };
      tell();
    }
    if (state.ended) await new Promise((wake) => { setTimeout(wake, AGAIN); });
  }
}

draw();
tell();
document.documentElement.dataset.ready = "yes";
follow();
