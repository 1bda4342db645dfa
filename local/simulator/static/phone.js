// A customer's phone. A local tool: it asks once a second, and only while somebody looks.

import { call, customerPath, submit } from "./api.js";
import { drawPeople, element, showNumber } from "./people.js";
import { SwitchPanel } from "./switches.js";
import { drawThread } from "./thread.js";

const POLL_MS = 1000;
const SHOWN = 300; // the newest messages: a burst of thousands must not choke the page
const COUNTERS = {
  posted: "enviados", acked: "confirmados", retried: "repetidos", pending: "pendentes",
  held: "segurados", lost: "perdidos",
};

const $ = (id) => document.getElementById(id);
const state = { selected: new URLSearchParams(location.search).get("c"), revision: -1, replyTo: null, customers: [] };
const panel = new SwitchPanel($("switches"), complain);

const selected = () => state.customers.find((customer) => customer.id === state.selected);

function complain(problem) {
  $("problem").textContent = problem.message;
  $("problem").hidden = false;
}

let turn = Promise.resolve();

/** One after the other: nothing is asked of a number that is just becoming another. */
function inTurn(work) {
  turn = turn.catch(() => {}).then(work);
  return turn;
}

const refresh = () => inTurn(showWhatIsThere);

/** Runs what a person asked for; tells them when it was refused, and shows what it changed. */
async function act(work) {
  $("problem").hidden = true;
  try {
    await inTurn(work);
  } catch (problem) {
    complain(problem);
  }
  await refresh().catch(complain);
}

/** A Brazilian number typed as people say it, without its country code, gets it. */
function withCountryCode(typed) {
  const national = /^[1-9]{2}(9\d{8}|[2-5]\d{7})$/.test(typed.replace(/[\s().-]/g, ""));
  return national ? `+55 ${typed}` : typed;
}

function goTo(view) {
  document.body.dataset.view = view;
  for (const tab of document.querySelectorAll(".tabs button")) {
    tab.setAttribute("aria-pressed", String(tab.dataset.goto === view));
  }
}

function select(id) {
  state.selected = id;
  state.revision = -1;
  stopReplying();
  const url = new URL(location.href);
  url.searchParams.set("c", id);
  history.replaceState(null, "", url);
  $("thread").replaceChildren();
  goTo("phone");
  refresh().catch(complain);
}

function stopReplying() {
  state.replyTo = null;
  $("replying").hidden = true;
}

const onMessage = {
  reply(message) {
    state.replyTo = message.id;
    $("replying-text").textContent = message.text;
    $("replying").hidden = false;
    $("composer").elements.text.focus();
  },
  press: (messageId, text) => act(() => send({ type: "button", text, reply_to: messageId })),
  react: (message, emoji) => act(() => send({ type: "reaction", reply_to: message.id, emoji: message.reactions.customer === emoji ? "" : emoji })),
};

const send = (message) => call("POST", customerPath(state.selected, "/messages"), message);

function drawOwner(customer) {
  $("owner").hidden = !customer;
  $("composer").inert = !customer;
  if (!customer) {
    $("presence").textContent = "";
    $("thread").replaceChildren(element("p", { className: "empty", text: "Escolha ou crie um cliente." }));
    return;
  }
  $("owner-name").textContent = customer.name;
  $("owner-number").textContent = showNumber(customer);
  $("online").checked = customer.online;
  $("on-whatsapp").checked = customer.on_whatsapp;
  $("from-form").value = customer.from_form ?? "";
  const waiting = customer.on_the_way ? ` · ${customer.on_the_way} a caminho` : "";
  $("presence").textContent = !customer.online ? `celular offline${waiting}` : customer.typing ? "digitando…" : "conta comercial";
}

async function showWhatIsThere() {
  const list = await call("GET", "/customers");
  state.customers = list.customers;
  if (!selected() && state.selected && list.customers.length) {
    // Another form of the same number, or the customer took another one.
    state.selected = await call("GET", customerPath(state.selected)).then((one) => one.id, () => null);
  }
  const changed = list.revision !== state.revision;
  state.revision = list.revision;
  drawOwner(selected());
  if (changed) {
    drawPeople($("customers"), $("no-customers"), list.customers, state.selected, select);
    if (selected()) {
      const id = state.selected;
      const phone = await call("GET", customerPath(id, "/messages?all=1"));
      if (id === state.selected) drawThread($("thread"), phone.messages.slice(-SHOWN), onMessage);
    }
  }
  await readWhatIsSeen();
  drawCounters(await call("GET", "/deliveries"));
}

