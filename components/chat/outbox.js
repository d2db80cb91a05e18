// What was typed and is not on the server yet. It survives a reload, a lost connection and a closed tab.
import { useSyncExternalStore } from "react";

/** What was sent from this very tab; the outbox itself is shared by all tabs of the browser. */
export const mine = new Set();
const TAB = "autoweave.tab";
const ASK_MS = 5000;
const ASKED = 2;
const newId = () => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;

// Messages of a new chat have no thread yet: only the tab that they were written in knows which chat they begin. Others
// ask whether it is still there before they take its place.
let tab = "";
const tabs = typeof window === "undefined" ? null : new BroadcastChannel(TAB);
const unanswered = new Map();
if (tabs) {
  tab = sessionStorage.getItem(TAB) ?? newId();
  // A tab that is duplicated gets a copy of this storage: the name is in it only while no page bears it.
  const bear = () => sessionStorage.removeItem(TAB);
  bear();
  window.addEventListener("pageshow", bear);
  window.addEventListener("pagehide", () => sessionStorage.setItem(TAB, tab));
  tabs.onmessage = ({ data }) => {
    if (data.asked === tab) tabs.postMessage({ here: tab });
    if (data.here) unanswered.delete(data.here);
  };
}

const listeners = new Set();
const NONE = [];
let cache = { raw: "", items: NONE };
let last = 0;

const keyOf = (owner, id) => `autoweave.outbox.${owner}.${id}`;
const changed = () => listeners.forEach((listener) => listener());

/** All that waits, of all tabs. Each message has a key of its own: tabs that write at once undo nothing of each other. */
function all(owner) {
  const start = keyOf(owner, "");
  const keys = Object.keys(localStorage).filter((key) => key.startsWith(start));
  const items = keys.map((key) => JSON.parse(localStorage.getItem(key))).filter(Boolean);
  return items.sort((one, other) => one.at - other.at || (one.id < other.id ? -1 : 1));
}

/** What this tab may show and send. */
function read(owner) {
  const items = all(owner).filter((each) => each.thread || each.tab === tab);
  const raw = JSON.stringify([owner, items]);
  if (raw !== cache.raw) cache = { raw, items };
  return cache.items;
}

function write(owner, item) {
  localStorage.setItem(keyOf(owner, item.id), JSON.stringify(item));
  changed();
}

export function put(owner, thread, text) {
  last = Math.max(Date.now(), last + 1);
  const item = { id: newId(), tab, thread, text, at: last };
  mine.add(item.id);
  write(owner, item);
  return item;
}

export function take(owner, id) {
  const item = read(owner).find((each) => each.id === id);
  if (item) {
    localStorage.removeItem(keyOf(owner, id));
    changed();
  }
  return item;
}

/** Give what was written on a new chat's page to the chat that came of it. */
export function adopt(owner, thread) {
  read(owner).filter((each) => each.thread === "").forEach((each) => write(owner, { ...each, thread }));
  const draft = readDraft(owner, "");
  writeDraft(owner, "", "");
  writeDraft(owner, thread, draft);
}

/** Take over new chats of tabs that were closed: those that do not answer, asked every few seconds. */
export function inherit(owner) {
  for (const item of all(owner).filter((each) => each.thread === "" && each.tab !== tab)) {
    const { times, at } = unanswered.get(item.tab) ?? { times: 0, at: 0 };
    if (Date.now() - at < ASK_MS) continue;
    if (times >= ASKED) {
      write(owner, { ...item, tab });
      continue;
    }
    unanswered.set(item.tab, { times: times + 1, at: Date.now() });
    tabs.postMessage({ asked: item.tab });
  }
}

function subscribe(listener) {
  listeners.add(listener);
  window.addEventListener("storage", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("storage", listener);
  };
}

export const useOutbox = (owner) => useSyncExternalStore(subscribe, () => (owner ? read(owner) : NONE), () => NONE);

const draftKey = (owner, thread) => `autoweave.draft.${owner}.${thread || "new"}`;
/** The draft of a chat. Each tab may begin a chat of its own: there what it wrote itself comes first. */
export function readDraft(owner, thread) {
  const key = draftKey(owner, thread);
  return (thread ? null : sessionStorage.getItem(key)) ?? localStorage.getItem(key) ?? "";
}
export function writeDraft(owner, thread, text) {
  const key = draftKey(owner, thread);
  const own = thread || sessionStorage.getItem(key) === localStorage.getItem(key);
  if (text) localStorage.setItem(key, text);
  else if (own) localStorage.removeItem(key);
  if (!thread) sessionStorage.setItem(key, text);
}
