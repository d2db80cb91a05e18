// Where one writes. What is typed is kept in this browser until the server has it.
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { useParams } from "react-router";
import ArrowUp from "lucide-react/dist/esm/icons/arrow-up.mjs";
import Square from "lucide-react/dist/esm/icons/square.mjs";
import { adopt, inherit, put, readDraft, take, useOutbox, writeDraft } from "./outbox.js";

export const FILL = "autoweave:fill";

/** A question that an empty chat offers: into the composer and off. */
export function Prompt({ text }) {
  return (
    <button
      type="button"
      className="prompt"
      onClick={() => window.dispatchEvent(new CustomEvent(FILL, { detail: text }))}
    >
      {text}
    </button>
  );
}

const AGAIN_MS = 5000;

export function Composer({ owner, running, stopping, online = true, taken = [], refused, begun, placeholder, onSend, onStop }) {
  const { thread_id: thread = "" } = useParams();
  const [text, setText] = useState("");
  const box = useRef(null);
  const early = useRef("");
  const known = useRef(false);
  const outbox = useOutbox(owner);
  const tried = useRef(new Map());
  const deliver = (item) => {
    tried.current.set(item.id, Date.now());
    onSend(item.text, item.id, item.thread);
  };

  const change = (value) => {
    setText(value);
    if (owner) writeDraft(owner, thread, value);
  };
  const send = (value) => {
    const words = value.trim();
    if (!words) return;
    if (!owner) {
      early.current = words;
      return;
    }
    const item = put(owner, thread, words);
    if (online) deliver(item);
    change("");
  };
  // What was typed before the page was alive counts too.
  useLayoutEffect(() => setText(box.current.value), []);
  // Where there is a keyboard one can write at once; on a phone it would cover the page.
  useEffect(() => {
    if (window.matchMedia("(hover: hover)").matches) box.current.focus({ preventScroll: true });
  }, [thread]);
  // Each chat has its own draft; what is in the box before anybody is known is one.
  useEffect(() => {
    if (!owner) return;
    if (thread && thread === begun) adopt(owner, thread);
    if (early.current) send(early.current);
    else if (known.current || !text) setText(readDraft(owner, thread));
    else writeDraft(owner, thread, text);
    early.current = "";
    known.current = true;
  }, [owner, thread]);
  // What has not arrived is sent again: after a reload, after a lost connection, and when the server died over it.
  // The server knows a message that it has already by its id.
  useEffect(() => {
    if (!online) tried.current.clear();
    if (!owner || !online) return;
    const again = () => {
      if (!thread) inherit(owner);
      const late = (item) => Date.now() - (tried.current.get(item.id) ?? 0) > AGAIN_MS;
      outbox.filter((item) => item.thread === thread && !taken.includes(item.id) && late(item)).forEach(deliver);
    };
    again();
    const timer = setInterval(again, AGAIN_MS);
    return () => clearInterval(timer);
  }, [owner, online, thread, outbox, taken]);
  useEffect(() => taken.forEach((id) => take(owner, id)), [owner, taken]);
  // What was refused comes back into the box, before what has been typed since.
  useEffect(() => {
    const item = refused && take(owner, refused);
    if (item) setText((now) => [item.text, now].filter(Boolean).join("\n\n"));
  }, [owner, refused]);
  useEffect(() => {
    const fill = (event) => send(event.detail);
    window.addEventListener(FILL, fill);
    return () => window.removeEventListener(FILL, fill);
  });
  useLayoutEffect(() => {
    const { style } = box.current;
    style.height = "auto";
    style.height = `calc(${box.current.scrollHeight}px)`;
  }, [text]);

  const onKeyDown = (event) => {
    if (event.key === "Escape" && running && !stopping) onStop?.();
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send(text);
  };
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send(text);
      }}
      onClick={(event) => event.target === event.currentTarget && box.current.focus()}
    >
      <textarea
        ref={box}
        rows={1}
        aria-label="Message"
        placeholder={placeholder}
        dir="auto"
        value={text}
        onChange={(event) => change(event.target.value)}
        onKeyDown={onKeyDown}
      />
      {running && (
        <button type="button" className="button plain icon" aria-label="Stop" title="Stop" disabled={stopping} onClick={() => onStop?.()}>
          <Square size={16} fill="currentColor" aria-hidden />
        </button>
      )}
      {(!running || text.trim()) && (
        <button type="submit" className="button primary icon" aria-label="Send" title="Send (Enter)" disabled={!text.trim()}>
          <ArrowUp size={16} aria-hidden />
        </button>
      )}
    </form>
  );
}
