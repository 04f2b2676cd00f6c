// What pages do beyond links and forms: charts, the menu of phones, questions before changes.
"use strict";

const SMALL = window.matchMedia("(max-width: 52rem)");

function closeMenuOnPhones() {
  const menu = document.querySelector("[data-menu]");
  if (menu) menu.open = !SMALL.matches;
}

// --- charts ---------------------------------------------------------------------------------------

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function shortNumber(value) {
  if (value == null) return "–";
  const sizes = [[1e9, "B", 1e9], [1e6, "M", 1e6], [1e4, "k", 1e3]];
  for (const [least, suffix, unit] of sizes) {
    if (Math.abs(value) >= least) return Number((value / unit).toPrecision(3)) + suffix;
  }
  return String(Number(value.toPrecision(3)));
}

function withUnit(unit) {
  return (value) => {
    if (value == null) return "–";
    if (unit === "%") return Number((value * 100).toPrecision(3)) + " %";
    if (unit === "s") return value < 1 ? Number((value * 1000).toPrecision(3)) + " ms" : shortNumber(value) + " s";
    return shortNumber(value) + (unit ? " " + unit : "");
  };
}

// The label of a time on the axis: the clock within a day, the day at midnight; `step` is in seconds.
function timeLabel(seconds, step) {
  const text = new Date(seconds * 1000).toISOString();
  const clock = text.slice(11, 16);
  if (step < 60) return text.slice(11, 19);
  return step < 86400 && clock !== "00:00" ? clock : text.slice(5, 10);
}

// Whether lines show every value: one between two gaps would be invisible without a point.
function isLine(values) {
  return values.every((value, index) => value == null || values[index - 1] != null || values[index + 1] != null);
}

function draw(element) {
  const chart = JSON.parse(element.dataset.chart);
  const show = withUnit(chart.unit);
  const axis = { stroke: color("--pico-muted-color"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line"), width: 1 }, font: "11px system-ui" };
  const bars = chart.kind === "bars" ? uPlot.paths.bars({ size: [0.7, 40] }) : undefined;
  const series = chart.series.map((entry, index) => {
    const stroke = color(`--series-${(index % 6) + 1}`);
    return { label: entry.name, stroke, width: 2, fill: bars ? stroke + "99" : undefined, paths: bars, points: { show: !isLine(entry.values) }, value: (_, value) => show(value) };
  });
  // Half an interval on both sides, so that the first and the last bar are whole.
  const margin = bars && chart.times.length > 1 ? (chart.times[1] - chart.times[0]) / 2 : 0;
  element.replaceChildren();
  element.plot = new uPlot({
    width: element.clientWidth, height: 190, tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    legend: { live: true }, cursor: { drag: { setScale: false } },
    scales: { x: { range: (_, first, last) => [first - margin, last + margin] }, y: { range: (_, least, most) => [Math.min(0, least ?? 0), most > 0 ? most * 1.1 : 1] } },
    axes: [{ ...axis, size: 30, values: (_, times, __, ___, step) => times.map((time) => timeLabel(time, step)) }, { ...axis, size: 58, values: (_, values) => values.map(show) }],
    series: [{ value: "{YYYY}-{MM}-{DD} {HH}:{mm}" }, ...series],
  }, [chart.times, ...chart.series.map((entry) => entry.values)], element);
}

function drawAll(root) {
  if (typeof uPlot === "undefined") return;
  for (const element of root.querySelectorAll("[data-chart]")) {
    if (JSON.parse(element.dataset.chart).times.length) draw(element);
  }
}

// --- forms ----------------------------------------------------------------------------------------

function askBefore(event) {
  const question = event.target.dataset?.confirm ?? event.submitter?.dataset?.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
}

// A field with `data-items` proposes the items whose names have the words that were typed last.
let waiting = 0;

function proposeItems(event) {
  const { items } = event.target.dataset ?? {};
  const words = items && event.target.value.split(",").pop().trim();
  clearTimeout(waiting);
  if (!words) return;
  waiting = setTimeout(async () => {
    const answer = await fetch(`${items}?search=${encodeURIComponent(words)}`);
    if (answer.ok) event.target.list.innerHTML = await answer.text();
  }, 200);
}

document.addEventListener("DOMContentLoaded", () => {
  closeMenuOnPhones();
  SMALL.addEventListener("change", closeMenuOnPhones);
  drawAll(document);
});
document.addEventListener("submit", askBefore);
document.addEventListener("input", proposeItems);
document.addEventListener("htmx:after:swap", () => drawAll(document));
window.addEventListener("resize", () => {
  for (const element of document.querySelectorAll("[data-chart]")) {
    element.plot?.setSize({ width: element.clientWidth, height: 190 });
  }
});
