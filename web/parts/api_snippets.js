/** The form's request as a program sends it, to copy. */

import { snippetsOf } from "../client/snippets.js";
import { CopyButton } from "./copy_button.js";
import { html, useState } from "./elements.js";
import { Choices } from "./form_fields.js";

/** Shows the request in one language at a time. */
export function ApiSnippets({ request }) {
  const [isOpen, setOpen] = useState(false);
  const [language, setLanguage] = useState("curl");
  const [outcome, setOutcome] = useState("");
  const snippets = isOpen ? snippetsOf(request, document.baseURI.split("#")[0]) : [];
  const code = Object.fromEntries(snippets)[language];
  return html`
    <details class="snippets" ontoggle=${(event) => setOpen(event.target.open)}>
      <summary>Use by API</summary>
      ${isOpen &&
      html`
        <${Choices}
          name="language"
          label="Language"
          options=${snippets.map(([name]) => ({ value: name, label: name }))}
          chosen=${language}
          look="segments"
          onchoose=${setLanguage}
        />
        <pre tabindex="0" role="region" aria-label=${`The request in ${language}`}><code>${code}</code></pre>
        <${CopyButton}
          words="Copy code"
          done="Code copied"
          read=${() => code}
          onoutcome=${setOutcome}
        />
        <p class="unseen" role="status">${outcome}</p>
        <p class="hint">
          <code>TOKEN</code> is an access token.
          The <a href="docs">API reference</a> describes all fields and answers.
        </p>
      `}
    </details>
  `;
}
