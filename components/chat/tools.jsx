// A tool call: one quiet line that opens.
import { Link } from "react-router";
import Wrench from "lucide-react/dist/esm/icons/wrench.mjs";
import X from "lucide-react/dist/esm/icons/x.mjs";

const WORDS = { running: "running", ok: "done", failed: "failed" };

export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.floor(ms / 60000)} min ${Math.round((ms % 60000) / 1000)} s`;
}

function pretty(value) {
  if (typeof value !== "string") return JSON.stringify(value, null, 2);
  try {
    return JSON.stringify(JSON.parse(value), null, 2);
  } catch {
    return value;
  }
}

function Part({ title, value }) {
  if (value === undefined || value === null || value === "") return null;
  return (
    <>
      <dt>{title}</dt>
      <dd><pre tabIndex={0} aria-label={title}><code>{pretty(value)}</code></pre></dd>
    </>
  );
}

export function ToolLine({ call, trace }) {
  const { name, status, arguments: input, result, duration_ms: took } = call;
  return (
    <details className={`tool ${status}`}>
      <summary>
        <Wrench size={16} aria-hidden />
        <span className="mono cut">{name}</span>
        <span className={`status ${status}`}>
          {status === "failed" ? <X size={16} aria-hidden /> : <span className={`shape ${status}`} aria-hidden />}
          <span>{WORDS[status] ?? status}</span>
        </span>
        {status !== "running" && <span className="soft number">{duration(took ?? 0)}</span>}
      </summary>
      <dl>
        <Part title="Arguments" value={input} />
        <Part title="Result" value={result} />
      </dl>
      {trace && <Link className="link small" to={`/admin/traces/${trace}`}>Open trace</Link>}
    </details>
  );
}
