// The rail: folded on a desk, a drawer on a phone; the fold stays in this browser.
import { useEffect, useRef, useState } from "react";
import { useLocation } from "react-router";
import Menu from "lucide-react/dist/esm/icons/menu.mjs";
import PanelLeft from "lucide-react/dist/esm/icons/panel-left.mjs";

const DRAWER = "autoweave:drawer";

export function Rail({ children, label }) {
  const [open, setOpen] = useState(false);
  const rail = useRef(null);
  const opener = useRef(null);
  const location = useLocation();

  useEffect(() => setOpen(false), [location.pathname, location.search]);
  useEffect(() => {
    const show = () => {
      opener.current = document.activeElement;
      setOpen(true);
    };
    window.addEventListener(DRAWER, show);
    return () => window.removeEventListener(DRAWER, show);
  }, []);
  useEffect(() => {
    if (!open) {
      opener.current?.focus?.();
      opener.current = null;
      return;
    }
    rail.current?.querySelector("a, button")?.focus();
    const close = (event) => event.key === "Escape" && setOpen(false);
    window.addEventListener("keydown", close);
    return () => window.removeEventListener("keydown", close);
  }, [open]);

  return (
    <>
      <aside ref={rail} className="rail" data-open={open} aria-label={label}>
        {children}
      </aside>
      {open && <div className="rail-scrim" onClick={() => setOpen(false)} />}
    </>
  );
}

function fold() {
  const { dataset } = document.documentElement;
  const folded = dataset.folded === undefined;
  if (folded) dataset.folded = "true";
  else delete dataset.folded;
  localStorage.setItem("autoweave.folded", folded ? "true" : "");
}

export function RailToggle({ drawer, className = "" }) {
  const label = drawer ? "Open navigation" : "Fold navigation";
  const Icon = drawer ? Menu : PanelLeft;
  return (
    <button
      type="button"
      className={`button quiet icon ${className}`}
      aria-label={label}
      title={label}
      onClick={drawer ? () => window.dispatchEvent(new Event(DRAWER)) : fold}
    >
      <Icon size={16} aria-hidden />
    </button>
  );
}

/** The first stop of the keyboard: past the rail, to what the page is about. */
export function SkipLink() {
  const skip = (event) => {
    event.preventDefault();
    document.getElementById("main")?.focus();
  };
  return <a className="skip" href="#main" onClick={skip}>Skip to content</a>;
}
