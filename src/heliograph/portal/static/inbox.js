// What the inbox adds to portal.js: keys, a reply that does not reload the page, and telling that somebody looks.
"use strict";

const inbox = document.querySelector(".inbox");

// j k and arrows go through the list; r replies, e is done, a assigns, n shows newer ones, z undoes.
function stepThroughLines(step) {
  const lines = [...inbox.querySelectorAll(".person")];
  const at = lines.indexOf(document.activeElement);
  const from = at >= 0 ? at : lines.findIndex((line) => line.hasAttribute("aria-current"));
  const next = lines[from < 0 ? 0 : Math.max(0, Math.min(lines.length - 1, from + step))];
  if (next) next.focus();
}
const inboxKeys = {
  j: () => stepThroughLines(1),
  k: () => stepThroughLines(-1),
  ArrowDown: () => stepThroughLines(1),
  ArrowUp: () => stepThroughLines(-1),
  r: () => { const reply = document.getElementById("reply"); if (reply) reply.focus(); },
  e: () => { const form = document.getElementById("done-form"); if (form) form.requestSubmit(); },
  a: () => { const select = document.getElementById("assignee"); if (select) select.focus(); },
  t: () => { const link = document.getElementById("use-template"); if (link) link.click(); },
  n: () => { const link = inbox.querySelector("[data-newer]:not([hidden])"); if (link) link.click(); },
  z: () => { const undo = document.querySelector("[data-toast] form"); if (undo) undo.requestSubmit(); },
};
let goes = 0; // "g" and a letter go to a place: that letter is not ours
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.key === "Escape" && event.target.closest("#reply, #note, #assignee")) { event.target.blur(); return; }
  if (event.target.closest("input, textarea, select, dialog, audio, video")) return;
  const arrow = event.key.startsWith("Arrow");
  if (arrow && event.target.closest(".talk")) return; // there arrows scroll
  if (event.key === "g") { goes = Date.now(); return; }
  const act = inboxKeys[event.key];
  if (!act || Date.now() - goes < 1200) { goes = 0; return; }
  event.preventDefault();
  act();
});

// A reply: sent once however often one clicks, and the thread is renewed in its place.
document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-once]");
  if (!form) return;
  event.preventDefault();
  if (form.dataset.leaving) return;
  form.dataset.leaving = "1";
  const button = form.querySelector("button:not([type])");
  button.setAttribute("aria-disabled", "true");
  try {
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { "X-Part": "1" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("convo");
    if (!fresh) { location.href = answer.url; return; }
    put(document.getElementById("convo"), fresh);
    watchThread();
    const reply = document.getElementById("reply");
    if (reply) reply.focus();
    say(answer.ok ? inbox.dataset.taken : (fresh.querySelector(".error") || fresh).textContent.trim());
  } catch {
    delete form.dataset.leaving;
    button.removeAttribute("aria-disabled");
    say(inbox.dataset.lost);
  }
});

// What arrives while somebody looks at it is read.
let unseen = false;
async function tellThatItIsRead() {
  const form = document.getElementById("read-form");
  if (!form || !unseen || document.visibilityState !== "visible" || !document.hasFocus()) return;
  unseen = false;
  await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
}
function watchThread() {
  const thread = document.getElementById("thread");
  if (!thread) return;
  new MutationObserver((changes) => {
    unseen ||= changes.some((change) => [...change.addedNodes].some((node) => node.dataset && "theirs" in node.dataset));
    tellThatItIsRead();
  }).observe(thread, { childList: true });
}
watchThread();
addEventListener("focus", tellThatItIsRead);
document.addEventListener("visibilitychange", tellThatItIsRead);
