// Sends the forms of the API page to the service that the page is from, and shows what it answers.
"use strict";

// The style and script are in docs/, beside the paths of the service.
const root = new URL("..", document.currentScript.src);

function target(form) {
  let path = form.dataset.path.replace(/^\//, "");
  const query = new URLSearchParams();
  for (const input of form.querySelectorAll("input")) {
    if (input.dataset.in === "path") {
      path = path.replace(`{${input.name}}`, encodeURIComponent(input.value));
    } else if (input.value !== "") {
      query.append(input.name, input.value);
    }
  }
  const url = new URL(path, root);
  url.search = query.toString();
  return url;
}

async function send(form) {
  const headers = {};
  const key = document.getElementById("key").value;
  if (key) headers["x-api-key"] = key;
  const body = form.querySelector("textarea");
  if (body) headers["content-type"] = "application/json";
  const answer = await fetch(target(form), {
    method: form.dataset.method,
    headers,
    body: body ? body.value : undefined,
  });
  let text = await answer.text();
  try {
    text = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // it is no JSON, and shown as it came
  }
  const lines = [...answer.headers].map(([name, value]) => `${name}: ${value}`);
  return [answer.ok, `${answer.status}\n${lines.join("\n")}\n\n${text}`];
}

document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const shown = event.target.querySelector("output");
  shown.textContent = "…";
  let ok, text;
  try {
    [ok, text] = await send(event.target);
  } catch (error) {
    [ok, text] = [false, String(error)];
  }
  shown.textContent = text;
  shown.classList.toggle("failed", !ok);
});

// A link to a schema or an operation opens it.
function open() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named instanceof HTMLDetailsElement) named.open = true;
}
addEventListener("hashchange", open);
open();
