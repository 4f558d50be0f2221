// Edits one order, and merges where someone else saved first. What the server sent is shown as text, never as HTML.

const FIELDS = { address: "Address", boxes: "Boxes", status: "Status", note: "Note" };
const NAMES = Object.keys(FIELDS);

const id = decodeURIComponent(location.pathname.split("/")[2]);
const url = `/orders/${encodeURIComponent(id)}`;

const at = (name) => document.getElementById(name);
const editor = at("editor");
const merge = at("merge");

/** The order as it was when it was loaded, and its ETag: what If-Match says to have seen. */
let base = null;
let tag = null;
/** What was put into the form, and what it then held: a line of text, for one, takes no line breaks. */
let filled = null;
let held = null;
/** While the merge view is open: what stands in the form, what is stored, and the ETag of that. */
let open = null;

// ---- talking to the service

/** Sends a request. After a 503, with which nothing was changed, once more when the server says so. */
async function send(method, order, seen) {
  for (let attempt = 1; ; attempt++) {
    const answer = await ask(method, order, seen);
    document.body.dataset.answer = answer.status;
    if (answer.status !== 503 || attempt === 2) return answer;
    const seconds = Math.min(Number(answer.retryAfter) || 1, 30);
    say(`The service is busy. Trying once more in ${seconds} s.`, "wait");
    await new Promise((done) => setTimeout(done, seconds * 1000));
  }
}

/** One request and its answer; status 0 if none came. */
async function ask(method, order, seen) {
  const headers = seen ? { "content-type": "application/json", "if-match": seen } : {};
  try {
    const response = await fetch(url, { method, headers, body: order && JSON.stringify(order) });
    const text = await response.text();
    return {
      status: response.status,
      tag: response.headers.get("etag"),
      retryAfter: response.headers.get("retry-after"),
      body: text ? JSON.parse(text) : {},
    };
  } catch {
    return { status: 0, body: {} };
  }
}

// ---- the form

async function load() {
  const answer = await busy(() => send("GET"));
  if (answer.status === 200) {
    show(answer.body, answer.tag);
    say("");
  } else {
    explain(answer, "loaded");
  }
}

/** Saves `mine`, which was made from the order with the ETag `seen`. */
async function save(mine, seen, done) {
  const answer = await busy(() => send("PUT", mine, seen));
  if (answer.status === 200) {
    show(answer.body, answer.tag);
    say(done, "good");
    at("save").focus();
  } else if (answer.status === 412 && answer.body.current) {
    compare(mine, answer.body.current, answer.tag);
  } else if (answer.status === 0 || answer.status === 504) {
    await findOut(mine, seen);
  } else {
    explain(answer, "saved");
  }
}

/** Nobody said whether `mine` was saved: the order itself tells. */
async function findOut(mine, seen) {
  const answer = await busy(() => send("GET"));
  if (answer.status !== 200) {
    say("No answer came, so that it is not known whether this was saved. Your text is still here: save again later.", "bad");
  } else if (NAMES.every((name) => answer.body[name] === mine[name])) {
    show(answer.body, answer.tag);
    say("The answer was lost, but this was saved.", "good");
  } else if (answer.tag === seen) {
    say("No answer came, and this was not saved so far. Save again: it cannot be saved twice.", "bad");
  } else {
    compare(mine, answer.body, answer.tag);
  }
}

function show(order, itsTag) {
  [base, tag, open] = [order, itsTag, null];
  fill(order);
  at("tag").textContent = tag;
  merge.hidden = true;
  editor.hidden = false;
}

function fill(order) {
  for (const name of NAMES) editor.elements[name].value = order[name];
  [filled, held] = [order, inForm()];
}

function inForm() {
  const { address, boxes, status, note } = editor.elements;
  return { address: address.value, boxes: boxes.valueAsNumber, status: status.value, note: note.value };
}

/** The order with what was changed in the form, and nothing else. */
function typed() {
  const order = { id };
  for (const [name, value] of Object.entries(inForm())) order[name] = value === held[name] ? filled[name] : value;
  return order;
}

