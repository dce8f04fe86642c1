// The report buttons of the evidence view.
import { $, announce, el } from "./dom.js";
import { PAPER } from "./draw.js";
import { pictureOf } from "./picture.js";
import { buildReport, reportName } from "./report.js";
import { reportHtml } from "./reporthtml.js";

const PICTURE = { w: 800, h: 220 };

function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = el("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  announce(`Saved ${name}`);
}

export function bindReport(evidence) {
  $("report-json").addEventListener("click", () => {
    const report = buildReport(evidence.entry);
    download(reportName(report, "json"), "application/json", JSON.stringify(report, null, 1));
  });
  $("report-html").addEventListener("click", async () => {
    const report = buildReport(evidence.entry);
    const picture = await pictureOf(evidence.entry, evidence.signal, PAPER, PICTURE);
    download(reportName(report, "html"), "text/html", reportHtml(report, picture));
  });
  $("report-print").addEventListener("click", () => window.print());
}
