/** The service's API: JSON in and out, answers as a stream, and the key where one is needed. */

import { askForKey } from "/page/parts/key.js";

const KEY = "rag-key";

/** What the service said when it could not do what was asked. */
export class ServiceProblem extends Error {
  constructor(status, message, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** `path` with those of `query` that have a value. */
export function withQuery(path, query) {
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") asked.set(name, value);
  }
  return asked.size ? `${path}?${asked}` : path;
}

export async function get(path, query = {}, signal = undefined) {
  return (await sent(withQuery(path, query), { signal })).json();
}

export async function post(path, body, signal = undefined) {
  return (await sent(path, { ...written(body), signal })).json();
}

/** The events of an answer as they come: {event, data}. Aborting `signal` stops the model. */
export async function* stream(path, body, signal) {
  const reply = await sent(path, { ...written(body), signal });
  let rest = "";
  for await (const text of textOf(reply.body)) {
    const blocks = (rest + text).replaceAll("\r\n", "\n").split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = parsed(block);
      if (event) yield event;
    }
  }
}

async function* textOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

function parsed(block) {
  let event = "message";
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) event = line.slice(6).trim();
    if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
  }
  return data.length ? { event, data: JSON.parse(data.join("\n")) } : null;
}

function written(body) {
  if (body instanceof FormData) return { method: "POST", body };
  return { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
}

/** The reply to a request that went well; a missing key is asked for, and the request made again. */
async function sent(path, options) {
  const reply = await reached(path, options);
  if (reply.ok) return reply;
  const problem = await problemOf(reply);
  if (reply.status !== 401) throw problem;
  sessionStorage.setItem(KEY, await askForKey(problem.message));
  return sent(path, options);
}

async function reached(path, options) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...options.headers, ...(key === null ? {} : { Authorization: `Bearer ${key}` }) };
  try {
    return await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServiceProblem(0, "The service can't be reached. Is `rag serve` still running?");
  }
}

async function problemOf(reply) {
  const said = await reply.json().catch(() => null);
  const message = said?.error?.message ?? `The service answered ${reply.status}.`;
  const wait = Number(reply.headers.get("Retry-After")) || null;
  return new ServiceProblem(reply.status, message, wait);
}
