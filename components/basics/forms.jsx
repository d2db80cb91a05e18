// What a native form sends besides what is typed.
import { useEffect, useState } from "react";

/** A hidden field with what the page's own address says under this name. */
export function QueryField({ name, fallback = "" }) {
  const [value, setValue] = useState(fallback);
  useEffect(() => setValue(new URLSearchParams(window.location.search).get(name) ?? fallback), [name, fallback]);
  return <input type="hidden" name={name} value={value} readOnly />;
}
