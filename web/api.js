/** Talks to Easel's API: with the token, in JSON, with errors that say what to do. */

const WAITS = [1, 2, 4]; // seconds before the 2nd, 3rd and 4th try of a read

/** What the API, or the way to it, says went wrong. `status` is 0 where no answer came. */
export class ApiError extends Error {
  constructor({ status, title, detail, field, what_to_do: whatToDo }) {
    super(detail);
    Object.assign(this, { status, title, field, whatToDo });
  }

  /** Whether the same call may well succeed a little later. */
  get passes() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

const OWN_WORDS = {
  401: ["Your sign-in has ended", "Sign in again to go on."],
  403: ["Not allowed", "Your sign-in doesn't give the right to do this. Sign out, and in again as somebody who has it."],
  404: ["Not found", "It may have been deleted, or the address is mistyped."],
  429: ["Too many requests at once", "Wait a moment and try again."],
  503: ["The API is busy", "Wait a moment and try again."],
};

/** The API's calls. `session` gives tokens; `onSignedOut` is told when there is none any more. */
export function makeApi(session, onSignedOut) {
  async function call(method, path, { body, headers = {}, signal, reads = method === "GET" } = {}) {
    for (let turn = 0, renewed = false; ;) {
      const answer = await send(method, path, { body, headers, signal });
      if (answer.ok) return answer.status === 204 ? null : answer.json();
      if (answer.status === 401 && !renewed && (await session.renew())) renewed = true;
      else if (reads && (answer.status === 429 || answer.status === 503) && turn < WAITS.length) {
        const asked = Number(answer.headers.get("Retry-After"));
        await sleep(Math.min(asked || WAITS[turn++], 30), signal);
        if (asked) turn++;
      } else {
        if (answer.status === 401) onSignedOut();
        throw new ApiError(await problem(answer));
      }
    }
  }

  async function send(method, path, { body, headers, signal }) {
    const token = await session.token();
    if (!token) {
      onSignedOut();
      throw new ApiError({ status: 401, title: OWN_WORDS[401][0], detail: OWN_WORDS[401][1] });
    }
    const json = body === undefined ? {} : { "Content-Type": "application/json" };
    try {
      return await fetch(path, {
        method,
        signal,
        headers: { Accept: "application/json", Authorization: `Bearer ${token}`, ...json, ...headers },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw noAnswer();
    }
  }

  const image = (id) => `images/${encodeURIComponent(id)}`;
  const run = (id) => `runs/${encodeURIComponent(id)}`;
  return {
    estimate: (body, signal) => call("POST", "estimate", { body, signal, reads: true }),
    startRun: (body, key) => call("POST", "runs", { body, headers: { "Idempotency-Key": key } }),
    run: (id, signal) => call("GET", run(id), { signal }),
    runs: (query, signal) => call("GET", `runs?${search(query)}`, { signal }),
    redrive: (id) => call("POST", `${run(id)}/redrive`),
    stop: (id) => call("POST", `${run(id)}/stop`),
    images: (query, signal) => call("GET", `images?${search(query)}`, { signal }),
    image: (id, signal) => call("GET", image(id), { signal }),
    deleteImage: (id) => call("DELETE", image(id)),
    restoreImage: (id) => call("POST", `${image(id)}/restore`),
    folders: (signal) => call("GET", "folders", { signal }),
    deleteFolder: (name) => call("DELETE", `folders?${search({ name, confirm: true })}`),
    restoreFolder: (name) => call("POST", "folders/restore", { body: { name } }),
  };
}

/** Waits, unless the signal is aborted first; then it rejects as fetch does. */
export function sleep(seconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => (clearTimeout(timer), reject(signal.reason));
    const timer = setTimeout(() => (signal?.removeEventListener("abort", stop), resolve()), seconds * 1000);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

/** The error of a call that got no answer. */
export const noAnswer = () =>
  new ApiError({ status: 0, title: "No answer", detail: "Easel can't be reached.", what_to_do: "Check your connection and try again." });

function search(query) {
  return new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value != null));
}

async function problem(answer) {
  const [title, detail] = OWN_WORDS[answer.status] ?? ["The API failed", "Try again in a moment."];
  const said = await answer.json().catch(() => ({}));
  return { title, detail, ...(said.detail ? said : {}), status: answer.status };
}
