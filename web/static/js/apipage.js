// Copy buttons of the API page.
import { $, announce } from "./dom.js";

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const text = $(button.dataset.copy).textContent;
    try {
      await navigator.clipboard.writeText(text);
      announce("Copied");
      button.lastChild.textContent = "Copied";
    } catch {
      // No clipboard on plain http addresses: select the text instead, one key from copied.
      getSelection().selectAllChildren($(button.dataset.copy));
      announce("Selected. Copy it with Ctrl C.");
      button.lastChild.textContent = "Selected";
    }
  });
}
fetch("/api/model")
  .then((response) => (response.ok ? response.json() : Promise.reject(new Error(String(response.status)))))
  .then((model) => {
    $("server").dataset.state = "ready";
    $("server-text").textContent = `${model.name} ${model.version}`;
  })
  .catch(() => {
    $("server").dataset.state = "away";
    $("server-text").textContent = "no model ready";
  });
