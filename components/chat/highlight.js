// Colours for code, loaded when the first code block is on the page.
let lowlight = null;
let loading = null;
const LONGEST = 20000;

/** Load it; resolves when `paint` works. */
export function load() {
  loading ??= import("lowlight").then((module) => {
    lowlight = module.createLowlight(module.common);
  });
  return loading;
}

/** The code as a tree of {type: "text"|"element", ...}, or nothing while it cannot be coloured. */
export function paint(text, language) {
  if (!lowlight || !language || text.length > LONGEST || !lowlight.registered(language)) return null;
  return lowlight.highlight(language, text).children;
}