function explain(answer, done) {
  const errors = (answer.body.errors ?? []).map(({ pointer, detail }) => `${FIELDS[pointer.slice(2)] ?? "It"} ${detail}.`);
  const why = {
    404: "There is no such order, or no longer.",
    428: "This page is older than the service. Load it again.",
    503: "The service is still busy. Try again later.",
  }[answer.status];
  const text = why ?? ([answer.body.detail, ...errors].filter(Boolean).join(" ") || "The service did not answer.");
  say(`Not ${done}. ${text}`, "bad");
}

function say(text, kind = "") {
  at("message").textContent = text;
  at("message").className = kind;
}

/** Runs `work` while nothing can be pressed or typed: what is sent is what is seen. */
async function busy(work) {
  const controls = document.querySelectorAll("button, input, select, textarea");
  const focused = document.activeElement;
  for (const control of controls) control.disabled = true;
  document.body.dataset.busy = "";
  try {
    return await work();
  } finally {
    for (const control of controls) control.disabled = false;
    delete document.body.dataset.busy;
    focused.focus();
  }
}

// ---- the merge view

/** Who changed a field: "none", "mine", "theirs", "same" if both did it alike, or "both". */
function changed(was, mine, theirs) {
  if (mine === theirs) return mine === was ? "none" : "same";
  if (theirs === was) return "mine";
  return mine === was ? "theirs" : "both";
}

/** Shows what was, what is in the form and what is stored side by side. What only one of them changed is chosen already. */
function compare(mine, theirs, theirTag) {
  open = { mine, theirs, tag: theirTag };
  const changes = NAMES.map((name) => changed(base[name], mine[name], theirs[name]));
  at("rows").replaceChildren(...NAMES.map((name, number) => row(name, changes[number])));
  const count = changes.filter((change) => change === "both").length;
  at("merge-text").textContent =
    count === 0
      ? "Nothing was overwritten. You changed different things, so both changes are chosen: look at them, and save."
      : `Nothing was overwritten. Both of you changed ${count === 1 ? "one field" : `${count} fields`}: choose, and save.`;
  say("");
  editor.hidden = true;
  merge.hidden = false;
  at("merge-title").focus();
}

function row(name, change) {
  const heading = element("th", { scope: "row" }, FIELDS[name]);
  if (change === "both") heading.append(element("small", {}, "both changed"));
  const line = element("tr", {}, heading, cell("Was", base[name], "old"));
  line.dataset.field = name;
  line.dataset.change = change;
  for (const [side, title] of [["mine", "Yours"], ["theirs", "Theirs"]]) {
    line.append(choice(name, change, side, title));
  }
  return line;
}

/** A side's value, to be chosen if the other side has another one. */
function choice(name, change, side, title) {
  const value = open[side][name];
  const shown = cell(title, value, value === base[name] ? "" : "new");
  if (change !== "none" && change !== "same") {
    const label = `${FIELDS[name]}, ${title.toLowerCase()}: ${value}`;
    const radio = element("input", { type: "radio", name, value: side, required: "", "aria-label": label });
    radio.checked = change === side;
    shown.append(element("label", {}, radio, ...shown.childNodes));
  }
  return shown;
}

function cell(title, value, kind) {
  const text = element("span", { class: "value" }, value === "" ? "(empty)" : String(value));
  return element("td", { class: kind, "data-title": title }, text);
}

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children); // strings become text
  return made;
}

function merged() {
  const order = { id };
  for (const name of NAMES) {
    const side = merge.elements[name]?.value || "theirs"; // without a choice, both are alike
    order[name] = open[side][name];
  }
  return order;
}

// ----

editor.addEventListener("submit", (event) => {
  event.preventDefault();
  save(typed(), tag, "Saved.");
});
merge.addEventListener("submit", (event) => {
  event.preventDefault();
  const mine = merged();
  // What is saved now was made from their order: that is what a further conflict is compared with.
  const { theirs, tag: seen } = open;
  [base, tag] = [theirs, seen];
  fill(mine);
  at("tag").textContent = tag;
  save(mine, seen, "Saved, merged with theirs.");
});
at("reload").addEventListener("click", load);
at("discard").addEventListener("click", () => {
  show(open.theirs, open.tag);
  say("This is theirs. Yours was dropped.");
});

at("name").textContent = id;
document.title = `Order ${id}`;
load();
