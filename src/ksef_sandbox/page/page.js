// The live page. It knows only the management face: what it shows and does, curl can show and do.
// While the tab is visible it asks once a second whether anything has changed, and then for what is on the screen.

const POLL_MS = 1000;
const LOOK_AGAIN_MS = 10000; // time alone changes things too: certificates expire, requests come back
const TOAST_MS = 6000;
const REQUESTS = 12; // shown at once
const byId = (id) => document.getElementById(id);

// ---------------------------------------------------------------- talking to the sandbox

async function call(method, path, body) {
  const options = { method, headers: {}, cache: "no-store" };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options);
  const text = await response.text();
  const json = text ? JSON.parse(text) : null;
  if (!response.ok) throw new Refused(json?.detail ?? `The sandbox answered ${response.status}.`);
  return json;
}

class Refused extends Error {}

let toastTimer;
function say(sentence, kind = "good") {
  const toast = byId("announcer");
  toast.dataset.kind = kind;
  toast.textContent = sentence;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { toast.textContent = ""; }, TOAST_MS);
}

/** Do something that changes the sandbox, say what came of it, and look at once. */
async function act(sentence, work) {
  try {
    const result = await work();
    say(typeof sentence === "function" ? sentence(result) : sentence);
  } catch (error) {
    say(error instanceof Refused ? error.message : "The sandbox does not answer.", "bad");
  }
  await look(true);
}

// ---------------------------------------------------------------- building elements

function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Make the children of `parent` match `items`; an element whose item is unchanged stays, and keeps the focus. */
function sync(parent, items, keyOf, create, update) {
  const before = new Map([...parent.children].map((element) => [element.dataset.key, element]));
  items.forEach((item, place) => {
    const key = String(keyOf(item));
    const text = JSON.stringify(item);
    let element = before.get(key);
    before.delete(key);
    if (!element) {
      element = create(item);
      element.dataset.key = key;
    } else if (element.seen !== text) {
      if (update) update(element, item);
      else { const fresh = create(item); fresh.dataset.key = key; element.replaceWith(fresh); element = fresh; }
    }
    element.seen = text;
    if (parent.children[place] !== element) parent.insertBefore(element, parent.children[place] ?? null);
  });
  for (const element of before.values()) element.remove();
}

const utc = (text) => text.slice(0, 19).replace("T", " ");
const day = (text) => text.slice(0, 10);
const number = new Intl.NumberFormat("en");
const plural = (count, noun) => `${number.format(count)} ${noun}${count === 1 ? "" : "s"}`;
const short = (value) => (value.length > 24 ? `${value.slice(0, 10)}…${value.slice(-6)}` : value);
const kinds = { Nip: "NIP", Pesel: "PESEL", PeppolId: "Peppol", InternalId: "Internal", NipVatUe: "NIP-VAT UE" };
const kind = (type) => kinds[type] ?? type;
const named = (who) => (who ? `${kind(who.type)} ${short(who.value)}` : "KSeF itself");
const same = (one, other) => one.type === other.type && one.value === other.value;

// ---------------------------------------------------------------- lists in pages

const query = (parameters) => {
  const given = Object.entries(parameters).filter(([, value]) => value !== null);
  return given.length ? `?${new URLSearchParams(given)}` : "";
};

/** A list shown page by page; `back` remembers the pages before this one. */
class Pages {
  constructor(name, words, load, draw) {
    Object.assign(this, { name, load, draw, after: null, back: [], next: null });
    this.earlier = h("button", { type: "button", hidden: true, onclick: () => this.turn(() => { this.after = this.back.pop(); }) }, words[0]);
    this.later = h("button", { type: "button", hidden: true, onclick: () => this.turn(() => { this.back.push(this.after); this.after = this.next; }) }, words[1]);
    byId(`${name}-pager`).append(this.earlier, this.later);
  }

  async turn(step) {
    step();
    await this.refresh();
    byId(`${this.name}-title`).scrollIntoView({ block: "nearest" });
    if (this.earlier.hidden && !this.later.hidden) this.later.focus();
    else if (this.later.hidden && !this.earlier.hidden) this.earlier.focus();
  }

  first() {
    this.after = null;
    this.back = [];
  }

  async refresh() {
    const { items, total, next } = await this.load(this.after);
    this.next = next;
    byId(`${this.name}-count`).textContent = number.format(total);
    byId(`${this.name}-empty`).hidden = items.length > 0;
    this.earlier.hidden = this.back.length === 0;
    this.later.hidden = next === null;
    this.draw(items);
  }
}

