/** The switch for a notification at the end of the run. */

import { isBlocked, isOn, isPossible, turnOff, turnOn } from "../client/end_notices.js";
import { html, useState } from "./elements.js";

export function NotifyWhenDone() {
  const [on, setOn] = useState(isOn);
  const [blocked, setBlocked] = useState(() => isPossible() && isBlocked());
  if (!isPossible()) return null;

  async function change(event) {
    const { checked } = event.target;
    if (checked) await turnOn();
    else turnOff();
    setOn(isOn());
    setBlocked(isBlocked());
  }

  return html`
    <div class="field">
      <label class="switch">
        <input
          type="checkbox"
          role="switch"
          checked=${on}
          disabled=${blocked}
          onchange=${change}
          aria-describedby="notify-hint"
        />
        <span>Notify me when it is done</span>
      </label>
      <small id="notify-hint" class="hint" role="status">
        ${blocked
          ? "This browser blocks notifications of this page. Its settings can allow them."
          : "As a notification, if you look at another tab or window."}
      </small>
    </div>
  `;
}
