// Elements. Text from the data reaches the page through here, always as text, never as markup.
const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

export function h(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function s(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

export function replace(parent, ...children) {
  parent.replaceChildren(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
}

const ICONS = {
  play: "M4 2L14 8L4 14Z", pause: "M3 2H7V14H3ZM9 2H13V14H9Z", back: "M13 2L5 8L13 14ZM2 2H4V14H2Z", on: "M3 2L11 8L3 14ZM12 2H14V14H12Z",
  first: "M14 2L8 8L14 14ZM8 2L2 8L8 14ZM0 2H2V14H0Z", last: "M2 2L8 8L2 14ZM8 2L14 8L8 14ZM14 2H16V14H14Z" };

export function icon(name) {
  return s("svg", { class: "icon", viewBox: "0 0 16 16", width: 15, height: 15, "aria-hidden": "true" }, s("path", { d: ICONS[name] }));
}

// A button that copies a text, and says that it did.
export function copyButton(text, what) {
  const button = h("button", { type: "button", class: "copy", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    let done = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = h("textarea", { "aria-hidden": "true", class: "offscreen" });
      area.value = text;
      document.body.append(area);
      area.select();
      done = document.execCommand("copy");
      area.remove();
    }
    button.textContent = done ? "Copied" : "Select and copy by hand";
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
  });
  return button;
}

export function code(text, what) {
  return h("div", { class: "code" }, h("pre", { tabindex: "0" }, text), copyButton(text, what));
}
