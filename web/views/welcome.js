/** The page before sign-in. */

import { Button, Icon, html } from "../parts/elements.js";
import { Callout } from "../parts/placeholders.js";

const PROMISES = [
  "You see the price before you click",
  "You never pay twice without knowing",
  "Deleted pictures can be restored for 30 days",
];

/** `problem` is why the last sign-in failed or ended: its title, message and whatToDo. */
export function Welcome({ onsignin, problem }) {
  return html`
    <div class="welcome">
      <div>
        <h1 tabindex="-1">Pictures from your ideas, each with its price</h1>
        <p class="lead">
          Give Easel a topic or an idea of your own. A chat model turns it into a prompt, an image
          model makes the picture, and your gallery keeps it with its prompt and its cost.
        </p>
        ${problem && html`<${Callout} role="alert" ...${problem} />`}
        <${Button} onclick=${onsignin} class="big" icon="leave">Sign in<//>
        <ul class="promises">
          ${PROMISES.map((promise) => html`<li><${Icon} name="check" />${promise}</li>`)}
        </ul>
      </div>
      <img src="web/welcome.svg" alt="" width="640" height="520" />
    </div>
  `;
}
