// Small things that follow the clock, the clipboard and the connection.
import { useEffect, useRef, useState } from "react";
import Check from "lucide-react/dist/esm/icons/check.mjs";
import CircleAlert from "lucide-react/dist/esm/icons/circle-alert.mjs";
import CloudOff from "lucide-react/dist/esm/icons/cloud-off.mjs";
import Copy from "lucide-react/dist/esm/icons/copy.mjs";

const UNITS = [["year", 31536e6], ["month", 2592e6], ["week", 6048e5], ["day", 864e5], ["hour", 36e5], ["minute", 6e4]];

export function relative(ms, now) {
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const away = ms - now;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(away) >= size) ?? [];
  return unit ? words.format(Math.round(away / size), unit) : away > 0 ? "in a moment" : "just now";
}

/** Relative in the text, absolute in the title; says nothing before the browser's clock is known. */
export function RelativeTime({ ms, none = "never", className }) {
  const [now, setNow] = useState(0);
  useEffect(() => {
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 30000);
    return () => clearInterval(timer);
  }, [ms]);
  if (!ms) return <span className={className}>{none}</span>;
  const date = new Date(ms);
  return (
    <time className={className} dateTime={date.toISOString()} title={now ? date.toLocaleString() : undefined}>
      {now ? relative(ms, now) : "\u00a0"}
    </time>
  );
}

export function CopyButton({ text, label = "Copy", quiet = true, iconOnly, className = "" }) {
  const [copied, setCopied] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setCopied(false), 2000);
  };
  const Icon = copied ? Check : Copy;
  return (
    <button
      type="button"
      className={`button ${quiet ? "quiet" : "plain"} ${iconOnly ? "icon" : ""} ${className}`}
      aria-label={iconOnly ? label : undefined}
      title={iconOnly ? label : undefined}
      onClick={copy}
    >
      <Icon size={16} aria-hidden />
      {!iconOnly && <span>{label}</span>}
      <span className="unseen" role="status">{copied ? "Copied" : ""}</span>
    </button>
  );
}

/** One quiet bar while the socket is away; `errors` grows by one with each failed try. */
export function ConnectionBar({ errors = [] }) {
  const [left, setLeft] = useState(0);
  const [wasLost, setWasLost] = useState(false);
  const [back, setBack] = useState(false);
  const lost = errors.length > 0;
  useEffect(() => {
    if (!lost) return;
    // Reflex waits 0.2 s longer after each failed try, 2 s at most.
    const until = Date.now() + 200 * Math.min(errors.length, 10);
    const tick = () => setLeft(Math.max(0, Math.ceil((until - Date.now()) / 1000)));
    tick();
    const timer = setInterval(tick, 250);
    return () => clearInterval(timer);
  }, [errors, lost]);
  useEffect(() => {
    if (lost) {
      setWasLost(true);
      return;
    }
    if (!wasLost) return;
    setWasLost(false);
    setBack(true);
    const timer = setTimeout(() => setBack(false), 1500);
    return () => clearTimeout(timer);
  }, [lost]);
  const words = lost
    ? `Connection lost. ${left > 0 ? `Trying again in ${left} s` : "Trying again now"}`
    : back ? "Connected again" : "";
  return (
    <div role="status">
      {words && (
        <div className="connection">
          {lost ? <CloudOff size={16} aria-hidden /> : <Check size={16} aria-hidden />}
          <span className="number">{words}</span>
        </div>
      )}
    </div>
  );
}

/** What went wrong with an action, until it is closed; `notice` is {key, what, next, details} or without a key. */
export function Notice({ notice, onClose }) {
  if (!notice?.key) return <div role="alert" />;
  return (
    <div role="alert">
      <div className="notice" key={notice.key}>
        <CircleAlert size={16} aria-hidden />
        <div className="grow">
          <p className="strong">{notice.what}</p>
          <p className="soft small">{notice.next}</p>
          <div className="actions">
            <CopyButton text={notice.details} label="Copy details" />
            <button type="button" className="button quiet" onClick={() => onClose?.()}>Close</button>
          </div>
        </div>
      </div>
    </div>
  );
}

/** Stands at the foot for some seconds after something was taken away. */
export function UndoBar({ text, seconds = 8, onUndo, onGone }) {
  const gone = useRef(onGone);
  gone.current = onGone;
  useEffect(() => {
    if (!text) return;
    const timer = setTimeout(() => gone.current?.(), seconds * 1000);
    return () => clearTimeout(timer);
  }, [text, seconds]);
  return (
    <div role="status">
      {text && (
        <div className="floating-bar">
          <span className="cut">{text}</span>
          <button type="button" className="button quiet" onClick={() => onUndo?.()}>Undo</button>
        </div>
      )}
    </div>
  );
}

export function ReloadButton() {
  return <button type="button" className="button primary" onClick={() => window.location.reload()}>Reload</button>;
}
