// The stream of a run, and the message that grows out of it.
const EVENTS = ["token", "tool", "reset", "status", "done", "error"];
const RETRY_MS = [500, 1000, 2000, 5000];
const inside = (path, root) => root === "" || path === root || path.startsWith(`${root}/`);

/** Pure: the parts after one event. A part is {path, kind: "text"|"tool", ...} in the order of arrival. */
export function grow(parts, kind, data) {
  if (kind === "reset") return parts.filter((part) => !inside(part.path, data.path ?? ""));
  const at = parts.findLastIndex((part) => part.path === data.path && part.kind === (kind === "token" ? "text" : "tool"));
  if (kind === "token") {
    if (at < 0) return [...parts, { path: data.path, kind: "text", text: data.text }];
    return parts.with(at, { ...parts[at], text: parts[at].text + data.text });
  }
  if (kind === "tool") {
    if (at < 0) return [...parts, { ...data, kind: "tool" }];
    return parts.with(at, { ...parts[at], ...data, kind: "tool" });
  }
  return parts;
}

/** Read a run's stream: `show` gets the parts, `end` is called once. Returns what stops it. */
export function follow(run, show, end) {
  let parts = [];
  let frame = 0;
  let tries = 0;
  let timer = 0;
  let source;
  const draw = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      show(parts);
    });
  };
  const hear = (event) => {
    const data = event.data ? JSON.parse(event.data) : {};
    tries = 0;
    if (event.type === "done" || (event.type === "error" && event.data)) {
      source.close();
      cancelAnimationFrame(frame);
      show(parts);
      end();
      return;
    }
    parts = grow(parts, event.type, data);
    draw();
  };
  const open = () => {
    source = new EventSource(`/v1/runs/${encodeURIComponent(run)}/events`);
    EVENTS.filter((name) => name !== "error").forEach((name) => source.addEventListener(name, hear));
    source.addEventListener("error", (event) => {
      if (event.data) {
        hear(event);
      } else if (source.readyState === EventSource.CLOSED) {
        // Refused, not interrupted: the browser gives up, and the stream is read from its start again.
        timer = setTimeout(() => {
          parts = [];
          open();
        }, RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)]);
      }
    });
  };
  open();
  return () => {
    source.close();
    clearTimeout(timer);
    cancelAnimationFrame(frame);
  };
}