// ---------------------------------------------------------------- subjects

const subjects = new Pages(
  "subjects",
  ["Previous", "Next"],
  async (after) => {
    const page = await call("GET", `subjects${query({ after, limit: 20 })}`);
    return { items: page.subjects, total: page.total, next: page.next };
  },
  (items) => sync(byId("subjects"), items, keyOfSubject, newSubject, drawSubject),
);
const keyOfSubject = ({ identity }) => `${identity.type}/${identity.value}`;

function newSubject(item) {
  const element = h("li", { className: "subject" });
  const button = h("button", { type: "button", className: "small", ariaExpanded: "false", onclick: () => toggle(element) }, "Details");
  button.setAttribute("aria-label", `Details of ${kind(item.identity.type)} ${item.identity.value}`);
  element.append(
    h("div", { className: "subject-line" },
      h("div", { className: "who" }, h("span", { className: "tag" }, kind(item.identity.type)), h("span", { className: "mono" }, short(item.identity.value)), h("small")),
      newLimit("Requests left"), newLimit("Certificates left"), button),
  );
  element.querySelector(".mono").title = item.identity.value;
  drawSubject(element, item);
  return element;
}

function newLimit(label) {
  const bar = h("div", { className: "bar", role: "meter", "aria-label": label, "aria-valuemin": "0" }, h("i"));
  return h("div", { className: "limit" }, h("span", {}, h("span", {}, label), h("b")), bar);
}

function drawLimit(element, { remaining, limit }) {
  const text = `${number.format(remaining)} of ${number.format(limit)}`;
  const bar = element.querySelector(".bar");
  element.querySelector("b").textContent = text;
  bar.setAttribute("aria-valuemax", limit);
  bar.setAttribute("aria-valuenow", Math.min(remaining, limit));
  bar.setAttribute("aria-valuetext", `${text} left`);
  element.dataset.level = remaining === 0 ? "none" : remaining < 2 ? "low" : "enough"; // a pair needs two of each
  bar.firstChild.style.width = `${limit ? Math.min(100, (100 * remaining) / limit) : 0}%`;
}

function drawSubject(element, item) {
  element.item = item;
  const [requests, certificates] = element.querySelectorAll(".limit");
  drawLimit(requests, item.limits.enrollment);
  drawLimit(certificates, item.limits.certificate);
  const parts = [plural(item.active_certificates, "active certificate"), plural(item.sign_ins, "sign-in")];
  if (item.next_request_back) parts.push(`a request comes back on ${day(item.next_request_back)}`);
  element.querySelector("small").textContent = parts.join(" · ");
  if (element.more) drawMore(element);
}

async function toggle(element, open = !element.more) {
  const button = element.querySelector("button");
  button.setAttribute("aria-expanded", String(open));
  button.textContent = open ? "Close" : "Details";
  if (!open) {
    element.more?.remove();
    element.more = null;
  } else if (!element.more) {
    element.more = h("div", { className: "more" });
    element.append(element.more);
    await drawMore(element);
  }
}

async function drawMore(element) {
  const { identity, limits } = element.item;
  const whole = await call("GET", `subjects/${identity.type}/${encodeURIComponent(identity.value)}`);
  if (!element.more) return;
  if (!element.more.children.length) element.more.append(...["spent", "certificates", "sign-ins", "permissions"].map(newList), limitsForm(identity, limits));
  const draw = (name, title, lines, none) => {
    const list = element.more.querySelector(`[data-list="${name}"]`);
    list.firstChild.textContent = title;
    sync(list.lastChild, lines.length ? lines : [none], (line) => line, (line) => h("li", {}, line));
  };
  draw("spent", "Requests that are spent", whole.spent_requests.map((spent) =>
    `${utc(spent.at)} → ${spent.comes_back ? `back on ${utc(spent.comes_back)}` : "never comes back"}`), "None.");
  draw("certificates", "Certificates, newest first", whole.newest_certificates.slice(0, 12).map((c) =>
    `${c.state} · ${c.type} · ${c.name} · to ${day(c.valid_to)} · ${c.serial}`), "None.");
  draw("sign-ins", "Sign-ins, newest first", whole.newest_sign_ins.slice(0, 8).map((s) =>
    `${utc(s.at)} · into ${named(s.context)} · ${s.method} · ${s.code}`), "None.");
  const links = whole.linked.map((other) => `The same person as ${named(other)}`);
  const grants = whole.permissions.slice(0, 12).map((g) => `${g.permission} in ${g.context ? named(g.context) : "all contexts"}${g.live ? "" : " (ended)"}`);
  draw("permissions", "Links and permissions", [...links, ...grants], "None but its own.");
}

