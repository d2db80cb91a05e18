// The conversation: follows what comes while its end is in view, and never moves what is being read.
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import ArrowDown from "lucide-react/dist/esm/icons/arrow-down.mjs";
import { mine, useOutbox } from "./outbox.js";

const NEAR = 48;

export function Log({ owner, thread, online = true, taken = [], turns = 0, children }) {
  const scroller = useRef(null);
  const content = useRef(null);
  const follows = useRef(true);
  const top = useRef(0);
  const [away, setAway] = useState(false);
  const outbox = useOutbox(owner).filter((item) => item.thread === thread || item.thread === "");
  const waiting = outbox.filter((item) => !taken.includes(item.id));

  const toEnd = (smooth) => {
    follows.current = true;
    setAway(false);
    scroller.current.scrollTo({ top: scroller.current.scrollHeight, behavior: smooth ? "smooth" : "instant" });
  };
  const look = () => {
    const { scrollTop, scrollHeight, clientHeight } = scroller.current;
    const atEnd = scrollHeight - scrollTop - clientHeight < NEAR;
    // Only who scrolls up stops following: the distance alone also grows when the text does.
    if (atEnd) follows.current = true;
    else if (scrollTop < top.current) follows.current = false;
    top.current = scrollTop;
    setAway(!follows.current && !atEnd);
  };
  useEffect(() => {
    const watch = new ResizeObserver(() => {
      if (!scroller.current) return;
      if (follows.current) scroller.current.scrollTop = scroller.current.scrollHeight;
      look();
    });
    watch.observe(content.current);
    return () => watch.disconnect();
  }, []);
  // Another chat, or a message of one's own: the end is what matters.
  const own = waiting.findLast((item) => mine.has(item.id))?.id;
  useLayoutEffect(() => toEnd(false), [thread, turns === 0]);
  useLayoutEffect(() => {
    if (own) toEnd(false);
  }, [own]);

  return (
    <div className="conversation" data-sending={waiting.length > 0}>
      <div ref={scroller} className="scroll" onScroll={look} tabIndex={0} role="group" aria-label="Scroll the conversation">
        <div ref={content} className="turns" role="log" aria-label="Conversation" aria-live="polite" aria-relevant="additions">
          {children}
          {waiting.map((item) => (
            <article key={item.id} className="turn user" aria-label="Your message, being sent">
              <div className="bubble" dir="auto">{item.text}</div>
              {!online && <div className="foot"><span className="tag">Goes out when the connection is back</span></div>}
            </article>
          ))}
        </div>
      </div>
      {away && (
        <button type="button" className="newest button plain" onClick={() => toEnd(true)}>
          <ArrowDown size={16} aria-hidden /> Jump to newest
        </button>
      )}
    </div>
  );
}
