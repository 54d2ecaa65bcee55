// What a browser adds when scripts run. Every page works without this file.
"use strict";

const each = (selector, act, root = document) => root.querySelectorAll(selector).forEach(act);
const say = (text) => { const news = document.getElementById("news"); if (news) news.textContent = text; };

// Copy buttons: hidden in the page, shown where copying works.
async function copy(button, text) {
  await navigator.clipboard.writeText(text);
  const before = button.innerHTML;
  button.textContent = "✓";
  say("Copied");
  setTimeout(() => { button.innerHTML = before; }, 2000);
}
function readyCopyButtons(root) {
  if (!navigator.clipboard) return;
  each("[data-copy]", (button) => {
    button.hidden = false;
    button.addEventListener("click", () => copy(button, button.dataset.copy));
  }, root);
  each(".code[data-copyable]", (code) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn small copy-code";
    button.textContent = code.dataset.copyable;
    const shown = () => [...code.querySelectorAll("pre")].find((block) => block.offsetParent !== null);
    button.addEventListener("click", () => copy(button, shown().textContent));
    code.querySelector(".bar").append(button);
  }, root);
}

// A choice among radio buttons that the next page remembers.
function readyKeptChoices() {
  each("[data-keep]", (group) => {
    const key = `heliograph.${group.dataset.keep}`;
    const kept = document.getElementById(localStorage.getItem(key) || "");
    if (kept && group.contains(kept)) kept.checked = true;
    group.addEventListener("change", (event) => localStorage.setItem(key, event.target.id));
  });
}

// The time zone of this browser, as the first guess.
function guessTimeZone() {
  const select = document.querySelector('[data-guess="time-zone"]');
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (select && [...select.options].some((option) => option.value === zone)) select.value = zone;
}