const newList = (name) => h("div", { "data-list": name }, h("h3"), h("ul"));

function limitsForm(identity, limits) {
  const field = (name, label) => h("label", {}, label, h("input", { type: "number", name, min: "0", step: "1", required: true, value: limits[name].limit }));
  const form = h("form", {}, field("enrollment", "Requests in a period"), field("certificate", "Active certificates"), h("button", { type: "submit" }, "Set limits"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const body = { ...identity, enrollment: form.enrollment.valueAsNumber, certificate: form.certificate.valueAsNumber };
    act(`The limits of ${named(identity)} are set.`, () => call("PUT", "limits", body));
  });
  return h("div", {}, h("h3", {}, "Limits of this subject"), form);
}

byId("find-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const value = byId("find-value").value.trim();
  if (!value) {
    subjects.first();
    return subjects.refresh();
  }
  const types = /^\d{10}$/.test(value) ? ["Nip"] : /^\d{11}$/.test(value) ? ["Pesel"] : ["Fingerprint", "PeppolId"];
  for (const type of types) {
    try {
      const found = await call("GET", `subjects/${type}/${encodeURIComponent(value.toUpperCase())}`);
      // A page may start anywhere: the one that begins with this subject shows it first.
      subjects.back.push(subjects.after);
      subjects.after = justBefore(`${type}:${found.identity.value}`);
      await subjects.refresh();
      const element = byId("subjects").firstElementChild;
      await toggle(element, true);
      return element.querySelector("button").focus();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }
  return say(`No subject ${value} has signed in.`, "bad");
});

/** The greatest text below `key` that a page can start after. */
const justBefore = (key) => key.slice(0, -1) + String.fromCharCode(key.charCodeAt(key.length - 1) - 1) + "\uffff";

// ---------------------------------------------------------------- requests, certificates, permissions

const cell = (name, className, ...children) => {
  const element = h("td", { className }, ...children);
  if (name) element.dataset.name = name;
  return element;
};
const tone = (status) => (status === null || status >= 500 ? "bad" : status >= 400 ? "warn" : "good");

let newestSeen = null;
const requests = new Pages(
  "requests",
  ["Newer", "Older"],
  async (before) => {
    const { requests: found } = await call("GET", `requests${query({ newest: REQUESTS + 1, before })}`);
    const next = found.length > REQUESTS ? found[REQUESTS - 1].number : null;
    return { items: found.slice(0, REQUESTS), total: total.requests, next };
  },
  (items) => {
    const seen = newestSeen;
    newestSeen = Math.max(newestSeen ?? 0, ...items.map((item) => item.number));
    sync(byId("requests"), items, (item) => item.number, (item) => {
      const answer = h("span", { className: tone(item.status) }, item.status === null ? "no answer" : String(item.status));
      const where = item.identity && (same(item.identity, item.context) ? "its own" : named(item.context));
      const who = item.identity ? `${named(item.identity)} in ${where}` : "not signed in";
      return h("tr", { className: seen !== null && item.number > seen ? "new" : "" },
        cell("", "tight mono", h("time", { dateTime: item.at, title: item.at }, item.at.slice(11, 23))),
        cell("", "mono", h("span", { className: "method" }, item.method), ` ${item.path}`),
        cell("", "tight", answer, item.code ? ` · ${item.code}` : "", ...(item.fault ? [" ", h("span", { className: "tag" }, item.fault)] : [])),
        cell("", item.identity ? "" : "quiet", who));
    });
  },
);

const stateTone = { Active: "good", Blocked: "warn", Expired: "warn", Revoked: "bad" };
const certificates = new Pages(
  "certificates",
  ["Newer", "Older"],
  async (after) => {
    const page = await call("GET", `certificates${query({ after, limit: 15 })}`);
    return { items: page.certificates, total: page.total, next: page.next };
  },
  (items) => sync(byId("certificates"), items, (item) => item.serial, (item) => h("tr", {},
    cell("", "", item.name, " ", h("span", { className: "tag" }, item.type)),
    cell("", stateTone[item.state], item.state),
    cell("", "", named(item.identity)),
    cell("to", "tight", day(item.valid_to)),
    cell("", "mono", item.serial))),
);

