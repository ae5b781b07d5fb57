/** The current request as a program sends it: curl, Python and JavaScript. */

const WAIT = "runs?wait=30"; // the answer has the pictures if they are there in time

/**
 * Returns the snippets for a request, each with its language. `base` is the API's address.
 *
 * Each has a key of its own, so that a run is not paid again if the snippet is sent twice.
 */
export function snippetsOf(request, base) {
  const url = new URL(WAIT, base).href;
  return [
    ["curl", inCurl(request, url)],
    ["Python", inPython(request, url)],
    ["JavaScript", inJavaScript(request, url)],
  ];
}

const inCurl = (request, url) => `curl -X POST ${inShell(url)} \\
  -H "Authorization: Bearer $TOKEN" \\
  -H "Idempotency-Key: ${crypto.randomUUID()}" \\
  -H "Content-Type: application/json" \\
  -d ${inShell(JSON.stringify(request, null, 2))}
`;

const inPython = (request, url) => `import json
import os
import urllib.request

body = ${pythonOf(request, "")}
headers = {
    "Authorization": f"Bearer {os.environ['TOKEN']}",
    "Idempotency-Key": "${crypto.randomUUID()}",
    "Content-Type": "application/json",
}
url = ${JSON.stringify(url)}
request = urllib.request.Request(url, json.dumps(body).encode(), headers)
with urllib.request.urlopen(request) as response:
    run = json.load(response)
print(run["status"], [picture["links"] for picture in run["pictures"]])
`;

const inJavaScript = (request, url) => `const response = await fetch(${JSON.stringify(url)}, {
  method: "POST",
  headers: {
    Authorization: \`Bearer \${process.env.TOKEN}\`,
    "Idempotency-Key": "${crypto.randomUUID()}",
    "Content-Type": "application/json",
  },
  body: JSON.stringify(${JSON.stringify(request, null, 2).replace(/\n/g, "\n  ")}),
});
const run = await response.json();
console.log(run.status, run.pictures.map(({ links }) => links));
`;

const inShell = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** Returns a value of a request as Python writes it. */
function pythonOf(value, indent) {
  if (value === true) return "True";
  if (value === false) return "False";
  if (value === null) return "None";
  if (typeof value !== "object") return JSON.stringify(value);
  const deeper = `${indent}    `;
  const [open, close, parts] = Array.isArray(value)
    ? ["[", "]", value.map((item) => pythonOf(item, deeper))]
    : [
        "{",
        "}",
        Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${pythonOf(item, deeper)}`),
      ];
  if (!parts.length) return `${open}${close}`;
  return `${open}\n${parts.map((part) => `${deeper}${part},\n`).join("")}${indent}${close}`;
}
