/** What a place shows when it has no content yet: loading, empty, failed. Each offers a way on. */

import { Button, Icon, html } from "./elements.js";

export function Loading({ children }) {
  return html`
    <p class="state loading" role="status">
      <span class="spinner" aria-hidden="true"></span>${children}
    </p>
  `;
}

/** Nothing is here. `children` are the buttons that help. */
export function Empty({ title, text, children }) {
  return html`
    <div class="state">
      <img src="web/favicon.svg" alt="" width="56" height="56" />
      <h2>${title}</h2>
      <p>${text}</p>
      <div class="row">${children}</div>
    </div>
  `;
}

/** Shows what failed and what to do next. */
export function Failed({ error, onretry }) {
  return html`
    <div class="state failed" role="alert">
      <h2><${Icon} name="info" />${error.title ?? "Something failed"}</h2>
      <${Explanation} ...${explained(error)} />
      ${onretry &&
      html`<div class="row"><${Button} onclick=${onretry} icon="again">Try again<//></div>`}
    </div>
  `;
}

/** A failure as a block within a view. */
export function Callout({ title, message, whatToDo, code, ...attributes }) {
  return html`
    <div class="callout failed" ...${attributes}>
      <strong>${title}</strong>
      <${Explanation} message=${message} whatToDo=${whatToDo} code=${code} />
    </div>
  `;
}

/** What to do, and in small print the message for support, if the API sent it (`code`). */
function Explanation({ message, whatToDo, code }) {
  if (!code) return html`<p>${message}</p>${whatToDo && html`<p>${whatToDo}</p>`}`;
  return html`
    ${whatToDo && html`<p>${whatToDo}</p>`}
    <p><small class="cause">${code}: ${message}</small></p>
  `;
}

const explained = ({ message, whatToDo, code }) => ({ message, whatToDo, code });
