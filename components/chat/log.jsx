// The conversation: follows what comes while its end is in view, and never moves what is being read.
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import ArrowDown from "lucide-react/dist/esm/icons/arrow-down.mjs";
import { mine, useOutbox } from "./outbox.js";

const NEAR = 48;
/** One screen before it is reached. */
const AHEAD = "100% 0%";
const AGAIN_MS = 5000;

/** The end of the window: asks for more when it comes near, or when it is pressed. `edge` changes when more is there. */
function More({ edge, label, scroller, onMore }) {
  const button = useRef(null);
  const ask = useRef(onMore);
  ask.current = onMore;
  const [asked, setAsked] = useState("");
  const busy = asked === edge;
  const more = () => {
    setAsked(edge);
    ask.current?.();
  };
  useEffect(() => {
    const watch = new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && more(), {
      root: scroller.current,
      rootMargin: AHEAD,
    });
    watch.observe(button.current);
    return () => watch.disconnect();
  }, [edge]);
  // An answer that never came: the button can be pressed again.
  useEffect(() => {
    if (!busy) return;
    const timer = setTimeout(() => setAsked(""), AGAIN_MS);
    return () => clearTimeout(timer);
  }, [busy]);
  return (
    <button ref={button} type="button" className="more button quiet" aria-busy={busy} onClick={() => busy || more()}>
      {busy ? "Loading" : "Show"} {label}
    </button>
  );
}

export function Log({
  owner, thread, online = true, taken = [], turns = 0, oldest = "", newest = "", hasOlder, hasNewer, onOlder, onNewer,
  onEnd, children,
}) {
  const scroller = useRef(null);
  const content = useRef(null);
  const follows = useRef(true);
  const top = useRef(0);
  const read = useRef(null);
  const [away, setAway] = useState(false);
  const outbox = useOutbox(owner).filter((item) => item.thread === thread || item.thread === "");
  const waiting = outbox.filter((item) => !taken.includes(item.id));
  const farther = useRef(hasNewer);
  farther.current = hasNewer;

  const toEnd = (smooth) => {
    follows.current = true;
    setAway(false);
    if (farther.current) onEnd?.();
    scroller.current.scrollTo({ top: scroller.current.scrollHeight, behavior: smooth ? "smooth" : "instant" });
  };
  /** Remember the first turn in view, and where it stands. */
  const mark = () => {
    const from = scroller.current.getBoundingClientRect().top;
    const turn = [...content.current.children].find(
      (each) => each.tagName === "ARTICLE" && each.getBoundingClientRect().bottom > from,
    );
    read.current = turn ? { turn, at: turn.getBoundingClientRect().top } : null;
  };
  /** Put it there again, whatever has come or gone above it. */
  const hold = () => {
    if (!read.current?.turn.isConnected) return;
    const moved = read.current.turn.getBoundingClientRect().top - read.current.at;
    if (Math.abs(moved) >= 1) scroller.current.scrollTop += moved;
  };
  const look = () => {
    const { scrollTop, scrollHeight, clientHeight } = scroller.current;
    const atEnd = !farther.current && scrollHeight - scrollTop - clientHeight < NEAR;
    // Only who scrolls up stops following: the distance alone also grows when the text does.
    if (atEnd) follows.current = true;
    else if (scrollTop < top.current) follows.current = false;
    top.current = scrollTop;
    setAway(!follows.current && !atEnd);
    mark();
  };
  const keep = () => {
    if (!scroller.current) return;
    if (follows.current) scroller.current.scrollTop = scroller.current.scrollHeight;
    else hold();
    look();
  };
  useEffect(() => {
    const watch = new ResizeObserver(keep);
    watch.observe(content.current);
    return () => watch.disconnect();
  }, []);
  // The window has moved: before it is painted.
  useLayoutEffect(keep, [oldest, newest]);
  // Another chat, or a message of one's own: the end is what matters.
  const own = waiting.findLast((item) => mine.has(item.id))?.id;
  useLayoutEffect(() => toEnd(false), [thread, turns === 0]);
  useLayoutEffect(() => {
    if (own) toEnd(false);
  }, [own]);

  return (
    <div className="conversation" data-sending={waiting.length > 0}>
      <div ref={scroller} className="scroll" onScroll={look} tabIndex={0} role="group" aria-label="Scroll the conversation">
        {hasOlder && <More edge={oldest} label="earlier messages" scroller={scroller} onMore={onOlder} />}
        {/* What is loaded because somebody scrolls is no news. */}
        <div ref={content} className="turns" role="log" aria-label="Conversation" aria-live={away ? "off" : "polite"} aria-relevant="additions">
          {children}
          {waiting.map((item) => (
            <article key={item.id} className="turn user" aria-label="Your message, being sent">
              <div className="bubble" dir="auto">{item.text}</div>
              {!online && <div className="foot"><span className="tag">Goes out when the connection is back</span></div>}
            </article>
          ))}
        </div>
        {hasNewer && <More edge={newest} label="later messages" scroller={scroller} onMore={onNewer} />}
      </div>
      {away && (
        <button type="button" className="newest button plain" onClick={() => toEnd(true)}>
          <ArrowDown size={16} aria-hidden /> Jump to newest
        </button>
      )}
    </div>
  );
}
