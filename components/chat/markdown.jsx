// Markdown to React elements: no HTML of the text ever reaches the page, so nothing has to be sanitised.
import { memo, useEffect, useMemo, useState } from "react";
import { lexer } from "marked";
import { CopyButton } from "../basics/live.jsx";
import { load, paint } from "./highlight.js";

const SAFE = /^(https?:|mailto:|#|\/(?!\/))/i;
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'", nbsp: "\u00a0" };
const plain = (text) => text.replace(/&(amp|lt|gt|quot|#39|nbsp);/g, (_, name) => ENTITIES[name]);

function Anchor({ href, title, children }) {
  if (!SAFE.test(href)) return <>{children}</>;
  const away = /^https?:/i.test(href);
  return (
    <a className="link" href={href} title={title || undefined} {...(away && { target: "_blank", rel: "noopener noreferrer" })}>
      {children}
    </a>
  );
}

const painted = (nodes) =>
  nodes.map((node, index) =>
    node.type === "text"
      ? node.value
      : <span key={index} className={node.properties.className.join(" ")}>{painted(node.children)}</span>,
  );

export function Code({ text, language }) {
  const [ready, setReady] = useState(false);
  useEffect(() => {
    let here = true;
    load().then(() => here && setReady(true));
    return () => {
      here = false;
    };
  }, []);
  const nodes = useMemo(() => paint(text, language), [text, language, ready]);
  return (
    <figure className="code">
      <figcaption>
        <span>{language || "text"}</span>
        <CopyButton text={text} label="Copy code" iconOnly />
      </figcaption>
      <pre tabIndex={0} aria-label={`Code, ${language || "text"}`}><code>{nodes ? painted(nodes) : text}</code></pre>
    </figure>
  );
}

function Table({ header, align, rows }) {
  const cell = (Tag, token, index) => (
    <Tag key={index} style={{ textAlign: align[index] || undefined }}>{inline(token.tokens)}</Tag>
  );
  return (
    <div className="table-wrap" tabIndex={0} role="group" aria-label="Table">
      <table>
        <thead><tr>{header.map((token, index) => cell("th", token, index))}</tr></thead>
        <tbody>{rows.map((row, at) => <tr key={at}>{row.map((token, index) => cell("td", token, index))}</tr>)}</tbody>
      </table>
    </div>
  );
}

function List({ ordered, start, items }) {
  const Tag = ordered ? "ol" : "ul";
  return (
    <Tag start={ordered && start !== 1 ? start : undefined}>
      {items.map((item, index) => (
        <li key={index} className={item.task ? "task" : undefined}>
          {item.task && <input type="checkbox" checked={item.checked} readOnly disabled aria-label={item.text} />}
          {blocks(item.tokens.filter((token) => token.type !== "checkbox"))}
        </li>
      ))}
    </Tag>
  );
}

const INLINE = {
  text: (token) => (token.tokens ? inline(token.tokens) : plain(token.text)),
  escape: (token) => plain(token.text),
  strong: (token) => <strong>{inline(token.tokens)}</strong>,
  em: (token) => <em>{inline(token.tokens)}</em>,
  del: (token) => <del>{inline(token.tokens)}</del>,
  codespan: (token) => <code>{token.text}</code>,
  html: (token) => token.text,
  br: () => <br />,
  link: (token) => <Anchor href={token.href} title={token.title}>{inline(token.tokens)}</Anchor>,
  // A picture from elsewhere would tell that place who reads: the link is enough.
  image: (token) => <Anchor href={token.href} title={token.title}>{token.text || token.href}</Anchor>,
};

const BLOCK = {
  heading: (token) => {
    // The page's own headings are h1 and h2.
    const Tag = `h${Math.min(token.depth + 2, 6)}`;
    return <Tag className={`depth-${Math.min(token.depth, 4)}`}>{inline(token.tokens)}</Tag>;
  },
  paragraph: (token) => <p>{inline(token.tokens)}</p>,
  code: (token) => <Code text={token.text} language={(token.lang || "").split(/\s/)[0]} />,
  blockquote: (token) => <blockquote>{blocks(token.tokens)}</blockquote>,
  list: (token) => <List {...token} />,
  table: (token) => <Table {...token} />,
  hr: () => <hr />,
  html: (token) => <p>{token.text}</p>,
  space: () => null,
  def: () => null,
};

const Piece = ({ children }) => children;
const element = (kinds, token, key) => {
  const make = kinds[token.type] ?? INLINE[token.type];
  return <Piece key={key}>{make ? make(token) : token.raw}</Piece>;
};
const inline = (tokens = []) => tokens.map((token, index) => element(INLINE, token, index));
const blocks = (tokens = []) => tokens.map((token, index) => element(BLOCK, token, index));

// A finished block keeps its source, so only the last one is made again while a text grows.
const Block = memo(
  ({ token }) => element(BLOCK, token, 0),
  (before, after) => before.token.raw === after.token.raw && before.token.type === after.token.type,
);

export function Markdown({ text }) {
  const tokens = useMemo(() => lexer(text ?? "", { gfm: true }), [text]);
  return (
    <div className="markdown" dir="auto">
      {tokens.map((token, index) => <Block key={index} token={token} />)}
    </div>
  );
}