// A link to a page that asks "are you sure?" opens it as a dialog instead.
function readyDialogs(root) {
  each("a[data-dialog]", (link) => link.addEventListener("click", async (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const answer = await fetch(link.href, { headers: { "X-Part": "1" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const body = page.querySelector("[data-dialog-body]");
    if (!answer.ok || !body) { location.href = link.href; return; }
    const dialog = document.createElement("dialog");
    dialog.className = "sheet";
    dialog.setAttribute("aria-labelledby", "dialog-title");
    dialog.append(document.adoptNode(body));
    document.body.append(dialog);
    const safe = dialog.querySelector("[data-keep-it]");
    if (safe) safe.addEventListener("click", (click) => { click.preventDefault(); dialog.close(); });
    dialog.addEventListener("close", () => { dialog.remove(); link.focus(); });
    dialog.showModal();
    if (safe) safe.focus();
  }), root);
}

// What was done is told for a while, halted while somebody points at it.
function readyToast() {
  each("[data-toast]", (toast) => {
    let timer;
    const start = () => { timer = setTimeout(() => toast.remove(), 8000); };
    const halt = () => clearTimeout(timer);
    toast.addEventListener("pointerenter", halt);
    toast.addEventListener("pointerleave", start);
    toast.addEventListener("focusin", halt);
    toast.addEventListener("focusout", start);
    start();
  });
}

// Keys: "/" finds, "g" and a letter goes to a place; in lists "j" and "k" go from row to row, "[" and "]" from page to page,
// "n" shows what is newer. Not while somebody writes.
const LIST_KEYS = { n: "[data-newer]:not([hidden])", "[": "[rel=prev]", "]": "[rel=next]" };
function goToRow(step) {
  const rows = [...document.querySelectorAll(".main a.cell")];
  const here = rows.indexOf(document.activeElement);
  const row = rows[here < 0 ? 0 : here + step];
  if (row) row.focus();
}
function readyKeys() {
  let going = 0;
  document.addEventListener("keydown", (event) => {
    const inField = event.target.closest("input, textarea, select, [contenteditable], dialog");
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.form) {
      event.target.form.requestSubmit();
      return;
    }
    if (inField || event.ctrlKey || event.metaKey || event.altKey) return;
    if (Date.now() - going < 1200) {
      going = 0;
      const place = document.querySelector(`.side nav a[data-key="${CSS.escape(event.key)}"]`);
      if (place) place.click();
      return;
    }
    if (event.key === "g") going = Date.now();
    else if (event.key === "/") {
      const find = document.getElementById("find");
      if (find) { event.preventDefault(); find.focus(); }
    } else if (event.key === "j" || event.key === "k") {
      goToRow(event.key === "j" ? 1 : -1);
    } else if (LIST_KEYS[event.key]) {
      const link = document.querySelector(LIST_KEYS[event.key]);
      if (link) link.click();
    } else if (event.key === "c") {
      const send = document.querySelector('.side nav a[data-key="s"]');
      if (send) send.click();
    }
  });
}

// Parts of a page: fetch an address, and put what has the same ids (one, or several with spaces between) in their place.
async function loadPart(ids, address, options = {}) {
  const headers = { "X-Part": "1", ...options.headers };
  const answer = await fetch(address, { ...options, headers });
  if (answer.redirected && !options.quiet) { location.href = answer.url; return; }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (options.isStale && options.isStale()) return;
  const pairs = ids.split(" ").map((id) => [document.getElementById(id), page.getElementById(id)]);
  if (pairs.some(([stale, fresh]) => !stale || !fresh)) { if (!options.quiet) location.href = address; return; }
  pairs.forEach(([stale, fresh]) => {
    const { version } = stale.dataset;  // fields that one types in: replaced only when they become other fields
    if (version === undefined ? stale.outerHTML !== fresh.outerHTML : version !== fresh.dataset.version) put(stale, fresh);
  });
}
function put(stale, fresh) {
  [stale, ...stale.querySelectorAll("[data-live]")].forEach((place) => place.live && place.live.close());
  const inside = stale.contains(document.activeElement) && document.activeElement.id;
  stale.replaceWith(document.adoptNode(fresh));
  ready(fresh);
  const again = inside && document.getElementById(inside);
  if (again) again.focus();
}
function readyParts(root) {
  each("a[data-part]", (link) => link.addEventListener("click", async (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    const place = document.getElementById(link.dataset.part);
    if (place && getComputedStyle(place).display === "none") return;  // no room for it here: go to its page
    event.preventDefault();
    await loadPart(link.dataset.part, link.href);
    history.pushState({}, "", link.href);
    each("tr[aria-selected]", (row) => row.removeAttribute("aria-selected"));
    const row = link.closest("tr");
    if (row) row.setAttribute("aria-selected", "true");
  }), root);
  each("form[data-part]", (form) => {
    let asked = 0;
    const load = (address, quiet) => {
      const fields = new URLSearchParams(new FormData(form));
      const number = ++asked;
      const isStale = () => number !== asked;  // an answer that was overtaken by what was typed since
      if (form.method === "get") return loadPart(form.dataset.part, `${address}?${fields}`, { quiet, isStale });
      return loadPart(form.dataset.part, address, { method: "POST", body: fields, quiet, isStale });
    };
    if (form.dataset.partOn) {
      let waiting;
      form.addEventListener(form.dataset.partOn, () => {
        clearTimeout(waiting);
        waiting = setTimeout(() => load(form.dataset.partFrom || form.action, true), 150);
      });
    } else {
      form.addEventListener("submit", (event) => { event.preventDefault(); load(form.action, false); });
    }
  }, root);
}

// Buttons that put WhatsApp's marks around what is selected.
function readyToolbars(root) {
  each("[data-wraps]", (bar) => {
    const field = document.getElementById(bar.dataset.wraps);
    bar.hidden = false;
    each("[data-wrap]", (button) => button.addEventListener("click", () => {
      const { selectionStart: from, selectionEnd: to } = field;
      const mark = button.dataset.wrap;
      field.setRangeText(mark + field.value.slice(from, to) + mark, from, to, "end");
      field.setSelectionRange(from + mark.length, to + mark.length);
      field.focus();
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }), bar);
  }, root);
}

// Live rows: what changed comes by server-sent events and takes the place of what has the same id.
function readyLive(root) {
  const places = root.matches && root.matches("[data-live]") ? [root] : root.querySelectorAll("[data-live]");
  places.forEach((place) => {
    const source = new EventSource(place.dataset.live);
    place.live = source;
    const heard = (name, act) => source.addEventListener(name, (event) => {
      if (place.isConnected) act(event.data); else source.close();
    });
    heard("swap", (html) => {
      const box = document.createElement("template");
      box.innerHTML = html;
      [...box.content.children].forEach((fresh) => {
        const stale = document.getElementById(fresh.id);
        const into = document.getElementById(fresh.dataset.into || ""); // what is new goes to the end of this
        fresh.classList.add("flash", "go");
        if (stale) put(stale, fresh);
        else if (into) { into.append(fresh); ready(fresh); }
      });
    });
    heard("newer", (count) => each("[data-newer]", (link) => {
      link.hidden = count === "0";
      each("[data-count]", (number) => { number.textContent = count; }, link);
    }));
    heard("news", say);
    heard("ended", () => { source.close(); location.reload(); });
    addEventListener("pagehide", () => source.close());
  });
}

function ready(root) {
  readyCopyButtons(root);
  readyDialogs(root);
  readyParts(root);
  readyLive(root);
  readyToolbars(root);
  each("[data-with-script]", (place) => { place.hidden = false; }, root);
}
ready(document);
readyKeptChoices();
guessTimeZone();
readyToast();
readyKeys();
addEventListener("popstate", () => location.reload());
