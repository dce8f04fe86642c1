// Ways in: drop, choose, paste, examples. Each ends in onFiles([File, ...]).
import { $, announce } from "./dom.js";

export function bindIntake(onFiles) {
  bindDrop(onFiles);
  $("choose").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    onFiles([...$("file").files]);
    $("file").value = ""; // so that the same file can be chosen again
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    onFiles(files);
  });
  for (const button of document.querySelectorAll("[data-example]")) {
    button.addEventListener("click", () => openExample(button.dataset, onFiles));
  }
}

/** The whole page takes drops: a near miss must not make the browser open the file instead. */
function bindDrop(onFiles) {
  let depth = 0;
  const mark = (over) => $("drop").classList.toggle("over", over);
  // A file field takes what is dropped onto it by itself.
  const holdsFiles = (event) =>
    [...(event.dataTransfer?.types ?? [])].includes("Files") && !event.target.closest?.('input[type="file"]');
  document.addEventListener("dragenter", (event) => holdsFiles(event) && mark(++depth > 0));
  document.addEventListener("dragleave", (event) => holdsFiles(event) && mark(--depth > 0));
  document.addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    mark((depth = 0) > 0);
    if (!holdsFiles(event)) return;
    event.preventDefault();
    onFiles([...event.dataTransfer.files]);
  });
}

async function openExample({ example, name }, onFiles) {
  try {
    const response = await fetch(example);
    if (!response.ok) throw new Error(String(response.status));
    onFiles([new File([await response.blob()], name)]);
  } catch {
    announce("The example could not be loaded. Is the server running?");
  }
}
