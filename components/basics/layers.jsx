// What floats above the page: dialogs, the command palette, the list of shortcuts. Native <dialog> keeps the focus
// inside, closes on Escape and gives the focus back.
import { useEffect, useId, useMemo, useRef, useState } from "react";
import { useNavigate } from "react-router";
import Bot from "lucide-react/dist/esm/icons/bot.mjs";
import CornerDownLeft from "lucide-react/dist/esm/icons/corner-down-left.mjs";
import MessageSquare from "lucide-react/dist/esm/icons/message-square.mjs";
import Search from "lucide-react/dist/esm/icons/search.mjs";

const PALETTE = "autoweave:palette";
const ICONS = { Agents: Bot, Chats: MessageSquare };

export function Dialog({ open, onClose, label, side, className = "", children }) {
  const dialog = useRef(null);
  useEffect(() => {
    if (open && !dialog.current.open) dialog.current.showModal();
    if (!open && dialog.current.open) dialog.current.close();
  }, [open]);
  return (
    <dialog
      ref={dialog}
      className={`dialog ${side ? "side" : ""} ${className}`}
      aria-label={label}
      onCancel={(event) => {
        event.preventDefault();
        onClose?.();
      }}
      onClick={(event) => event.target === dialog.current && onClose?.()}
    >
      {open ? children : null}
    </dialog>
  );
}

const typing = (event) => event.target.closest?.("input, textarea, select, [contenteditable]");

export function PaletteButton({ className = "", children }) {
  return (
    <button
      type="button"
      className={className}
      aria-label="Search"
      title="Search (Ctrl K)"
      onClick={() => window.dispatchEvent(new Event(PALETTE))}
    >
      {children}
    </button>
  );
}

/** items: [{group, label, href}]; onOpen asks the server for what is not in the page yet. */
export function Palette({ items = [], shortcuts = [], onOpen }) {
  const [shown, show] = useState("");
  useEffect(() => {
    const open = () => {
      show("palette");
      onOpen?.();
    };
    const key = (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        open();
      } else if (event.key === "?" && !typing(event) && !document.querySelector("dialog[open]")) {
        show("shortcuts");
      }
    };
    window.addEventListener(PALETTE, open);
    window.addEventListener("keydown", key);
    return () => {
      window.removeEventListener(PALETTE, open);
      window.removeEventListener("keydown", key);
    };
  }, [onOpen]);
  const close = () => show("");
  return (
    <>
      <Dialog open={shown === "palette"} onClose={close} label="Search" className="palette">
        <PaletteList items={items} close={close} />
      </Dialog>
      <Dialog open={shown === "shortcuts"} onClose={close} label="Keyboard shortcuts">
        <h2>Keyboard shortcuts</h2>
        <dl className="keys">
          {shortcuts.map(([keys, what]) => (
            <div key={what} style={{ display: "contents" }}>
              <dt>{what}</dt>
              <dd>{keys.split(" ").map((name) => <kbd key={name}>{name}</kbd>)}</dd>
            </div>
          ))}
        </dl>
        <div className="actions">
          <button type="button" className="button plain" onClick={close}>Close</button>
        </div>
      </Dialog>
    </>
  );
}

function matches(items, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return items
    .filter(({ label, group }) => words.every((word) => `${label} ${group}`.toLowerCase().includes(word)))
    .slice(0, 50);
}

function PaletteList({ items, close }) {
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  // Who types faster than the list comes has pressed Enter before there was anything to go to.
  const [hasty, setHasty] = useState(false);
  const id = useId();
  const navigate = useNavigate();
  const found = useMemo(() => matches(items, query), [items, query]);
  const list = useRef(null);
  const current = Math.min(at, found.length - 1);
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [current, found]);
  const go = (item) => {
    if (!item) return;
    close();
    navigate(item.href);
  };
  useEffect(() => {
    if (hasty) go(found[0]);
  }, [hasty, found]);
  const onKeyDown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      setAt((current + step + found.length) % Math.max(found.length, 1));
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (items.length === 0) setHasty(true);
      go(found[current]);
    }
  };
  return (
    <>
      <div className="search">
        <Search size={16} aria-hidden />
        <input
          autoFocus
          type="text"
          role="combobox"
          aria-label="Search pages, chats and agents"
          aria-expanded="true"
          aria-controls={id}
          aria-activedescendant={found.length ? `${id}-${current}` : undefined}
          placeholder="Go to a page, chat or agent"
          value={query}
          onChange={(event) => {
            setQuery(event.target.value);
            setAt(0);
            setHasty(false);
          }}
          onKeyDown={onKeyDown}
        />
      </div>
      <div ref={list} id={id} role="listbox" aria-label="Results" className="list">
        {found.map((item, index) => {
          const Icon = ICONS[item.group] ?? CornerDownLeft;
          const first = index === 0 || found[index - 1].group !== item.group;
          return (
            <div key={item.href} role="presentation">
              {first && <div className="group" role="presentation">{item.group}</div>}
              <div
                id={`${id}-${index}`}
                role="option"
                aria-selected={index === current}
                onMouseMove={() => setAt(index)}
                onClick={() => go(item)}
              >
                <Icon size={16} aria-hidden />
                <span className="cut" dir="auto">{item.label}</span>
              </div>
            </div>
          );
        })}
      </div>
      {items.length > 0 && found.length === 0 && <p className="group" role="status">Nothing matches “{query}”.</p>}
    </>
  );
}
