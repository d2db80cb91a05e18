// The message in flight: shown as it comes, kept until its row is on the page.
import { useEffect, useRef, useState } from "react";
import { follow } from "./stream.js";
import { Markdown } from "./markdown.jsx";
import { ToolLine } from "./tools.jsx";

const LONG_MS = 8000;

/** Words about what is going on; a wait that is longer than usual says what it waits for. */
function useWords(run, stopping, begun) {
  const [long, setLong] = useState(false);
  useEffect(() => {
    setLong(false);
    const timer = setTimeout(() => setLong(true), LONG_MS);
    return () => clearTimeout(timer);
  }, [run, begun]);
  if (stopping) return "Stopping";
  if (begun) return "Answering";
  if (!long) return "Thinking";
  return run ? "Still thinking: the model has not said anything yet" : "Waiting for a free worker";
}

export function Flight({ run, waiting, stopping, onDone }) {
  const [parts, setParts] = useState([]);
  const done = useRef(onDone);
  done.current = onDone;
  useEffect(() => {
    setParts([]);
    return run ? follow(run, setParts, () => done.current?.()) : undefined;
  }, [run]);
  const words = useWords(run, stopping, parts.length > 0);
  if (!run && !waiting) return null;
  return (
    <article className="turn assistant" aria-live="off" aria-busy="true" aria-label="Answer in progress">
      {parts.map((part, index) =>
        part.kind === "tool"
          ? <ToolLine key={index} call={part} />
          : <Markdown key={index} text={part.text} />,
      )}
      <p className="working"><span className="dots" aria-hidden><i /><i /><i /></span><span>{words}</span></p>
    </article>
  );
}
