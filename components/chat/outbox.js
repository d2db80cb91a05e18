// What was typed and is not on the server yet. It survives a reload, a lost connection and a closed tab.
import { useSyncExternalStore } from "react";

/** What was sent from this very tab; the outbox itself is shared by all tabs of the browser. */
export const mine = new Set();
const listeners = new Set();
const NONE = [];
let cache = { key: "", raw: null, items: NONE };

const keyOf = (owner) => `autoweave.outbox.${owner}`;
const changed = () => listeners.forEach((listener) => listener());

function read(owner) {
  const key = keyOf(owner);
  const raw = localStorage.getItem(key);
  if (key !== cache.key || raw !== cache.raw) cache = { key, raw, items: raw ? JSON.parse(raw) : NONE };
  return cache.items;
}

function write(owner, items) {
  if (items.length) localStorage.setItem(keyOf(owner), JSON.stringify(items));
  else localStorage.removeItem(keyOf(owner));
  changed();
}

export function put(owner, thread, text) {
  const item = { id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, thread, text };
  mine.add(item.id);
  write(owner, [...read(owner), item]);
  return item;
}

export function take(owner, id) {
  const item = read(owner).find((each) => each.id === id);
  if (item) write(owner, read(owner).filter((each) => each.id !== id));
  return item;
}

/** Give what was written on a new chat's page to the chat that came of it. */
export function adopt(owner, thread) {
  if (read(owner).some((each) => each.thread === "")) {
    write(owner, read(owner).map((each) => (each.thread === "" ? { ...each, thread } : each)));
  }
  const draft = readDraft(owner, "");
  writeDraft(owner, "", "");
  writeDraft(owner, thread, draft);
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
export const readDraft = (owner, thread) => localStorage.getItem(draftKey(owner, thread)) ?? "";
export function writeDraft(owner, thread, text) {
  if (text) localStorage.setItem(draftKey(owner, thread), text);
  else localStorage.removeItem(draftKey(owner, thread));
}
