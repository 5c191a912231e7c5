// Light, dark, or as the system says; drawings ask here for the colours that hold now.
import { h } from "./dom.js";

const listeners = new Set();
const system = matchMedia("(prefers-color-scheme: dark)");
let chosen = null;

export const dark = () => (chosen ?? (system.matches ? "dark" : "light")) === "dark";

export function onTheme(listener) {
  listeners.add(listener);
}

function wear(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  for (const listener of listeners) listener();
}

system.addEventListener("change", () => wear(chosen));
addEventListener("beforeprint", () => wear("light"));
addEventListener("afterprint", () => wear(chosen));

export function themeButton() {
  const label = () => (dark() ? "Light" : "Dark");
  const button = h("button", { type: "button", class: "theme" }, label());
  button.addEventListener("click", () => {
    chosen = dark() ? "light" : "dark";
    wear(chosen);
  });
  onTheme(() => { button.textContent = label(); });
  return button;
}

// Values of custom properties as colours that a canvas understands.
export function colours(element, names) {
  const probe = h("span", { hidden: true });
  element.append(probe);
  const found = {};
  for (const name of names) {
    probe.style.color = `var(--${name})`;
    found[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return found;
}
