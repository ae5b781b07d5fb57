// Make two images with the API and print their addresses, with Node 18 or newer:
// API_URL=… TOKEN_URL=… CLIENT_ID=… CLIENT_SECRET=… node api.mjs

const { API_URL, TOKEN_URL, CLIENT_ID, CLIENT_SECRET } = process.env;
if (!API_URL || !TOKEN_URL || !CLIENT_ID || !CLIENT_SECRET) {
  console.error("set API_URL, TOKEN_URL, CLIENT_ID and CLIENT_SECRET; make credentials prints them");
  process.exit(1);
}

/** Returns an access token, which is valid for an hour. */
async function fetchToken() {
  const response = await fetch(TOKEN_URL, {
    method: "POST",
    headers: { Authorization: `Basic ${btoa(`${CLIENT_ID}:${CLIENT_SECRET}`)}` },
    body: new URLSearchParams({ grant_type: "client_credentials" }),
  });
  if (!response.ok) throw new Error(`no token: ${response.status} ${await response.text()}`);
  return (await response.json()).access_token;
}

/** Returns the JSON answer of a route, or throws its error. */
async function call(path, { headers = {}, ...options } = {}) {
  const response = await fetch(new URL(path, API_URL), {
    ...options,
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json", ...headers },
  });
  const answer = await response.json();
  // Easel's errors have a detail. The gateway's own errors have only a message.
  if (!response.ok) throw new Error(`${response.status}: ${answer.detail ?? answer.message}`);
  return answer;
}

const token = await fetchToken();
let run = await call("runs?wait=30", {
  method: "POST",
  // Use a key of your own, such as an order's number. Sending it again never pays again.
  headers: { "Idempotency-Key": crypto.randomUUID() },
  body: JSON.stringify({ topic: "Sport", count: 2 }),
});
while (run.status === "running") {
  await new Promise((resolve) => setTimeout(resolve, 2000));
  run = await call(`runs/${run.id}`);
}
if (run.error) throw new Error(`${run.error.title}: ${run.error.message}`);
for (const { status, cost_usd: cost, links } of run.pictures)
  console.log(cost === null ? "cost unknown" : `$${cost.toFixed(4)}`, links?.picture ?? status);