const permissions = new Pages(
  "permissions",
  ["Newer", "Older"],
  async (after) => {
    const page = await call("GET", `permissions${query({ after, limit: 15 })}`);
    return { items: page.permissions, total: page.total, next: page.next };
  },
  (items) => sync(byId("permissions"), items, (item) => item.id, (item) => h("tr", {},
    cell("", "", item.permission, item.live ? "" : " ", item.live ? "" : h("span", { className: "tag" }, "ended")),
    cell("for", "", named(item.subject)),
    cell("in", "", item.context ? named(item.context) : `all partners of ${named(item.granted_in)}`),
    cell("by", "", named(item.author)),
    cell("since", "tight", day(item.started_at)))),
);

byId("clear-requests").addEventListener("click", () => act("The log is empty.", () => {
  requests.first();
  return call("DELETE", "requests");
}));

// ---------------------------------------------------------------- clock

let ahead = 0; // milliseconds by which the sandbox is ahead of this browser
function tick() {
  const now = new Date(Date.now() + ahead);
  byId("now").textContent = utc(now.toISOString());
  byId("now").dateTime = now.toISOString();
}

function drawClock(now) {
  ahead = Date.parse(now) - Date.now();
  tick();
  const seconds = Math.round(Math.abs(ahead) / 1000);
  const [size, unit] = seconds >= 86400 ? [86400, "day"] : seconds >= 3600 ? [3600, "hour"] : [60, "minute"];
  const shift = byId("shift");
  shift.hidden = seconds < 30;
  const count = Math.round((10 * seconds) / size) / 10;
  shift.textContent = `${count} ${unit}${count === 1 ? "" : "s"} ${ahead > 0 ? "ahead" : "behind"}`;
}

const clockMoved = (answer) => `The clock now shows ${utc(answer.now)} UTC.`;
for (const button of document.querySelectorAll("[data-advance]")) {
  button.addEventListener("click", () => act(clockMoved, () => call("POST", "clock", { advance_seconds: Number(button.dataset.advance) })));
}
byId("advance-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const seconds = byId("advance-number").valueAsNumber * Number(byId("advance-unit").value);
  act(clockMoved, () => call("POST", "clock", { advance_seconds: seconds }));
});
byId("set-form").addEventListener("submit", (event) => {
  event.preventDefault();
  act(clockMoved, () => call("POST", "clock", { now: `${byId("set-moment").value}Z` }));
});
byId("real-time").addEventListener("click", () => act(clockMoved, () => call("POST", "clock", { now: new Date().toISOString() })));

// ---------------------------------------------------------------- faults

const profileForm = byId("profile-form");
const ruleForm = byId("rule-form");

function drawFaults({ profile, seed, rules, log }) {
  if (!profileForm.contains(document.activeElement)) {
    profileForm.elements.profile.value = profile;
    byId("fault-seed").value = seed;
  }
  const done = rules.reduce((sum, rule) => sum + rule.hits, 0);
  const ofProfile = rules.filter((rule) => rule.source === "profile").length;
  byId("faults-done").textContent = `In force: ${profile}, ${plural(ofProfile, "rule")}, and ${plural(rules.length - ofProfile, "single rule")}. ${plural(done, "fault")} done.`;
  sync(byId("rules"), rules.filter((rule) => rule.source === "single"), (rule) => rule.id, newRule, drawRule);
  byId("fault-log-empty").hidden = log.length > 0;
  sync(byId("fault-log"), log.slice(-8).reverse(), (fault) => `${fault.number} ${fault.rule}`, (fault) =>
    h("li", {}, h("span", { className: "tag" }, fault.act), ` ${fault.route} `, h("span", { className: "quiet" }, fault.at.slice(11, 19))));
}

function newRule(rule) {
  const where = `${rule.method ?? "any"} ${rule.route ?? "everywhere"}`;
  const remove = h("button", { type: "button", className: "small", onclick: () =>
    act(`${rule.id} is gone.`, () => call("DELETE", `faults/rules/${encodeURIComponent(rule.id)}`)) }, "Remove");
  remove.setAttribute("aria-label", `Remove ${rule.id}, ${rule.act.name}`);
  const element = h("li", { className: "rule" }, h("div", {}, h("b", {}, rule.act.name), ` ${where}`, h("small")), remove);
  drawRule(element, rule);
  return element;
}

function drawRule(element, rule) {
  const parts = [plural(rule.hits, "fault")];
  if (rule.skip) parts.push(`after ${plural(rule.skip, "call")}`);
  if (rule.times !== null) parts.push(`at most ${rule.times}`);
  if (rule.probability < 1) parts.push(`probability ${rule.probability}`);
  element.querySelector("small").textContent = parts.join(" · ");
}

profileForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const body = { profile: profileForm.elements.profile.value, seed: byId("fault-seed").valueAsNumber };
  act(({ profile, seed }) => `A new run begins: ${profile}, seed ${seed}.`, () => call("PUT", "faults/profile", body));
});
ruleForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const field = ruleForm.elements;
  const body = { act: { name: field.act.value }, skip: field.skip.valueAsNumber || 0, probability: field.probability.valueAsNumber };
  if (field.method.value) body.method = field.method.value;
  if (field.route.value.trim()) body.route = field.route.value.trim();
  if (field.times.value) body.times = field.times.valueAsNumber;
  act((rule) => `${rule.id} is in force.`, () => call("POST", "faults/rules", body));
});

// ---------------------------------------------------------------- switches

function drawSwitches(all) {
  const wanted = byId("switch-filter").value.trim().toLowerCase();
  const items = Object.entries(all)
    .map(([name, info]) => ({ name, ...info }))
    .filter(({ name, meaning }) => `${name} ${meaning}`.toLowerCase().includes(wanted));
  byId("switches-empty").hidden = items.length > 0;
  sync(byId("switches"), items, (item) => item.name, newSwitch, drawSwitch);
}

function newSwitch(item) {
  const id = `switch-${item.name}`;
  const type = typeof item.default;
  const options = type === "boolean" ? ["true", "false"] : [item.default, ...item.alternatives];
  const control = type === "number"
    ? h("input", { id, type: "number", min: "0", step: "1", required: true })
    : h("select", { id }, ...options.map((option) => h("option", { value: option }, option)));
  control.setAttribute("aria-describedby", `${id}-meaning`);
  control.addEventListener("change", () => {
    if (!control.reportValidity()) return;
    act(`${item.name} is ${control.value}.`, () => call("PATCH", "switches", { [item.name]: control.value }));
  });
  const element = h("li", { className: "switch" }, h("label", { htmlFor: id }, item.name), h("p", { id: `${id}-meaning` }, item.meaning), control);
  drawSwitch(element, item);
  return element;
}

function drawSwitch(element, item) {
  element.dataset.changed = String(item.value !== item.default);
  const control = element.querySelector("select, input");
  if (control !== document.activeElement) control.value = String(item.value);
}

let knownSwitches = {};
byId("switch-filter").addEventListener("input", () => drawSwitches(knownSwitches));

// ---------------------------------------------------------------- start over, copy

byId("reset").addEventListener("click", () => byId("reset-dialog").showModal());
byId("reset-dialog").addEventListener("close", (event) => {
  if (event.target.returnValue === "reset") act("Everything is forgotten.", () => call("POST", "reset"));
  event.target.returnValue = "";
});
byId("copy-url").addEventListener("click", async () => {
  await navigator.clipboard.writeText(byId("base-url").textContent);
  say("The address is copied.");
});

// ---------------------------------------------------------------- looking

let total = { requests: 0 };
let lastSeen = "";
let lastLook = 0;
let running = false;

/** Ask whether anything has changed, and if so for everything on the screen. */
async function look(certainly = false) {
  const { now, ...info } = await call("GET", "info");
  drawClock(now);
  byId("base-url").textContent = info.base_url;
  const seen = JSON.stringify(info);
  if (!certainly && seen === lastSeen && Date.now() - lastLook < LOOK_AGAIN_MS) return;
  [lastSeen, lastLook, total] = [seen, Date.now(), info];
  const [switches, faults] = await Promise.all([
    call("GET", "switches"), call("GET", "faults?last=8"), subjects.refresh(), requests.refresh(), certificates.refresh(), permissions.refresh(),
  ]);
  knownSwitches = switches;
  drawSwitches(switches);
  drawFaults(faults);
}

const connection = (state, text) => {
  const element = byId("connection");
  if (element.dataset.state === state) return;
  element.dataset.state = state;
  element.textContent = text;
};

async function follow() {
  if (running) return;
  running = true;
  while (document.visibilityState === "visible") {
    try {
      await look();
      connection("live", "Live");
    } catch (error) {
      connection("lost", "The sandbox does not answer");
      if (!(error instanceof TypeError || error instanceof Refused)) console.error(error);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  connection("wait", "Paused");
  running = false;
}

document.addEventListener("visibilitychange", follow);
setInterval(tick, 1000);
follow();
