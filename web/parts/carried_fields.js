/** What the form sends besides its own fields, because an earlier request had it. */

import { describeCarried } from "../client/form_values.js";
import { Button, html } from "./elements.js";

export function CarriedFields({ form }) {
  const fields = describeCarried(form.values);
  if (!fields.length) return null;
  function leaveOut() {
    form.change({ carried: {} });
    document.getElementById("idea").focus();
  }
  return html`
    <section class="carried" aria-label="From the earlier request">
      <dl>
        ${fields.map(
          ({ label, words }) => html`<div key=${label}><dt>${label}</dt><dd dir="auto">${words}</dd></div>`,
        )}
      </dl>
      <${Button} onclick=${leaveOut} class="quiet" icon="cross">Leave these out<//>
    </section>
  `;
}
