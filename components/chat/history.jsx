// The chats by day, as this browser counts days; renamed in place, walked by arrow keys.
import { useEffect, useRef, useState } from "react";
import { Link } from "react-router";
import Pencil from "lucide-react/dist/esm/icons/pencil.mjs";
import Trash2 from "lucide-react/dist/esm/icons/trash-2.mjs";

function grouped(threads) {
  const today = new Date().setHours(0, 0, 0, 0);
  const groups = { Today: [], Yesterday: [], Earlier: [] };
  for (const thread of threads) {
    const day = thread.updated_ms >= today ? "Today" : thread.updated_ms >= today - 864e5 ? "Yesterday" : "Earlier";
    groups[day].push(thread);
  }
  return Object.entries(groups).filter(([, list]) => list.length);
}

function Title({ thread, done }) {
  const input = useRef(null);
  useEffect(() => input.current.select(), []);
  return (
    <input
      ref={input}
      className="input"
      aria-label="New title"
      defaultValue={thread.title}
      maxLength={200}
      onBlur={(event) => done(event.target.value.trim())}
      onKeyDown={(event) => {
        if (event.key === "Enter") event.target.blur();
        if (event.key === "Escape") {
          event.stopPropagation();
          done("");
        }
      }}
    />
  );
}

export function History({ threads = [], current, hasMore, onRename, onRemove, onMore }) {
  const [known, setKnown] = useState(false);
  const [renaming, setRenaming] = useState("");
  const list = useRef(null);
  useEffect(() => setKnown(true), []);
  const walk = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || event.target.tagName === "INPUT") return;
    const links = [...list.current.querySelectorAll("a")];
    const at = links.indexOf(event.target.closest("li")?.querySelector("a"));
    links[at + step]?.focus();
    event.preventDefault();
  };
  if (!known) return null;
  return (
    <div ref={list} className="history" onKeyDown={walk}>
      {grouped(threads).map(([day, group]) => (
        <nav key={day} aria-label={`Chats, ${day.toLowerCase()}`}>
          <h2 className="group">{day}</h2>
          <ul>
            {group.map((thread) => (
              <li key={thread.id} className={thread.id === current ? "here" : undefined}>
                {renaming === thread.id ? (
                  <Title
                    thread={thread}
                    done={(title) => {
                      setRenaming("");
                      if (title && title !== thread.title) onRename(thread.id, title);
                    }}
                  />
                ) : (
                  <>
                    <Link
                      className="item"
                      to={`/chat/${thread.id}`}
                      title={thread.title}
                      aria-current={thread.id === current ? "page" : undefined}
                      onDoubleClick={() => setRenaming(thread.id)}
                    >
                      <span className="cut" dir="auto">{thread.title}</span>
                    </Link>
                    <span className="actions">
                      <button type="button" className="button quiet icon" aria-label={`Rename ${thread.title}`} title="Rename" onClick={() => setRenaming(thread.id)}>
                        <Pencil size={16} aria-hidden />
                      </button>
                      <button type="button" className="button quiet icon" aria-label={`Delete ${thread.title}`} title="Delete" onClick={() => onRemove(thread.id)}>
                        <Trash2 size={16} aria-hidden />
                      </button>
                    </span>
                  </>
                )}
              </li>
            ))}
          </ul>
        </nav>
      ))}
      {hasMore && <button type="button" className="item" onClick={() => onMore?.()}>Show more</button>}
    </div>
  );
}