/** An open chat on a phone in somebody's hand is read, unless they say otherwise. */
async function readWhatIsSeen() {
  const customer = selected();
  const looking = document.visibilityState === "visible" && $("reads").checked;
  if (customer?.unread && customer.online && looking) {
    await call("POST", customerPath(customer.id, "/read"));
  }
}

function drawCounters(counts) {
  $("counters").replaceChildren(...Object.entries(COUNTERS).flatMap(([name, label]) =>
    [element("dt", { text: label }), element("dd", { text: counts[name], "data-counter": name })]));
}

async function poll() {
  if (document.visibilityState === "visible") {
    try {
      await refresh();
      await panel.refresh();
      document.body.dataset.simulator = "up";
    } catch {
      // The simulator was stopped or is starting; the next second asks again.
      document.body.dataset.simulator = "down";
      $("presence").textContent = "simulador parado";
    }
  }
  setTimeout(poll, POLL_MS);
}

function wire() {
  for (const button of document.querySelectorAll("[data-goto]")) {
    button.addEventListener("click", () => goTo(button.dataset.goto));
  }
  $("new-customer").addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.target;
    const filled = Object.fromEntries([...new FormData(form)].filter(([, value]) => value.trim()));
    if (filled.phone) filled.phone = withCountryCode(filled.phone);
    act(async () => {
      const customer = await call("POST", "/customers", filled);
      form.reset();
      select(customer.id);
    });
  });
  $("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    const field = event.target.elements.text;
    const text = field.value;
    if (!text.trim() || !state.selected) return;
    act(async () => {
      await send({ text, ...(state.replyTo ? { reply_to: state.replyTo } : {}) });
      field.value = "";
      stopReplying();
      $("thread").scrollTop = $("thread").scrollHeight;
    });
  });
  $("composer").elements.text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      $("composer").requestSubmit();
    }
  });
  $("attach").addEventListener("click", () => toggleAttachments($("attachments").hidden));
  $("attachments").addEventListener("click", (event) => {
    const { type, sample, count } = event.target.dataset;
    if (!type || !state.selected) return;
    toggleAttachments(false);
    const more = { ...(sample ? { sample } : {}), ...(count ? { count: Number(count) } : {}) };
    act(() => send({ type, ...more, ...(state.replyTo ? { reply_to: state.replyTo } : {}) }).then(stopReplying));
  });
  $("files").addEventListener("change", (event) => {
    const chosen = [...event.target.files];
    if (!chosen.length || !state.selected) return;
    const form = new FormData();
    for (const file of chosen) form.append("file", file);
    const field = $("composer").elements.text;
    if (field.value.trim()) form.set("caption", field.value);
    if (state.replyTo) form.set("reply_to", state.replyTo);
    event.target.value = "";
    toggleAttachments(false);
    act(async () => {
      await submit(customerPath(state.selected, "/media"), form);
      field.value = "";
      stopReplying();
    });
  });
  $("cancel-reply").addEventListener("click", stopReplying);
  const change = (changes) => act(() => call("PATCH", customerPath(state.selected), changes));
  $("online").addEventListener("change", (event) => change({ online: event.target.checked }));
  $("on-whatsapp").addEventListener("change", (event) => change({ on_whatsapp: event.target.checked }));
  $("from-form").addEventListener("change", (event) => change({ from_form: event.target.value || null }));
  $("change-number").addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.target;
    act(async () => {
      const body = { new_phone: withCountryCode(form.elements.new_phone.value) };
      const customer = await call("POST", customerPath(state.selected, "/change-number"), body);
      form.reset();
      form.closest("details").open = false;
      select(customer.id);
    });
  });
  $("reset-switches").addEventListener("click", () => act(() => panel.reset()));
  $("burst").addEventListener("submit", (event) => {
    event.preventDefault();
    const numbers = [...new FormData(event.target)].map(([name, value]) => [name, Number(value)]);
    act(() => call("POST", "/bursts", Object.fromEntries(numbers)));
  });
}

function toggleAttachments(shown) {
  $("attachments").hidden = !shown;
  $("thread").scrollTop = $("thread").scrollHeight;
  $("attach").setAttribute("aria-expanded", String(shown));
}

wire();
goTo(state.selected ? "phone" : "people");
panel.start($("codes")).catch(complain);
poll();
