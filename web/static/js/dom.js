// Builds elements without innerHTML, so that a file name or a server's message can never become markup.
export const $ = (id) => document.getElementById(id);

/** el("button", {class: "x", on: {click}}, "text", child) -> HTMLElement. Unknown properties become attributes. */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") Object.entries(value).forEach(([event, listener]) => node.addEventListener(event, listener));
    else node.setAttribute(name === "class" ? "class" : name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

export const icon = (name) =>
  svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `#i-${name}` }));

/** Rows of [term, value or node] -> replaces the content of a <dl>. Empty values are left out. */
export function fillFacts(list, rows) {
  const kept = rows.filter(([, value]) => value !== null && value !== undefined && value !== "");
  list.replaceChildren(...kept.map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value))));
}

/** Speaks a sentence to screen readers through the page's one live region. */
export function announce(text) {
  $("live").textContent = text;
}

export function setIcon(button, name, label) {
  button.querySelector("use").setAttribute("href", `#i-${name}`);
  button.setAttribute("aria-label", label);
}
